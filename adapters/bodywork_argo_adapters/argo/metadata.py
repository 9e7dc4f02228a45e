"""Labels and annotations of a Workflow: those of all runs, and what Argo's pages show."""

from __future__ import annotations

import re
from typing import Any

from typing_extensions import assert_never

from bodywork_argo import names
from bodywork_argo.plan import Parameter, Pinned, Plan, ResolvedAtRun, Source
from bodywork_argo_adapters.argo.links import commit_page
from bodywork_argo_adapters.run_metadata import (
    FAILURE_TASK_ANNOTATION,
    read_tasks,
    run_annotations,
    run_labels,
    run_names,
    safe_json,
    sealed,
)

__all__ = [
    "FAILURE_TASK_ANNOTATION",
    "commit_text",
    "pod_labels",
    "read_tasks",
    "repository_text",
    "run_metadata",
    "safe_json",
    "sealed",
]


def run_metadata(plan: Plan, run_name: str | None, version: str) -> dict[str, Any]:
    """Return the metadata of a Workflow."""
    return {
        **run_names(plan, run_name),
        "labels": run_labels(plan, version),
        "annotations": _annotations(plan),
    }


def pod_labels(plan: Plan) -> dict[str, str]:
    """Return the labels that all pods of a run carry.

    Where the first of them finds the commit, those of the stages alone have it.
    """
    found = isinstance(plan.revision, ResolvedAtRun)
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PART_OF_LABEL: plan.name,
        names.PIPELINE_LABEL: plan.name,
        **({} if found else {names.COMMIT_LABEL: commit_text(plan.source)}),
    }


def repository_text(plan: Plan) -> str:
    """Return the repository's address, or what Argo puts in its place."""
    if isinstance(plan.revision, Parameter):
        return "{{workflow.parameters.repository}}"
    return plan.source.repository or ""


def commit_text(source: Source) -> str:
    """Return the commit, or what Argo puts in its place."""
    match source.revision:
        case Pinned(commit=commit):
            return commit
        case Parameter():
            return "{{workflow.parameters.commit}}"
        case ResolvedAtRun():
            return "{{workflow.outputs.parameters.commit}}"
        case _ as unreachable:
            assert_never(unreachable)


def _annotations(plan: Plan) -> dict[str, str]:
    values = {
        "workflows.argoproj.io/title": _plain(plan.pipeline),
        "workflows.argoproj.io/description": _description(plan.source),
    }
    return {**{key: value for key, value in values.items() if value}, **run_annotations(plan)}


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
