"""What the pods of a service write, of all that there are, and of those that come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from typing_extensions import assert_never

from bodywork_argo.backend import LogPiece
from bodywork_argo.cluster import POD, Cluster
from bodywork_argo.errors import EngineError
from bodywork_argo.feed import Feed, states_of_pods
from bodywork_argo.manifests import Manifest
from bodywork_argo.pods import MAIN
from bodywork_argo.service_status import own_deployment, selector_of
from bodywork_argo.services import DEPLOYMENT

_LONGEST_WAIT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """One start of a module in a pod."""

    pod: str
    number: int
    """Counts from 1."""


def written(cluster: Cluster, service: str) -> tuple[tuple[str, ...], Iterator[LogPiece]]:
    """Return the pods whose modules have started, oldest first, and what these wrote.

    Of each pod the last start; pods that are about to end are left out. A piece's stage is its
    pod's name.

    Raises:
        EngineError: there is no such service, or no module of it has started.
    """
    pods = cluster.list(POD, selector_of(own_deployment(cluster, service)))
    starts = _starts(pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
    if not starts:
        raise EngineError(
            f"no pod of service {service} has started its module: `service status {service}` "
            "tells why"
        )
    pieces = (piece for each in starts for piece in _read(cluster, each, follow=False))
    return tuple(each.pod for each in starts), pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pods:
    """The pods as they are now."""

    found: tuple[Manifest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A log was read to its end."""


def following(cluster: Cluster, service: str) -> Iterator[LogPiece]:
    """Yield what a service's pods write, as it comes: of those that are there and that come.

    Of each pod all starts from the present one on. Ends when the service is deleted.

    Raises:
        EngineError: there is no such service.
    """
    labels = selector_of(own_deployment(cluster, service))
    return _Followers(cluster, service, labels).pieces()


class _Followers:
    """Reads the logs of all pods of a service at once."""

    def __init__(self, cluster: Cluster, service: str, labels: dict[str, str]) -> None:
        self._cluster = cluster
        self._service = service
        self._labels = labels
        self._known: set[_Start] = set()
        self._reading = 0

    def pieces(self) -> Iterator[LogPiece]:
        pods = self._pods()
        with Feed[LogPiece | _Pods | _Read]() as feed:
            states = states_of_pods(self._cluster, self._labels)
            feed.read(_Pods(found=found) for found in states)
            while not self._is_over(pods):
                self._start(feed, pods)
                match feed.next(_LONGEST_WAIT):
                    case LogPiece() as piece:
                        yield piece
                    case _Pods(found=found):
                        pods = found
                    case _Read():
                        self._reading -= 1
                    case None:  # a pod that went before the watch began is never told
                        pods = self._pods()
                    case _ as unreachable:
                        assert_never(unreachable)

    def _pods(self) -> tuple[Manifest, ...]:
        return self._cluster.list(POD, self._labels)

    def _is_over(self, pods: tuple[Manifest, ...]) -> bool:
        if pods or self._reading:
            return False
        return self._cluster.get(DEPLOYMENT, self._service, metadata_only=True) is None

    def _start(self, feed: Feed[LogPiece | _Pods | _Read], pods: Iterable[Manifest]) -> None:
        for start in _starts(pods):
            if start not in self._known:
                self._known.add(start)
                self._reading += 1
                feed.read(self._follow(start))

    def _follow(self, start: _Start) -> Iterator[LogPiece | _Read]:
        try:
            yield from _read(self._cluster, start, follow=True)
        except EngineError:
            # One that went between being seen and being read has nothing to tell any more.
            if any(_name(each) == start.pod for each in self._pods()):
                raise
        yield _Read()


def _read(cluster: Cluster, start: _Start, *, follow: bool) -> Iterator[LogPiece]:
    for data in cluster.logs(start.pod, MAIN, follow=follow):
        yield LogPiece(stage=start.pod, attempt=start.number, data=data)


def _starts(pods: Iterable[Manifest]) -> list[_Start]:
    """Return the last start in each pod that had one."""
    ordered = sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], _name(pod)))
    return [
        _Start(pod=_name(pod), number=int(main.get("restartCount", 0)) + 1)
        for pod in ordered
        for main in (pod.get("status") or {}).get("containerStatuses", ())
        if main["name"] == MAIN and _has_started(main)
    ]


def _has_started(main: Manifest) -> bool:
    state, last = main.get("state") or {}, main.get("lastState") or {}
    return "running" in state or "terminated" in state or "terminated" in last


def _name(pod: Manifest) -> str:
    return str(pod["metadata"]["name"])
