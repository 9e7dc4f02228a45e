"""Which task waits for which. Steps are barriers: each task waits for all of the step before.

Between two wide steps that would be a square. There a task stands that is never run, since its
condition is false: to Tekton it is skipped, which lets those go on that wait for it. It is skipped
only after all that it waits for have ended well.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from bodywork_argo.manifests import Manifest
from bodywork_argo.names import free_name

MOST_DEPENDENCIES = 64
"""Between two steps. More are hard to read, and the square of a few hundred is too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """What each task waits for by its name, and tasks that only stand between two steps."""

    run_after: dict[str, tuple[str, ...]]
    joins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a task in ``finally`` tells whether the run has ended well.

    That all tasks of the last step have ended well means that all tasks have. Tekton's own word for
    the run as a whole does not tell one that was stopped between two steps.
    """

    ends: str
    """Tekton's text for how the tasks of the last step have ended."""
    good: str
    """What it becomes when all of them have ended well."""

    @property
    def not_well(self) -> Manifest:
        """The condition of what is to be done only otherwise."""
        return {"input": self.ends, "operator": "notin", "values": [self.good]}


def verdict_of(steps: Sequence[tuple[str, ...]]) -> Verdict:
    """Return how to tell the end of a run of these steps, given as names of tasks."""
    last = steps[-1]
    return Verdict(
        ends=" ".join(f"$(tasks.{name}.status)" for name in last),
        good=" ".join("Succeeded" for _ in last),
    )


def waits(steps: Sequence[tuple[str, ...]], taken: frozenset[str]) -> Waits:
    """Return the order of steps, given as names of tasks; names of joins are none of `taken`."""
    run_after: dict[str, tuple[str, ...]] = dict.fromkeys(next(iter(steps), ()), ())
    joins: list[str] = []
    for number, (before, after) in enumerate(itertools.pairwise(steps), start=1):
        names = before
        if len(before) > 1 and len(after) > 1 and len(before) * len(after) > MOST_DEPENDENCIES:
            join = free_name(f"join-{number}", taken)
            joins.append(join)
            run_after[join] = names
            names = (join,)
        run_after.update(dict.fromkeys(after, names))
    return Waits(run_after=run_after, joins=tuple(joins))


def join_task(name: str, run_after: Sequence[str], image: str) -> Manifest:
    """Return a task that makes no pod."""
    return {
        "name": name,
        "runAfter": list(run_after),
        "when": [{"input": "join", "operator": "in", "values": ["never"]}],
        "taskSpec": {"steps": [{"name": "none", "image": image, "command": ["true"]}]},
    }
