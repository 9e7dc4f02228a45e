"""`cron` and `compile --schedule` as a user gives them, against an API of a namespace."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from bodywork_argo import names
from bodywork_argo.access import (
    EXECUTOR_ACCOUNT,
    EXECUTOR_TOKEN,
    RELEASE_ACCOUNT,
    STAGE_ACCOUNT,
    SUBMITTER,
)
from bodywork_argo.cli import main
from bodywork_argo.cluster import POD, SECRET, SERVICE_ACCOUNT, Resource
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo_adapters.argo.schedules import CRON_WORKFLOW
from bodywork_argo_adapters.argo.watching import WORKFLOW, WORKFLOW_LABEL
from tests.cluster_api import cluster_api
from tests.files import bodywork_yaml
from tests.repositories import git, make_repository

NOWHERE = "http://127.0.0.1:9/team/shop.git"
"""Nobody answers there; a look at it tells that nobody can tell."""
NIGHTLY = ("--schedule", "30 3 * * mon-fri", "--timezone", "Europe/Berlin")
APPLY = ("cron", "apply", "nightly", *NIGHTLY)
LONG = "the-nightly-run-of-a-team-that-likes-to-call-things-by-long-names"
Call = Callable[..., tuple[int, str, str]]


class Argo(MemoryCluster):
    """Ends each run at once, with what its stage wrote."""

    phase = "Succeeded"

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        if manifest["kind"] != WORKFLOW.kind:
            return super().create(manifest, dry_run=dry_run)
        run = manifest["metadata"]["name"]
        stage: Manifest = {"displayName": "a", "type": "Pod", "id": f"{run}-1", "phase": self.phase}
        status = {"phase": self.phase, "nodes": {f"{run}-1": stage}}
        status |= {"startedAt": "2026-11-25T03:30:01Z", "finishedAt": "2026-11-25T03:40:00Z"}
        self._ran(run)
        return super().create({**manifest, "status": status}, dry_run=dry_run)

    def _ran(self, run: str) -> None:
        labels = {WORKFLOW_LABEL: run, names.STAGE_LABEL: "a"}
        metadata = {
            "name": f"{run}-a",
            "labels": labels,
            "annotations": {"workflows.argoproj.io/node-name": f"{run}.a"},
        }
        ended: Manifest = {"name": "main", "containerID": "c"}
        ended["state"] = {"terminated": {"exitCode": 0, "containerID": "c"}}
        status = {"phase": self.phase, "containerStatuses": [ended]}
        kind = {"apiVersion": POD.api_version, "kind": POD.kind}
        super().create({**kind, "metadata": metadata, "status": status})
        self.written[f"{run}-a", "main"] = f"I am {run}\n".encode()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Argo]:
    """Give a namespace that was set up."""
    cluster = Argo("team")
    cluster.user = ""
    for resource, *there in (
        (SERVICE_ACCOUNT, STAGE_ACCOUNT, EXECUTOR_ACCOUNT, RELEASE_ACCOUNT, SUBMITTER),
        (SECRET, EXECUTOR_TOKEN),
    ):
        for name in there:
            put(cluster, resource, name)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with cluster_api(cluster, tmp_path / "kubeconfig"):
        yield cluster


def put(cluster: MemoryCluster, resource: Resource, name: str) -> None:
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    cluster.create({**kind, "metadata": {"name": name}})


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: a repository whose commit is on its remote's branch main."""
    folder = tmp_path / "repository"
    files = {
        "bodywork.yaml": bodywork_yaml("a", on_failure="f"),
        "a.py": "",
        "f.py": "",
        "s.py": "",
    }
    make_repository(folder, files)
    git(folder, "remote", "add", "origin", NOWHERE)
    push(folder)
    monkeypatch.chdir(folder)
    return folder


