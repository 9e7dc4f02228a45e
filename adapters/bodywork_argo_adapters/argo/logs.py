"""What modules wrote, without what Argo's executor writes among it."""

from __future__ import annotations

import re
from collections.abc import Container, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from typing_extensions import assert_never

from bodywork_argo import names
from bodywork_argo.backend import LogPiece
from bodywork_argo.cluster import POD, Cluster
from bodywork_argo.errors import EngineError
from bodywork_argo.feed import Feed, states_of_pods
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.argo.status import nodes_of, phase_of
from bodywork_argo_adapters.argo.watching import (
    WORKFLOW,
    WORKFLOW_LABEL,
    states_of_workflow,
)

Attempt: TypeAlias = tuple[str, int]
"""A task, and which of its attempts, counted from 1."""
_RETRY = re.compile(r"\((\d+)\)$")
_TOLD = 10
_NODE_NAME = "workflows.argoproj.io/node-name"
_LONGEST_WAIT = 60.0
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
    attempt = _attempt(metadata.get("annotations", {}).get(_NODE_NAME, ""))
    return PodLog(pod=metadata["name"], container=container, task=task, attempt=attempt)


def attempt_of(pod: Manifest) -> Attempt:
    """Return the task and the attempt whose pod this is."""
    metadata = pod["metadata"]
    node = (metadata.get("annotations") or {}).get(_NODE_NAME, "")
    return (metadata.get("labels") or {}).get(names.STAGE_LABEL, ""), _attempt(node)


def _attempt(node: str) -> int:
    found = _RETRY.search(node)
    return int(found[1]) + 1 if found else 1


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


def lost(
    workflow: Manifest, stages: Mapping[str, str], there: Container[Attempt]
) -> EngineError | None:
    """Return what tells which logs went with their pods, given the attempts that have theirs."""
    if (workflow.get("status") or {}).get("offloadNodeStatusVersion"):
        return None
    place = {task: number for number, task in enumerate(stages)}
    gone: list[tuple[int, int, str]] = []
    for node in nodes_of(workflow).values():
        name = str(node.get("displayName", ""))
        task, attempt = _RETRY.sub("", name), _attempt(name)
        # A node of the cluster is named as soon as there is a pod that may write.
        ran = node.get("type") == "Pod" and node.get("hostNodeName")
        if ran and task in place and (task, attempt) not in there:
            again = f" (attempt {attempt})" if attempt > 1 else ""
            gone.append((place[task], attempt, f"{stages[task]}{again}"))
    if not gone:
        return None
    told = [words for _, _, words in sorted(gone)]
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    one = len(told) == 1
    which = f"the log{'' if one else 's'} of {', '.join(told[:_TOLD])}{more}"
    return EngineError(
        f"{which} {'is' if one else 'are'} gone with {'its pod' if one else 'their pods'}"
    )


def read_all(
    cluster: Cluster, run: str, stages: Mapping[str, str]
) -> Generator[LogPiece, None, frozenset[Attempt]]:
    """Yield what was written so far, stage by stage in their order, and attempt by attempt.

    Returns the attempts whose pods are there.
    """
    place = {task: number for number, task in enumerate(stages)}
    pods = cluster.list(POD, {WORKFLOW_LABEL: run})
    found = [log for log in map(readable, pods) if log and log.task in place]
    for log in sorted(found, key=lambda each: (place[each.task], each.attempt)):
        yield from read(cluster, log, stages[log.task], follow=False)
    return frozenset(map(attempt_of, pods))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pods:
    """The pods as they are now."""

    found: tuple[Manifest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Whether the run goes on."""

    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A pod's log was read to its end."""


class Followers:
    """Reads the logs of all pods of a run at once, from before they exist to the run's end."""

    def __init__(self, cluster: Cluster, run: str, stages: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._run = run
        self._stages = stages
        self._started: set[str] = set()
        self._there: set[Attempt] = set()
        self._reading = 0

    def pieces(self) -> Generator[LogPiece, None, frozenset[Attempt]]:
        """Yield pieces as they come until the run has ended and all was read.

        Returns the attempts that were read, or whose pods are still there.
        """
        ended = False
        with Feed[LogPiece | _Pods | _Run | _Read]() as feed:
            feed.read(self._states())
            self._start(feed, self._pods())  # who may not list pods is told at once
            states = states_of_pods(self._cluster, {WORKFLOW_LABEL: self._run})
            feed.read(_Pods(found=found) for found in states)
            while not ended or self._reading:
                match feed.next(_LONGEST_WAIT):
                    case LogPiece() as piece:
                        yield piece
                    case _Read():
                        self._reading -= 1
                    case _Pods(found=found):
                        self._start(feed, found)
                    case _Run(ended=over):
                        if over and not ended:
                            # Asked for after the end, so that no pod is missed.
                            pods = self._pods()
                            self._there.update(map(attempt_of, pods))
                            self._start(feed, pods)
                        ended = ended or over
                    case None:  # a Workflow that went before its watch began is never told
                        ended = ended or self._cluster.get(WORKFLOW, self._run) is None
                    case _ as unreachable:
                        assert_never(unreachable)
        return frozenset(self._there)

    def _states(self) -> Iterator[_Run]:
        for found in states_of_workflow(self._cluster, self._run):
            phase = phase_of(((found or {}).get("status") or {}).get("phase", ""))
            yield _Run(ended=found is None or phase.final)

    def _pods(self) -> tuple[Manifest, ...]:
        return self._cluster.list(POD, {WORKFLOW_LABEL: self._run})

    def _start(self, feed: Feed[LogPiece | _Pods | _Run | _Read], pods: Iterable[Manifest]) -> None:
        for pod in pods:
            log = readable(pod)
            if log is None or log.pod in self._started or log.task not in self._stages:
                continue
            self._started.add(log.pod)
            self._there.add(attempt_of(pod))
            self._reading += 1
            feed.read(self._read(log))

    def _read(self, log: PodLog) -> Iterator[LogPiece | _Read]:
        yield from read(self._cluster, log, self._stages[log.task], follow=True)
        yield _Read()
