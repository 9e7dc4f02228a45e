"""Runs as Workflows of Argo, wherever these are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from typing_extensions import assert_never

from bodywork_argo import names
from bodywork_argo.backend import Compiled, LogPiece, RunRef, RunStatus
from bodywork_argo.errors import AlreadyExists, EngineError
from bodywork_argo.feed import Feed
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.argo.metadata import read_tasks
from bodywork_argo_adapters.argo.server import ArgoServer
from bodywork_argo_adapters.argo.status import phase_of, run_phase, run_status, time_of
from bodywork_argo_adapters.argo.workflows import Shutdown, Workflows
from bodywork_argo_adapters.waiting import waits_of

PHASE_LABEL = "workflows.argoproj.io/phase"
_END_SECONDS = 60.0
_BETWEEN_SECONDS = 0.5
"""Between two statuses: making one of hundreds of stages takes a while."""
_AGEING_SECONDS = 5.0
"""Without news: some reasons for waiting are told by the time that has passed."""
_SILENCE_SECONDS = 60.0


class ArgoRuntime:
    """Runs as Workflows of one namespace."""

    attached = False

    def __init__(self, connect: Callable[[], Workflows], server: ArgoServer | None = None) -> None:
        """Take what connects, and the server in whose pages people see their runs."""
        self._connect = connect
        self._server = server

    @property
    def _workflows(self) -> Workflows:
        return self._connect()

    def submit(self, compiled: Compiled) -> RunRef:
        """Create the Workflow; one of that name with the same documents is the same run."""
        (document,) = compiled.documents
        try:
            stored = self._workflows.create(document)
        except AlreadyExists as error:
            name = document["metadata"]["name"]
            there = self._workflows.metadata(name)
            if there is None or _digest(there) != _digest(document):
                raise EngineError(
                    f"there is another run {name} in namespace {self._workflows.namespace}: "
                    "choose another --run-name"
                ) from error
            stored = there
        return self._ref(stored["metadata"]["name"])

    def status(self, ref: RunRef) -> RunStatus:
        """Return how the run stands now."""
        return self._status(self._workflow(ref))

    def list(self, pipeline: str | None = None) -> tuple[RunStatus, ...]:
        """Return the runs in the namespace, newest first; their stages are never fetched."""
        labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
        if pipeline is not None:
            labels[names.PIPELINE_LABEL] = names.dns_label(pipeline)
        found = self._workflows.list(labels)
        runs = sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))
        return tuple(self._outline(each) for each in reversed(runs))

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        """Yield the status now and after each change; the last one is final."""
        workflow = self._workflow(ref)
        status = self._status(workflow)
        yield status
        if not status.phase.final:
            yield from self._following(ref, _Seen(workflow=workflow), status)

    def _following(self, ref: RunRef, seen: _Seen, last: RunStatus) -> Iterator[RunStatus]:
        """Yield what differs from the last status, not too often, and the final one at once."""
        told = asked = time.monotonic()
        with Feed[_Workflow | _Pods]() as feed:
            states = self._workflows.states(ref.name)
            feed.read(_Workflow(found=found) for found in states)
            pods = self._workflows.pod_states(ref.name)
            feed.read(_Pods(found=found) for found in pods)
            while not last.phase.final:
                due = told + (_BETWEEN_SECONDS if seen.news else _AGEING_SECONDS)
                item = feed.next(due - time.monotonic())
                if item is not None:
                    self._take(ref, seen, item)
                    asked = time.monotonic()
                elif time.monotonic() > asked + _SILENCE_SECONDS:
                    # One that went before its watch began is never told.
                    self._take(ref, seen, _Workflow(found=self._workflow(ref)))
                    asked = time.monotonic()
                if not seen.final and time.monotonic() < due:
                    continue
                status, told = self._told(seen), time.monotonic()
                if status != last:
                    last = status
                    yield status

    def _take(self, ref: RunRef, seen: _Seen, item: _Workflow | _Pods) -> None:
        seen.news = True
        match item:
            case _Workflow(found=found):
                if found is None:
                    raise self._unknown(ref)
                seen.workflow = found
            case _Pods(found=pods):
                seen.pods = pods
            case _ as unreachable:
                assert_never(unreachable)

    def _told(self, seen: _Seen) -> RunStatus:
        seen.news = False
        ref = self._ref(seen.workflow["metadata"]["name"])
        return run_status(seen.workflow, ref, _waits(seen.pods))

    def logs(
        self, ref: RunRef, stage: str | None = None, *, follow: bool = False
    ) -> Iterator[LogPiece]:
        """Yield what the stages wrote, without the lines that Argo's executor adds."""
        workflow = self._workflow(ref)
        stages = {
            task: name
            for task, name in read_tasks(workflow["metadata"].get("annotations") or {})
            if stage is None or stage in name.split(", ")
        }
        if not stages:
            raise EngineError(f"run {ref.name} has no stage {stage}")
        return self._workflows.written(workflow, stages, follow=follow)

    def stop(self, ref: RunRef) -> None:
        """End the stages that run; Argo runs the exit handler, and with it the failure stage."""
        self._shut_down(ref, "Stop")

    def terminate(self, ref: RunRef) -> None:
        """End everything at once."""
        self._shut_down(ref, "Terminate")

    def delete(self, ref: RunRef) -> None:
        """Terminate, wait a minute at most for the end, and remove the Workflow and its pods."""
        self.terminate(ref)
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline and not self._ended(ref):
            time.sleep(0.5)
        self._workflows.delete(ref.name)

    def _shut_down(self, ref: RunRef, how: Shutdown) -> None:
        if self._ended(ref):
            return
        try:
            there = self._workflows.shut_down(ref.name, how)
        except EngineError:
            if self._ended(ref):  # meanwhile, and the server refuses to stop it then
                return
            raise
        if not there:
            raise self._unknown(ref)

    def _workflow(self, ref: RunRef) -> Manifest:
        found = self._workflows.get(ref.name)
        if found is None or _label(found, names.MANAGED_BY_LABEL) != names.MANAGED_BY:
            raise self._unknown(ref)
        return found

    def _ended(self, ref: RunRef) -> bool:
        """Return whether nothing follows; costs less than a status, which looks at pods, too."""
        status = self._workflow(ref).get("status") or {}
        return phase_of(status.get("phase", "")).final

    def _unknown(self, ref: RunRef) -> EngineError:
        return EngineError(
            f"there is no run {ref.name} of ours in namespace {self._workflows.namespace}"
        )

    def _status(self, workflow: Manifest) -> RunStatus:
        name = workflow["metadata"]["name"]
        running = (workflow.get("status") or {}).get("phase") == "Running"
        waits = _waits(self._workflows.pods(name)) if running else {}
        return run_status(workflow, self._ref(name), waits)

    def _outline(self, found: Manifest) -> RunStatus:
        metadata = found["metadata"]
        return RunStatus(
            ref=self._ref(metadata["name"]),
            pipeline=(metadata.get("annotations") or {}).get(names.PIPELINE_ANNOTATION, ""),
            phase=run_phase(_label(found, PHASE_LABEL), shutdown=False),
            commit=_label(found, names.COMMIT_LABEL) or None,
            started=time_of(metadata["creationTimestamp"]),
        )

    def _ref(self, name: str) -> RunRef:
        namespace = self._workflows.namespace
        ref = RunRef(backend="argo", name=name, namespace=namespace)
        if self._server is None:
            return ref
        return replace(ref, where=self._server.page(namespace, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workflow:
    """A Workflow as it is now; None when it is gone."""

    found: Manifest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pods:
    """The pods of a run as they are now."""

    found: tuple[Manifest, ...]


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What is known of a run while it is watched."""

    workflow: Manifest
    pods: tuple[Manifest, ...] = ()
    news: bool = False
    """Whether anything came since the last status."""

    @property
    def final(self) -> bool:
        return phase_of((self.workflow.get("status") or {}).get("phase", "")).final


def _waits(pods: tuple[Manifest, ...]) -> dict[str, str]:
    return waits_of(pods, datetime.now(timezone.utc))


def _digest(document: Manifest) -> str:
    return str((document["metadata"].get("annotations") or {}).get(names.DIGEST_ANNOTATION, ""))


def _label(found: Manifest, name: str) -> str:
    return str((found["metadata"].get("labels") or {}).get(name, ""))