def push(folder: Path, branch: str = "main") -> None:
    git(folder, "update-ref", f"refs/remotes/origin/{branch}", "HEAD")


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def run(*argv: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(argv)
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def nightly(call: Call, cluster: Argo) -> Argo:
    """Give a namespace with a schedule that was made just now."""
    assert call(*APPLY)[0] == 0
    born_now(cluster)
    return cluster


def born_now(cluster: Argo, name: str = "nightly") -> None:
    created = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    cluster.patch(CRON_WORKFLOW, name, {"metadata": {"creationTimestamp": created}})


def stored(cluster: Argo, name: str = "nightly") -> Manifest:
    found = cluster.get(CRON_WORKFLOW, name)
    assert found is not None
    return found


def fetches(document: Manifest) -> list[str]:
    """Return what the first task gives to git."""
    templates = {each["name"]: each for each in document["spec"]["workflowSpec"]["templates"]}
    words: list[str] = templates["find-commit"]["initContainers"][0]["command"]
    return words


# --- applying -------------------------------------------------------------------------------------


def test_a_schedule_is_created_then_updated_and_otherwise_left(call: Call, cluster: Argo) -> None:
    told = []
    for words in (APPLY, APPLY, (*APPLY, "--history", "3")):
        code, out, err = call(*words)
        assert (code, out) == (0, "nightly\n")
        told.append(err.splitlines()[-1])
    assert told == [f"schedule nightly: {each}" for each in ("created", "no change", "updated")]
    spec = stored(cluster)["spec"]
    assert (spec["schedules"], spec["timezone"]) == (["30 3 * * 1-5"], "Europe/Berlin")
    assert spec["failedJobsHistoryLimit"] == 3


def test_programs_are_told_what_came_of_it(call: Call, cluster: Argo) -> None:
    told = [json.loads(call(*APPLY, "-o", "json")[1]) for _ in range(2)]
    assert told == [
        {"name": "nightly", "result": "created"},
        {"name": "nightly", "result": "unchanged"},
    ]


@pytest.mark.parametrize("how", ["--dry-run", "--dry-run=server"])
def test_a_rehearsal_prints_the_document_that_is_sent(call: Call, cluster: Argo, how: str) -> None:
    code, out, _ = call(*APPLY, how)
    assert code == 0
    assert cluster.get(CRON_WORKFLOW, "nightly") is None
    assert call(*APPLY)[0] == 0
    sent, printed = stored(cluster), yaml.safe_load(out)
    assert printed["spec"] == sent["spec"]
    for part in ("name", "namespace", "labels", "annotations"):
        assert printed["metadata"][part] == sent["metadata"][part]


def test_all_words_of_a_schedule_reach_it(call: Call, cluster: Argo) -> None:
    more = ("--schedule", "@weekly", "--concurrency", "Replace", "--starting-deadline", "90")
    assert call(*APPLY, *more, "--history", "0", "--suspend")[0] == 0
    spec = stored(cluster)["spec"]
    del spec["workflowSpec"], spec["workflowMetadata"]
    assert spec == {
        "schedules": ["30 3 * * 1-5", "@weekly"],
        "timezone": "Europe/Berlin",
        "suspend": True,
        "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 90,
        "successfulJobsHistoryLimit": 0,
        "failedJobsHistoryLimit": 0,
    }


def test_a_pinned_schedule_has_its_commit_and_finds_none(
    call: Call, cluster: Argo, repository: Path
) -> None:
    assert call(*APPLY, "--pin")[0] == 0
    document = stored(cluster)
    assert document["metadata"]["labels"][names.COMMIT_LABEL] == git(
        repository, "rev-parse", "HEAD"
    )
    templates = [each["name"] for each in document["spec"]["workflowSpec"]["templates"]]
    assert "find-commit" not in templates


@pytest.mark.parametrize("ref", ["main", "origin/main"])
def test_a_local_branch_is_that_of_the_remote(call: Call, cluster: Argo, ref: str) -> None:
    assert call(*APPLY, "--ref", ref)[0] == 0
    words = fetches(stored(cluster))
    assert f"--repository={NOWHERE}" in words
    assert "--ref=main" in words
    assert json.loads(call("cron", "get", "nightly", "-o", "json")[1])["ref"] == "main"


def test_a_commit_is_no_branch(call: Call, cluster: Argo, repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    for ref in (commit, commit[:8]):
        code, out, err = call(*APPLY, "--ref", ref)
        assert (code, out) == (2, "")
        assert "--ref names a commit, and runs take the head of a branch: give --pin" in err
    assert call(*APPLY, "--ref", commit, "--pin")[0] == 0


def test_where_no_branch_is_checked_out_one_has_to_be_named(
    call: Call, cluster: Argo, repository: Path
) -> None:
    git(repository, "checkout", "--quiet", "--detach")
    code, _, err = call(*APPLY)
    assert code == 2
    assert "no branch is checked out, so name one with --ref, or give --pin" in err
    assert call(*APPLY, "--ref", "main")[0] == 0
    assert call(*APPLY, "--pin")[0] == 0


def test_a_branch_that_no_run_could_fetch_is_refused(
    call: Call, cluster: Argo, repository: Path
) -> None:
    git(repository, "switch", "--quiet", "--create", "mine")
    code, _, err = call(*APPLY)
    assert code == 5
    assert "branch mine is not on origin: push it" in err
    push(repository, "mine")
    assert call(*APPLY)[0] == 0


def test_a_name_that_is_too_long_is_cut_and_means_the_same_schedule_everywhere(
    call: Call, cluster: Argo
) -> None:
    code, out, _ = call("cron", "apply", LONG, *NIGHTLY)
    name = out.strip()
    assert code == 0
    assert len(name) <= 52
    assert name.startswith("the-nightly-run-of-a-team")
    assert json.loads(call("cron", "get", LONG, "-o", "json")[1])["name"] == name
    assert call("cron", "suspend", LONG)[2] == f"schedule {name} is suspended\n"
    (run,) = call("cron", "run", LONG)[1].splitlines()
    assert run.startswith(f"{name}-")
    assert len(run) <= names.LABEL_LIMIT
    assert call("cron", "delete", LONG, "--yes")[0] == 0
    assert cluster.list(CRON_WORKFLOW, {}) == ()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--schedule", "30 25 * * *"), 'schedule "30 25 * * *": hour'),
        (("--schedule", "0 0 31 2 *"), 'schedule "0 0 31 2 *"'),
        (("--schedule", "@daily", "--timezone", "Europe/Berlim"), "Europe/Berlim"),
    ],
)
def test_a_time_that_never_comes_is_refused_with_why(
    call: Call, cluster: Argo, words: tuple[str, ...], told: str
) -> None:
    code, out, err = call("cron", "apply", "nightly", *words)
    assert (code, out) == (2, "")
    assert told in err
    assert cluster.list(CRON_WORKFLOW, {}) == ()


