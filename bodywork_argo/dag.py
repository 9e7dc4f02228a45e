"""The language of the ``DAG`` line: ``prepare >> train_a, train_b >> serve``.

::

    dag   = step *( ">>" step )
    step  = stage *( "," stage )
    stage = any non-empty run of characters without "," and ">>"

White space of any kind is dropped wherever it stands (Bodywork drops blanks only, which makes a
literal YAML block fail), so a stage whose name has white space inside can't be named here.
"""

from __future__ import annotations

from dataclasses import dataclass


class DagError(ValueError):
    """The text is no DAG; ``problems`` lists (what is wrong, what to do) pairs."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(what for what, _ in problems))


@dataclass(frozen=True, slots=True)
class Dag:
    """Steps in order, each with at least one stage name, no name twice in a step."""

    steps: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return " >> ".join(", ".join(step) for step in self.steps)

    @property
    def stages(self) -> tuple[str, ...]:
        """Every stage once, in the order of its first appearance."""
        return tuple(dict.fromkeys(stage for step in self.steps for stage in step))


def parse_dag(text: str) -> Dag:
    """Parse a DAG line.

    >>> parse_dag("prepare >> train_a, train_b >> serve").steps
    (('prepare',), ('train_a', 'train_b'), ('serve',))

    Raises:
        DagError: with every empty element and every stage that stands twice in one step.
    """
    squeezed = "".join(text.split())
    if not squeezed:
        raise DagError((("is empty", "name at least one stage"),))
    steps = tuple(tuple(step.split(",")) for step in squeezed.split(">>"))
    problems = tuple(
        problem for number, step in enumerate(steps, start=1) for problem in _faults(number, step)
    )
    if problems:
        raise DagError(problems)
    return Dag(steps)


def _faults(number: int, step: tuple[str, ...]) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    if "" in step:
        faults.append(
            (f"step {number} has an empty place", "remove the surplus '>>' or ',' or name a stage")
        )
    for stage in dict.fromkeys(step):
        if stage and step.count(stage) > 1:
            faults.append(
                (f"stage '{stage}' stands {step.count(stage)} times in step {number}", "keep one")
            )
    return faults
