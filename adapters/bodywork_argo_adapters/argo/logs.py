"""What modules wrote, without what Argo's executor writes among it."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bodywork_argo import names
from bodywork_argo.backend import LogPiece
from bodywork_argo.cluster import POD, Cluster
from bodywork_argo.errors import BodyworkArgoError

WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
_NODE_NAME = "workflows.argoproj.io/node-name"
_POLL_SECONDS = 1.0
_MARK = b"time="
_LONGEST = 4096
"""An executor's line is never longer, so what is held back isn't either."""
_FIELD = rb' (?!time=)\w+=(?:"(?:[^"\\\n]|\\.)*"|(?:(?!time=)[^\s"])*)'
_LINE = rb'time=\d[\dTZ:.+-]* level=\w+ msg="%s"(?=(?:' + _FIELD + rb")*? argo=true[ \n])"
_LINE += rb"(?:" + _FIELD + rb")*\n"
"""A line of Argo's executor (4.0), whose fields come in any order."""
_START = _LINE % b"waiting for signals"
_OTHER = _LINE % b'(?!waiting for signals")[^"\n]*'
_ERROR = rb"Error: exit status \d+\n"
_SURELY = re.compile(rb"%s|%s(?:%s|(?=[^E]))" % (_START, _OTHER, _ERROR))
"""After a line other than the first, the executor's last word may follow."""
_AT_THE_END = re.compile(rb"%s|%s(?:%s)?" % (_START, _OTHER, _ERROR))


class ExecutorFilter:
    """Takes the executor's lines out of a stream, wherever they stand, and holds back little.

    They are found by their form, also in the middle of a line, since the module's last line may
    have no end and two streams become one.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what is surely the module's."""
        text = _SURELY.sub(b"", self._held + data)
        unclear = _AT_THE_END.search(text)
        keep = unclear.start() if unclear else _undecided(text)
        self._held, ready = text[keep:], text[:keep]
        return ready

    def close(self) -> bytes:
        """Return the rest."""
        rest, self._held = self._held, b""
        return _AT_THE_END.sub(b"", rest)


def _undecided(text: bytes) -> int:
    """Return from where on text may become an executor's line."""
    start = text.rfind(b"\n") + 1
    mark = text.find(_MARK, max(start, len(text) - _LONGEST))
    if mark >= 0:
        return mark
    for length in range(min(len(_MARK) - 1, len(text)), 0, -1):
        if text.endswith(_MARK[:length]):
            return len(text) - length
    return len(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLog:
    """Which container of which pod holds what an attempt wrote."""

    pod: str
    container: str
    task: str
    attempt: int


def readable(pod: Any) -> PodLog | None:
    """Return where a pod's output is, once there is some; of a failed preparation its own."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    task = metadata.get("labels", {}).get(names.STAGE_LABEL)
    if task is None:
        return None
    container = _container(status)
    if container is None:
        return None
    found = re.search(r"\((\d+)\)$", metadata.get("annotations", {}).get(_NODE_NAME, ""))
    attempt = int(found[1]) + 1 if found else 1
    return PodLog(pod=metadata["name"], container=container, task=task, attempt=attempt)


def _container(status: Any) -> str | None:
    for each in status.get("containerStatuses", ()):
        state = each.get("state") or {}
        started = "running" in state or (state.get("terminated") or {}).get("containerID")
        if each["name"] == "main" and started:
            return "main"
    for each in status.get("initContainerStatuses", ()):
        ended = (each.get("state") or {}).get("terminated") or {}
        if each["name"] in ("prepare", "fetch") and ended.get("exitCode"):
            return str(each["name"])
    return None


def read(cluster: Cluster, log: PodLog, stage: str, *, follow: bool) -> Iterator[LogPiece]:
    """Yield what one attempt wrote."""
    own = ExecutorFilter()
    for chunk in cluster.logs(log.pod, log.container, follow=follow):
        data = own.feed(chunk)
        if data:
            yield LogPiece(stage=stage, attempt=log.attempt, data=data)
    if rest := own.close():
        yield LogPiece(stage=stage, attempt=log.attempt, data=rest)


class Followers:
    """Reads the logs of all pods of a run at once, each in a thread of its own."""

    def __init__(self, cluster: Cluster, run: str, stages: dict[str, str]) -> None:
        self._cluster = cluster
        self._run = run
        self._stages = stages
        self._queue: queue.Queue[LogPiece | BodyworkArgoError] = queue.Queue()
        self._threads: dict[str, threading.Thread] = {}

    def pieces(self, ended: Callable[[], bool]) -> Iterator[LogPiece]:
        """Yield pieces as they come until the run has `ended` and all was read."""
        while True:
            over = ended()  # asked first, so that no pod of a run that has ended is missed
            self._start_new()
            yield from self._arrived()
            if over:
                break
        for thread in self._threads.values():
            while thread.is_alive():
                thread.join(timeout=0.1)
                yield from self._arrived(wait=0.0)
        yield from self._arrived(wait=0.0)

    def _start_new(self) -> None:
        for pod in self._cluster.list(POD, {WORKFLOW_LABEL: self._run}):
            log = readable(pod)
            if log is None or log.pod in self._threads or log.task not in self._stages:
                continue
            thread = threading.Thread(target=self._read, args=(log,), daemon=True)
            self._threads[log.pod] = thread
            thread.start()

    def _read(self, log: PodLog) -> None:
        try:
            for piece in read(self._cluster, log, self._stages[log.task], follow=True):
                self._queue.put(piece)
        except BodyworkArgoError as error:
            self._queue.put(error)

    def _arrived(self, wait: float = _POLL_SECONDS) -> Iterator[LogPiece]:
        try:
            while True:
                item = self._queue.get(timeout=wait) if wait else self._queue.get_nowait()
                if isinstance(item, BodyworkArgoError):
                    raise item
                yield item
                wait = 0.0
        except queue.Empty:
            return
