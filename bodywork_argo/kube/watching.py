"""Watches that outlive connections, restarts of the server and its short memory."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterable, Iterator

from bodywork_argo.cluster import Change, Resource
from bodywork_argo.kube.connection import PATIENCE, Connection
from bodywork_argo.kube.listing import read_list
from bodywork_argo.kube.refusals import Expired, Passing, Silent
from bodywork_argo.kube.requests import Request
from bodywork_argo.manifests import Manifest

_LONGEST_WATCH = 240
_LONGEST_SILENCE = 90.0
"""Seconds; the server sends a bookmark each minute, so a longer silence is a dead connection."""
_LONGEST_PAUSE = 5.0


class Watch:
    """One watch: the objects as last told, and from which version on to ask for more."""

    def __init__(
        self, connection: Connection, resource: Resource, request: Request, timeout_seconds: float
    ) -> None:
        self._connection = connection
        self._resource = resource
        self._request = request
        self._deadline = connection.time.now() + timeout_seconds
        self._told: dict[str, Manifest] = {}
        self._listed = False
        self._version = ""
        self._pause = 0.0

    def changes(self) -> Iterator[Change]:
        """Yield what is there, then each change, until the time is over."""
        while (left := self._left()) > 0:
            if not self._version:
                yield from self._list(left)
                continue
            busy = yield from self._follow(left)
            self._rest(busy)

    def _left(self) -> float:
        return self._deadline - self._connection.time.now()

    def _rest(self, busy: bool) -> None:
        """Wait longer each time that a server ends watches at once without telling anything."""
        self._pause = 0.0 if busy else min(max(0.1, self._pause * 2), _LONGEST_PAUSE)
        if self._pause:
            self._connection.time.sleep(min(self._pause, max(self._left(), 0.0)))

    def _list(self, left: float) -> Iterator[Change]:
        try:
            listing = read_list(
                self._connection, self._resource, self._request, patience=min(left, PATIENCE)
            )
        except Passing:
            if self._listed and left <= PATIENCE:
                return  # it was the end of the time that ended the patience
            raise
        self._version, self._listed = listing.version, True
        yield from self._differences(listing.items)

    def _differences(self, items: Iterable[Manifest]) -> Iterator[Change]:
        now = {item["metadata"]["name"]: item for item in items}
        for name in self._told.keys() - now.keys():
            yield Change(type="DELETED", object=self._told.pop(name))
        for item in now.values():
            yield from self._tell(item)

    def _follow(self, left: float) -> Generator[Change, None, bool]:
        """Yield changes while one connection lasts; return whether to go on without a pause."""
        began = self._connection.time.now()
        try:
            with self._connection.stream(
                self._watching(left), idle_seconds=min(left, _LONGEST_SILENCE)
            ) as pieces:
                news = yield from self._events(pieces)
        except Silent:
            return True
        except (Expired, Passing, ValueError):
            self._version = ""
            return False
        return news or self._connection.time.now() - began > 1

    def _watching(self, left: float) -> Request:
        seconds = min(math.ceil(left), _LONGEST_WATCH)
        return self._request.asking(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=self._version,
            timeoutSeconds=str(seconds),
        )

    def _events(self, pieces: Iterable[bytes]) -> Generator[Change, None, bool]:
        news = False
        for line in _lines(pieces):
            event = json.loads(line)
            if event["type"] == "ERROR":  # most often 410: the version is too old
                self._version = ""
                return False
            found = event["object"]
            self._version = str(found["metadata"]["resourceVersion"])
            if event["type"] != "BOOKMARK":
                news = True
                yield from self._take(event["type"], found)
            if self._left() <= 0:
                break
        return news

    def _take(self, kind: str, found: Manifest) -> Iterator[Change]:
        if kind != "DELETED":
            yield from self._tell(found)
        elif self._told.pop(found["metadata"]["name"], None) is not None:
            yield Change(type="DELETED", object=found)

    def _tell(self, found: Manifest) -> Iterator[Change]:
        metadata = found["metadata"]
        before = self._told.get(metadata["name"])
        self._told[metadata["name"]] = found
        if before is None:
            yield Change(type="ADDED", object=found)
        elif before["metadata"]["uid"] != metadata["uid"]:
            yield Change(type="DELETED", object=before)
            yield Change(type="ADDED", object=found)
        elif before["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            yield Change(type="MODIFIED", object=found)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; a line that was cut is dropped, as the next connection brings it."""
    parts: list[bytes] = []
    for piece in pieces:
        *ends, rest = piece.split(b"\n")
        for end in ends:
            yield b"".join([*parts, end])
            parts = []
        parts.append(rest)
