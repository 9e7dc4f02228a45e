"""A stage as a task of Tekton: a step that prepares, and one that becomes the module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bodywork_argo import names
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import BatchTask, Env, Pinned, Plan, exec_command, prepare_command
from bodywork_argo_adapters.tekton.pods import (
    AUTHORITIES_MOUNT,
    MOST_REASON_BYTES,
    REASON,
    SITE,
    common_mounts,
    earlier_resources,
    environment,
    module_resources,
    own_mounts,
    volumes,
)

MODULE = "exec"
"""The step of the module; those before it are ours."""
START_SECONDS = 1800
"""For the pull of images before a stage: a task's timeout is a net below the limits of the stage's
two commands, and must never be quicker than they are."""

REASON_SIZE = f"--termination-bytes={MOST_REASON_BYTES}"
REASON_RESULT: Manifest = {"name": REASON, "type": "string"}


def stage_task(
    plan: Plan,
    task: BatchTask,
    run_after: Sequence[str] = (),
) -> Manifest:
    """Return the task of a stage."""
    return pipeline_task(
        task,
        steps=[*before_module(plan, task), module_step(task)],
        volumes=volumes(task),
        run_after=run_after,
    )


def pipeline_task(
    task: BatchTask,
    *,
    steps: list[Manifest],
    volumes: list[Manifest],
    run_after: Sequence[str] = (),
    annotations: Manifest | None = None,
    params: Manifest | None = None,
    when: Iterable[Manifest] = (),
    more_seconds: int = 0,
) -> Manifest:
    """Return a task around these steps. Each attempt has the whole of the timeout.

    `more_seconds` is what steps beside those of a stage may take.
    """
    labels = {**dict(task.pod.labels), names.STAGE_LABEL: task.name}
    notes = {**dict(task.pod.annotations), **(annotations or {})}
    given = params or {}
    spec: Manifest = {
        "metadata": {"labels": labels, **({"annotations": notes} if notes else {})},
        **({"params": [{"name": name, "type": "string"} for name in given]} if given else {}),
        "results": [REASON_RESULT],
        "steps": steps,
        "volumes": volumes,
    }
    fields: Manifest = {
        "name": task.name,
        "runAfter": list(run_after),
        "when": list(when),
        "params": [{"name": name, "value": value} for name, value in given.items()],
        "retries": task.retries,
        "timeout": _timeout(task, more_seconds),
        "taskSpec": spec,
    }
    return {key: value for key, value in fields.items() if value}


def before_module(plan: Plan, task: BatchTask) -> list[Manifest]:
    """Return what comes before the module: all at once, or the code with an image of its own."""
    git, packages = plan.git, task.container.prepare_env
    if git.image is None:
        return [_prepare(plan, task, "prepare", (*git.env, *packages))]
    fetch = _prepare(plan, task, "fetch", git.env, "--only=repository", image=git.image)
    return [fetch, _prepare(plan, task, "prepare", packages, "--only=packages")]


def module_step(task: BatchTask, *options: str) -> Manifest:
    """Return the step that becomes the module; `options` are further ones of the runner."""
    return step(
        task,
        MODULE,
        [*exec_command(task.container, SITE), REASON_SIZE, *options],
        env=environment(task.container.env),
        resources=module_resources(task.container.resources),
        mounts=own_mounts(task),
    )


def step(
    task: BatchTask,
    name: str,
    command: Sequence[str],
    *,
    image: str | None = None,
    env: list[Manifest] | None = None,
    resources: Manifest | None = None,
    mounts: Iterable[Manifest] = (),
) -> Manifest:
    """Return a step of a stage. With a command, Tekton asks no registry what the image runs."""
    fields: Manifest = {
        "name": name,
        "image": image or task.container.image,
        "imagePullPolicy": task.pod.image_pull_policy,
        "command": list(command),
        "env": env,
        "computeResources": earlier_resources(task.container.resources)
        if resources is None
        else resources,
        "volumeMounts": [*common_mounts(), *mounts],
    }
    return {key: value for key, value in fields.items() if value}


def commit_of(plan: Plan) -> str:
    """Return the commit of a run. Raises ValueError for other revisions: `check` refuses them."""
    if not isinstance(plan.revision, Pinned):
        raise ValueError("Tekton's runs are of one commit")
    return plan.revision.commit


def _prepare(
    plan: Plan,
    task: BatchTask,
    name: str,
    env: Iterable[Env],
    *only: str,
    image: str | None = None,
) -> Manifest:
    container = task.container
    command = prepare_command(
        container,
        SITE,
        repository=plan.source.repository or "",
        commit=commit_of(plan),
        host_keys=plan.git.host_keys,
    )
    return step(
        task,
        name,
        [*command, REASON_SIZE, *only],
        image=image,
        env=environment(env),
        mounts=[AUTHORITIES_MOUNT] if container.ca_bundle else [],
    )


def _timeout(task: BatchTask, more_seconds: int) -> str:
    """Return Go's text for the time of one attempt; without it Tekton takes an hour."""
    if not task.time_limit_seconds:
        return "0s"
    limits = task.install_timeout_seconds + task.time_limit_seconds
    return f"{limits + START_SECONDS + more_seconds}s"
