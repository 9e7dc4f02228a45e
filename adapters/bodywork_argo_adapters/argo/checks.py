"""What Argo Workflows can't express, or does otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from bodywork_argo.errors import Problem
from bodywork_argo.plan import Plan, ServiceTask, Task
from bodywork_argo_adapters.plan_checks import texts_of, unreachable_repository


def check(plan: Plan) -> tuple[Problem, ...]:
    """Return all problems of a plan; see `Backend.check`."""
    return (
        *unreachable_repository(plan, "Argo"),
        *(problem for task in plan.all_tasks() for problem in _substituted(task)),
    )


def _substituted(task: Task) -> Iterator[Problem]:
    """Yield where Argo would put something else in the place of a text; services travel as data."""
    if isinstance(task, ServiceTask):
        return
    for key, texts in texts_of(task):
        if any("{{" in text for text in texts):
            yield Problem(
                key=f"stages.{task.stage}.{key}",
                what="contains '{{', which Argo would take for a reference",
                remedy="write it without",
            )