@pytest.mark.parametrize("backend", ["tekton", "local"])
@pytest.mark.parametrize(
    "command",
    [APPLY, ("cron", "list"), ("cron", "run", "nightly"), ("compile", "--schedule", "@daily")],
    ids=["apply", "list", "run", "compile"],
)
def test_an_engine_without_schedules_is_refused_with_another_way(
    call: Call, cluster: Argo, command: tuple[str, ...], backend: str
) -> None:
    code, out, err = call(*command, "--backend", backend)
    assert (code, out) == (2, "")
    assert f"the backend {backend} starts no runs by the clock: use '--backend argo'" in err
    assert f"`bodywork-argo submit --backend {backend}`" in err


def test_nothing_is_applied_where_that_is_forbidden(call: Call, cluster: Argo) -> None:
    cluster.denied.add(("create", "argoproj.io", "cronworkflows"))
    code, out, err = call(*APPLY)
    assert (code, out) == (4, "")
    assert "may not create cronworkflows.argoproj.io in namespace team" in err
    assert "nothing was applied: rights must be mended first" in err


def test_that_no_account_may_replace_runs_is_worth_a_warning(call: Call, cluster: Argo) -> None:
    cluster.delete(SERVICE_ACCOUNT, SUBMITTER)
    missing = "the account that may start another in its place is missing"
    for words, warned in ((APPLY, True), ((*APPLY, "--strict"), False), ((*APPLY, "--pin"), False)):
        code, _, err = call(*words)
        assert code == 0
        assert (missing in err) is warned


def test_a_cron_workflow_of_somebody_else_is_not_taken_over(call: Call, cluster: Argo) -> None:
    put(cluster, CRON_WORKFLOW, "nightly")
    code, _, err = call(*APPLY)
    assert code == 4
    assert "has a CronWorkflow nightly that is not of bodywork-argo: choose another name" in err


# --- looking --------------------------------------------------------------------------------------


def test_where_no_schedule_is_that_is_said(call: Call, cluster: Argo) -> None:
    assert call("cron", "list") == (0, "", "no schedules\n")
    assert call("cron", "list", "-o", "json")[1] == "[]\n"


def test_schedules_are_listed_for_people(call: Call, nightly: Argo) -> None:
    call("cron", "apply", "hourly", "--schedule", "@hourly")
    born_now(nightly, "hourly")
    code, out, err = call("cron", "list")
    assert (code, err) == (0, "")
    heads = [line for line in out.splitlines() if not line.startswith(" ")]
    assert heads == ["hourly: active", "nightly: active"]
    assert "  schedule   30 3 * * 1-5 (Europe/Berlin)" in out.splitlines()
    assert len([line for line in out.splitlines() if "03:30 CE" in line]) == 5


def test_schedules_are_listed_for_programs(call: Call, nightly: Argo) -> None:
    (found,) = json.loads(call("cron", "list", "-o", "json")[1])
    assert found == json.loads(call("cron", "get", "nightly", "-o", "json")[1])
    assert (found["name"], found["pipeline"], found["state"]) == ("nightly", "shop", "active")
    assert len(found["next"]) == 5
    assert found["lastRun"] is None


