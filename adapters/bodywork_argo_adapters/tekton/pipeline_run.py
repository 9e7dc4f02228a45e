"""The PipelineRun document of a plan."""

from __future__ import annotations

import re

from typing_extensions import assert_never

from bodywork_argo.manifests import Manifest
from bodywork_argo.packed_runner import RUNNER_ANNOTATION, runner_text
from bodywork_argo.plan import BatchStep, BatchTask, Plan, ServiceStep
from bodywork_argo_adapters.releases import (
    decides_at_end,
    decision_name,
    names_by_step,
    release_tasks,
)
from bodywork_argo_adapters.run_metadata import (
    run_annotations,
    run_labels,
    run_names,
    sealed,
)
from bodywork_argo_adapters.tekton.failure import failure_task
from bodywork_argo_adapters.tekton.needs import API_VERSION
from bodywork_argo_adapters.tekton.order import join_task, verdict_of, waits
from bodywork_argo_adapters.tekton.pods import placement
from bodywork_argo_adapters.tekton.release import (
    decision_tasks,
    release_run_spec,
    release_task,
)
from bodywork_argo_adapters.tekton.tasks import stage_task


def to_document(plan: Plan, run_name: str | None, version: str) -> Manifest:
    """Return the PipelineRun of a plan that `check` has no errors for."""
    return sealed(
        {
            "apiVersion": API_VERSION,
            "kind": "PipelineRun",
            "metadata": {
                **run_names(plan, run_name),
                "labels": run_labels(plan, version),
                # Tekton gives a run's annotations to its TaskRuns, and those to the pods.
                "annotations": {**run_annotations(plan), RUNNER_ANNOTATION: runner_text()},
            },
            "spec": _spec(plan, version),
        }
    )


def _spec(plan: Plan, version: str) -> Manifest:
    verdict = verdict_of(names_by_step(plan))
    last = decision_tasks(plan, verdict, version)
    if plan.on_failure is not None:
        last.append(failure_task(plan, plan.on_failure, verdict))
    pipeline: Manifest = {
        "displayName": re.sub(r"[^A-Za-z0-9 .,:/@+-]+", "-", plan.pipeline),
        "tasks": _tasks(plan, version),
        **({"finally": last} if last else {}),
    }
    fields: Manifest = {
        "timeouts": _timeouts(plan),
        "taskRunTemplate": _for_all_tasks(plan),
        "taskRunSpecs": _for_single_tasks(plan),
        "pipelineSpec": pipeline,
    }
    return {key: value for key, value in fields.items() if value}


def _tasks(plan: Plan, version: str) -> list[Manifest]:
    releases = release_tasks(plan)
    taken = frozenset(task.name for task in (*plan.all_tasks(), *releases))
    order = waits(names_by_step(plan), taken)
    left = iter(releases)
    tasks = []
    for step in plan.steps:
        match step:
            case BatchStep(tasks=stages):
                tasks += [stage_task(plan, each, order.run_after[each.name]) for each in stages]
            case ServiceStep():
                each = next(left)
                tasks.append(release_task(plan, each, order.run_after[each.name], version))
            case _ as unreachable:
                assert_never(unreachable)
    image = next(plan.tasks()).container.image
    return [*tasks, *(join_task(name, order.run_after[name], image) for name in order.joins)]


def _timeouts(plan: Plan) -> Manifest:
    """Return the run's limit, or in so many words that there is none: else Tekton takes an hour.

    The limit is one of the tasks, not of the whole, to leave the failure stage its time.
    """
    limit = plan.run.run_timeout_seconds
    return {"pipeline": "0s", **({"tasks": f"{limit}s"} if limit else {})}


def _for_all_tasks(plan: Plan) -> Manifest:
    account, given = plan.accounts.stage, plan.accounts
    # Tekton itself needs no token. The module has one where its account was asked for.
    token = account is not None and given.executor is None
    return {
        **({"serviceAccountName": account} if account else {}),
        **({} if token else {"podTemplate": {"automountServiceAccountToken": False}}),
    }


def _for_single_tasks(plan: Plan) -> list[Manifest]:
    batch = (task for task in plan.all_tasks() if isinstance(task, BatchTask))
    names = [each.name for each in release_tasks(plan)]
    names += [decision_name(plan)] if decides_at_end(plan) else []
    return [
        *(spec for task in batch if (spec := _of_stage(plan, task))),
        *(release_run_spec(plan, name) for name in names),
    ]


def _of_stage(plan: Plan, task: BatchTask) -> Manifest:
    """Return the account and the pod template of a stage that has either of its own."""
    template, account = placement(task), task.pod.service_account
    if account and plan.accounts.executor is None:
        template["automountServiceAccountToken"] = True
    fields: Manifest = {"serviceAccountName": account, "podTemplate": template}
    given = {key: value for key, value in fields.items() if value}
    return {"pipelineTaskName": task.name, **given} if given else {}
