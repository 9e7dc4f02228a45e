"""The words in which every backend tells why a run and its stages ended as they did."""

from __future__ import annotations

from collections.abc import Iterable

from bodywork_argo.backend import Phase, StageStatus
from bodywork_argo.runner import time_is_up

STOPPED = "stopped"
TERMINATED = "terminated"
NOTHING_FAILED = "nothing failed"
"""Of a failure stage that was not needed."""
NEVER_BEGAN = "a stage before it did not end well"

_MOST_NAMED = 20


def of_exit(code: int) -> str:
    """Return why a module failed of which only the exit code is known."""
    return f"exit code {code}"


def of_run_limit(seconds: int) -> str:
    """Return why a stage was ended whose run took too long."""
    return f"run's {time_is_up(seconds)}"


def why_run_ended(
    stages: Iterable[StageStatus], *, failure_task: str | None = None, ended_by: str = ""
) -> str:
    """Return why a run did not end well; stages are named in the order in which they come.

    `ended_by` tells what ended the run as a whole, if anything has.

    >>> bad = StageStatus(stage="train", task="train", phase=Phase.FAILED)
    >>> why_run_ended([bad])
    '1 stage failed: train'
    """
    every = tuple(stages)
    inner = [stage for stage in every if stage.task != failure_task]
    parts = []
    if failed := _in_phase(inner, Phase.FAILED):
        count = len(failed)
        parts.append(f"{count} stage{'' if count == 1 else 's'} failed: {_named(failed)}")
    ended = _in_phase(inner, Phase.STOPPED)
    if ended_by:
        parts.append(f"{ended_by} while {_named(ended)} ran" if ended else ended_by)
    parts += [
        f"the failure stage {stage.stage} failed too: {stage.reason}"
        for stage in every
        if stage.task == failure_task and stage.phase is Phase.FAILED
    ]
    return "; ".join(parts)


def _in_phase(stages: Iterable[StageStatus], phase: Phase) -> list[str]:
    return [stage.stage for stage in stages if stage.phase is phase]


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" ... and {more} more" if more > 0 else "")
