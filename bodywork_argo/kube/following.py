"""A container's log, byte for byte, across lost connections."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from bodywork_argo.errors import EngineError, Forbidden, Unreachable
from bodywork_argo.kube.connection import PATIENCE, Connection
from bodywork_argo.kube.refusals import Missing, Passing, Silent, shortened
from bodywork_argo.kube.requests import Request
from bodywork_argo.kube.transcript import Reading, Seen
from bodywork_argo.manifests import Manifest

_LONGEST_SILENCE = 60.0
"""Seconds; a container may be silent for longer, but then the connection may be dead as well."""
_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
_REFUSED_PATIENCE = 5.0
"""Seconds for which a refusal is asked again: a container that starts has no log for a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instance:
    """One run of a container; after a restart of it there is another."""

    identity: str
    ended: bool


def tail(
    connection: Connection, pod: Request, container: str, count: int, *, previous: bool
) -> tuple[str, ...]:
    """Return the last lines of a container's output; nothing when it has none to be had."""
    query = {"container": container, "tailLines": str(count)}
    request = _log_request(pod, {**query, **({"previous": "true"} if previous else {})})
    try:
        with connection.stream(request, idle_seconds=_LONGEST_SILENCE) as pieces:
            return tuple(b"".join(pieces).decode("utf-8", "replace").splitlines())
    except (Forbidden, Unreachable):
        raise
    except EngineError:  # no such pod any more, or not started
        return ()


def _log_request(pod: Request, query: dict[str, str]) -> Request:
    return Request(
        verb="get",
        resource="pods/log",
        namespace=pod.namespace,
        name=pod.name,
        path=f"{pod.path}/log",
        query=query,
        accept="*/*",
    )


class ContainerLog:
    """The log of one run of a container.

    That a stream ends says little: the server ends it in the same way when it loses the kubelet.
    So a log is over when it was read to its end after the container had ended. What a node threw
    away before it was asked for (the kubelet rotates at 10 MB by default) can't be had.
    """

    def __init__(self, connection: Connection, pod: Request, container: str) -> None:
        self._connection = connection
        self._pod = pod
        self._container = container
        self._seen = Seen()
        self._pause = 0.0
        self._failing_since: float | None = None
        self._refused_since: float | None = None

    def pieces(self, *, follow: bool) -> Iterator[bytes]:
        """Yield the bytes; with `follow` until the container has ended or is gone.

        Raises EngineError when there is no such pod or the container has not started.
        """
        first = instance = self._started()
        again = False
        while True:
            try:
                complete = yield from self._read(follow=follow and not instance.ended)
            except EngineError as error:
                if again and follow and self._is_over(error, instance):
                    return
                self._endure(error)
                complete = False
            if complete and (instance.ended or not follow):
                return
            self._rest()
            again = True
            now = self._instance()
            if now is None or now.identity not in ("", first.identity):
                return
            instance = now

    def _read(self, *, follow: bool) -> Generator[bytes, None, bool]:
        """Yield what is new on one connection; return whether it ended as it should."""
        reading = Reading(self._seen)
        try:
            with self._connection.stream(
                self._request(follow), idle_seconds=_LONGEST_SILENCE
            ) as pieces:
                for piece in pieces:
                    new = reading.feed(piece)
                    if new:
                        self._pause, self._failing_since, self._refused_since = 0.0, None, None
                        yield new
                    if reading.alien:
                        break
        except Silent:
            return False
        if reading.alien:
            said = shortened(reading.alien.decode("utf-8", "replace"))
            raise EngineError(f"the log of {self._name} can't be read: {said}")
        return reading.whole

    def _request(self, follow: bool) -> Request:
        query = {"container": self._container, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if self._seen.since:
            query["sinceTime"] = self._seen.since
        return _log_request(self._pod, query)

    def _is_over(self, error: EngineError, instance: _Instance) -> bool:
        """Return whether there is no more to be had, rather than something wrong."""
        return isinstance(error, Missing) or (
            instance.ended
            and self._seen.last != b""
            and not isinstance(error, (Passing, Forbidden))
        )

    def _endure(self, error: EngineError) -> None:
        """Note a failure; raise it when it has lasted too long.

        A refusal counts from the first one: what was away before it may just have come back.
        """
        now = self._connection.time.now()
        self._failing_since = now if self._failing_since is None else self._failing_since
        if isinstance(error, Passing):
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        refused = 0.0 if self._refused_since is None else now - self._refused_since
        permanent = isinstance(error, (Forbidden, Missing))
        if permanent or refused >= _REFUSED_PATIENCE or now - self._failing_since >= PATIENCE:
            raise error

    def _rest(self) -> None:
        self._pause = min(max(_SHORTEST_PAUSE, self._pause * 2), _LONGEST_PAUSE)
        self._connection.time.sleep(self._pause)

    def _started(self) -> _Instance:
        pod = self._read_pod()
        if pod is None:
            raise EngineError(
                f"there is no pod {self._pod.name} in namespace {self._pod.namespace}"
            )
        status = self._status_in(pod)
        if status is None or not _identity(status):
            waiting = (status or {}).get("state", {}).get("waiting") or {}
            reason = f": {waiting['reason']}" if waiting.get("reason") else ""
            raise EngineError(f"{self._name} has not started{reason}")
        return _Instance(identity=_identity(status), ended=_ended(pod, status))

    def _instance(self) -> _Instance | None:
        pod = self._read_pod()
        if pod is None:
            return None
        status = self._status_in(pod) or {}
        return _Instance(identity=_identity(status), ended=_ended(pod, status))

    def _read_pod(self) -> Manifest | None:
        try:
            return self._connection.ask(self._pod)
        except Missing:
            return None

    def _status_in(self, pod: Manifest) -> Manifest | None:
        groups = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        statuses = [one for group in groups for one in pod.get("status", {}).get(group) or []]
        return next((one for one in statuses if one["name"] == self._container), None)

    @property
    def _name(self) -> str:
        return f"container {self._container} of pod {self._pod.name}"


def _identity(status: Manifest) -> str:
    """Return the ID of the run that the kubelet gives the log of; "" when none has started."""
    state, last = status.get("state") or {}, status.get("lastState") or {}
    if "waiting" in state:  # to be restarted: the log is still that of the last run
        return str((last.get("terminated") or {}).get("containerID") or "")
    return str(status.get("containerID") or "")


def _ended(pod: Manifest, status: Manifest) -> bool:
    state = status.get("state") or {}
    finished = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return finished or "terminated" in state or "waiting" in state
