"""How a case has to end: the rules of ``docs/explanation/pipeline-semantics.md`` once more.

It shares no code with the product, so that both would have to be wrong in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from typing_extensions import assert_never

from bodywork_argo.backend import Phase
from e2e.support.conformance.cases import (
    ABSENT_MODULE,
    LIMIT_SECONDS,
    Behaviour,
    Case,
    Exits,
    FailsFirst,
    KillsItself,
    LacksImage,
    LacksModule,
    Overruns,
    Stage,
)

KILLED = 128 + 9
SIGNALLED = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """In what engines may differ; these are the rules."""

    tries_again_when_stopped: bool = True
    """Whether the failure stage of a run that was stopped has its further attempts."""
    tells_signals: bool = True
    """Whether the exit code of a module that a signal has ended says so."""
    ends_without_image: bool = False
    """Whether a stage whose image can't be pulled fails without anybody's doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a stage ends."""

    phase: Phase
    attempts: int = 0
    begun: int = 0
    """How often its module began, as the module itself says."""
    exit_code: int | None = None
    reason: str = ""
    """What the reason begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How a run ends."""

    phase: Phase
    stages: Mapping[str, End]
    named: tuple[str, ...]
    """Stages that the run's reason names."""
    told: tuple[str, ...] | None
    """How the lines of EXCEPTION_MESSAGE begin, in any order; None when no failure stage ran."""


SKIPPED = End(phase=Phase.SKIPPED)


def expected(case: Case, ways: Ways | None = None) -> Expected:
    """Return how a run of the case ends, on an engine with these ways."""
    ways = ways or Ways()
    ends = dict(_steps(case, ways))
    bad = [name for name, end in ends.items() if end.phase in (Phase.FAILED, Phase.STOPPED)]
    phase = _run_phase(ends)
    tell = case.on_failure
    if tell is None:
        return Expected(phase=phase, stages=ends, named=tuple(bad), told=None)
    if not bad:
        return Expected(phase=phase, stages={**ends, tell.name: SKIPPED}, named=(), told=None)
    if phase is Phase.STOPPED and not ways.tries_again_when_stopped:
        tell = replace(tell, retries=0)
    ends[tell.name] = last = _end(tell, ways)
    also = [tell.name] if last.phase is Phase.FAILED else []
    told = [f"{name}: {ends[name].reason}" for name in bad]
    headline = f"{len(bad)} stage{'s' * (len(bad) > 1)} failed: "
    return Expected(
        phase=phase, stages=ends, named=(*bad, *also), told=tuple(sorted([headline, *told]))
    )


def _steps(case: Case, ways: Ways) -> Iterator[tuple[str, End]]:
    """Yield the ends of the stages that steps have."""
    going_on = True
    for step in case.steps:
        ends = [_end(stage, ways) if going_on else SKIPPED for stage in step]
        yield from zip((stage.name for stage in step), ends, strict=True)
        going_on = all(end.phase is Phase.SUCCEEDED for end in ends)


def _run_phase(ends: Mapping[str, End]) -> Phase:
    phases = {end.phase for end in ends.values()}
    for worst in (Phase.STOPPED, Phase.FAILED):
        if worst in phases:
            return worst
    return Phase.SUCCEEDED


def _end(stage: Stage, ways: Ways) -> End:
    """Return how a stage ends that is started."""
    most = stage.retries + 1
    match stage.behaviour:
        case Exits(code=0):
            return End(phase=Phase.SUCCEEDED, attempts=1, begun=1, exit_code=0)
        case FailsFirst(times=times) if times < most:
            return End(phase=Phase.SUCCEEDED, attempts=times + 1, begun=times + 1, exit_code=0)
        case LacksModule():
            reason = f"module '{ABSENT_MODULE}' is not in the repository"
            return End(phase=Phase.FAILED, attempts=most, exit_code=1, reason=reason)
        case LacksImage() if ways.ends_without_image:
            return End(phase=Phase.FAILED, attempts=most, reason="no image: ")
        case LacksImage():  # whoever waits for the run stops it, and nothing is tried again
            return End(phase=Phase.STOPPED, attempts=1, reason="stopped")
        case Exits() | FailsFirst() | KillsItself() | Overruns():
            code, reason = _failure(stage.behaviour, ways)
            return End(phase=Phase.FAILED, attempts=most, begun=most, exit_code=code, reason=reason)
        case _ as unreachable:
            assert_never(unreachable)


def _failure(
    behaviour: Exits | FailsFirst | KillsItself | Overruns, ways: Ways
) -> tuple[int | None, str]:
    match behaviour:
        case Exits(code=code):
            return code, f"exit code {code}"
        case FailsFirst():
            return 1, "exit code 1"
        case KillsItself():
            code = KILLED if ways.tells_signals else SIGNALLED
            return code, f"exit code {code}"
        case Overruns():
            told = KILLED if ways.tells_signals else None
            return told, f"time limit of {LIMIT_SECONDS} s exceeded"
        case _ as unreachable:
            assert_never(unreachable)


def reached(case: Case) -> frozenset[type[Behaviour]]:
    """Return what a run of the case comes to do."""
    ends = expected(case).stages
    return frozenset(
        type(stage.behaviour)
        for stage in case.stages
        if ends[stage.name].phase is not Phase.SKIPPED
    )
