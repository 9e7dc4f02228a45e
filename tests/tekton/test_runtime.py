"""What is sent to the cluster and what is asked of it, against a fake one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bodywork_argo.backend import Compiled, Phase, RunRef
from bodywork_argo.cluster import Cluster
from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo_adapters.tekton.following import run_changes
from bodywork_argo_adapters.tekton.needs import PIPELINE_RUN, TASK_RUN
from bodywork_argo_adapters.tekton.runtime import TektonRuntime
from tests.tekton.projects import compiled
from tests.tekton.runs import PLAN, bad, good, pod, run, taskrun

REF = RunRef(backend="tekton", name="run-1", namespace="team")
RUNNING: Manifest = {"running": {}}
DONE: Manifest = {"terminated": {"exitCode": 0, "containerID": "x"}}
FAILED: Manifest = {"terminated": {"exitCode": 1, "containerID": "x"}}


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster("team")


def runtime_of(cluster: Cluster) -> TektonRuntime:
    return TektonRuntime(lambda: cluster)


def named(name: str | None) -> Compiled:
    return Compiled(backend="tekton", run_name=name, documents=(compiled(PLAN, name),))


def store(cluster: MemoryCluster, *objects: Manifest) -> None:
    for each in objects:
        cluster.create(each)


def test_the_same_documents_are_one_run_and_others_are_refused(cluster: MemoryCluster) -> None:
    runtime = runtime_of(cluster)
    assert runtime.submit(named("run-1")) == REF
    assert runtime.submit(named("run-1")) == REF
    changed = compiled(PLAN, "run-1")
    changed["metadata"]["annotations"]["bodywork-argo/digest"] = "another"
    other = Compiled(backend="tekton", run_name="run-1", documents=(changed,))
    with pytest.raises(EngineError, match="there is another run run-1"):
        runtime.submit(other)


def ended(cluster: MemoryCluster, *names: str) -> None:
    """Store runs that have ended, each made a minute after the other."""
    for minute, name in enumerate(names):
        store(cluster, run("True", "Succeeded", name=name))
        created = f"2025-01-01T10:{minute:02}:00Z"
        cluster.patch(PIPELINE_RUN, name, {"metadata": {"creationTimestamp": created}})


def names_of(cluster: MemoryCluster) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.list(PIPELINE_RUN, {})}


def test_runs_that_have_ended_are_pruned_but_for_the_newest(cluster: MemoryCluster) -> None:
    ended(cluster, "old-1", "old-2", "old-3", "old-4")
    cluster.patch(PIPELINE_RUN, "old-1", {"status": {"conditions": None}})
    assert runtime_of(cluster).prune("shop", 1) == ("old-3", "old-2")
    assert names_of(cluster) == {"old-4", "old-1"}


def test_runs_of_other_pipelines_are_left_alone(cluster: MemoryCluster) -> None:
    ended(cluster, "other", "same")
    label = {"metadata": {"labels": {"bodywork-argo/pipeline": "other"}}}
    cluster.patch(PIPELINE_RUN, "other", label)
    runtime_of(cluster).prune("shop", 1)
    assert names_of(cluster) == {"other", "same"}


def test_runs_are_listed_newest_first_and_by_pipeline(cluster: MemoryCluster) -> None:
    ended(cluster, "first", "second")
    runtime = runtime_of(cluster)
    assert [each.ref.name for each in runtime.list()] == ["second", "first"]
    assert [each.phase for each in runtime.list("shop")] == [Phase.SUCCEEDED] * 2
    assert runtime.list("other") == ()


def test_a_run_that_is_not_ours_is_unknown(cluster: MemoryCluster) -> None:
    stranger = run()
    stranger["metadata"]["labels"] = {}
    store(cluster, stranger)
    with pytest.raises(EngineError, match="there is no run run-1 of ours in namespace team"):
        runtime_of(cluster).status(REF)


Act = Callable[[TektonRuntime], None]


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda runtime: runtime.stop(REF), "CancelledRunFinally"),
        (lambda runtime: runtime.terminate(REF), "Cancelled"),
    ],
)
def test_ending_a_run_tells_tekton_how(cluster: MemoryCluster, act: Act, told: str) -> None:
    store(cluster, run("Unknown", "Running"))
    act(runtime_of(cluster))
    found = cluster.get(PIPELINE_RUN, "run-1")
    assert found is not None
    assert found["spec"]["status"] == told


def test_ending_a_run_that_has_ended_changes_nothing(cluster: MemoryCluster) -> None:
    store(cluster, run("True", "Succeeded"))
    before = cluster.get(PIPELINE_RUN, "run-1")
    runtime_of(cluster).stop(REF)
    assert cluster.get(PIPELINE_RUN, "run-1") == before


def test_a_deleted_run_is_gone(cluster: MemoryCluster) -> None:
    store(cluster, run("True", "Succeeded"))
    runtime_of(cluster).delete(REF)
    assert names_of(cluster) == set()


def test_a_stage_that_can_not_start_has_its_pods_reason(cluster: MemoryCluster) -> None:
    waiting = {"waiting": {"reason": "ErrImageNeverPull", "message": "not present"}}
    store(
        cluster,
        run("Unknown", "Running"),
        taskrun("a", word="Pending"),
        pod("a", phase="Pending", states={"step-prepare": waiting}),
    )
    found = runtime_of(cluster).status(REF).stages[0]
    assert found.phase is Phase.PENDING
    assert "can't be pulled" in found.reason


def test_who_may_not_see_pods_still_sees_the_run(cluster: MemoryCluster) -> None:
    store(cluster, run("Unknown", "Running"), taskrun("a"))
    cluster.denied = {("list", "", "pods")}
    assert runtime_of(cluster).status(REF).stages[0].phase is Phase.RUNNING


@pytest.mark.parametrize("denied", [set(), {("watch", "tekton.dev", "pipelineruns")}])
def test_a_watch_tells_each_change_and_ends_with_the_final_status(
    cluster: MemoryCluster, denied: set[tuple[str, str, str]]
) -> None:
    cluster.denied = denied
    store(cluster, run("Unknown", "Running"), taskrun("a"))
    runtime = runtime_of(cluster)
    seen = []
    for status in runtime.watch(REF):
        seen.append(status)
        if len(seen) == 1:
            cluster.patch(TASK_RUN, "run-1-a", {"status": bad("a")["status"]})
            cluster.patch(PIPELINE_RUN, "run-1", {"status": run("False", "Failed")["status"]})
    assert seen[0].phase is Phase.RUNNING
    assert seen[-1] == runtime.status(REF)
    assert seen[-1].reason == "1 stage failed: a"


def test_a_watched_run_that_goes_away_is_an_error(cluster: MemoryCluster) -> None:
    store(cluster, run("Unknown", "Running"))
    watch = runtime_of(cluster).watch(REF)
    next(watch)
    cluster.upcoming.append(lambda: cluster.delete(PIPELINE_RUN, "run-1"))
    with pytest.raises(EngineError, match="there is no run run-1"):
        list(watch)


def test_a_run_that_goes_unseen_is_missed_nevertheless(cluster: MemoryCluster) -> None:
    store(cluster, run("Unknown", "Running"))
    changes = run_changes(cluster, "run-1")
    assert next(changes).object is not None
    cluster.delete(PIPELINE_RUN, "run-1")
    assert next(changes).object is None


def logged(
    cluster: MemoryCluster, *, follow: bool = False, stage: str | None = None
) -> list[tuple[str, int, bytes]]:
    pieces = runtime_of(cluster).logs(REF, stage, follow=follow)
    return [(piece.stage, piece.attempt, piece.data) for piece in pieces]


@pytest.mark.parametrize("follow", [False, True])
def test_logs_are_those_of_modules_by_stage_and_attempt(
    cluster: MemoryCluster, follow: bool
) -> None:
    again = "run-1-b-2-pod-retry1"
    store(
        cluster,
        run("False", "Failed"),
        pod("b-2", states={"step-prepare": DONE, "step-exec": DONE}),
        pod("b-2", again, states={"step-prepare": DONE, "step-exec": FAILED}),
        pod("a", states={"step-prepare": DONE, "step-exec": RUNNING}),
    )
    for name, text in (("run-1-a-pod", b"a\xff"), ("run-1-b-2-pod", b"1"), (again, b"2")):
        cluster.written[name, "step-exec"] = text
    assert sorted(logged(cluster, follow=follow)) == [
        ("a", 1, b"a\xff"),
        ("b_2", 1, b"1"),
        ("b_2", 2, b"2"),
    ]
    assert logged(cluster, follow=follow, stage="a") == [("a", 1, b"a\xff")]


def test_of_a_failed_preparation_its_own_output_is_told(cluster: MemoryCluster) -> None:
    states = {"step-prepare": FAILED, "step-exec": FAILED}
    store(cluster, run("False", "Failed"), pod("a", states=states))
    cluster.written["run-1-a-pod", "step-prepare"] = b"ERROR: no such package"
    assert logged(cluster) == [("a", 1, b"ERROR: no such package")]


def test_a_module_that_has_not_begun_has_no_log(cluster: MemoryCluster) -> None:
    states = {"step-prepare": RUNNING, "step-exec": RUNNING}
    store(cluster, run("Unknown", "Running"), pod("a", states=states), pod("c"))
    assert logged(cluster) == []


def test_an_unknown_stage_is_an_error(cluster: MemoryCluster) -> None:
    store(cluster, run("True", "Succeeded"), good("a"))
    with pytest.raises(EngineError, match="run run-1 has no stage nope"):
        logged(cluster, stage="nope")
