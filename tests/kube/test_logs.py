"""Logs from a kubelet that is lost, rotated, silent or gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from bodywork_argo.errors import EngineError, Forbidden, Unreachable
from bodywork_argo.kube import KubeCluster
from tests.kube.api import (
    Answer,
    Api,
    Asked,
    Handler,
    SkippedTime,
    chunks,
    cut,
    document,
    refusal,
    reset,
)
from tests.kube.kubelet import Entry, served, written

MISSING = refusal(404, "NotFound", 'pods "train" not found')
LOST = refusal(500, "InternalError", "dial tcp 10.0.0.1:10250: connect: connection refused")


def awkward() -> list[Entry]:
    """Lines as a module writes them: 1 MB without an end, NUL, other bytes, no last newline."""
    long = [Entry(5 * 10**9 + n, b"\r%06d %s" % (n, b"#" * 16_376), True) for n in range(64)]
    texts = [b"first", b"", b" \x00 \xff\xfe", b"2026-01-01T00:00:00Z x", b"\rdone"]
    lines = [Entry(4 * 10**9 + n, text) for n, text in enumerate(texts)]
    tail = [Entry(8 * 10**9 + n * 10**7, b"line %d" % n) for n in range(300)]
    return [*lines, *long, Entry(6 * 10**9, b"end of it"), *tail, Entry(10**12, b"last", True)]


class Node:
    """Answers for one pod: its state, and its log by the kubelet's rules."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.state: Any = {"running": {}}
        self.identity = "containerd://1"
        self.last_state: Any = {}
        self.logs: list[Callable[[bytes], Answer]] = []
        """What comes of each log that is asked for; after the last, all of it."""
        self.pods: list[Answer] = []
        self.since: list[str | None] = []
        self.follows: list[bool] = []

    def answer(self, handler: Handler, asked: Asked) -> None:
        if asked.path.endswith("/log"):
            since = asked.query.get("sinceTime")
            self.since.append(since)
            self.follows.append("follow" in asked.query)
            make = self.logs.pop(0) if self.logs else _all
            make(served(self.entries, since))(handler, asked)
        elif self.pods:
            self.pods.pop(0)(handler, asked)
        else:
            self.pod()(handler, asked)

    def pod(self) -> Answer:
        status = {
            "name": "main",
            "containerID": self.identity,
            "state": self.state,
            "lastState": self.last_state,
        }
        return document({"kind": "Pod", "status": {"containerStatuses": [status]}})

    def end(self) -> None:
        self.state = {"terminated": {"exitCode": 0}}


def _all(stream: bytes) -> Answer:
    return chunks(*[stream[at : at + 50_000] for at in range(0, len(stream), 50_000)])


def cut_after(share: float) -> Callable[[bytes], Answer]:
    return lambda stream: chunks(stream[: int(len(stream) * share)] or b"2", end=cut)


@pytest.fixture
def node(api: Api) -> Node:
    made = Node(awkward())
    api.will(made.answer)
    return made


def test_a_log_comes_byte_for_byte(node: Node, target: KubeCluster) -> None:
    assert b"".join(target.logs("train", "main")) == written(node.entries)


@pytest.mark.parametrize("follow", [False, True])
def test_connections_that_break_cost_no_byte(node: Node, target: KubeCluster, follow: bool) -> None:
    node.logs = [cut_after(share) for share in (0.001, 0.3, 0.7, 0.0, 0.99, 0.5)]
    node.end()

    assert b"".join(target.logs("train", "main", follow=follow)) == written(node.entries)


def test_what_was_read_is_not_read_again_from_the_start(node: Node, target: KubeCluster) -> None:
    node.logs = [cut_after(0.999)]

    list(target.logs("train", "main"))

    assert node.since == [None, "2026-01-01T00:00:10Z"]


def test_a_stream_that_ends_while_the_container_runs_is_not_the_end(
    node: Node, target: KubeCluster
) -> None:
    whole = node.entries

    def more(stream: bytes) -> Answer:
        node.entries = whole
        node.end()
        return chunks(stream)

    node.entries = whole[:100]
    node.logs = [_all, _all, more]

    assert b"".join(target.logs("train", "main", follow=True)) == written(whole)
    assert node.follows == [True, True, True, False]


def test_pieces_come_as_they_are_written(api: Api, target: KubeCluster, node: Node) -> None:
    node.logs = [lambda _: chunks(*[served([one], None) for one in node.entries[:3]])]
    node.end()

    assert next(target.logs("train", "main")) in (b"first\n", b"first\n\n")


