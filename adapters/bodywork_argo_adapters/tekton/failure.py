"""The task that runs the failure stage, once, unless all stages have ended well.

Tekton tells such a task in a word how each other has ended, and no exit code. Results of other
tasks can't be used: where one is missing, as after the loss of a pod, Tekton skips the task that
asks for it. So a step before the module looks up what happened, with the rights of the engine's own
account, whose token no other step sees.

Tekton runs all tasks of ``finally`` at once. What was released is decided before the failure stage
begins, so that step waits for the task that decides: not in its pod, which would have to run under
both accounts, and would not run at all without the image of either.
"""

from __future__ import annotations

from importlib import resources

from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import BatchTask, Plan, RunNameEnv
from bodywork_argo_adapters.releases import (
    decides_at_end,
    decision_name,
    names_by_step,
    release_tasks,
)
from bodywork_argo_adapters.run_metadata import safe_json
from bodywork_argo_adapters.tekton.failures import MOST_DECISION_SECONDS
from bodywork_argo_adapters.tekton.order import Verdict
from bodywork_argo_adapters.tekton.pods import SITE, environment, volumes
from bodywork_argo_adapters.tekton.tasks import before_module, module_step, pipeline_task, step

FAILURES_ANNOTATION = "bodywork-argo/failures.py"
_FILE = f"{SITE.workspace}/failures.json"
_TOKEN: Manifest = {"name": "bodywork-token", "mountPath": "/bodywork/token", "readOnly": True}


def failure_task(plan: Plan, task: BatchTask, verdict: Verdict) -> Manifest:
    """Return the task. It may wait for the one that decides what becomes of services."""
    ends = " ".join(
        f"{name}:$(tasks.{name}.status):$(tasks.{name}.reason)"
        for step in names_by_step(plan)
        for name in step
    )
    return pipeline_task(
        task,
        steps=[
            *before_module(plan, task),
            _look_up(plan, task),
            module_step(task, f"--failures={_FILE}"),
        ],
        volumes=[*volumes(task, [("failures.py", FAILURES_ANNOTATION)]), *_token_volume(plan)],
        annotations={FAILURES_ANNOTATION: _program()},
        params={"ends": ends},
        when=[verdict.not_well],
        more_seconds=MOST_DECISION_SECONDS if _waits(plan) else 0,
    )


def _look_up(plan: Plan, task: BatchTask) -> Manifest:
    tasks = [[each.name, each.stage] for each in plan.tasks() if isinstance(each, BatchTask)]
    tasks += [[each.name, each.stage] for each in release_tasks(plan)]
    renamed = [pair for pair in tasks if pair[0] != pair[1]]
    command = [
        SITE.python,
        SITE.runner.replace("runner.py", "failures.py"),
        f"--output={_FILE}",
        "--ends=$(params.ends)",
        *([f"--stages={safe_json(renamed)}"] if renamed else []),
        *([f"--token={_TOKEN['mountPath']}"] if plan.accounts.executor else []),
        *([f"--after={decision_name(plan)}"] if _waits(plan) else []),
    ]
    return step(
        task,
        "failures",
        command,
        env=environment([RunNameEnv(name="BODYWORK_RUN")]),
        mounts=[_TOKEN] if plan.accounts.executor else [],
    )


def _waits(plan: Plan) -> bool:
    """Return whether the stage waits for the task that decides; without a token it can't."""
    return decides_at_end(plan) and plan.accounts.executor is not None


def _token_volume(plan: Plan) -> list[Manifest]:
    if plan.accounts.executor is None:
        return []
    # Optional: without it the stage is told less, but it runs.
    secret = {"secretName": f"{plan.accounts.executor}.service-account-token", "optional": True}
    return [{"name": _TOKEN["name"], "secret": secret}]


def _program() -> str:
    package = resources.files("bodywork_argo_adapters.tekton")
    return package.joinpath("failures.py").read_text(encoding="utf-8")
