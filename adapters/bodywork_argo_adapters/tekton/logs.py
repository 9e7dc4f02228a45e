"""What modules wrote, byte for byte: Tekton adds nothing to the output of a step that runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from typing_extensions import assert_never

from bodywork_argo import names
from bodywork_argo.backend import LogPiece
from bodywork_argo.cluster import POD, Cluster
from bodywork_argo.feed import Feed
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.tekton.following import Seen, pod_changes, run_changes
from bodywork_argo_adapters.tekton.pods import RUN_LABEL
from bodywork_argo_adapters.tekton.status import phase_of
from bodywork_argo_adapters.tekton.tasks import MODULE

_LONGEST_WAIT = 60.0
_RETRY = re.compile(r"-pod-retry(\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLog:
    """Which container of which pod holds what an attempt wrote."""

    pod: str
    container: str
    task: str
    attempt: int


def readable(pod: Manifest) -> PodLog | None:
    """Return where a pod's output is, once there is some; of a failed preparation its own.

    All steps of a pod start at once, and wait for each other: the module's has begun when those
    before it have ended.
    """
    metadata = pod["metadata"]
    task = (metadata.get("labels") or {}).get(names.STAGE_LABEL)
    container = _container(pod)
    if task is None or container is None:
        return None
    retry = _RETRY.search(metadata["name"])
    attempt = int(retry[1]) + 1 if retry else 1
    return PodLog(pod=metadata["name"], container=container, task=task, attempt=attempt)


def read_all(cluster: Cluster, run: str, stages: Mapping[str, str]) -> Iterator[LogPiece]:
    """Yield what was written so far, stage by stage in their order, and attempt by attempt."""
    place = {task: number for number, task in enumerate(stages)}
    pods = cluster.list(POD, {RUN_LABEL: run})
    found = [log for log in map(readable, pods) if log and log.task in place]
    for log in sorted(found, key=lambda each: (place[each.task], each.attempt)):
        yield from _read(cluster, log, stages[log.task], follow=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """A pod's log was read to its end."""


_News = LogPiece | Seen | _End


class Followers:
    """Reads the logs of all pods of a run at once, from before they exist to the run's end."""

    def __init__(self, cluster: Cluster, run: str, stages: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._run = run
        self._stages = stages
        self._started: set[str] = set()
        self._reading = 0

    def pieces(self) -> Iterator[LogPiece]:
        """Yield pieces as they come until the run has ended and all was read."""
        ended = False
        with Feed[_News]() as feed:
            feed.read(run_changes(self._cluster, self._run))
            feed.read(pod_changes(self._cluster, self._run))
            while not ended or self._reading:
                match feed.next(_LONGEST_WAIT):
                    case LogPiece() as piece:
                        yield piece
                    case _End():
                        self._reading -= 1
                    case Seen(resource=resource, object=found) if resource == POD:
                        self._start(feed, found)
                    case Seen(object=found):
                        over = found is None or phase_of(found).final
                        if over and not ended:
                            self._start_rest(feed)
                        ended = ended or over
                    case None:
                        pass
                    case _ as unreachable:
                        assert_never(unreachable)

    def _start_rest(self, feed: Feed[_News]) -> None:
        """Read what is there after the end, so that no pod is missed."""
        for pod in self._cluster.list(POD, {RUN_LABEL: self._run}):
            self._start(feed, pod)

    def _start(self, feed: Feed[_News], pod: Manifest | None) -> None:
        log = readable(pod) if pod else None
        if log is None or log.pod in self._started or log.task not in self._stages:
            return
        self._started.add(log.pod)
        self._reading += 1
        feed.read(self._pieces_of(log))

    def _pieces_of(self, log: PodLog) -> Iterator[_News]:
        yield from _read(self._cluster, log, self._stages[log.task], follow=True)
        yield _End()


def _read(cluster: Cluster, log: PodLog, stage: str, *, follow: bool) -> Iterator[LogPiece]:
    for data in cluster.logs(log.pod, log.container, follow=follow):
        yield LogPiece(stage=stage, attempt=log.attempt, data=data)


def _container(pod: Manifest) -> str | None:
    statuses = {
        each["name"]: each.get("state") or {}
        for each in (pod.get("status") or {}).get("containerStatuses") or ()
    }
    for container in (pod.get("spec") or {}).get("containers") or ():
        name = str(container["name"])
        if not name.startswith("step-"):
            continue
        state = statuses.get(name, {})
        ended = state.get("terminated") or {}
        if name == f"step-{MODULE}":
            return name if "running" in state or ended.get("containerID") else None
        if not ended:
            return None
        if ended.get("exitCode"):
            return name
    return None
