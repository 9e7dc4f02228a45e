"""The CronWorkflow of a plan, and reading one back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bodywork_argo import names
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan
from bodywork_argo.scheduling import Concurrency, Schedule, ScheduleStatus
from bodywork_argo_adapters.argo.needs import API_VERSION
from bodywork_argo_adapters.argo.status import time_of
from bodywork_argo_adapters.argo.workflow import to_document
from bodywork_argo_adapters.argo.workflows import INSTANCE_LABEL
from bodywork_argo_adapters.run_metadata import sealed

KIND = "CronWorkflow"
CRON_LABEL = "workflows.argoproj.io/cron-workflow"
SCHEDULED_ANNOTATION = "workflows.argoproj.io/scheduled-time"
_DEFAULT_ZONE = "UTC"


def to_cron_document(plan: Plan, schedule: Schedule, version: str) -> Manifest:
    """Return the CronWorkflow that starts runs of a plan which is made for a schedule."""
    workflow = to_document(plan, None, version)
    metadata = workflow["metadata"]
    labels = metadata["labels"]
    annotations = {
        key: value
        for key, value in metadata["annotations"].items()
        if key != names.DIGEST_ANNOTATION
    }
    deadline = schedule.starting_deadline_seconds
    document: Manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": schedule.name,
            **({"namespace": plan.namespace} if plan.namespace else {}),
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "schedules": list(schedule.expressions),
            "timezone": schedule.timezone,
            "suspend": False,
            "concurrencyPolicy": schedule.concurrency.value,
            **({} if deadline is None else {"startingDeadlineSeconds": deadline}),
            "successfulJobsHistoryLimit": schedule.history,
            "failedJobsHistoryLimit": schedule.history,
            # The controller gives them to each Workflow; by them our commands find its stages.
            "workflowMetadata": {"labels": labels, "annotations": annotations},
            "workflowSpec": workflow["spec"],
        },
    }
    # Whether it is suspended is no part of what its digest is of: `apply` leaves that as it is.
    document = sealed(document)
    return {**document, "spec": {**document["spec"], "suspend": schedule.suspended}}


def read_status(found: Manifest) -> ScheduleStatus:
    """Return how a stored CronWorkflow stands."""
    metadata, spec, status = found["metadata"], found["spec"], found.get("status") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    return ScheduleStatus(
        schedule=Schedule(
            name=metadata["name"],
            expressions=tuple(spec.get("schedules") or ()),
            timezone=spec.get("timezone") or _DEFAULT_ZONE,
            concurrency=Concurrency(spec.get("concurrencyPolicy") or "Allow"),
            starting_deadline_seconds=spec.get("startingDeadlineSeconds"),
            history=spec.get("successfulJobsHistoryLimit", 3),
            suspended=bool(spec.get("suspend")),
        ),
        pipeline=annotations.get(names.PIPELINE_ANNOTATION, ""),
        namespace=metadata.get("namespace", ""),
        repository=annotations.get(names.REPOSITORY_ANNOTATION, ""),
        ref=annotations.get(names.REF_ANNOTATION, ""),
        commit=labels.get(names.COMMIT_LABEL, ""),
        since=_since(metadata),
        last_run=time_of(status.get("lastScheduledTime")),
        active=tuple(each["name"] for each in status.get("active") or ()),
        problem=_problem(status),
    )


def workflow_of(found: Manifest, name: str, scheduled: str) -> Manifest:
    """Return the Workflow that the controller would create of a CronWorkflow for a time.

    `scheduled` is the time by RFC 3339.
    """
    spec, metadata = found["spec"], found["metadata"]
    given: Mapping[str, Any] = spec.get("workflowMetadata") or {}
    return {
        "apiVersion": API_VERSION,
        "kind": "Workflow",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            **as_run_of(
                metadata,
                {**(given.get("labels") or {}), **instance_of(metadata)},
                given.get("annotations") or {},
                scheduled,
            ),
        },
        "spec": spec["workflowSpec"],
    }


def instance_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the label of the controller that an object is for, where a cluster has several."""
    instance = (metadata.get("labels") or {}).get(INSTANCE_LABEL)
    return {INSTANCE_LABEL: instance} if instance else {}


def as_run_of(
    schedule: Mapping[str, Any],
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    scheduled: str,
) -> Manifest:
    """Return metadata that make a Workflow a run of the CronWorkflow with the metadata `schedule`.

    By them the controller counts it among those that go on, and ends and removes it when it should.
    """
    # The controller also sets blockOwnerDeletion. Clusters that guard it ask for the right to
    # change the schedule's finalizers, and nobody waits for runs when they delete a schedule.
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": schedule["name"],
        "uid": schedule["uid"],
        "controller": True,
    }
    return {
        "labels": {**labels, CRON_LABEL: schedule["name"]},
        "annotations": {**annotations, SCHEDULED_ANNOTATION: scheduled},
        "ownerReferences": [owner],
    }


def _since(metadata: Mapping[str, Any]) -> datetime | None:
    """Return when we last wrote the object; the controller notes in it what it does, too."""
    times = [
        str(each.get("time", ""))
        for each in metadata.get("managedFields") or ()
        if each.get("manager") == names.MANAGED_BY
    ]
    return time_of(max([metadata.get("creationTimestamp") or "", *times]))


def _problem(status: Mapping[str, Any]) -> str:
    """Return what the controller says of a schedule that it can't carry out."""
    told = [
        str(each.get("message", ""))
        for each in status.get("conditions") or ()
        if each.get("type") in ("SpecError", "SubmissionError") and each.get("status") == "True"
    ]
    if status.get("phase") == "Stopped":
        told.append("its stopping condition is met")
    return "; ".join(told)
