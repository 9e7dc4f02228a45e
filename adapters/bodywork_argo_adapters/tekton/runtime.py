"""The connection to Tekton, through the Kubernetes API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone

from bodywork_argo import names
from bodywork_argo.backend import Compiled, LogPiece, RunRef, RunStatus
from bodywork_argo.cluster import POD, Cluster, ClusterFactory
from bodywork_argo.errors import AlreadyExists, EngineError, Forbidden
from bodywork_argo.feed import Feed
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.run_metadata import digest_of, read_tasks
from bodywork_argo_adapters.tekton.following import Seen, run_changes, taskrun_changes
from bodywork_argo_adapters.tekton.logs import Followers, read_all
from bodywork_argo_adapters.tekton.needs import PIPELINE_RUN, TASK_RUN
from bodywork_argo_adapters.tekton.pods import RUN_LABEL
from bodywork_argo_adapters.tekton.status import (
    STOP,
    TERMINATE,
    phase_of,
    run_status,
    time_of,
)
from bodywork_argo_adapters.waiting import waits_of

_LOOK_SECONDS = 2.0
"""Between two looks at pods that can't start."""
_END_SECONDS = 60.0


class TektonRuntime:
    """Runs as PipelineRuns of one namespace. Tekton itself removes no run; see `prune`."""

    attached = False
    kept_runs = 20

    def __init__(self, cluster: ClusterFactory) -> None:
        """Take what connects."""
        self._connect = cluster

    @property
    def _cluster(self) -> Cluster:
        return self._connect()

    def submit(self, compiled: Compiled) -> RunRef:
        """Create the PipelineRun; one of that name with the same documents is the same run."""
        (document,) = compiled.documents
        try:
            stored = self._cluster.create(document)
        except AlreadyExists as error:
            name = document["metadata"]["name"]
            there = self._cluster.get(PIPELINE_RUN, name, metadata_only=True)
            if there is None or digest_of(there) != digest_of(document):
                raise EngineError(
                    f"there is another run {name} in namespace {self._cluster.namespace}: "
                    "choose another --run-name"
                ) from error
            stored = there
        return self._ref(stored["metadata"]["name"])

    def status(self, ref: RunRef) -> RunStatus:
        """Return how the run stands now."""
        run = self._run(ref)
        taskruns = self._cluster.list(TASK_RUN, {RUN_LABEL: ref.name})
        return run_status(run, taskruns, self._ref(ref.name), self._waits(run, ref))

    def list(self, pipeline: str | None = None) -> tuple[RunStatus, ...]:
        """Return the runs in the namespace, newest first."""
        found = self._cluster.list(PIPELINE_RUN, _labels(pipeline))
        return tuple(self._outline(each) for each in _newest_first(found))

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        """Yield the status now and after each change; the last one is final."""
        last = self.status(ref)
        yield last
        if last.phase.final:
            return
        for status in self._changes(ref):
            if status.phase.final:
                break
            if status != last:
                yield status
            last = status
        # Read anew, since what the two watches told may have crossed.
        while not (last := self.status(ref)).phase.final:
            time.sleep(_LOOK_SECONDS / 4)
        yield last

    def logs(
        self, ref: RunRef, stage: str | None = None, *, follow: bool = False
    ) -> Iterator[LogPiece]:
        """Yield what the stages wrote; Tekton removes a stage's pod when it ends it."""
        tasks = read_tasks(self._run(ref)["metadata"].get("annotations") or {})
        stages = {task: name for task, name in tasks if stage is None or stage in name.split(", ")}
        if not stages:
            raise EngineError(f"run {ref.name} has no stage {stage}")
        if follow:
            yield from Followers(self._cluster, ref.name, stages).pieces()
        else:
            yield from read_all(self._cluster, ref.name, stages)

    def stop(self, ref: RunRef) -> None:
        """End the stages that run; Tekton goes on with the failure stage."""
        self._shut_down(ref, STOP)

    def terminate(self, ref: RunRef) -> None:
        """End everything at once."""
        self._shut_down(ref, TERMINATE)

    def delete(self, ref: RunRef) -> None:
        """Terminate, wait a minute at most for the end, and remove the run and its pods."""
        self.terminate(ref)
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline and not phase_of(self._run(ref)).final:
            time.sleep(0.5)
        self._cluster.delete(PIPELINE_RUN, ref.name)

    def prune(self, pipeline: str, keep: int) -> tuple[str, ...]:
        """Delete runs of a pipeline that have ended, but for its newest `keep` runs."""
        deleted = []
        found = self._cluster.list(PIPELINE_RUN, _labels(pipeline), metadata_only=True)
        for old in _newest_first(found)[keep:]:
            name = old["metadata"]["name"]
            run = self._cluster.get(PIPELINE_RUN, name)
            if run is not None and phase_of(run).final:
                self._cluster.delete(PIPELINE_RUN, name)
                deleted.append(name)
        return tuple(deleted)

    def _changes(self, ref: RunRef) -> Iterator[RunStatus]:
        """Yield the status at each change, told of as it comes."""
        run, taskruns = self._run(ref), dict[str, Manifest]()
        waits, looked = dict[str, str](), 0.0
        with Feed[Seen]() as feed:
            feed.read(run_changes(self._cluster, ref.name))
            feed.read(taskrun_changes(self._cluster, ref.name))
            while True:
                match feed.next(_LOOK_SECONDS):
                    case Seen(resource=resource, name=name, object=found) if resource == TASK_RUN:
                        taskruns.pop(name, None)
                        taskruns.update({name: found} if found else {})
                    case Seen(object=found):
                        if found is None:
                            raise self._unknown(ref)
                        run = found
                    case None:
                        pass
                if time.monotonic() - looked > _LOOK_SECONDS:
                    waits, looked = self._waits(run, ref), time.monotonic()
                yield run_status(run, taskruns.values(), self._ref(ref.name), waits)

    def _shut_down(self, ref: RunRef, how: str) -> None:
        if phase_of(self._run(ref)).final:
            return
        if self._cluster.patch(PIPELINE_RUN, ref.name, {"spec": {"status": how}}) is None:
            raise self._unknown(ref)

    def _run(self, ref: RunRef) -> Manifest:
        found = self._cluster.get(PIPELINE_RUN, ref.name)
        if found is None or _label(found, names.MANAGED_BY_LABEL) != names.MANAGED_BY:
            raise self._unknown(ref)
        return found

    def _unknown(self, ref: RunRef) -> EngineError:
        return EngineError(
            f"there is no run {ref.name} of ours in namespace {self._cluster.namespace}"
        )

    def _waits(self, run: Manifest, ref: RunRef) -> dict[str, str]:
        """Return by task why its pod can't start."""
        if phase_of(run).final:
            return {}
        pending = {"status.phase": "Pending"}
        try:
            pods = self._cluster.list(POD, {RUN_LABEL: ref.name}, fields=pending)
        except Forbidden:  # without pods a run is still followed, only less is known
            return {}
        return waits_of(pods, datetime.now(timezone.utc))

    def _outline(self, run: Manifest) -> RunStatus:
        return RunStatus(
            ref=self._ref(run["metadata"]["name"]),
            pipeline=(run["metadata"].get("annotations") or {}).get(names.PIPELINE_ANNOTATION, ""),
            phase=phase_of(run),
            commit=_label(run, names.COMMIT_LABEL) or None,
            started=time_of(run["metadata"]["creationTimestamp"]),
        )

    def _ref(self, name: str) -> RunRef:
        return RunRef(backend="tekton", name=name, namespace=self._cluster.namespace)


def _labels(pipeline: str | None) -> dict[str, str]:
    ours = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
    return {**ours, names.PIPELINE_LABEL: names.dns_label(pipeline)} if pipeline else ours


def _newest_first(found: tuple[Manifest, ...]) -> list[Manifest]:
    return sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]), reverse=True)


def _label(found: Manifest, name: str) -> str:
    return str((found["metadata"].get("labels") or {}).get(name, ""))
