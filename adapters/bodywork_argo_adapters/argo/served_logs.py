"""Logs as the Argo Server passes them on, which is line by line and not byte for byte.

It leaves out a carriage return before the end of a line, cuts what is longer than 1 MiB, writes
other encodings than UTF-8 as question marks, and does not tell whether the last line had an end
(Argo 4.0, ``util/logs/workflow-logger.go``).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from bodywork_argo import names
from bodywork_argo.backend import LogPiece
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.argo.exchanges import Exchanges
from bodywork_argo_adapters.argo.logs import ExecutorFilter
from bodywork_argo_adapters.argo.server_refusals import Passing
from bodywork_argo_adapters.argo.status import nodes_of, phase_of

_IDLE_SECONDS = 600.0
"""The server says nothing while modules don't; who keeps a dead connection waits for so long."""
_TRIES = 5
"""Connections in a row that may be lost without a new line."""
_PAUSE_SECONDS = 1.0
_NODE = re.compile(r"(.*?)(?:\((\d+)\))?")
_BEFORE_MAIN = ("fetch", "prepare")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Whose output a pod's is."""

    task: str
    attempt: int


class ServedLogs:
    """The logs of one run, each line once, across lost connections."""

    def __init__(
        self,
        exchanges: Exchanges,
        read: Callable[[], Manifest | None],
        workflow: Manifest,
        stages: Mapping[str, str],
    ) -> None:
        self._exchanges = exchanges
        self._read = read
        self._workflow = workflow
        self._stages = stages
        self._told: Counter[tuple[str, str]] = Counter()
        self._filters: dict[str, ExecutorFilter] = {}

    def pieces(self, *, follow: bool) -> Iterator[LogPiece]:
        """Yield what was written so far, stage by stage, or with `follow` as it comes."""
        if follow:
            one = next(iter(self._stages)) if len(self._stages) == 1 else None
            yield from self._output(one, "main", follow=True)
        for task in self._begun():
            if not follow:
                yield from self._output(task, "main")
            if self._silent(task):
                for container in _BEFORE_MAIN:
                    yield from self._output(task, container)

    def _output(
        self, task: str | None, container: str, *, follow: bool = False
    ) -> Iterator[LogPiece]:
        """Yield the output of one task's pods or of all, however many connections it takes."""
        query = {"logOptions.container": container}
        if follow:
            query["logOptions.follow"] = "true"
        if task is not None:
            query["selector"] = f"{names.STAGE_LABEL}={task}"
        lost = 0
        while True:
            before = self._told.total()
            try:
                yield from self._connection(query, container)
            except Passing:
                lost = 1 if self._told.total() > before else lost + 1
                if lost == _TRIES:
                    raise
            else:
                if not follow or self._ended():
                    break
            time.sleep(_PAUSE_SECONDS)
        yield from self._rests()

    def _connection(self, query: Mapping[str, str], container: str) -> Iterator[LogPiece]:
        """Yield what is new; the server begins with the first line each time."""
        namespace, name = (self._workflow["metadata"][key] for key in ("namespace", "name"))
        path = f"api/v1/workflows/{quote(namespace, safe='')}/{quote(name, safe='')}/log"
        what = f"get pods/log in namespace {namespace}"
        passed: Counter[str] = Counter()
        with self._exchanges.stream(what, path, query, idle_seconds=_IDLE_SECONDS) as entries:
            for entry in entries:
                pod = str(entry.get("podName", ""))
                passed[pod] += 1
                if passed[pod] <= self._told[container, pod]:
                    continue
                self._told[container, pod] += 1
                line = f"{entry.get('content', '')}\n".encode()
                yield from self._piece(pod, self._filter(pod).feed(line))

    def _filter(self, pod: str) -> ExecutorFilter:
        return self._filters.setdefault(pod, ExecutorFilter())

    def _rests(self) -> Iterator[LogPiece]:
        """Yield what the filters hold back."""
        filters, self._filters = self._filters, {}
        for pod, own in filters.items():
            yield from self._piece(pod, own.close())

    def _piece(self, pod: str, data: bytes) -> Iterator[LogPiece]:
        origin = self._origin(pod) if data else None
        if origin is not None and origin.task in self._stages:
            stage = self._stages[origin.task]
            yield LogPiece(stage=stage, attempt=origin.attempt, data=data)

    def _origin(self, pod: str) -> _Origin | None:
        """Return whose a pod is; its name ends as the identifier of its node."""
        ending = pod.rpartition("-")[2]
        known = dict(_origins(self._workflow))
        if ending not in known:
            self._renew()
            known = dict(_origins(self._workflow))
        return known.get(ending)

    def _begun(self) -> list[str]:
        """Return the tasks that have had pods, in order."""
        begun = {origin.task for _, origin in _origins(self._workflow)}
        return [task for task in self._stages if task in begun]

    def _silent(self, task: str) -> bool:
        """Return whether a pod of a task has failed before its module wrote anything."""
        spoken = {pod.rpartition("-")[2] for container, pod in self._told if container == "main"}
        return any(
            origin.task == task and ending not in spoken
            for ending, origin in _origins(self._workflow, failed=True)
        )

    def _ended(self) -> bool:
        return not self._renew() or phase_of(self._phase()).final

    def _phase(self) -> str:
        return str((self._workflow.get("status") or {}).get("phase", ""))

    def _renew(self) -> bool:
        """Read the Workflow again; return whether it is still there."""
        found = self._read()
        self._workflow = found or self._workflow
        return found is not None


def _origins(workflow: Manifest, *, failed: bool = False) -> Iterator[tuple[str, _Origin]]:
    """Yield how the names of pods end, and whose they are; of those that `failed` alone."""
    for node in _pods(nodes_of(workflow).values()):
        if failed and node.get("phase") not in ("Failed", "Error"):
            continue
        match = _NODE.fullmatch(str(node.get("displayName", "")))
        if match is not None:
            attempt = int(match[2]) + 1 if match[2] else 1
            yield str(node["id"]).rpartition("-")[2], _Origin(task=match[1], attempt=attempt)


def _pods(nodes: Iterable[Manifest]) -> Iterator[Manifest]:
    return (node for node in nodes if node.get("type") == "Pod")
