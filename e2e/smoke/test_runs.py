"""Runs on real engines from the first command to the last, as submitters give them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bodywork_argo.access import EXECUTOR_ACCOUNT
from bodywork_argo.forges import fingerprint
from e2e.conftest import MakeRepository
from e2e.engines.gitservers import HTTP_PASSWORD, HTTP_USER, SshFiles
from e2e.support.backends import ARGO, EACH_IN_FULL, Engine
from e2e.support.identities import make_account
from e2e.support.program import (
    TELL,
    Program,
    Said,
    account_of,
    administrator_of,
    phases,
    pipeline,
    reasons,
    set_up,
    stage,
)
from e2e.support.repositories import IDENTITY, Repository
from e2e.support.spaces import EXECUTOR_RULES, WORKFLOW, Space, binding, role

pytestmark = pytest.mark.smoke

AWKWARD = [
    "{{workflow.name}}", "{{=1+1}}", "{{", "}}", "$(PATH)", "$$", "$HOME", "$$HOME", '"', "'",
    "\\", "\\n", "a\nb\tc", "é", "日本", "", " ", '{"a": "b"}', "1e3", "no", "--flag", "-", "*",
    "`id`", "%s", "#", "a: b",
]  # fmt: skip
ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"
LOOK = """
import json, os, sys
from pathlib import Path
needles = [text[::-1].encode() for text in sys.argv[1:]]
files = [Path("/proc/1/environ"), Path("/proc/self/environ")]
for place in ("/bodywork", "/tmp", "/root", "/home", "/run", "/argo", "/var/run"):
    files += [path for path in Path(place).rglob("*") if path.is_file()]
found = [str(path) for path in files if any(each in path.read_bytes() for each in needles)]
names = sorted(name for name in os.environ if "GIT" in name or "KEY" in name or "TOKEN" in name)
token = os.path.exists("/var/run/secrets/kubernetes.io")
print(json.dumps({"found": found, "names": names, "token": token, "files": len(files)}))
"""


@pytest.fixture
def engine() -> Engine:
    """Argo, unless a test says otherwise."""
    return ARGO


@pytest.fixture
def submitter(namespace: Space, tmp_path: Path, engine: Engine) -> Program:
    """Call the program with the submitter's role alone, in a namespace that is set up."""
    return set_up(namespace, tmp_path, engine)


@pytest.mark.parametrize("engine", EACH_IN_FULL)
def test_a_pipeline_runs_from_a_public_repository(
    submitter: Program, make_git_repository: MakeRepository
) -> None:
    stages = {
        "load": stage(LOOK, args=["no-such-text"]),
        "train_a": stage("import joblib; print(joblib.__name__)", requirements=["joblib"]),
        "train_b": stage(ECHO, args=AWKWARD),
        "report": stage("print('done', end='')"),
    }
    repository = make_git_repository(pipeline("load >> train_a, train_b >> report", stages))

    said = submitter("submit", repository.url, "--watch")

    (name,) = said.lines
    assert said.warnings == []
    assert said.err.splitlines()[-1].startswith(f"run {name} succeeded after ")
    run = submitter("status", name, "-o", "json").data
    assert (run["run"], run["pipeline"], run["phase"]) == (name, "shop", "succeeded")
    assert phases(run) == dict.fromkeys(stages, "succeeded")
    assert "train_a  succeeded" in submitter("status", name).out
    (listed,) = submitter("list", "-o", "json").data
    assert (listed["run"], listed["commit"]) == (name, run["commit"])
    assert name in submitter("list", "--pipeline", "shop").out
    assert submitter("list", "--pipeline", "other", "-o", "json").data == []
    assert json.loads(submitter("logs", name, "train_b").out) == AWKWARD
    seen, *rest = submitter("logs", name).lines
    looked = json.loads(seen.removeprefix("load | "))
    assert (looked["token"], looked["names"]) == (False, ["BODYWORK_GIT_COMMIT", "GIT_COMMIT_HASH"])
    assert rest[0].startswith("train_a | ")
    assert rest[-1] == "report | done"


