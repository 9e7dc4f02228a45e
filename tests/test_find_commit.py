"""The first task of a scheduled run: what it leaves for the run, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from bodywork_argo import replanning
from bodywork_argo.cli import main
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.plan import Plan, ResolvedAtRun
from bodywork_argo.planner import PlanOptions
from bodywork_argo.scheduling import Schedule
from bodywork_argo.schema import parse_project
from bodywork_argo_adapters.argo import ArgoBackend
from bodywork_argo_adapters.argo.schedules import ArgoSchedules
from bodywork_argo_adapters.argo.watching import WORKFLOW
from tests.cluster_api import cluster_api
from tests.files import bodywork_yaml
from tests.projects import PINNED
from tests.repositories import make_repository

NOW = datetime(2026, 11, 25, 3, 30, tzinfo=timezone.utc)
RUN = "nightly-1795577400"
REPLACEMENT = f"{RUN}-again"
OLD = bodywork_yaml("a", on_failure="f")
NEW = bodywork_yaml("a >> f", on_failure="f").replace("retries: 1", "retries: 2")
Written = Callable[[str], None]


def scheduled(text: str, *, strict: bool = False, directory: str = "") -> Plan:
    options = PlanOptions(namespace="team", scheduled=True)
    source = replace(PINNED, directory=directory)
    return replanning.resolved_at_run(
        parse_project(text).project, source, options, ref="main", strict=strict
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """The folders of the first task's pod, and what it is given."""

    folder: Path
    capfd: pytest.CaptureFixture[str]

    def fetched(self, text: str | None, *, directory: str = "") -> str:
        """Leave what `prepare` leaves, of a commit with this bodywork.yaml; return the commit."""
        files = {f"{directory or '.'}/{name}.py": "" for name in "afs"}
        if text is not None:
            files[f"{directory or '.'}/bodywork.yaml"] = text
        commit = make_repository(self.folder / "work" / "repository", files)
        (self.folder / "work" / "commit").write_text(f"{commit}\n")
        return commit

    def planned(self, plan: Plan) -> None:
        """Give it what the schedule's plan was made with."""
        assert isinstance(plan.revision, ResolvedAtRun)
        (self.folder / "again.json").write_text(plan.revision.again)

    def call(self) -> tuple[int, str]:
        """Return the exit code and what the log has."""
        self.capfd.readouterr()
        code = main(
            [
                "find-commit",
                "--backend=argo",
                f"--run={RUN}",
                f"--workspace={self.folder / 'work'}",
                f"--again={self.folder / 'again.json'}",
                f"--found={self.folder / 'found'}",
                f"--termination-log={self.folder / 'termination-log'}",
            ]
        )
        return code, self.capfd.readouterr().err

    @property
    def found(self) -> dict[str, str]:
        """What the run is told."""
        return {path.name: path.read_text() for path in (self.folder / "found").iterdir()}

    @property
    def ended_by(self) -> str:
        """What Kubernetes is told of the end."""
        path = self.folder / "termination-log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return a cluster in which the scheduled run goes on."""
    cluster = MemoryCluster("team")
    schedules = ArgoSchedules(lambda: cluster, now=lambda: NOW)
    schedule = Schedule(name="nightly", expressions=("30 3 * * *",), timezone="UTC")
    schedules.apply(ArgoBackend("1.2.3").compile_schedule(scheduled(OLD), schedule))
    assert schedules.run_now("nightly").name == RUN
    return cluster


@pytest.fixture
def pod(
    cluster: MemoryCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Pod]:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    for folder in ("work", "found"):
        (tmp_path / folder).mkdir()
    with cluster_api(cluster, tmp_path / "kubeconfig"):
        yield Pod(folder=tmp_path, capfd=capfd)


def test_a_run_goes_on_with_the_commit_when_its_pipeline_is_the_schedules(
    pod: Pod, cluster: MemoryCluster
) -> None:
    pod.planned(scheduled(OLD))
    commit = pod.fetched(OLD)

    code, log = pod.call()

    assert (code, log) == (0, f"commit {commit} of main\n")
    assert pod.found == {"commit": commit, "go": "yes", "replacement": ""}
    assert cluster.get(WORKFLOW, REPLACEMENT) is None
    assert pod.ended_by == ""


