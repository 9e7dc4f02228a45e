"""The Workflow document of a plan."""

from __future__ import annotations

from typing import Any

from hera.workflows import models as m
from typing_extensions import assert_never

from bodywork_argo.manifests import Manifest
from bodywork_argo.names import free_name
from bodywork_argo.packed_runner import RUNNER_ANNOTATION, runner_text
from bodywork_argo.plan import (
    BatchTask,
    Parameter,
    Pinned,
    Plan,
    ResolvedAtRun,
)
from bodywork_argo_adapters.argo.dag import Call, dag_templates
from bodywork_argo_adapters.argo.failure import exit_templates
from bodywork_argo_adapters.argo.first_task import find_commit_template, found_template
from bodywork_argo_adapters.argo.metadata import (
    pod_labels,
    run_metadata,
    sealed,
)
from bodywork_argo_adapters.argo.needs import API_VERSION
from bodywork_argo_adapters.argo.pods import run_volumes
from bodywork_argo_adapters.argo.release import release_templates
from bodywork_argo_adapters.argo.templates import stage_templates
from bodywork_argo_adapters.releases import decides_at_end, names_by_step, release_tasks

_DAY = 24 * 3600
_KEPT_AFTER_SUCCESS, _KEPT_AFTER_FAILURE = _DAY, 7 * _DAY
_PODS_KEPT = "1h"
_FIRST = ("apiVersion", "kind", "name", "image", "template", "dependencies", "when", "metadata")
_LAST = ("initContainers", "container", "podSpecPatch", "templates", "volumes", "podMetadata")
_AS_GIVEN = frozenset({"annotations", "labels", "limits", "nodeSelector", "requests"})


def to_document(plan: Plan, run_name: str | None, version: str) -> Manifest:
    """Return the Workflow of a plan that `check` has no errors for."""
    workflow = m.Workflow(
        api_version=API_VERSION,
        kind="Workflow",
        metadata=m.ObjectMeta(**run_metadata(plan, run_name, version)),
        spec=_spec(plan, version),
    )
    data = workflow.model_dump(mode="json", by_alias=True, exclude_none=True)
    return sealed(_in_reading_order(data))


def _spec(plan: Plan, version: str) -> m.WorkflowSpec:
    run, accounts = plan.run, plan.accounts
    templates, on_exit = _templates(plan, version)
    return m.WorkflowSpec(
        arguments=_arguments(plan),
        entrypoint=templates[0].name,
        on_exit=on_exit,
        service_account_name=accounts.stage,
        **_executor(accounts.executor),
        image_pull_secrets=_pull_secrets(plan) or None,
        synchronization=_exclusion(plan),
        parallelism=run.parallelism or None,
        active_deadline_seconds=run.run_timeout_seconds or None,
        ttl_strategy=_kept(run.ttl_seconds, scheduled=plan.scheduled),
        pod_gc=m.PodGC(strategy="OnWorkflowSuccess", delete_delay_duration=_PODS_KEPT),
        templates=templates,
        volumes=run_volumes(),
        pod_metadata=m.Metadata(
            labels=pod_labels(plan), annotations={RUNNER_ANNOTATION: runner_text()}
        ),
    )


def _templates(plan: Plan, version: str) -> tuple[list[m.Template], str | None]:
    """Return all templates, the entrypoint first, and the name of the exit handler."""
    releases = release_tasks(plan)
    taken = {task.name for task in plan.all_tasks()} | {each.name for each in releases}
    batch = [task for task in plan.tasks() if isinstance(task, BatchTask)]
    stages = stage_templates(plan, batch, taken)
    calls = {**stages.calls, **{each.name: Call(template=each.name) for each in releases}}
    dags = dag_templates(names_by_step(plan), calls, taken)
    first: list[m.Template] = []
    if isinstance(plan.revision, ResolvedAtRun):
        taken |= {str(template.name) for template in dags}
        first = [find_commit_template(plan, version)]
        dags = [found_template(plan, free_name("scheduled", taken), str(dags[0].name)), *dags]
    templates = [*dags, *first, *stages.templates, *release_templates(plan, releases, version)]
    handler = free_name("on-exit" if decides_at_end(plan) else "on-failure", taken)
    others = [str(template.name) for template in dags]
    at_end = exit_templates(plan, handler, others, version)
    return [*templates, *at_end], handler if at_end else None


def _arguments(plan: Plan) -> m.Arguments | None:
    match plan.revision:
        case Pinned() | ResolvedAtRun():
            return None
        case Parameter():
            repository = m.Parameter(name="repository", value=plan.source.repository)
            return m.Arguments(parameters=[repository, m.Parameter(name="commit")])
        case _ as unreachable:
            assert_never(unreachable)


def _executor(account: str | None) -> dict[str, Any]:
    """Return the fields that leave the module's container without a token of the API."""
    if account is None:
        return {}
    return {
        "automount_service_account_token": False,
        "executor": m.ExecutorConfig(service_account_name=account),
    }


def _pull_secrets(plan: Plan) -> list[m.LocalObjectReference]:
    """Return those of all stages: Argo has them for the whole run, and the kubelet tries each."""
    names = [name for task in plan.all_tasks() for name in task.pod.image_pull_secrets]
    return [m.LocalObjectReference(name=name) for name in dict.fromkeys(names)]


def _exclusion(plan: Plan) -> m.Synchronization | None:
    if not plan.exclusive:
        return None
    return m.Synchronization(mutexes=[m.Mutex(name=f"bodywork-argo-{plan.name}")])


def _kept(seconds: int | None, *, scheduled: bool) -> m.TTLStrategy | None:
    if seconds is not None:
        return m.TTLStrategy(seconds_after_completion=seconds)
    if scheduled:  # a schedule keeps a number of its runs
        return None
    return m.TTLStrategy(
        seconds_after_success=_KEPT_AFTER_SUCCESS, seconds_after_failure=_KEPT_AFTER_FAILURE
    )


def _in_reading_order(value: Any) -> Any:
    """Return the same data with the keys as people write them: names first, what is long last."""
    if isinstance(value, list):
        return [_in_reading_order(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: value[key] if key in _AS_GIVEN else _in_reading_order(value[key])
        for key in sorted(value, key=_rank)
    }


def _rank(key: str) -> int:
    if key in _FIRST:
        return _FIRST.index(key)
    return len(_FIRST) + (1 + _LAST.index(key) if key in _LAST else 0)