@pytest.mark.parametrize("engine", EACH_IN_FULL)
@pytest.mark.parametrize("way", ["ssh", pytest.param("http", marks=pytest.mark.full)])
def test_a_pipeline_runs_from_a_private_repository_and_finds_no_key(
    submitter: Program,
    namespace: Space,
    make_git_repository: MakeRepository,
    ssh_files: SshFiles,
    tmp_path: Path,
    way: str,
) -> None:
    secret = HTTP_PASSWORD
    if way == "ssh":
        secret = ssh_files.private_key.read_text(encoding="utf-8").splitlines()[1]
    repository = make_git_repository(
        pipeline("look", {"look": stage(LOOK, args=[secret[::-1]])}), private=True
    )
    if way == "ssh":
        url = repository.ssh_url
        published = fingerprint(ssh_files.host_key.read_text(encoding="utf-8").split()[1])
        words = ["ssh-key", "create", str(ssh_files.private_key), "--fingerprint", published]
    else:
        url = repository.url
        words = ["git-token", "create", "--from-env", "GIVEN", "--username", HTTP_USER]
    administrator_of(namespace, tmp_path / "own")(
        *words, "--repository", url, "-n", namespace.name, variables={"GIVEN": HTTP_PASSWORD}
    )
    access = own_access(submitter, ssh_files, repository)

    said = submitter("submit", url, "--wait", variables=access)

    (name,) = said.lines
    looked = json.loads(submitter("logs", name, "look").out)
    assert looked["files"] > 3
    names = ["BODYWORK_GIT_COMMIT", "GIT_COMMIT_HASH"]
    assert looked == {"found": [], "names": names, "token": False, "files": looked["files"]}
    stored = json.dumps(namespace.get(submitter.engine.run, name))
    assert secret not in stored + said.out + said.err


def own_access(program: Program, files: SshFiles, repository: Repository) -> dict[str, str]:
    """Return the variables with which git on a person's own machine opens private repositories."""
    known = program.home / "known_hosts"
    kind, key = files.host_key.read_text(encoding="utf-8").split()[:2]
    known.write_text(f"[{repository.server.address}]:2222 {kind} {key}\n", encoding="utf-8")
    ssh = f"ssh -i {files.private_key} -o UserKnownHostsFile={known} -o BatchMode=yes"
    settings = program.home / ".gitconfig"
    rewritten = f'[url "{repository.url_with_password}"]\n  insteadOf = {repository.url}\n'
    settings.write_text(rewritten, encoding="utf-8")
    return {"GIT_SSH_COMMAND": ssh, "GIT_CONFIG_GLOBAL": str(settings)}


# --- Who may do little ----------------------------------------------------------------------------

