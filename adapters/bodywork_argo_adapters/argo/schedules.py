"""Schedules as CronWorkflows of one namespace."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone

from bodywork_argo import names
from bodywork_argo.backend import Compiled, RunRef
from bodywork_argo.cluster import Cluster, ClusterFactory, Resource
from bodywork_argo.errors import AlreadyExists, EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo.scheduling import Applied, ScheduleStatus
from bodywork_argo_adapters.argo.cron import (
    CRON_LABEL,
    KIND,
    SCHEDULED_ANNOTATION,
    as_run_of,
    instance_of,
    read_status,
    workflow_of,
)
from bodywork_argo_adapters.argo.needs import API_VERSION
from bodywork_argo_adapters.argo.watching import WORKFLOW
from bodywork_argo_adapters.argo.workflows import INSTANCE_LABEL
from bodywork_argo_adapters.run_metadata import digest_of

CRON_WORKFLOW = Resource(api_version=API_VERSION, kind=KIND)


def _now() -> datetime:
    return datetime.now(timezone.utc)


class ArgoSchedules:
    """Schedules as CronWorkflows; connects when it is used."""

    def __init__(
        self, connect: ClusterFactory, *, instance: str = "", now: Callable[[], datetime] = _now
    ) -> None:
        """Take what connects, and what tells the time of runs that somebody starts.

        `instance` is the controller that is to take up new ones, where a cluster has several.
        """
        self._connect = connect
        self._instance = instance
        self._now = now

    @property
    def _cluster(self) -> Cluster:
        return self._connect()

    def apply(self, compiled: Compiled) -> Applied:
        """Create or update the CronWorkflow; one that was suspended stays so."""
        document = self._for_instance(compiled.documents[0])
        name = document["metadata"]["name"]
        there = self._cluster.get(CRON_WORKFLOW, name)
        if there is not None and not _ours(there):
            raise EngineError(
                f"namespace {self._cluster.namespace} has a CronWorkflow {name} that is not of "
                "bodywork-argo: choose another name"
            )
        if there is not None and there["spec"].get("suspend"):
            document = {**document, "spec": {**document["spec"], "suspend": True}}
        stored = self._cluster.apply(document)
        if there is None:
            return Applied.CREATED
        return Applied.UNCHANGED if _wanted(there) == _wanted(stored) else Applied.UPDATED

    def list(self) -> tuple[ScheduleStatus, ...]:
        """Return all schedules of ours in the order of their names."""
        found = self._cluster.list(CRON_WORKFLOW, {names.MANAGED_BY_LABEL: names.MANAGED_BY})
        return tuple(
            read_status(each) for each in sorted(found, key=lambda each: each["metadata"]["name"])
        )

    def get(self, name: str) -> ScheduleStatus:
        """Return one schedule."""
        return read_status(self._found(name))

    def suspend(self, name: str, suspended: bool) -> bool:
        """Suspend or resume; return whether that changed anything."""
        there = self._found(name)
        if bool(there["spec"].get("suspend")) is suspended:
            return False
        self._cluster.patch(CRON_WORKFLOW, name, {"spec": {"suspend": suspended}})
        return True

    def run_now(self, name: str) -> RunRef:
        """Create the Workflow that the controller would create now."""
        there, now = self._found(name), self._now()
        run = f"{name}-{int(now.timestamp())}"
        try:
            self._cluster.create(workflow_of(there, run, f"{now:%Y-%m-%dT%H:%M:%SZ}"))
        except AlreadyExists as error:
            raise EngineError(f"run {run} has started in this very second") from error
        return self._ref(run)

    def runs(self, name: str) -> tuple[RunRef, ...]:
        """Return the runs of a schedule that are still kept, newest first."""
        found = self._cluster.list(WORKFLOW, {CRON_LABEL: name}, metadata_only=True)
        newest = sorted(found, key=_age, reverse=True)
        return tuple(self._ref(each["metadata"]["name"]) for each in newest)

    def submit_in_place(self, compiled: Compiled, name: str) -> RunRef:
        """Create a Workflow that belongs to the CronWorkflow whose Workflow `name` is."""
        (document,) = compiled.documents
        scheduled = self._cluster.get(WORKFLOW, name, metadata_only=True)
        owners = ((scheduled or {}).get("metadata") or {}).get("ownerReferences") or ()
        schedule = next((each for each in owners if each["kind"] == KIND), None)
        if scheduled is None or schedule is None:
            raise EngineError(f"run {name} is not of a schedule")
        metadata = document["metadata"]
        time = (scheduled["metadata"].get("annotations") or {}).get(SCHEDULED_ANNOTATION, "")
        labels = {**metadata["labels"], **instance_of(scheduled["metadata"])}
        owned = as_run_of(schedule, labels, metadata["annotations"], time)
        with suppress(AlreadyExists):  # by an earlier attempt: its name says whose place it takes
            self._cluster.create({**document, "metadata": {**metadata, **owned}})
        return self._ref(metadata["name"])

    def delete(self, name: str) -> None:
        """Delete the CronWorkflow, and with it the Workflows that it owns."""
        self._found(name)
        self._cluster.delete(CRON_WORKFLOW, name)

    def _for_instance(self, document: Manifest) -> Manifest:
        if not self._instance:
            return document
        metadata = document["metadata"]
        labels = {**metadata["labels"], INSTANCE_LABEL: self._instance}
        return {**document, "metadata": {**metadata, "labels": labels}}

    def _found(self, name: str) -> Manifest:
        found = self._cluster.get(CRON_WORKFLOW, name)
        if found is None or not _ours(found):
            raise EngineError(
                f"there is no schedule {name} of ours in namespace {self._cluster.namespace}"
            )
        return found

    def _ref(self, name: str) -> RunRef:
        return RunRef(backend="argo", name=name, namespace=self._cluster.namespace)


def _ours(found: Manifest) -> bool:
    labels = found["metadata"].get("labels") or {}
    return bool(labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY)


def _wanted(found: Manifest) -> tuple[Manifest, Manifest, str]:
    """Return what tells whether applying has changed anything."""
    return found["spec"], found["metadata"].get("labels") or {}, digest_of(found)


def _age(found: Manifest) -> tuple[str, str]:
    return found["metadata"]["creationTimestamp"], found["metadata"]["name"]
