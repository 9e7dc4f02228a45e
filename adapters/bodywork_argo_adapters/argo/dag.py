"""The order of the stages as DAG templates of linear size.

Steps are barriers: each task depends on all of the step before. Between two wide steps that would
be a square of dependencies, and of links in Argo's status. So each of them becomes a DAG template
of its own, which is one task to its neighbours. What is longer than Argo takes is cut into parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from hera.workflows import models as m

from bodywork_argo.names import free_name

MOST_TASKS = 200
"""Of one template, by the CRDs of Argo 4."""
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


def dag_templates(
    steps: Sequence[tuple[str, ...]], calls: Calls, taken: set[str]
) -> list[m.Template]:
    """Return the pipeline's template, then those of its parts and of single steps.

    `steps` has the names of tasks, `calls` what each of them calls; `taken` are the names of
    tasks and other templates.
    """
    dags = _Dags(calls, taken)
    widths = [0, *(len(tasks) for tasks in steps), 0]
    barriers = [
        dags.step(f"step-{number}", tasks)
        if _stands_alone(tasks, widths[number - 1], widths[number + 1])
        else [_task(task, calls) for task in tasks]
        for number, tasks in enumerate(steps, start=1)
    ]
    return [dags.pipeline("pipeline", barriers), *dags.templates]


class _Dags:
    """Makes the DAG templates of one workflow and keeps those that are not its entrypoint."""

    def __init__(self, calls: Calls, taken: set[str]) -> None:
        self.templates: list[m.Template] = []
        self._calls = calls
        self._taken = taken

    def step(self, name: str, tasks: Sequence[str]) -> list[m.DAGTask]:
        """Make a template of a step; return the one task that calls it."""
        rows = [_task(task, self._calls) for task in tasks]
        cuts = range(0, len(rows), MOST_TASKS)
        if len(cuts) > 1:
            rows = [
                self._call(f"{name}-{number}", rows[start : start + MOST_TASKS])
                for number, start in enumerate(cuts, start=1)
            ]
        return [self._call(name, rows)]

    def pipeline(self, name: str, barriers: Sequence[list[m.DAGTask]]) -> m.Template:
        """Return the template of steps one after the other, of parts if there are too many."""
        parts: list[list[list[m.DAGTask]]] = [[]]
        for tasks in barriers:
            if sum(map(len, parts[-1])) + len(tasks) > MOST_TASKS:
                parts.append([])
            parts[-1].append(tasks)
        if len(parts) > 1:
            calls = [
                [self._call(f"part-{number}", _in_turn(part))]
                for number, part in enumerate(parts, start=1)
            ]
            return self.pipeline(name, calls)
        return _dag(free_name(name, self._taken), _in_turn(parts[0]))

    def _call(self, name: str, tasks: list[m.DAGTask]) -> m.DAGTask:
        name = free_name(name, self._taken)
        self._taken.add(name)
        self.templates.append(_dag(name, tasks))
        return m.DAGTask(name=name, template=name)


def _stands_alone(tasks: tuple[str, ...], before: int, after: int) -> bool:
    """Return whether a step gets a template of its own."""
    width = len(tasks)
    squares = [width * other for other in (before, after) if width > 1 and other > 1]
    if width > MOST_FOR_ONE_TASK or max(squares, default=0) > MOST_DEPENDENCIES:
        return True
    return after > 0 and any(task in _EXPRESSION_WORDS for task in tasks)


def _in_turn(barriers: Sequence[list[m.DAGTask]]) -> list[m.DAGTask]:
    """Return the tasks of steps, each of which waits for all of the one before."""
    # `dependencies` means what `depends: "a && b"` means, for names of any kind.
    for before, tasks in itertools.pairwise(barriers):
        for task in tasks:
            task.dependencies = [each.name for each in before]
    return [task for tasks in barriers for task in tasks]


def _task(task: str, calls: Calls) -> m.DAGTask:
    call = calls[task]
    parameters = [m.Parameter(name=name, value=value) for name, value in call.parameters]
    arguments = m.Arguments(parameters=parameters) if parameters else None
    return m.DAGTask(name=task, template=call.template, arguments=arguments)


def _dag(name: str, tasks: list[m.DAGTask]) -> m.Template:
    # Without fail_fast the last step's tasks that wait for their turn are still started, as those
    # of other steps are.
    return m.Template(name=name, dag=m.DAGTemplate(fail_fast=False, tasks=tasks))
