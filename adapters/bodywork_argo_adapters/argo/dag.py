"""The order of the stages as DAG templates of linear size.

Steps are barriers: each task depends on all of the step before. Between two wide steps that would
be a square of dependencies, and of links in Argo's status. So each of them becomes a DAG template
of its own, which is one task to its neighbours.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from hera.workflows import models as m

from bodywork_argo.plan import BatchTask

MOST_DEPENDENCIES = 64
"""Between two steps. More are hard to read, and the square of a few hundred is too large."""
MOST_FOR_ONE_TASK = 100
"""Argo turns dependencies into an expression and compiles it with expr's limit of 10,000 nodes,
12 of which go into each."""

_EXPRESSION_WORDS = frozenset(
    {"and", "contains", "else", "false", "if", "in", "let", "matches", "nil", "not", "or", "true"}
)
"""Names of tasks that Argo's dependencies can't speak of: words of its expression language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How a task calls the template of its stage."""

    template: str
    parameters: tuple[tuple[str, str], ...] = ()


Calls = dict[str, Call]
"""By the task's name."""


def free_name(wanted: str, taken: Container[str]) -> str:
    """Return a name that nothing else has, as close to the wanted one as can be."""
    while wanted in taken:
        wanted = f"{wanted}-x"
    return wanted


def dag_templates(
    steps: Sequence[tuple[BatchTask, ...]], calls: Calls, taken: set[str]
) -> list[m.Template]:
    """Return the pipeline's template, then those of steps that are templates of their own.

    `taken` are the names of tasks and other templates.
    """
    top: list[m.DAGTask] = []
    inner: list[m.Template] = []
    before: tuple[str, ...] = ()
    widths = [0, *(len(tasks) for tasks in steps), 0]
    for number, tasks in enumerate(steps, start=1):
        if _stands_alone(tasks, widths[number - 1], widths[number + 1]):
            name = free_name(f"step-{number}", taken)
            inner.append(_dag(name, [_task(task, calls) for task in tasks]))
            top.append(_after(before, m.DAGTask(name=name, template=name)))
            before = (name,)
        else:
            top += [_after(before, _task(task, calls)) for task in tasks]
            before = tuple(task.name for task in tasks)
    return [_dag(free_name("pipeline", taken), top), *inner]


def _stands_alone(tasks: tuple[BatchTask, ...], before: int, after: int) -> bool:
    """Return whether a step gets a template of its own."""
    width = len(tasks)
    if any(
        min(width, other) > 1 and width * other > MOST_DEPENDENCIES for other in (before, after)
    ):
        return True
    spoken_of = after > 0
    return spoken_of and (
        width > MOST_FOR_ONE_TASK or any(task.name in _EXPRESSION_WORDS for task in tasks)
    )


def _task(task: BatchTask, calls: Calls) -> m.DAGTask:
    call = calls[task.name]
    parameters = [m.Parameter(name=name, value=value) for name, value in call.parameters]
    arguments = m.Arguments(parameters=parameters) if parameters else None
    return m.DAGTask(name=task.name, template=call.template, arguments=arguments)


def _after(before: tuple[str, ...], task: m.DAGTask) -> m.DAGTask:
    # `dependencies` means what `depends: "a && b"` means, for names of any kind.
    task.dependencies = list(before) or None
    return task


def _dag(name: str, tasks: list[m.DAGTask]) -> m.Template:
    # Without fail_fast the last step's tasks that wait for their turn are still started, as those
    # of other steps are.
    return m.Template(name=name, dag=m.DAGTemplate(fail_fast=False, tasks=tasks))
