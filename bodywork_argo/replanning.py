"""Planning a pipeline again for each run of a schedule, and telling what has changed meanwhile.

A schedule's plan is of the commit that its branch had when it was made. Each run takes a later
one, whose bodywork.yaml may say something else; so everything that the plan was made with beside
the code travels with it, and short hashes of its parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bodywork_argo.errors import EngineError
from bodywork_argo.plan import (
    Pinned,
    Plan,
    ResolvedAtRun,
    Source,
    to_document,
)
from bodywork_argo.plan_document import value_of
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.spec import Project

_ORDER, _REST = "the order of the stages", "what holds for the whole run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replanning:
    """What planning again takes beside the code of the commit."""

    source: Source
    """Of the plan that the schedule was made with."""
    options: PlanOptions
    strict: bool
    """Whether unknown keys of the file are errors."""
    parts: Mapping[str, str]
    """Hashes of that plan by what they are of: a stage's name, or words for people."""

    def plan(self, project: Project, commit: str) -> Plan:
        """Return the plan of a commit with that file."""
        revision = Pinned(commit=commit)
        return make_plan(project, replace(self.source, revision=revision), self.options)

    def changes(self, plan: Plan) -> tuple[str, ...]:
        """Return what differs in a plan from the one of the schedule, for people."""
        now = parts_of(plan)
        stages = [*dict.fromkeys((*self.parts, *now))]
        return tuple(
            _difference(part, self.parts, now)
            for part in stages
            if self.parts.get(part) != now.get(part)
        )


def resolved_at_run(
    project: Project, source: Source, options: PlanOptions, *, ref: str, strict: bool
) -> Plan:
    """Return the plan of runs that take what `ref` has when they start.

    `source` is pinned to the commit that `project` was read from.
    """
    assert isinstance(source.revision, Pinned), "the loader pins what it has read"
    known = source.revision.commit
    plan = make_plan(project, source, options)
    again = {
        "source": to_document(source),
        "options": to_document(options),
        "strict": strict,
        "parts": parts_of(plan),
    }
    text = json.dumps(again, separators=(",", ":"))
    revision = ResolvedAtRun(ref=ref, known=known, again=text)
    return replace(plan, source=replace(source, revision=revision))


def read(text: str) -> Replanning:
    """Return what `ResolvedAtRun.again` says. Raises EngineError when it is none of ours."""
    try:
        data = json.loads(text)
        return Replanning(
            source=value_of(data["source"], Source),
            options=value_of(data["options"], PlanOptions),
            strict=bool(data["strict"]),
            parts={str(part): str(digest) for part, digest in data["parts"].items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EngineError(f"this is no plan's, or another version's: {error}") from error


def parts_of(plan: Plan) -> dict[str, str]:
    """Return the hashes of the parts of a plan; its commit makes no difference.

    >>> from bodywork_argo.plan import Parameter
    >>> sorted(parts_of(Plan(pipeline="shop", name="shop", source=Source(revision=Parameter()),
    ...                      steps=())))
    ['the order of the stages', 'what holds for the whole run']
    """
    tasks = {task.stage: _hash(to_document(task)) for task in plan.all_tasks()}
    order = [[task.name for task in step.tasks] for step in plan.steps]
    source = replace(plan.source, revision=Pinned(commit=""))
    rest = replace(plan, steps=(), on_failure=None, source=source)
    failure = plan.on_failure.name if plan.on_failure else None
    return {**tasks, _ORDER: _hash([order, failure]), _REST: _hash(to_document(rest))}


def _difference(part: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    if part in (_ORDER, _REST):
        return part
    if part not in before:
        return f"stage {part} is new"
    return f"stage {part}" if part in now else f"stage {part} is gone"


def _hash(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
