"""A watch over streams that end, break, forget and stay silent."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import pytest

from bodywork_argo.errors import Forbidden, Unreachable
from bodywork_argo.kube import KubeCluster, connect
from bodywork_argo.kube.connection import Time
from tests.cluster_contract import CONFIG_MAP, config_map, told
from tests.kube.api import (
    Answer,
    Api,
    SkippedTime,
    chunks,
    cut,
    document,
    lines,
    refusal,
    reset,
    silence,
)
from tests.kube.conftest import MakeKubeconfig

GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
DONE = refusal(403, "Forbidden", 'User "jo" cannot list resource "configmaps"')


def one(name: str, version: int, uid: str = "") -> dict[str, Any]:
    manifest = config_map(name, version=str(version))
    manifest["metadata"].update(resourceVersion=str(version), uid=uid or name)
    return manifest


def event(kind: str, name: str, version: int, uid: str = "") -> dict[str, Any]:
    return {"type": kind, "object": one(name, version, uid)}


def listed(version: int, *items: dict[str, Any]) -> Answer:
    return document({"metadata": {"resourceVersion": str(version)}, "items": items})


def everything(target: KubeCluster) -> list[tuple[str, str]]:
    """Watch until the server forbids it, which is how the tests end."""
    changes: list[tuple[str, str]] = []
    with pytest.raises(Forbidden):
        collect(target, changes)
    return changes


def collect(target: KubeCluster, changes: list[tuple[str, str]]) -> None:
    for change in target.watch(CONFIG_MAP, {}, 3600):
        metadata = change.object["metadata"]
        changes.append((change.type, f"{metadata['name']}@{metadata['resourceVersion']}"))


def test_a_stream_that_ends_after_each_event_loses_none(api: Api, target: KubeCluster) -> None:
    streams = [chunks(lines([event("MODIFIED", "a", number)])) for number in range(2, 20)]
    api.will(listed(1, one("a", 1)), *streams, DONE)

    changes = everything(target)

    assert changes == [("ADDED", "a@1"), *[("MODIFIED", f"a@{n}") for n in range(2, 20)]]
    versions = [asked.query.get("resourceVersion") for asked in api.asked]
    assert versions == [None, *map(str, range(1, 20))]


def test_events_come_in_pieces_of_any_size(api: Api, target: KubeCluster) -> None:
    stream = lines([event("ADDED", "a", 2), event("DELETED", "a", 3), event("ADDED", "b", 4)])
    pieces = [stream[at : at + 7] for at in range(0, len(stream), 7)]
    api.will(listed(1), chunks(*pieces), DONE)

    assert everything(target) == [("ADDED", "a@2"), ("DELETED", "a@3"), ("ADDED", "b@4")]


@pytest.mark.parametrize(
    "end",
    [
        chunks(lines([GONE])),
        refusal(410, "Expired"),
        refusal(503, "ServiceUnavailable"),
        reset,
        chunks(b'{"type": "MODIFIED", "object": {"kind"', end=cut),
    ],
)
def test_after_a_gap_the_differences_are_told(api: Api, target: KubeCluster, end: Answer) -> None:
    before = [one("same", 1), one("changed", 2), one("gone", 3), one("replaced", 4, "old")]
    after = [one("same", 1), one("changed", 7), one("new", 8), one("replaced", 9, "fresh")]
    api.will(listed(5, *before), end, listed(9, *after), DONE)

    changes = everything(target)[len(before) :]

    assert changes == [
        ("DELETED", "gone@3"),
        ("MODIFIED", "changed@7"),
        ("ADDED", "new@8"),
        ("DELETED", "replaced@4"),
        ("ADDED", "replaced@9"),
    ]


def test_an_event_that_was_cut_is_told_once_it_is_whole(api: Api, target: KubeCluster) -> None:
    stream = lines([event("ADDED", "a", 2)])
    api.will(listed(1), chunks(stream[:-20]), chunks(stream), DONE)

    assert everything(target) == [("ADDED", "a@2")]


def test_bookmarks_say_from_where_to_go_on(api: Api, target: KubeCluster) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "77"}}}
    api.will(listed(1), chunks(lines([bookmark])), DONE)

    assert everything(target) == []
    assert api.asked[-1].query["resourceVersion"] == "77"
    assert api.asked[-1].query["allowWatchBookmarks"] == "true"


def test_a_silent_watch_ends_with_its_time(api: Api, target: KubeCluster) -> None:
    api.will(listed(1, one("a", 1)), chunks(end=silence(5)))
    began = time.monotonic()

    assert told(target.watch(CONFIG_MAP, {}, 0.6), 9) == [("ADDED", "a")]

    assert time.monotonic() - began < 2


def test_a_watch_that_the_server_ends_at_once_is_no_storm(
    api: Api, target: KubeCluster, skipped: SkippedTime
) -> None:
    api.will(listed(1), chunks())

    assert list(target.watch(CONFIG_MAP, {}, 60)) == []

    assert len(api.asked) < 25


def test_a_restart_of_the_server_is_survived(api: Api, make_kubeconfig: MakeKubeconfig) -> None:
    again = ExitStack()

    def come_back(seconds: float) -> None:
        if not again_up:
            again_up.append(again.enter_context(Api(api.port)))
            again_up[0].will(listed(9, one("b", 9)), DONE)

    again_up: list[Api] = []
    api.will(listed(1, one("a", 1)))
    target = connect(
        kubeconfig=str(make_kubeconfig()),
        context=None,
        namespace="space",
        environ={},
        time=Time(now=time.monotonic, sleep=come_back),
    )
    watch = target.watch(CONFIG_MAP, {}, 600)
    with again:
        changes = told(watch, 1)
        api.stop()
        changes += told(watch, 2)

    assert changes == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b")]


def test_a_server_that_is_away_when_the_time_is_over_is_no_failure(
    api: Api, target: KubeCluster
) -> None:
    api.will(listed(1, one("a", 1)))
    watch = target.watch(CONFIG_MAP, {}, 30)
    next(watch)
    api.stop()

    assert list(watch) == []


def test_a_server_that_stays_away_is_one(api: Api, target: KubeCluster) -> None:
    api.will(listed(1, one("a", 1)))
    watch = target.watch(CONFIG_MAP, {}, 600)
    next(watch)
    api.stop()

    with pytest.raises(Unreachable):
        list(watch)


def test_a_watch_needs_its_first_list(api: Api, target: KubeCluster) -> None:
    api.stop()

    with pytest.raises(Unreachable):
        list(target.watch(CONFIG_MAP, {}, 5))
