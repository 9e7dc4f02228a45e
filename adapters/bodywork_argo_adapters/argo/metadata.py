"""Labels and annotations: how a run is found again, and what people read about it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import assert_never

from bodywork_argo import names
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Parameter, Pinned, Plan, ResolvedAtRun, Source
from bodywork_argo_adapters.argo.links import commit_page

TASKS_ANNOTATION = "bodywork-argo/tasks"
"""JSON list of all tasks in order, the failure task last: its name, or [name, stage] where the
author called the stage otherwise."""
FAILURE_TASK_ANNOTATION = "bodywork-argo/failure-task"
"""Which of them is the failure task, if there is one."""
RUNNER_ANNOTATION = "bodywork-argo/runner.py"

_GENERATED = 5
"""Characters that Kubernetes appends to a generateName."""


def run_metadata(plan: Plan, run_name: str | None, version: str) -> dict[str, Any]:
    """Return the metadata of a Workflow; its name is the value of a label of each pod."""
    room = names.LABEL_LIMIT - _GENERATED - 1
    name = {"generateName": f"{names.dns_label(plan.name, room)}-"}
    return {
        **({"name": run_name} if run_name else name),
        **({"namespace": plan.namespace} if plan.namespace else {}),
        "labels": _labels(plan, version),
        "annotations": _annotations(plan),
    }


def pod_labels(plan: Plan) -> dict[str, str]:
    """Return the labels that all pods of a run carry."""
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PART_OF_LABEL: plan.name,
        names.PIPELINE_LABEL: plan.name,
        names.COMMIT_LABEL: commit_text(plan.source),
    }


def commit_text(source: Source) -> str:
    """Return the commit, or what Argo puts in its place."""
    match source.revision:
        case Pinned(commit=commit):
            return commit
        case Parameter() | ResolvedAtRun():
            return "{{workflow.parameters.commit}}"
        case _ as unreachable:
            assert_never(unreachable)


def sealed(document: Manifest) -> Manifest:
    """Return the document with the digest of itself among its annotations."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    metadata = document["metadata"]
    annotations = {**metadata["annotations"], names.DIGEST_ANNOTATION: digest}
    return {**document, "metadata": {**metadata, "annotations": annotations}}


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


def _labels(plan: Plan, version: str) -> dict[str, str]:
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


def _annotations(plan: Plan) -> dict[str, str]:
    source = plan.source
    values = {
        "workflows.argoproj.io/title": _plain(plan.pipeline),
        "workflows.argoproj.io/description": _description(source),
        names.PIPELINE_ANNOTATION: plan.pipeline,
        names.REPOSITORY_ANNOTATION: source.repository,
        names.REF_ANNOTATION: source.ref,
        names.DIRECTORY_ANNOTATION: source.directory,
        TASKS_ANNOTATION: safe_json(_task_entries(plan)),
        FAILURE_TASK_ANNOTATION: plan.on_failure.name if plan.on_failure else None,
    }
    return {key: value for key, value in values.items() if value}


def _task_entries(plan: Plan) -> Iterable[str | list[str]]:
    for task in plan.all_tasks():
        yield task.name if task.name == task.stage else [task.name, task.stage]


def _description(source: Source) -> str:
    """Return Markdown of one line, as Argo's pages show it."""
    if not isinstance(source.revision, Pinned) or source.repository is None:
        return ""
    commit = source.revision.commit
    page = commit_page(source.repository, commit)
    shown = f"[{commit[:7]}]({page})" if page else commit[:7]
    of_ref = f" of {_plain(source.ref)}" if source.ref else ""
    return f"Commit {shown}{of_ref} in {_plain(source.repository)}"


def _plain(text: str) -> str:
    """Return text without what Markdown, HTML or Argo would take for its own."""
    return re.sub(r"[^A-Za-z0-9 .,:/@+-]+", "-", text)
