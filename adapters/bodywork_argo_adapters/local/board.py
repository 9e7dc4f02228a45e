"""The status of a run while it goes on: changed here, written to the folder at each change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from bodywork_argo.backend import Phase, RunRef, RunStatus, StageStatus
from bodywork_argo_adapters.local.document import LocalRun
from bodywork_argo_adapters.local.folder import RunFolder


class Board:
    """Holds one run's status; every change is on disk when the call returns."""

    def __init__(self, folder: RunFolder, run: LocalRun) -> None:
        self._folder = folder
        self._status = RunStatus(
            ref=RunRef(backend="local", name=folder.name),
            pipeline=run.pipeline,
            phase=Phase.RUNNING,
            commit=run.commit,
            started=_now(),
        )
        self._stages = {
            task.name: StageStatus(stage=task.stage, task=task.name, phase=Phase.PENDING)
            for task in run.tasks()
        }
        self._write()

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self._status.phase.final

    def begin(self, task: str, attempt: int) -> None:
        """Note that an attempt starts."""
        started = self._stages[task].started or _now()
        self._change(task, phase=Phase.RUNNING, attempt=attempt, started=started)

    def note(self, task: str, reason: str) -> None:
        """Note what goes on with a task, its phase unchanged."""
        self._change(task, reason=reason)

    def end(self, task: str, phase: Phase, *, exit_code: int | None, reason: str) -> None:
        """Note that a task has ended."""
        self._change(task, phase=phase, finished=_now(), exit_code=exit_code, reason=reason)

    def skip_pending(self, reason: str) -> None:
        """Mark all that has not started as skipped."""
        for task, status in self._stages.items():
            if status.phase is Phase.PENDING:
                self._stages[task] = replace(status, phase=Phase.SKIPPED, reason=reason)
        self._write()

    def stop_running(self, reason: str) -> None:
        """Mark all that runs as stopped."""
        for task, status in self._stages.items():
            if status.phase is Phase.RUNNING:
                self.end(task, Phase.STOPPED, exit_code=None, reason=reason)

    def finish(self, phase: Phase, reason: str) -> None:
        """Note that the run has ended."""
        self._status = replace(self._status, phase=phase, finished=_now(), reason=reason)
        self._write()

    def in_phases(self, phases: Iterable[Phase]) -> list[StageStatus]:
        """Return the tasks that stand in one of these phases."""
        wanted = set(phases)
        return [status for status in self._stages.values() if status.phase in wanted]

    def _change(self, task: str, **changes: Any) -> None:
        self._stages[task] = replace(self._stages[task], **changes)
        self._write()

    def _write(self) -> None:
        self._status = replace(self._status, stages=tuple(self._stages.values()))
        self._folder.write_status(self._status)


def _now() -> datetime:
    return datetime.now(timezone.utc)