def test_nothing_of_a_cluster_is_needed_for_that(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    pod.planned(scheduled(OLD))
    pod.fetched(OLD)
    assert pod.call()[0] == 0


def test_a_file_in_a_folder_is_planned(pod: Pod) -> None:
    pod.planned(scheduled(OLD, directory="ml/shop"))
    commit = pod.fetched(OLD, directory="ml/shop")
    assert pod.call()[0] == 0
    assert pod.found == {"commit": commit, "go": "yes", "replacement": ""}


def test_a_changed_pipeline_runs_in_the_place_of_the_scheduled_one(
    pod: Pod, cluster: MemoryCluster
) -> None:
    pod.planned(scheduled(OLD))
    commit = pod.fetched(NEW)

    code, log = pod.call()

    assert code == 0
    assert log.splitlines() == [
        f"commit {commit} of main",
        "the pipeline has changed: stage a, stage f, the order of the stages",
        f"run {REPLACEMENT} takes the place of this one",
    ]
    assert pod.found == {"commit": commit, "go": "no", "replacement": REPLACEMENT}
    plan = replanning.read(again_of(scheduled(OLD))).plan(parse_project(NEW).project, commit)
    run = cluster.get(WORKFLOW, REPLACEMENT)
    assert run is not None
    (document,) = ArgoBackend().compile(plan, REPLACEMENT).documents
    assert run["spec"] == document["spec"]
    assert run["metadata"]["ownerReferences"][0]["name"] == "nightly"


def again_of(plan: Plan) -> str:
    assert isinstance(plan.revision, ResolvedAtRun)
    return plan.revision.again


def test_a_second_attempt_of_the_task_starts_no_second_run(
    pod: Pod, cluster: MemoryCluster
) -> None:
    pod.planned(scheduled(OLD))
    pod.fetched(NEW)
    assert [pod.call()[0], pod.call()[0]] == [0, 0]
    assert pod.found["replacement"] == REPLACEMENT
    assert len(cluster.list(WORKFLOW, {})) == 2


def test_a_strict_schedule_stops_and_says_what_has_changed(
    pod: Pod, cluster: MemoryCluster
) -> None:
    pod.planned(scheduled(OLD, strict=True))
    commit = pod.fetched(NEW)

    assert pod.call()[0] == 1

    assert pod.ended_by == (
        "the pipeline has changed: stage a, stage f, the order of the stages; apply the schedule "
        "again with `bodywork-argo cron apply`, or without --strict"
    )
    assert pod.found == {"commit": commit}
    assert cluster.get(WORKFLOW, REPLACEMENT) is None


def test_an_account_that_may_start_no_run_stops_it_and_says_what_to_do(
    pod: Pod, cluster: MemoryCluster
) -> None:
    cluster.denied.add(("create", "argoproj.io", "workflows"))
    pod.planned(scheduled(OLD))
    pod.fetched(NEW)

    code, log = pod.call()

    assert code == 1
    assert "go" not in pod.found
    for told in (pod.ended_by, log):
        assert "the pipeline has changed: stage a, stage f, the order of the stages" in told
        assert "`bodywork-argo cron apply`" in told
        assert "`bodywork-argo setup --apply`" in told


def test_a_cluster_that_fails_otherwise_is_tried_again(pod: Pod, cluster: MemoryCluster) -> None:
    cluster.delete(WORKFLOW, RUN)
    pod.planned(scheduled(OLD))
    pod.fetched(NEW)
    assert pod.call()[0] == 4
    assert pod.ended_by == f"run {RUN} is not of a schedule"


def test_an_invalid_file_stops_the_run_with_its_problems(pod: Pod) -> None:
    pod.planned(scheduled(OLD))
    pod.fetched(OLD.replace("retries: 1", "retries: -1"))

    code, log = pod.call()

    assert code == 3
    assert "bodywork.yaml:14: stages.a.batch.retries" in log
    assert "bodywork.yaml:14: stages.a.batch.retries" in pod.ended_by
    assert "go" not in pod.found


def test_a_module_that_is_gone_stops_the_run(pod: Pod) -> None:
    pod.planned(scheduled(OLD))
    pod.fetched(OLD.replace("a.py", "b.py"))
    assert pod.call()[0] == 3
    assert "'b.py' is not a file of the repository" in pod.ended_by


def test_what_the_engine_can_not_express_stops_the_run(pod: Pod) -> None:
    pod.planned(scheduled(OLD))
    pod.fetched(OLD.replace("    cpu_request: 0\n", "    cpu_request: 0\n    kubernetes: "
                            "{node_selector: {pool: '{{x}}'}}\n"))  # fmt: skip
    assert pod.call()[0] == 3
    assert "node_selector" in pod.ended_by


def test_a_file_that_is_gone_stops_the_run(pod: Pod) -> None:
    pod.planned(scheduled(OLD, directory="ml"))
    pod.fetched(None, directory="ml")
    assert pod.call()[0] == 2
    assert pod.ended_by == "there is no ml/bodywork.yaml any more"


def test_unknown_keys_stop_strict_schedules_alone(pod: Pod) -> None:
    text = OLD.replace("logging:", "loging: {}\nlogging:")
    pod.fetched(text)
    codes = []
    for strict in (False, True):
        pod.planned(scheduled(OLD, strict=strict))
        codes.append(pod.call()[0])
    assert codes == [0, 3]


def test_a_plan_of_another_version_is_told_as_one(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "again.json").write_text("{}")
    pod.fetched(OLD)
    assert pod.call()[0] == 4
    assert "this is no plan's, or another version's" in pod.ended_by


def test_the_scheduled_run_brings_what_planning_again_takes(cluster: MemoryCluster) -> None:
    run = cluster.get(WORKFLOW, RUN)
    assert run is not None
    (first,) = (each for each in run["spec"]["templates"] if each["name"] == "find-commit")
    text = first["metadata"]["annotations"]["bodywork-argo/again"]
    assert replanning.read(text) == replanning.read(again_of(scheduled(OLD)))
