"""Waiting for a run that goes on without us."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bodywork_argo.backend import Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.errors import EngineError, TimedOut
from bodywork_argo.fakes import InstantRuntime
from bodywork_argo.follow import Patience, follow

REF = RunRef(backend="scripted", name="r-1")


def status(phase: Phase, *stages: StageStatus) -> RunStatus:
    return RunStatus(ref=REF, pipeline="p", phase=phase, stages=stages)


def stage(name: str, phase: Phase, reason: str = "") -> StageStatus:
    return StageStatus(stage=name, task=name, phase=phase, reason=reason)


WAITS = stage("a", Phase.PENDING, "image docker.io/no/such:1 can't be pulled")


class ScriptedRuntime(InstantRuntime):
    """A run that goes through given statuses; `None` waits until the run is stopped."""

    def __init__(self, *script: RunStatus | None) -> None:
        super().__init__(frozenset())
        self._script = script
        self.stopped = threading.Event()

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        for each in self._script:
            if each is None:
                assert self.stopped.wait(timeout=30)
            else:
                yield each

    def stop(self, ref: RunRef) -> None:
        self.stopped.set()


class Clock:
    """A clock that goes on by a fixed step whenever it is read."""

    def __init__(self, step: float) -> None:
        self._times = itertools.count(0.0, step)

    def __call__(self) -> float:
        return next(self._times)


def test_every_status_is_told_and_the_last_one_returned() -> None:
    script = (status(Phase.PENDING), status(Phase.RUNNING), status(Phase.SUCCEEDED))
    told: list[RunStatus] = []
    last = follow(ScriptedRuntime(*script), REF, told.append, Patience(), Clock(0.0))
    assert tuple(told) == script
    assert last == script[-1]


def test_a_stage_that_cannot_start_has_the_run_stopped_and_is_named() -> None:
    ended = status(Phase.STOPPED, replace(WAITS, phase=Phase.STOPPED))
    runtime = ScriptedRuntime(status(Phase.RUNNING, WAITS), None, ended)
    told: list[RunStatus] = []
    with pytest.raises(TimedOut, match=r"a could not start within 600 s: image .* be pulled"):
        follow(runtime, REF, told.append, Patience(), Clock(400.0))
    assert told[-1] == ended, "the run's end is waited for"


def test_a_stage_that_starts_in_time_is_left_alone() -> None:
    script = (
        status(Phase.RUNNING, WAITS),
        status(Phase.RUNNING, stage("a", Phase.RUNNING)),
        status(Phase.RUNNING, stage("b", Phase.PENDING, "no node has room")),
        status(Phase.SUCCEEDED),
    )
    runtime = ScriptedRuntime(*script)
    follow(runtime, REF, lambda _: None, Patience(pending_seconds=1000), Clock(100.0))
    assert not runtime.stopped.is_set()


def test_a_stage_that_only_waits_for_its_turn_waits_for_ever() -> None:
    script = (status(Phase.RUNNING, stage("b", Phase.PENDING)), status(Phase.SUCCEEDED))
    runtime = ScriptedRuntime(*script)
    follow(runtime, REF, lambda _: None, Patience(pending_seconds=1), Clock(100.0))
    assert not runtime.stopped.is_set()


def test_without_patience_set_nothing_is_judged() -> None:
    script = (status(Phase.RUNNING, WAITS), status(Phase.FAILED, WAITS))
    runtime = ScriptedRuntime(*script)
    follow(runtime, REF, lambda _: None, Patience(pending_seconds=0), Clock(1e6))
    assert not runtime.stopped.is_set()


@pytest.mark.parametrize(
    "failure", [EngineError("run r-1 was deleted"), KeyError("was deleted"), OSError("deleted")]
)
def test_whatever_ends_the_watch_early_is_raised(failure: Exception) -> None:
    class Broken(ScriptedRuntime):
        def watch(self, ref: RunRef) -> Iterator[RunStatus]:
            yield status(Phase.RUNNING)
            raise failure

    with pytest.raises(type(failure), match="deleted"):
        follow(Broken(), REF, lambda _: None, Patience(), Clock(0.0))


def test_a_run_that_its_engine_does_not_take_up_is_given_up() -> None:
    runtime = ScriptedRuntime(status(Phase.PENDING), None)
    with pytest.raises(TimedOut, match="its engine did not take it up within 600 s"):
        follow(runtime, REF, lambda _: None, Patience(), Clock(400.0))
    assert runtime.stopped.is_set()


def test_a_run_that_waits_for_another_waits_for_ever() -> None:
    waits = replace(status(Phase.PENDING), reason="waits for run r-0")
    runtime = ScriptedRuntime(waits, status(Phase.SUCCEEDED))
    follow(runtime, REF, lambda _: None, Patience(pending_seconds=1), Clock(100.0))
    assert not runtime.stopped.is_set()
