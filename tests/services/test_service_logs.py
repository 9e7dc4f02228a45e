"""Logs of services: which pods are read, and what they look like."""

from __future__ import annotations

import io

import pytest

from bodywork_argo import names
from bodywork_argo.backend import LogPiece
from bodywork_argo.cluster import POD
from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.run_views import PodLogWriter
from bodywork_argo.service_logs import following, written
from bodywork_argo.services import DEPLOYMENT
from bodywork_argo.terminal import Terminal

LABELS = {names.STAGE_LABEL: "serve"}
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


@pytest.fixture
def cluster() -> MemoryCluster:
    cluster = MemoryCluster("team")
    cluster.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "serve", "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}},
            "spec": {"selector": {"matchLabels": LABELS}},
        }
    )
    return cluster


def add(cluster: MemoryCluster, pod: str, output: bytes, **status: object) -> None:
    """Create a pod whose module has written something."""
    main = {"name": "main", "restartCount": 0, "state": RUNNING, **status}
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod, "labels": LABELS},
            "status": {"containerStatuses": [main]},
        }
    )
    cluster.written[pod, "main"] = output


def again(cluster: MemoryCluster, pod: str, output: bytes) -> None:
    """Let the module of a pod be started a second time."""
    cluster.written[pod, "main"] = output
    main: Manifest = {"name": "main", "restartCount": 1, "state": RUNNING}
    cluster.patch(POD, pod, {"status": {"containerStatuses": [main]}})


def end(cluster: MemoryCluster) -> None:
    """Delete the service and its pods."""
    cluster.delete(DEPLOYMENT, "serve")
    for pod in cluster.list(POD, LABELS):
        cluster.delete(POD, pod["metadata"]["name"])


def test_pods_that_come_later_are_followed_and_those_that_start_anew(
    cluster: MemoryCluster,
) -> None:
    add(cluster, "one", b"first")
    pieces = []
    for piece in following(cluster, "serve"):
        pieces.append((piece.stage, piece.attempt, piece.data))
        match len(pieces):
            case 1:
                add(cluster, "two", b"second")
            case 2:
                again(cluster, "one", b"third")
            case _:
                end(cluster)
    assert pieces == [("one", 1, b"first"), ("two", 1, b"second"), ("one", 2, b"third")]


def test_a_pod_that_is_gone_before_it_is_read_ends_nothing(cluster: MemoryCluster) -> None:
    add(cluster, "one", b"first")
    pieces = following(cluster, "serve")
    assert next(pieces).stage == "one"
    add(cluster, "gone", b"")
    del cluster.written["gone", "main"]
    cluster.delete(POD, "gone")
    end(cluster)
    assert list(pieces) == []


def test_a_log_that_can_not_be_read_is_told(cluster: MemoryCluster) -> None:
    add(cluster, "one", b"first")
    del cluster.written["one", "main"]
    with pytest.raises(EngineError, match="container main of pod one has not started"):
        list(following(cluster, "serve"))


def test_a_module_that_waits_to_be_started_anew_has_its_last_log(cluster: MemoryCluster) -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    add(cluster, "one", b"why", state=waiting, lastState={"terminated": {"exitCode": 1}})
    add(cluster, "two", b"", state=waiting)
    pods, pieces = written(cluster, "serve")
    assert pods == ("one",)
    assert [piece.data for piece in pieces] == [b"why"]


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([("a", b"1"), ("a", b"\xc3\n2")], b"1\xc3\n2"),
        ([("a", b"1\n"), ("b", b"2\n"), ("a", b"3")], b"1\nb | 2\na | 3\n"),
        ([("a", b"1"), ("b", b"2")], b"1\nb | 2\n"),
    ],
)
def test_names_stand_in_front_from_the_second_pod_on(
    pieces: list[tuple[str, bytes]], shown: bytes
) -> None:
    out = io.TextIOWrapper(io.BytesIO())
    writer = PodLogWriter(Terminal(out, io.StringIO()), prefixed=False)
    for pod, data in pieces:
        writer.write(LogPiece(stage=pod, attempt=1, data=data))
    writer.close()
    assert isinstance(out.buffer, io.BytesIO)
    assert out.buffer.getvalue() == shown


def test_pods_that_are_about_to_end_are_not_read(cluster: MemoryCluster) -> None:
    add(cluster, "old", b"old")
    cluster.patch(POD, "old", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    add(cluster, "new", b"new")
    assert written(cluster, "serve")[0] == ("new",)