def refused_by_argo(cluster: Argo) -> str:
    error = {"type": "SpecError", "status": "True", "message": "templates.pipeline: not found"}
    cluster.patch(CRON_WORKFLOW, "nightly", {"status": {"conditions": [error]}})
    return "templates.pipeline: not found"


def passed_in_silence(cluster: Argo) -> str:
    created = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    cluster.patch(CRON_WORKFLOW, "nightly", {"metadata": created})
    return "the engine has started no run for 2026-01-01 02:30 UTC"


@pytest.mark.parametrize("happens", [refused_by_argo, passed_in_silence])
def test_a_schedule_that_starts_nothing_is_told_as_refused(
    call: Call, nightly: Argo, happens: Callable[[Argo], str]
) -> None:
    problem = happens(nightly)
    found = json.loads(call("cron", "get", "nightly", "-o", "json")[1])
    assert found["state"] == "refused"
    assert found["problem"].startswith(problem)
    out = call("cron", "list")[1]
    assert out.startswith("nightly: refused\n")
    assert f"  problem    {problem}" in out


@pytest.mark.parametrize(
    "command", ["get", "history", "logs", "suspend", "resume", "run", "delete"]
)
def test_a_schedule_that_is_not_there_is_an_error(call: Call, cluster: Argo, command: str) -> None:
    code, out, err = call("cron", command, "weekly")
    assert (code, out) == (4, "")
    assert "there is no schedule weekly of ours in namespace team" in err


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_of_now_is_started_and_told(call: Call, nightly: Argo) -> None:
    code, out, err = call("cron", "run", "nightly")
    (run,) = out.splitlines()
    assert code == 0
    assert err == f"run {run} of schedule nightly in namespace team\n"
    assert nightly.get(WORKFLOW, run) is not None
    found = json.loads(call("cron", "get", "nightly", "-o", "json")[1])
    assert found["lastRun"] == {
        "name": run,
        "state": "succeeded",
        "started": "2026-11-25T03:30:01Z",
    }
    assert f"  last run   2026-11-25 03:30 UTC: {run} succeeded\n" in call("cron", "list")[1]


@pytest.mark.parametrize("how", ["--wait", "--watch"])
@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 1)])
def test_the_end_of_a_run_of_now_can_be_waited_for(
    call: Call, nightly: Argo, how: str, phase: str, code: int
) -> None:
    nightly.phase = phase
    assert call("cron", "run", "nightly", how)[0] == code


def test_the_runs_of_a_schedule_are_listed(call: Call, nightly: Argo) -> None:
    (run,) = call("cron", "run", "nightly")[1].splitlines()
    (found,) = json.loads(call("cron", "history", "nightly", "-o", "json")[1])
    assert (found["run"], found["phase"]) == (run, "succeeded")
    head, row = call("cron", "history", "nightly")[1].splitlines()
    assert head.split() == ["run", "state", "commit", "started", "why"]
    assert row.split() == [run, "succeeded", "2026-11-25", "03:30:01", "UTC"]


def test_a_run_whose_stages_argo_keeps_elsewhere_is_told_all_the_same(
    call: Call, nightly: Argo
) -> None:
    (run,) = call("cron", "run", "nightly")[1].splitlines()
    phase = {"metadata": {"labels": {"workflows.argoproj.io/phase": "Succeeded"}}}
    nightly.patch(WORKFLOW, run, {**phase, "status": {"offloadNodeStatusVersion": "fnv:1"}})
    assert f"{run} succeeded" in call("cron", "list")[1]
    (found,) = json.loads(call("cron", "history", "nightly", "-o", "json")[1])
    assert (found["run"], found["phase"]) == (run, "succeeded")


def test_that_runs_may_not_be_looked_at_is_an_error(call: Call, nightly: Argo) -> None:
    assert call("cron", "run", "nightly")[0] == 0
    nightly.denied.add(("get", "argoproj.io", "workflows"))
    code, out, err = call("cron", "history", "nightly")
    assert (code, out) == (4, "")
    assert "may not get workflows" in err


def test_a_schedule_without_runs_has_no_history_and_no_logs(call: Call, nightly: Argo) -> None:
    assert json.loads(call("cron", "history", "nightly", "-o", "json")[1]) == []
    code, out, err = call("cron", "logs", "nightly")
    assert (code, out) == (4, "")
    assert "schedule nightly has had no run that is still kept" in err


