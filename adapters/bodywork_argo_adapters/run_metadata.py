"""Labels and annotations of runs on clusters: how a run is found again, whatever its engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bodywork_argo import names
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import BatchStep, BatchTask, Pinned, Plan, ResolvedAtRun
from bodywork_argo_adapters.first_task import first_task_name
from bodywork_argo_adapters.releases import ReleaseTask, release_tasks

TASKS_ANNOTATION = "bodywork-argo/tasks"
"""JSON list of all tasks in order, the failure task last: its name, or [name, stage] where the
author called the stage otherwise. One task releases all services of a step."""
FAILURE_TASK_ANNOTATION = "bodywork-argo/failure-task"
"""Which of them is the failure task, if there is one."""

_GENERATED = 5
"""Characters that Kubernetes appends to a generateName."""


def run_names(plan: Plan, run_name: str | None) -> dict[str, str]:
    """Return a run's name, or what it begins with, and its namespace.

    The name is the value of a label of each pod.
    """
    room = names.LABEL_LIMIT - _GENERATED - 1
    name = {"generateName": f"{names.dns_label(plan.name, room)}-"}
    return {
        **({"name": run_name} if run_name else name),
        **({"namespace": plan.namespace} if plan.namespace else {}),
    }


def run_labels(plan: Plan, version: str) -> dict[str, str]:
    """Return the labels of a run."""
    ref, user = plan.source.ref, plan.submitted_by
    commit = plan.source.revision.commit if isinstance(plan.source.revision, Pinned) else ""
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PART_OF_LABEL: plan.name,
        names.PIPELINE_LABEL: plan.name,
        **({names.COMMIT_LABEL: names.label_value(commit)} if commit else {}),
        **({names.BRANCH_LABEL: names.label_value(ref)} if ref else {}),
        names.VERSION_LABEL: names.label_value(version),
        **({names.SUBMITTED_BY_LABEL: names.label_value(user)} if user else {}),
    }


def run_annotations(plan: Plan) -> dict[str, str]:
    """Return the annotations of a run that every engine's runs have."""
    source = plan.source
    values = {
        names.PIPELINE_ANNOTATION: plan.pipeline,
        names.REPOSITORY_ANNOTATION: source.repository,
        names.REF_ANNOTATION: source.ref,
        names.DIRECTORY_ANNOTATION: source.directory,
        TASKS_ANNOTATION: safe_json(_task_entries(plan)),
        FAILURE_TASK_ANNOTATION: plan.on_failure.name if plan.on_failure else None,
    }
    return {key: value for key, value in values.items() if value}


def read_tasks(annotations: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return (task, stage) of all tasks in order; nothing when the annotation is missing.

    >>> read_tasks({"bodywork-argo/tasks": '["prepare",["stage-2","stage_2"]]'})
    (('prepare', 'prepare'), ('stage-2', 'stage_2'))
    """
    entries = json.loads(annotations.get(TASKS_ANNOTATION, "[]"))
    return tuple((each, each) if isinstance(each, str) else (each[0], each[1]) for each in entries)


def safe_json(items: Iterable[Any]) -> str:
    """Return the JSON list of texts and lists of texts in a form that no engine substitutes in."""
    text = json.dumps(list(items), separators=(",", ":"))
    return text.replace("{", "\\u007b").replace("$", "\\u0024")


def sealed(document: Manifest) -> Manifest:
    """Return the document with the digest of itself among its annotations."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    metadata = document["metadata"]
    annotations = {**metadata["annotations"], names.DIGEST_ANNOTATION: digest}
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def digest_of(document: Manifest) -> str:
    """Return the digest that a document was sealed with."""
    return str((document["metadata"].get("annotations") or {}).get(names.DIGEST_ANNOTATION, ""))


def _task_entries(plan: Plan) -> Iterator[str | list[str]]:
    if isinstance(plan.revision, ResolvedAtRun):
        yield first_task_name(plan)
    releases = iter(release_tasks(plan))
    for step in plan.steps:
        tasks = step.tasks if isinstance(step, BatchStep) else (next(releases),)
        yield from map(_entry, tasks)
    if plan.on_failure is not None:
        yield _entry(plan.on_failure)


def _entry(task: BatchTask | ReleaseTask) -> str | list[str]:
    return task.name if task.name == task.stage else [task.name, task.stage]
