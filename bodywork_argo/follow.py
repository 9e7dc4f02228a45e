"""Waiting for a run that goes on without us, and judging the pods that can't start."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from bodywork_argo.backend import Phase, RunRef, RunStatus, Runtime
from bodywork_argo.errors import TimedOut

DEFAULT_PENDING_TIMEOUT_SECONDS = 600.0

Clock: TypeAlias = Callable[[], float]
"""Seconds, counted from anywhere; `time.monotonic` outside of tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait; 0 means for ever."""

    pending_seconds: float = DEFAULT_PENDING_TIMEOUT_SECONDS
    """For one stage that can't start, such as for want of its image."""


def follow(
    runtime: Runtime,
    ref: RunRef,
    tell: Callable[[RunStatus], None],
    patience: Patience,
    clock: Clock,
) -> RunStatus:
    """Tell every change of a run until it has ended, and return its final status.

    A stage that has a reason for not starting all through `patience.pending_seconds` has the run
    stopped, its failure stage included: engines themselves notice such pods late or never. So has
    a run that its engine does not take up, without waiting for its end, which may never come.

    Raises:
        TimedOut: the run was stopped for that.
    """
    statuses = _Statuses(runtime, ref)
    judge = _PendingJudge(patience, clock)
    verdict: str | None = None
    while True:
        status = statuses.next(None if verdict else judge.remaining())
        if status is not None:
            judge.see(status)
            tell(status)
            if status.phase.final:
                break
        if verdict is None and (verdict := judge.verdict()) is not None:
            runtime.stop(ref)
            if judge.untaken:
                raise TimedOut(f"run {ref.name} was stopped: {verdict}")
    if verdict is not None:
        raise TimedOut(f"run {ref.name} was stopped: {verdict}")
    return status


_RUN = ""
"""Stands for the run among the names of tasks."""


class _Statuses:
    """Reads a watch in a thread, so that waiting for the next status can have a limit."""

    def __init__(self, runtime: Runtime, ref: RunRef) -> None:
        self._queue: queue.Queue[RunStatus | Exception] = queue.Queue()
        threading.Thread(target=self._read, args=(runtime, ref), daemon=True).start()

    def next(self, timeout: float | None) -> RunStatus | None:
        """Return the next status, or None when the time is over; raises what ended the watch."""
        try:
            item = self._queue.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def _read(self, runtime: Runtime, ref: RunRef) -> None:
        try:
            for status in runtime.watch(ref):
                self._queue.put(status)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for, or none would end
            self._queue.put(error)


class _PendingJudge:
    """Knows since when each stage has had a reason for not starting."""

    def __init__(self, patience: Patience, clock: Clock) -> None:
        self._limit = patience.pending_seconds
        self._clock = clock
        self._since: dict[str, float] = {}
        self._reasons: dict[str, str] = {}

    @property
    def untaken(self) -> bool:
        """Whether it is the run itself that waits."""
        return _RUN in self._since

    def see(self, status: RunStatus) -> None:
        """Note who waits now. A run that waits for another has a reason, and all the time."""
        self._reasons = {
            stage.task: f"{stage.stage} could not start within {self._limit:g} s: {stage.reason}"
            for stage in status.stages
            if stage.phase is Phase.PENDING and stage.reason
        }
        if status.phase is Phase.PENDING and not status.reason:
            self._reasons[_RUN] = f"its engine did not take it up within {self._limit:g} s"
        now = self._clock()
        self._since = {task: self._since.get(task, now) for task in self._reasons}

    def remaining(self) -> float | None:
        """Return the seconds until the first verdict is due; None when none is."""
        if not self._limit or not self._since:
            return None
        return max(0.0, min(self._since.values()) + self._limit - self._clock())

    def verdict(self) -> str | None:
        """Return who has waited for too long and why, if anyone has."""
        if self.remaining() != 0.0:
            return None
        return self._reasons[min(self._since, key=lambda task: self._since[task])]
