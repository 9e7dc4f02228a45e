"""The Workflow document of a plan."""

from __future__ import annotations

from importlib import resources
from typing import Any

from hera.workflows import models as m
from typing_extensions import assert_never

from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import (
    BatchStep,
    BatchTask,
    Parameter,
    Pinned,
    Plan,
    ResolvedAtRun,
    ServiceStep,
)
from bodywork_argo_adapters.argo.dag import dag_templates, free_name
from bodywork_argo_adapters.argo.failure import exit_templates
from bodywork_argo_adapters.argo.metadata import (
    RUNNER_ANNOTATION,
    pod_labels,
    run_metadata,
    sealed,
)
from bodywork_argo_adapters.argo.needs import API_VERSION
from bodywork_argo_adapters.argo.pods import run_volumes
from bodywork_argo_adapters.argo.templates import stage_templates

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
        spec=_spec(plan),
    )
    data = workflow.model_dump(mode="json", by_alias=True, exclude_none=True)
    return sealed(_in_reading_order(data))


def _spec(plan: Plan) -> m.WorkflowSpec:
    run, accounts = plan.run, plan.accounts
    templates, on_exit = _templates(plan)
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
        ttl_strategy=_kept(run.ttl_seconds),
        pod_gc=m.PodGC(strategy="OnWorkflowSuccess", delete_delay_duration=_PODS_KEPT),
        templates=templates,
        volumes=run_volumes(),
        pod_metadata=m.Metadata(
            labels=pod_labels(plan), annotations={RUNNER_ANNOTATION: runner_text()}
        ),
    )


def runner_text() -> str:
    """Return the program that runs inside each stage."""
    return resources.files("bodywork_argo").joinpath("runner.py").read_text(encoding="utf-8")


def batch_steps(plan: Plan) -> list[tuple[BatchTask, ...]]:
    """Return the tasks of each step; ValueError for services, which `check` refuses."""
    steps = []
    for step in plan.steps:
        match step:
            case BatchStep(tasks=tasks):
                steps.append(tasks)
            case ServiceStep():
                raise ValueError("services are not for Workflows")
            case _ as unreachable:
                assert_never(unreachable)
    return steps


def _templates(plan: Plan) -> tuple[list[m.Template], str | None]:
    """Return all templates, the entrypoint first, and the name of the exit handler."""
    steps = batch_steps(plan)
    taken = {task.name for task in plan.all_tasks()}
    stages = stage_templates(plan, [task for tasks in steps for task in tasks], taken)
    dags = dag_templates(steps, stages.calls, taken)
    templates = [*dags, *stages.templates]
    if plan.on_failure is None:
        return templates, None
    handler = free_name("on-failure", taken)
    others = [str(template.name) for template in dags]
    templates += exit_templates(plan, plan.on_failure, handler, others)
    return templates, handler


def _arguments(plan: Plan) -> m.Arguments | None:
    match plan.revision:
        case Pinned():
            return None
        case Parameter() | ResolvedAtRun():
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


def _kept(seconds: int | None) -> m.TTLStrategy:
    if seconds is not None:
        return m.TTLStrategy(seconds_after_completion=seconds)
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