def test_the_logs_of_the_last_run_are_printed(call: Call, nightly: Argo) -> None:
    (run,) = call("cron", "run", "nightly")[1].splitlines()
    code, out, err = call("cron", "logs", "nightly", "a")
    assert (code, out, err) == (0, f"I am {run}\n", f"run {run}\n")
    assert err.startswith(f"run {run}\n")


def test_suspending_and_resuming_say_what_they_did(call: Call, nightly: Argo) -> None:
    told = [call("cron", command, "nightly")[2] for command in ("suspend",) * 2 + ("resume",) * 2]
    assert told == [
        "schedule nightly is suspended\n",
        "schedule nightly is suspended already\n",
        "schedule nightly is resumed\n",
        "schedule nightly is not suspended\n",
    ]


def test_a_schedule_that_is_suspended_stays_so_when_it_is_applied(
    call: Call, nightly: Argo
) -> None:
    call("cron", "suspend", "nightly")
    assert call(*APPLY)[2].splitlines()[-1] == "schedule nightly: no change"
    found = json.loads(call("cron", "get", "nightly", "-o", "json")[1])
    assert (found["state"], found["next"]) == ("suspended", [])


@pytest.mark.parametrize(("answer", "there"), [("n\n", True), ("", True), ("y\n", False)])
def test_nothing_is_deleted_before_somebody_says_yes(
    call: Call, nightly: Argo, monkeypatch: pytest.MonkeyPatch, answer: str, there: bool
) -> None:
    (run,) = call("cron", "run", "nightly")[1].splitlines()
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    code, out, err = call("cron", "delete", "nightly")
    assert (code == 130, out) == (there, "")
    assert "Delete schedule nightly and its 1 run?" in err
    assert (nightly.get(CRON_WORKFLOW, "nightly") is not None) is there
    assert (nightly.get(WORKFLOW, run) is not None) is there


def test_whoever_says_yes_before_is_not_asked(call: Call, nightly: Argo) -> None:
    assert call("cron", "delete", "nightly", "--yes") == (0, "", "schedule nightly is deleted\n")


# --- documents for Git ----------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("--pin",), ("--service-account", "mine", "--strict")])
def test_compile_prints_what_apply_would_send(
    call: Call, cluster: Argo, more: tuple[str, ...]
) -> None:
    same = (*NIGHTLY, "--history", "3", "--concurrency", "Allow", "-n", "team", *more)
    code, printed, _ = call("compile", "--backend", "argo", "--schedule-name", "nightly", *same)
    assert code == 0
    assert printed == call("cron", "apply", "nightly", *same, "--dry-run")[1]


def test_compile_asks_no_cluster(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    code, out, _ = call("compile", "--backend", "argo", "--schedule", "@daily")
    document = yaml.safe_load(out)
    assert code == 0
    assert (document["kind"], document["metadata"]["name"]) == ("CronWorkflow", "shop")
    (first,) = (
        each
        for each in document["spec"]["workflowSpec"]["templates"]
        if each["name"] == "find-commit"
    )
    assert first["serviceAccountName"] == SUBMITTER


@pytest.mark.parametrize(
    "words",
    [
        ("--timezone", "UTC"),
        ("--schedule-name", "nightly"),
        ("--pin",),
        ("--suspend",),
        ("--history", "10"),
        ("--concurrency", "Forbid"),
        ("--starting-deadline", "60"),
    ],
    ids=lambda words: words[0],
)
def test_words_of_a_schedule_are_of_no_use_without_one(call: Call, words: tuple[str, ...]) -> None:
    code, out, err = call("compile", "--backend", "argo", *words)
    assert (code, out) == (2, "")
    assert f"{words[0]} is of no use without --schedule" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--run-name", "x"), "--run-name is of no use with --schedule"),
        (("--file", "bodywork.yaml"), "--file reads one file alone, and runs need a repository"),
    ],
    ids=["run-name", "file"],
)
def test_words_of_a_run_are_of_no_use_with_a_schedule(
    call: Call, words: tuple[str, ...], told: str
) -> None:
    code, out, err = call("compile", "--backend", "argo", "--schedule", "@daily", *words)
    assert (code, out) == (2, "")
    assert told in err


def test_compiled_runs_release_services_under_the_account_that_setup_makes(
    call: Call, repository: Path
) -> None:
    make_repository(repository, {"bodywork.yaml": bodywork_yaml("a >> s")})
    push(repository)
    for words in ((), ("--schedule", "@daily")):
        document: Any = yaml.safe_load(call("compile", "--backend", "argo", *words)[1])
        spec = document["spec"].get("workflowSpec", document["spec"])
        accounts = {each["name"]: each.get("serviceAccountName") for each in spec["templates"]}
        assert accounts["release-1"] == RELEASE_ACCOUNT
