"""The module's bytes come back the same, whatever the executor writes among them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bodywork_argo_adapters.argo.logs import ExecutorFilter, lost, readable

BEFORE = (
    b'time=2026-11-25T07:17:14.659Z level=INFO msg="waiting for signals"'
    b" signalPath=/var/run/argo/ctr/main/signal argo=true\n"
)
AFTER = (
    b'time=2026-11-25T07:17:15.659Z level=INFO msg="sub-process exited" argo=true'
    b' error="exit status 3"\n'
    b'time=2026-11-25T07:17:15.659Z level=INFO msg="file signal handler exiting due to context'
    b' cancellation" argo=true\n'
    b"Error: exit status 3\n"
)


def filtered(pieces: list[bytes]) -> bytes:
    own = ExecutorFilter()
    return b"".join([*map(own.feed, pieces), own.close()])


@example(module=b"time=", cuts=[])
@example(module=b'time=2026-11-25T07:17:14.659Z level=INFO msg="mine"', cuts=[90, 130])
@given(module=st.binary(), cuts=st.lists(st.integers(0, 600), max_size=6))
def test_what_the_module_wrote_comes_back_the_same_however_it_arrives(
    module: bytes, cuts: list[int]
) -> None:
    whole = BEFORE + module + AFTER
    places = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    assert filtered(pieces) == module


@pytest.mark.parametrize(
    "module", [b"time flies\n", b"time=now level=INFO\n", b"Error: exit status 3\n", b"argo=true\n"]
)
def test_a_module_may_write_what_looks_like_it(module: bytes) -> None:
    assert filtered([BEFORE + module]) == module


def test_output_is_passed_on_as_it_comes() -> None:
    own = ExecutorFilter()
    assert own.feed(BEFORE + b"10 %\r20 %\r") == b"10 %\r20 %\r"
    assert own.feed(b"30 %\r" + b"x" * 10_000) == b"30 %\r" + b"x" * 10_000


def pod(**status: object) -> dict[str, object]:
    annotations = {"workflows.argoproj.io/node-name": "run.bad(1)"}
    labels = {"bodywork-argo/stage": "bad"}
    metadata = {"name": "run-bad-1", "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "status": status}


def test_a_pod_has_something_to_read_once_its_module_has_started() -> None:
    assert readable(pod()) is None
    waiting = {"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}
    assert readable(pod(containerStatuses=[waiting])) is None
    running = {"name": "main", "state": {"running": {}}}
    log = readable(pod(containerStatuses=[running]))
    assert log is not None
    assert (log.pod, log.container, log.task, log.attempt) == ("run-bad-1", "main", "bad", 2)


def test_of_a_failed_preparation_its_own_output_is_read() -> None:
    failed = {"name": "prepare", "state": {"terminated": {"exitCode": 1}}}
    log = readable(pod(initContainerStatuses=[failed]))
    assert log is not None
    assert log.container == "prepare"


def test_pods_of_others_are_left() -> None:
    assert readable({"metadata": {"name": "x"}}) is None


STAGES = {"one": "Stage One", "two": "two"}


def workflow(*ran: str, more: Mapping[str, object] | None = None) -> dict[str, object]:
    """Write a Workflow with nodes of pods that a machine had."""
    nodes = {name: {"type": "Pod", "displayName": name, "hostNodeName": "a-node"} for name in ran}
    return {"status": {"nodes": {**nodes, **(more or {})}}}


def test_what_went_with_its_pod_is_told_in_the_order_of_stages_and_attempts() -> None:
    found = workflow("two", "one(1)", "one(0)")

    everything = lost(found, STAGES, ())
    last = lost(found, STAGES, {("one", 1), ("two", 1)})

    assert str(everything) == (
        "the logs of Stage One, Stage One (attempt 2), two are gone with their pods"
    )
    assert str(last) == "the log of Stage One (attempt 2) is gone with its pod"


def test_nothing_is_lost_with_pods_that_are_there_or_never_ran() -> None:
    never = {
        "a": {"type": "Pod", "displayName": "one", "phase": "Pending"},
        "b": {"type": "Skipped", "displayName": "two"},
        "c": {"type": "Pod", "displayName": "not-asked-for", "hostNodeName": "a-node"},
    }

    assert lost(workflow(more=never), STAGES, ()) is None
    assert lost(workflow("one"), STAGES, {("one", 1)}) is None
    assert lost({}, STAGES, ()) is None


def test_of_nodes_that_only_argos_server_has_nothing_is_said() -> None:
    assert lost({"status": {"offloadNodeStatusVersion": "fnv:1"}}, STAGES, ()) is None