RULES = [
    {
        "apiGroups": ["argoproj.io"],
        "resources": ["workflows"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    },
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]


def test_a_namespace_without_our_accounts_serves_and_is_told_in_one_line(
    namespace: Space, make_git_repository: MakeRepository, tmp_path: Path
) -> None:
    default = {"kind": "ServiceAccount", "name": "default", "namespace": namespace.name}
    namespace.create(role("stock", EXECUTOR_RULES))
    namespace.create(binding("stock", default))
    make_account(namespace, "poor", RULES)
    poor = account_of(namespace, "poor", tmp_path)
    repository = make_git_repository(pipeline("a", {"a": stage("print('ran')")}))

    said = poor("submit", repository.url, "--wait")

    (warning,) = said.warnings
    assert "run `bodywork-argo setup --namespace" in warning
    assert poor("logs", said.lines[0], "a").out == "ran\n"
    refused = poor("submit", repository.url, "--require-no-token", code=4)
    assert "run `bodywork-argo setup --namespace" in refused.err
    assert len(poor("list", "-o", "json").data) == 1


def test_an_account_that_may_not_report_is_told(
    namespace: Space, make_git_repository: MakeRepository, tmp_path: Path
) -> None:
    make_account(namespace, "poor", RULES)
    poor = account_of(namespace, "poor", tmp_path)
    repository = make_git_repository(pipeline("a", {"a": stage("print('ran')")}))

    said = poor("submit", repository.url, "--wait", code=1)

    run = poor("status", said.lines[0], "-o", "json").data
    assert "workflowtaskresults" in reasons(run)["a"]


def test_accounts_that_were_half_removed_are_not_used(
    submitter: Program, namespace: Space, make_git_repository: MakeRepository
) -> None:
    namespace.cluster.core.delete_namespaced_service_account(EXECUTOR_ACCOUNT, namespace.name)
    repository = make_git_repository(pipeline("a", {"a": stage()}))

    said = submitter("submit", repository.url, "--dry-run=server")

    (warning,) = said.warnings
    assert "run `bodywork-argo setup --namespace" in warning
    (document,) = yaml.safe_load_all(said.out)
    assert "serviceAccountName" not in document["spec"]
    submitter("submit", repository.url, "--require-no-token", code=4)
    assert namespace.find(WORKFLOW) == []


# --- What is sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", EACH_IN_FULL)
def test_what_is_printed_is_what_is_sent_and_a_run_is_sent_once(
    submitter: Program, namespace: Space, make_git_repository: MakeRepository
) -> None:
    files = pipeline("a", {"a": stage(), "tell": stage(TELL)}, on_failure="tell", image="other:1")
    repository = make_git_repository(files)
    words = [repository.url, "--run-name", "mine", "--image", "docker.io/local/runner:1"]
    words += ["--allow-parallel"]

    printed = [submitter("submit", *words, f"--dry-run={how}").out for how in ("client", "server")]
    kind = submitter.engine.run
    assert namespace.find(kind) == []
    assert submitter("submit", *words).out == "mine\n"
    assert submitter("submit", *words).out == "mine\n"

    assert printed[0] == printed[1]
    (document,) = yaml.safe_load_all(printed[0])
    stored = namespace.get(kind, "mine")
    assert list(lost(stored["spec"], document["spec"])) == []
    assert "other:1" not in printed[0]
    kept = document["metadata"]["annotations"].items()
    assert kept <= stored["metadata"]["annotations"].items()
    words_of_compile = [*words[:-1], "--backend", submitter.engine.name, "-n", namespace.name]
    (compiled,) = yaml.safe_load_all(submitter("compile", *words_of_compile).out)
    assert compiled["spec"] == document["spec"]
    repository.commit(files | {"new.py": ""})
    refused = submitter("submit", *words, code=4)
    assert f"another run mine in namespace {namespace.name}" in refused.err
    assert len(namespace.find(kind)) == 1


def lost(stored: Any, sent: Any, place: str = "spec") -> Iterator[str]:
    """Yield where what was sent is stored otherwise; engines add fields, and labels of pods."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        for key, each in sent.items():
            yield from lost(stored.get(key), each, f"{place}.{key}")
    elif isinstance(sent, list) and isinstance(stored, list) and len(stored) == len(sent):
        for number, (one, other) in enumerate(zip(stored, sent, strict=True)):
            yield from lost(one, other, f"{place}[{number}]")
    elif stored != sent and seconds(stored) != seconds(sent):
        yield f"{place}: {stored!r} is stored for {sent!r}"


def seconds(text: Any) -> Any:
    """Return a duration of Go's, which has several texts for one; anything else as it is."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(\d+)s", str(text))
    if found is None:
        return text
    hours, minutes, rest = (int(each or 0) for each in found.groups())
    return hours * 3600 + minutes * 60 + rest


@pytest.fixture
def clone(make_git_repository: MakeRepository, tmp_path: Path) -> Path:
    """A working copy of a repository that pods can fetch."""
    repository = make_git_repository(pipeline("a", {"a": stage()}))
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", repository.url, str(folder)], check=True)
    return folder


def test_work_that_was_not_committed_or_not_pushed_is_pointed_out(
    submitter: Program, clone: Path
) -> None:
    words = ("submit", "--dry-run=server", "--run-name", "mine")
    clean = submitter(*words, folder=clone)
    assert clean.warnings == []
    (clone / "code/a.py").write_text("print('new')\n", encoding="utf-8")

    (warning,) = submitter(*words, folder=clone).warnings
    assert "1 file differs from commit" in warning
    commit = ["git", "commit", "-q", "--all", "--message=new"]
    subprocess.run(commit, cwd=clone, check=True, env={**IDENTITY, "PATH": "/usr/bin:/bin"})
    refused = submitter(*words, folder=clone, code=5)
    assert "is not on origin: push it, or name what is there with --ref origin/main" in refused.err
    named = submitter(*words, "--ref", "origin/main", folder=clone)
    assert commit_of(named) == commit_of(clean)


def commit_of(said: Said) -> str:
    """Return which commit a printed Workflow runs."""
    (document,) = yaml.safe_load_all(said.out)
    return str(document["metadata"]["labels"]["bodywork-argo/commit"])
