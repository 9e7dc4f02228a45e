"""The tasks of a run that release its services, whatever the engine in the cluster.

The plan's services travel to these tasks as data, in an annotation; a task has bodywork-argo
installed by ``prepare`` as stages have their requirements. So nobody has to build an image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bodywork_argo.names import free_name
from bodywork_argo.plan import (
    BatchStep,
    Container,
    Parameter,
    Plan,
    ResolvedAtRun,
    Resources,
    ServiceStep,
    ServiceTask,
    Site,
    to_document,
)
from bodywork_argo.spec import Rollback

SERVICES_ANNOTATION = "bodywork-argo/services"
SERVICES_FOLDER = "/bodywork/services"
INSTALL_SECONDS = 600
RESOURCES = Resources(cpu_request=0.1, memory_request_mb=200)
"""Of a task that releases; a namespace with a quota refuses pods that ask for nothing."""
_FILE = f"{SERVICES_FOLDER}/plan.json"
_REACHES_AN_INDEX = ("--index-url", "--http-proxy", "--https-proxy", "--no-proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTask:
    """Releases the services of one step."""

    name: str
    """DNS-1123 label, unique among the names of the plan's tasks."""
    stage: str
    """What it releases, for people: the names of its stages."""
    step: int
    """Counts the steps with services from 0."""
    services: tuple[ServiceTask, ...]
    ends_run: bool
    """Whether nothing follows it in the pipeline."""


def release_tasks(plan: Plan) -> tuple[ReleaseTask, ...]:
    """Return the tasks that release services, in order; one for each step of them."""
    taken = {task.name for task in plan.all_tasks()}
    steps = [step for step in plan.steps if isinstance(step, ServiceStep)]
    return tuple(
        ReleaseTask(
            name=_name(number, taken),
            stage=", ".join(task.stage for task in step.tasks),
            step=number,
            services=step.tasks,
            ends_run=step is plan.steps[-1],
        )
        for number, step in enumerate(steps)
    )


def names_by_step(plan: Plan) -> list[tuple[str, ...]]:
    """Return the names of the tasks of each step; one task releases all services of a step."""
    releases = iter(release_tasks(plan))
    return [
        tuple(task.name for task in step.tasks)
        if isinstance(step, BatchStep)
        else (next(releases).name,)
        for step in plan.steps
    ]


def decides_at_end(plan: Plan) -> bool:
    """Return whether what a run released is decided only when all of it has ended."""
    return plan.run.rollback is Rollback.RUN and any(True for _ in plan.services())


def keeps_at_end(plan: Plan) -> bool:
    """Return whether a run that ended well has to be told so: something follows its services."""
    return decides_at_end(plan) and isinstance(plan.steps[-1], BatchStep)


def decision_name(plan: Plan) -> str:
    """Return the name of the task that decides; no other task has it."""
    taken = {task.name for task in plan.all_tasks()} | {each.name for each in release_tasks(plan)}
    return free_name("decide-services", taken)


def services_data(plan: Plan) -> str:
    """Return what a release needs of a plan as JSON in which no engine substitutes anything."""
    steps = tuple(step for step in plan.steps if isinstance(step, ServiceStep))
    needed = replace(plan, steps=steps, on_failure=None)
    if isinstance(plan.revision, ResolvedAtRun):  # what it takes to plan again is none of it
        needed = replace(needed, source=replace(plan.source, revision=Parameter()))
    return inert(json.dumps(to_document(needed), separators=(",", ":")))


def inert(text: str) -> str:
    r"""Return the same JSON spelled so that no engine substitutes anything in it.

    >>> print(inert('{"a":{"b":"{{x}} $(y)"}}'))
    {"a":{"b":"{\u007bx}} \u0024(y)"}}
    """
    # Two braces in a row, and dollars, stand inside of texts only.
    return re.sub(r"(?<=\{)\{", r"\\u007b", text).replace("$", "\\u0024")


def roll_out_command(
    plan: Plan, task: ReleaseTask, site: Site, *, run: str, repository: str, commit: str
) -> tuple[str, ...]:
    """Return the command of a release; `run`, `repository` and `commit` are the engine's text."""
    return (
        *_program(site),
        "roll-out",
        f"--plan={_FILE}",
        f"--step={task.step}",
        f"--repository={repository}",
        f"--commit={commit}",
        *(["--ends-run"] if task.ends_run else []),
        *_common(plan, site, run),
    )


def end_command(plan: Plan, site: Site, *, run: str, status: str, good: str) -> tuple[str, ...]:
    """Return the command that decides a run's release; it ended well when `status` is `good`."""
    return (
        *_program(site),
        "end",
        f"--status={status}",
        f"--good={good}",
        *_common(plan, site, run),
    )


def deployer(plan: Plan, version: str) -> Container:
    """Return image and options of ``prepare`` for tasks that have bodywork-argo."""
    first = next(iter((*plan.services(), *plan.tasks()))).container
    return Container(
        image=plan.deployer.image,
        module="",
        prepare=(
            "--only=packages",
            f"--requirement=bodywork-argo=={version}",
            *(text for text in first.prepare if _reaches_an_index(text)),
            f"--time-limit={INSTALL_SECONDS}",
        ),
        execute=(),
        prepare_env=first.prepare_env,
        ca_bundle=first.ca_bundle,
        resources=RESOURCES,
    )


def deployer_prepare(container: Container, site: Site) -> tuple[str, ...]:
    """Return the command that installs bodywork-argo unless the image has it."""
    return (
        site.python,
        site.runner,
        "prepare",
        f"--workspace={site.workspace}",
        f"--termination-log={site.termination_log}",
        *([f"--ca-bundle={site.ca_bundle}"] if container.ca_bundle else []),
        *container.prepare,
    )


def _name(number: int, taken: set[str]) -> str:
    """Return a name that no stage has: Services would take the task's pod for one of their own."""
    return free_name(f"release-{number + 1}", taken)


def _program(site: Site) -> Iterator[str]:
    yield f"{site.workspace}/venv/bin/python"
    yield "-m"
    yield "bodywork_argo"
    yield "release-task"


def _common(plan: Plan, site: Site, run: str) -> Iterator[str]:
    yield f"--pipeline={plan.name}"
    yield f"--run={run}"
    yield f"--rollback={plan.run.rollback.value}"
    yield f"--pending-timeout={plan.deployer.pending_seconds:g}"
    yield f"--termination-log={site.termination_log}"


def _reaches_an_index(option: str) -> bool:
    return option.partition("=")[0].removesuffix("64") in _REACHES_AN_INDEX