def test_a_rotated_log_goes_on_with_its_new_file(node: Node, target: KubeCluster) -> None:
    old, new = node.entries[:200], node.entries[200:]

    def rotated(stream: bytes) -> Answer:
        node.entries = new
        node.end()
        return chunks(served(old, None), end=cut)

    node.logs = [rotated]

    read = b"".join(target.logs("train", "main", follow=True))

    assert read == written([*old, *new])


def test_following_ends_when_the_pod_is_gone(node: Node, target: KubeCluster) -> None:
    node.pods = [node.pod(), MISSING]

    assert b"".join(target.logs("train", "main", follow=True)) == written(node.entries)


def test_following_ends_when_the_log_is_gone(node: Node, target: KubeCluster) -> None:
    node.logs = [_all, lambda _: MISSING]

    assert b"".join(target.logs("train", "main", follow=True)) == written(node.entries)


def test_following_ends_when_the_container_is_started_anew(node: Node, target: KubeCluster) -> None:
    first = node.pod()
    node.identity = "containerd://2"
    node.pods = [first]

    assert b"".join(target.logs("train", "main", follow=True)) == written(node.entries)


def test_a_container_that_waits_for_its_restart_has_the_log_of_its_last_run(
    node: Node, target: KubeCluster
) -> None:
    node.state = {"waiting": {"reason": "CrashLoopBackOff"}}
    node.last_state = {"terminated": {"containerID": node.identity}}

    assert b"".join(target.logs("train", "main", follow=True)) == written(node.entries)


@pytest.mark.parametrize("failure", [LOST, reset, refusal(503, "ServiceUnavailable")])
def test_a_kubelet_that_is_away_for_a_while_is_waited_for(
    node: Node, target: KubeCluster, failure: Answer
) -> None:
    node.logs = [cut_after(0.4), *[lambda _: failure] * 12]
    node.end()

    assert b"".join(target.logs("train", "main", follow=True)) == written(node.entries)


def test_a_refusal_after_a_while_away_is_asked_again(node: Node, target: KubeCluster) -> None:
    refused = refusal(400, "BadRequest", "unable to retrieve container logs")
    node.logs = [cut_after(0.4), *[lambda _: LOST] * 30, *[lambda _: refused] * 2]
    node.pods = [node.pod()] * 34
    node.end()

    assert b"".join(target.logs("train", "main", follow=True)) == written(node.entries)


def test_a_kubelet_that_stays_away_is_an_error(
    node: Node, target: KubeCluster, skipped: SkippedTime
) -> None:
    node.entries, node.logs = node.entries[:5], [lambda _: LOST] * 1000

    with pytest.raises(Unreachable, match="connection refused"):
        list(target.logs("train", "main", follow=True))

    assert 80 < sum(skipped.slept) < 110


def test_words_of_the_server_are_no_part_of_the_log(node: Node, target: KubeCluster) -> None:
    said = served(node.entries[:5], None) + b"rpc error: code = Unavailable"
    node.logs = [lambda _: chunks(said)]
    node.end()

    assert b"".join(target.logs("train", "main")) == written(node.entries)


def test_a_log_that_the_node_has_thrown_away_is_an_error(node: Node, target: KubeCluster) -> None:
    node.end()
    node.logs = [lambda _: refusal(400, "BadRequest", "unable to retrieve logs")] * 1000

    with pytest.raises(EngineError, match="unable to retrieve logs"):
        list(target.logs("train", "main", follow=True))


def test_who_may_not_read_logs_is_told_at_once(node: Node, target: KubeCluster) -> None:
    said = 'User "jo" cannot get resource "pods/log"'
    node.logs = [lambda _: refusal(403, "Forbidden", said)]

    with pytest.raises(Forbidden, match="jo may not get pods/log train in namespace space"):
        list(target.logs("train", "main"))


def test_a_container_that_waits_has_no_log(node: Node, target: KubeCluster) -> None:
    node.state, node.identity = {"waiting": {"reason": "ImagePullBackOff"}}, ""
    expected = re.escape("container main of pod train has not started: ImagePullBackOff")

    with pytest.raises(EngineError, match=expected):
        list(target.logs("train", "main", follow=True))


def test_there_is_no_log_without_a_pod(api: Api, target: KubeCluster) -> None:
    api.will(MISSING)

    with pytest.raises(EngineError, match="there is no pod train in namespace space"):
        list(target.logs("train", "main"))
