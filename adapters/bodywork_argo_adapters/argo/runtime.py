"""The connection to Argo Workflows, through the Kubernetes API."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from bodywork_argo import names
from bodywork_argo.backend import Compiled, LogPiece, RunRef, RunStatus
from bodywork_argo.cluster import POD, Cluster, ClusterFactory, Resource
from bodywork_argo.errors import AlreadyExists, EngineError, Forbidden
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.argo.logs import WORKFLOW_LABEL, Followers, read, readable
from bodywork_argo_adapters.argo.metadata import read_tasks
from bodywork_argo_adapters.argo.status import phase_of, run_phase, run_status, time_of
from bodywork_argo_adapters.argo.waiting import waits_of

WORKFLOW = Resource(api_version="argoproj.io/v1alpha1", kind="Workflow")
PHASE_LABEL = "workflows.argoproj.io/phase"
_WATCH_SECONDS = 2.0
_END_SECONDS = 60.0


class ArgoRuntime:
    """Runs as Workflows of one namespace."""

    attached = False

    def __init__(self, cluster: ClusterFactory, environ: Mapping[str, str] | None = None) -> None:
        """Take what connects; `environ` may have ARGO_SERVER, where people see their runs."""
        self._connect = cluster
        self._environ = os.environ if environ is None else environ

    @property
    def _cluster(self) -> Cluster:
        return self._connect()

    def submit(self, compiled: Compiled) -> RunRef:
        """Create the Workflow; one of that name with the same documents is the same run."""
        (document,) = compiled.documents
        try:
            stored = self._cluster.create(document)
        except AlreadyExists as error:
            name = document["metadata"]["name"]
            there = self._cluster.get(WORKFLOW, name, metadata_only=True)
            if there is None or _digest(there) != _digest(document):
                raise EngineError(
                    f"there is another run {name} in namespace {self._cluster.namespace}: "
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
        found = self._cluster.list(WORKFLOW, labels, metadata_only=True)
        runs = sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))
        return tuple(self._outline(each) for each in reversed(runs))

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        """Yield the status now and after each change; the last one is final."""
        last: RunStatus | None = None
        while last is None or not last.phase.final:
            status = self.status(ref)
            if status != last:
                last = status
                yield status
            else:
                time.sleep(_WATCH_SECONDS / 2)

    def logs(
        self, ref: RunRef, stage: str | None = None, *, follow: bool = False
    ) -> Iterator[LogPiece]:
        """Yield what the stages wrote, without the lines that Argo's executor adds."""
        workflow = self._workflow(ref)
        stages = {
            task: name
            for task, name in read_tasks(workflow["metadata"].get("annotations") or {})
            if stage in (None, name)
        }
        if not stages:
            raise EngineError(f"run {ref.name} has no stage {stage}")
        if follow:
            followers = Followers(self._cluster, ref.name, stages)
            yield from followers.pieces(lambda: self._ended(ref))
            return
        place = {task: number for number, task in enumerate(stages)}
        found = [log for log in map(readable, self._pods(ref.name)) if log and log.task in place]
        for log in sorted(found, key=lambda each: (place[each.task], each.attempt)):
            yield from read(self._cluster, log, stages[log.task], follow=False)

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
        self._cluster.delete(WORKFLOW, ref.name)

    def _shut_down(self, ref: RunRef, how: str) -> None:
        if self._ended(ref):
            return
        if self._cluster.patch(WORKFLOW, ref.name, {"spec": {"shutdown": how}}) is None:
            raise self._unknown(ref)

    def _workflow(self, ref: RunRef) -> Manifest:
        found = self._cluster.get(WORKFLOW, ref.name)
        if found is None or _label(found, names.MANAGED_BY_LABEL) != names.MANAGED_BY:
            raise self._unknown(ref)
        return found

    def _ended(self, ref: RunRef) -> bool:
        """Return whether nothing follows; costs less than a status, which looks at pods, too."""
        status = self._workflow(ref).get("status") or {}
        return phase_of(status.get("phase", "")).final

    def _unknown(self, ref: RunRef) -> EngineError:
        return EngineError(
            f"there is no run {ref.name} of ours in namespace {self._cluster.namespace}"
        )

    def _status(self, workflow: Manifest) -> RunStatus:
        name = workflow["metadata"]["name"]
        running = (workflow.get("status") or {}).get("phase") == "Running"
        waits = waits_of(self._pods(name)) if running else {}
        return run_status(workflow, self._ref(name), waits)

    def _pods(self, run: str) -> tuple[Manifest, ...]:
        try:
            return self._cluster.list(POD, {WORKFLOW_LABEL: run})
        except Forbidden:  # without pods a run is still followed, only less is known
            return ()

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
        namespace = self._cluster.namespace
        ref = RunRef(backend="argo", name=name, namespace=namespace)
        server = self._environ.get("ARGO_SERVER")
        if not server:
            return ref
        scheme = "http" if self._environ.get("ARGO_SECURE") == "false" else "https"
        base = self._environ.get("ARGO_BASE_HREF", "").strip("/")
        path = f"{base}/workflows" if base else "workflows"
        return replace(ref, where=f"{scheme}://{server}/{path}/{namespace}/{name}")


def _digest(document: Manifest) -> str:
    return str((document["metadata"].get("annotations") or {}).get(names.DIGEST_ANNOTATION, ""))


def _label(found: Manifest, name: str) -> str:
    return str((found["metadata"].get("labels") or {}).get(name, ""))
