"""Several sources that are read side by side, and pods as they change."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

from bodywork_argo.cluster import POD, Cluster
from bodywork_argo.errors import Forbidden
from bodywork_argo.manifests import Manifest

POLL_SECONDS = 1.0
"""Between two questions where nothing can be watched."""
WATCH_SECONDS = 600.0
PAUSE_SECONDS = 0.2
"""Between two watches."""
_FULL = 256

T = TypeVar("T")


class Feed(Generic[T]):
    """Reads sources in threads of their own; whoever takes too slowly makes them wait."""

    def __init__(self) -> None:
        self._queue: queue.Queue[T | Exception] = queue.Queue(_FULL)
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Feed[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def read(self, source: Iterable[T]) -> None:
        """Read one more source."""
        thread = threading.Thread(target=self._read, args=(source,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def next(self, timeout: float) -> T | None:
        """Return what came next, None when nothing did in time; raises what ended a source."""
        try:
            item = self._queue.get(timeout=max(timeout, 0.0))
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def _read(self, source: Iterable[T]) -> None:
        try:
            for item in source:
                if not self._put(item):
                    return
        except Exception as error:  # noqa: BLE001 - raised by `next`, or that would wait for ever
            self._put(error)

    def _put(self, item: T | Exception) -> bool:
        while not self._done.is_set():
            with suppress(queue.Full):
                self._queue.put(item, timeout=POLL_SECONDS)
                return True
        return False


def states_of_pods(cluster: Cluster, labels: Mapping[str, str]) -> Iterator[tuple[Manifest, ...]]:
    """Yield the pods with these labels now and at each change; without end where they may be seen.

    Where they may not be watched they are listed each second; where that is forbidden too, there
    is nothing to tell.
    """
    with suppress(Forbidden):
        while True:
            pods: dict[str, Manifest] = {}
            for change in cluster.watch(POD, labels, WATCH_SECONDS):
                pods.pop(change.object["metadata"]["name"], None)
                if change.type != "DELETED":
                    pods[change.object["metadata"]["name"]] = change.object
                yield tuple(pods.values())
            time.sleep(PAUSE_SECONDS)
    with suppress(Forbidden):
        while True:
            yield cluster.list(POD, labels)
            time.sleep(POLL_SECONDS)
