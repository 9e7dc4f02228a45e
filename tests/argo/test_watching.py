"""Runs are followed by watches where these are allowed, and by questions where not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice

import pytest

from bodywork_argo.backend import Phase, RunRef, RunStatus
from bodywork_argo.errors import EngineError, Forbidden
from bodywork_argo.feed import POLL_SECONDS, Feed
from bodywork_argo_adapters.argo.connections import through_cluster
from bodywork_argo_adapters.argo.runtime import ArgoRuntime
from bodywork_argo_adapters.argo.watching import WORKFLOW
from bodywork_argo_adapters.waiting import SET_UP
from tests.argo.live_cluster import LiveCluster, node, pod, workflow

RUN = RunRef(backend="argo", name="run-1", namespace="team")
RUNNING = {"phase": "Running", "nodes": {"n": node("run-1", "one", "Running")}}
DONE = {"phase": "Succeeded", "nodes": {"n": node("run-1", "one", "Succeeded")}}


@pytest.fixture
def cluster() -> LiveCluster:
    live = LiveCluster()
    live.create(workflow("run-1", "one", "two", phase="Running", nodes={}))
    return live


def runtime(cluster: LiveCluster) -> ArgoRuntime:
    return through_cluster(lambda: cluster, {})


def after(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def phases(status: RunStatus) -> list[Phase]:
    return [stage.phase for stage in status.stages]


def test_the_end_is_told_at_once(cluster: LiveCluster) -> None:
    statuses = runtime(cluster).watch(RUN)
    assert next(statuses).phase is Phase.RUNNING
    ended: list[float] = []

    def end() -> None:
        ended.append(time.monotonic())
        cluster.set_status("run-1", **DONE)

    timer = after(0.3, end)
    *_, last = statuses
    delay = time.monotonic() - ended[0]
    timer.join()

    assert last.phase is Phase.SUCCEEDED
    assert delay < 0.5


def test_a_run_that_has_ended_is_asked_for_once(cluster: LiveCluster) -> None:
    cluster.set_status("run-1", **DONE)

    (only,) = runtime(cluster).watch(RUN)

    assert only.phase is Phase.SUCCEEDED
    assert cluster.asked == {("get", "workflows"): 1}


def test_nothing_is_asked_while_nothing_happens(cluster: LiveCluster) -> None:
    statuses = runtime(cluster).watch(RUN)
    next(statuses)
    timer = after(2.5, lambda: cluster.set_status("run-1", **DONE))
    list(statuses)
    timer.join()

    assert cluster.asked == {
        ("get", "workflows"): 1,
        ("list", "pods"): 1,
        ("watch", "workflows"): 1,
        ("watch", "pods"): 1,
    }


def test_many_changes_make_few_statuses(cluster: LiveCluster) -> None:
    statuses = runtime(cluster).watch(RUN)
    next(statuses)

    def hurry() -> None:
        for number in range(60):
            nodes = {"n": {**node("run-1", "one", "Running"), "startedAt": second(number)}}
            cluster.set_status("run-1", phase="Running", nodes=nodes)
            time.sleep(0.03)
        cluster.set_status("run-1", **DONE)

    started = time.monotonic()
    worker = threading.Thread(target=hurry)
    worker.start()
    seen = list(statuses)
    worker.join()

    assert len(seen) <= 2 * (time.monotonic() - started) + 2
    assert seen[-1].phase is Phase.SUCCEEDED


def second(number: int) -> str:
    return f"2026-01-01T00:00:{number:02d}Z"


def test_why_a_pod_waits_is_told_when_it_is_known(cluster: LiveCluster) -> None:
    statuses = runtime(cluster).watch(RUN)
    assert [stage.reason for stage in next(statuses).stages] == ["", ""]
    unscheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available",
    }
    cluster.create(pod("run-1", "one", phase="Pending", conditions=[unscheduled]))

    assert "0/1 nodes are available" in next(statuses).stages[0].reason


def test_a_run_that_is_deleted_ends_its_watch_with_an_error(cluster: LiveCluster) -> None:
    statuses = runtime(cluster).watch(RUN)
    next(statuses)
    cluster.delete(WORKFLOW, "run-1")

    with pytest.raises(EngineError, match="there is no run run-1"):
        next(statuses)


@pytest.mark.parametrize("plurals", [("workflows",), ("pods",), ("workflows", "pods")])
def test_without_the_right_to_watch_a_run_is_asked_for(
    cluster: LiveCluster, plurals: tuple[str, ...]
) -> None:
    groups = {"workflows": "argoproj.io", "pods": ""}
    cluster.denied |= {("watch", groups[plural], plural) for plural in plurals}
    statuses = runtime(cluster).watch(RUN)
    next(statuses)
    waiting = {"name": "main", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
    made = pod("run-1", "one", phase="Pending", containerStatuses=[waiting])
    cluster.create(made)
    assert next(statuses).stages[0].reason != ""
    timer = after(0.1, lambda: cluster.set_status("run-1", **DONE))

    *_, last = statuses
    timer.join()

    assert last.phase is Phase.SUCCEEDED


def test_who_may_not_see_pods_sees_the_run(cluster: LiveCluster) -> None:
    cluster.denied |= {("watch", "", "pods"), ("list", "", "pods")}
    statuses = runtime(cluster).watch(RUN)
    timer = after(0.1, lambda: cluster.set_status("run-1", **DONE))

    assert [status.phase for status in statuses][-1] is Phase.SUCCEEDED
    timer.join()


def test_output_is_followed_from_before_the_pod_exists(cluster: LiveCluster) -> None:
    pieces = runtime(cluster).logs(RUN, follow=True)
    cluster.written["run-1-one", "main"] = b"10 %\r20 %\rno end"
    running = {"name": "main", "state": {"running": {}}}
    timers = [
        after(0.1, lambda: cluster.create(pod("run-1", "one", containerStatuses=[running]))),
        after(0.5, lambda: cluster.set_status("run-1", **DONE)),
    ]

    said = b"".join(piece.data for piece in pieces)
    for timer in timers:
        timer.join()

    assert said == b"10 %\r20 %\rno end"


def test_a_pod_that_comes_with_the_end_of_the_run_is_read(cluster: LiveCluster) -> None:
    cluster.denied.add(("watch", "", "pods"))  # so that the pod is not seen when it comes
    pieces = runtime(cluster).logs(RUN, follow=True)
    cluster.written["run-1-two", "main"] = b"last words\n"
    ended = {"name": "main", "state": {"terminated": {"containerID": "containerd://x"}}}

    def end() -> None:
        cluster.create(pod("run-1", "two", containerStatuses=[ended]))
        cluster.set_status("run-1", **DONE)

    timer = after(POLL_SECONDS / 4, end)
    said = b"".join(piece.data for piece in pieces)
    timer.join()

    assert said == b"last words\n"


def test_following_output_without_the_right_to_see_pods_is_refused(cluster: LiveCluster) -> None:
    cluster.denied.add(("list", "", "pods"))

    with pytest.raises(Forbidden, match="pods"):
        next(runtime(cluster).logs(RUN, follow=True))


@pytest.mark.parametrize("failure", [EngineError("no such run"), ValueError("no such run")])
def test_whatever_ends_a_source_is_raised_after_what_came_before(failure: Exception) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise failure

    with Feed[int]() as feed:
        feed.read(broken())
        assert feed.next(5.0) == 1
        with pytest.raises(type(failure), match="no such run"):
            feed.next(5.0)


def test_a_source_ends_when_nobody_reads_it_any_more() -> None:
    asked: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1_000_000):
            asked.append(number)
            yield number

    with Feed[int]() as feed:
        feed.read(numbers())
        assert list(islice(iter(lambda: feed.next(1.0), None), 3)) == [0, 1, 2]

    time.sleep(1.2)
    enough = len(asked)
    time.sleep(0.2)
    assert len(asked) == enough < 1000


def test_a_wait_that_only_time_tells_is_told_though_nothing_changes(cluster: LiveCluster) -> None:
    scheduled = datetime.now(timezone.utc) - SET_UP + timedelta(seconds=2)
    conditions = [
        {"type": "PodReadyToStartContainers", "status": "False"},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": scheduled.isoformat()},
    ]
    cluster.create(pod("run-1", "one", phase="Pending", conditions=conditions))
    statuses = runtime(cluster).watch(RUN)
    assert next(statuses).stages[0].reason == ""

    assert "its node can't set it up" in next(statuses).stages[0].reason
