"""Running cases, and holding what came of them against the oracle."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from bodywork_argo.backend import RunRef, RunStatus, Runtime, StageStatus, errors_of
from bodywork_argo.errors import BodyworkArgoError, TimedOut
from bodywork_argo.follow import Patience, follow
from bodywork_argo.plan import Source
from bodywork_argo.planner import PlanOptions, make_plan
from e2e.support.conformance.cases import Case, project_of
from e2e.support.conformance.engines import Engine, Ground
from e2e.support.conformance.ledger import Entry, Ledger
from e2e.support.conformance.oracle import End, Expected, expected

CASES, SEED = 20, 115
"""Of the suite."""
PENDING_SECONDS = 40.0
"""For a pod that can't start; also for a controller that is busy with the other cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """An engine with all that its runs need."""

    engine: Engine
    ground: Ground
    source: Source
    """A commit with `cases.MODULE`."""
    image: str
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a case."""

    run: str
    case: Case
    expected: Expected
    seconds: float
    wrong: tuple[str, ...]
    """Where the engine and the oracle part; empty when they agree."""


def try_all(bench: Bench, cases: Sequence[Case]) -> Iterator[Verdict]:
    """Run the cases, some at once, and yield what came of each, in their order."""
    names = [f"conformance-{number:03}" for number in range(len(cases))]
    with ThreadPoolExecutor(bench.engine.at_once) as pool:
        yield from pool.map(lambda name, case: _try(bench, name, case), names, cases)


def _try(bench: Bench, name: str, case: Case) -> Verdict:
    started = time.monotonic()
    if not bench.engine.limits_parallelism:
        case = replace(case, parallelism=0)
    wanted = expected(case, bench.engine.ways)
    try:
        wrong = _run(bench, name, case, wanted)
    except BodyworkArgoError as error:  # this case's misfortune, not that of all others
        wrong = (f"{type(error).__name__}: {error}",)
    return Verdict(
        run=name, case=case, expected=wanted, seconds=time.monotonic() - started, wrong=wrong
    )


def _run(bench: Bench, name: str, case: Case, wanted: Expected) -> tuple[str, ...]:
    project = project_of(case, image=bench.image, address=f"{bench.ledger.address}/{name}")
    plan = make_plan(project, bench.source, PlanOptions(accounts=bench.engine.accounts()))
    backend = bench.engine.backend()
    if refused := errors_of(backend.check(plan)):
        return tuple(str(problem) for problem in refused)
    runtime = bench.engine.connect(backend, bench.ground)
    ref = runtime.submit(backend.compile(plan, name))
    status, stopped = _end_of(runtime, ref)
    if runtime.attached:  # the run's own process ends after it, and is let go of with its logs
        collections.deque(runtime.logs(ref, follow=True), maxlen=0)
    wrong = tuple(differences(case, wanted, status, bench.ledger.of(name)))
    if wrong:  # the run stays while the others go on, to be looked at
        return (stopped, *wrong) if stopped else wrong
    runtime.delete(ref)  # nodes list the pods of ended runs each second, which slows the others
    return ()


def _end_of(runtime: Runtime, ref: RunRef) -> tuple[RunStatus, str]:
    """Return how a run ended, and why it was stopped, if it was."""
    patience = Patience(pending_seconds=PENDING_SECONDS)
    try:
        return follow(runtime, ref, lambda _: None, patience, time.monotonic), ""
    except TimedOut as error:
        *_, last = runtime.watch(ref)
        return last, str(error)


def differences(
    case: Case, wanted: Expected, status: RunStatus, told: Sequence[Entry]
) -> Iterator[str]:
    """Yield where a run that has ended is not what the oracle says, in words."""
    if status.phase is not wanted.phase:
        yield f"the run is {status.phase.value}, not {wanted.phase.value}"
    found = {stage.stage: stage for stage in status.stages}
    if len(status.stages) != len(wanted.stages) or set(found) != set(wanted.stages):
        yield f"the stages are {sorted(found)}"
        return
    for name, end in wanted.stages.items():
        begun = sum((entry.stage, entry.what) == (name, "begun") for entry in told)
        yield from (f"{name}: {what}" for what in _of_stage(end, found[name], begun))
    for name in wanted.named:
        if name not in status.reason:
            yield f"the run's reason does not name {name}: {status.reason!r}"
    yield from _order(case, told)
    yield from _message(case, wanted, told)


def _of_stage(end: End, found: StageStatus, begun: int) -> Iterator[str]:
    for what, is_, should_be in (
        ("phase", found.phase.value, end.phase.value),
        ("attempts", found.attempt, end.attempts),
        ("exit code", found.exit_code, end.exit_code),
        ("times begun", begun, end.begun),
    ):
        if is_ != should_be:
            yield f"{what} {is_}, not {should_be} ({found.reason})"
    if not found.reason.startswith(end.reason):
        yield f"reason {found.reason!r}, not {end.reason!r}"


def _order(case: Case, told: Sequence[Entry]) -> Iterator[str]:
    """Yield where a stage began before the step before it, or all steps, had ended."""
    tell = () if case.on_failure is None else (case.on_failure,)
    groups = [{stage.name for stage in step} for step in (*case.steps, tell)]
    for number, group in enumerate(groups[1:], start=1):
        begun = [place for place, entry in enumerate(told) if entry.stage in group]
        earlier = set().union(*groups[:number])
        late = [
            entry.stage for entry in told[min(begun, default=len(told)) :] if entry.stage in earlier
        ]
        if late:
            yield f"{late} still went on when {sorted(group)} began"


def _message(case: Case, wanted: Expected, told: Iterable[Entry]) -> Iterator[str]:
    if case.on_failure is None:
        return
    name = case.on_failure.name
    messages = {entry.message for entry in told if (entry.stage, entry.what) == (name, "begun")}
    if wanted.told is None:
        return  # that it never began is told already
    if len(messages) != 1:
        yield f"EXCEPTION_MESSAGE was {len(messages)} texts"
        return
    lines = sorted(messages.pop().splitlines())
    alike = len(lines) == len(wanted.told) and all(
        line.startswith(start) for line, start in zip(lines, wanted.told, strict=True)
    )
    if not alike:
        yield f"EXCEPTION_MESSAGE is {lines}, not {list(wanted.told)}"
