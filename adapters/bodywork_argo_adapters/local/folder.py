"""The folder of one run on disk: its document, its status, its logs, its work.

::

    RUN/run.json          the document, as it was sent
    RUN/status.json       written by the supervisor, replaced as a whole
    RUN/supervisor.json   which process supervises
    RUN/supervisor.log    what that process itself had to say
    RUN/logs/TASK.N.log   what attempt N of a task wrote, bytes unchanged
    RUN/output/TASK.N/    executed notebooks
    RUN/work/TASK.N/      checkout, environment and home of the attempt that runs; then removed
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from bodywork_argo.backend import Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.manifests import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLog:
    """The log file of one attempt."""

    task: str
    attempt: int
    path: Path


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Reads and writes the files of one run; see the module's picture of them."""

    path: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor process itself wrote."""
        return self.path / "supervisor.log"

    def document(self) -> Manifest:
        """Return the document that the run was started with."""
        document: Manifest = json.loads((self.path / "run.json").read_text("utf-8"))
        return document

    def write_document(self, document: Manifest) -> None:
        """Keep the document."""
        self._write("run.json", document)

    def work(self, task: str, attempt: int) -> Path:
        """Return the folder that an attempt of a task works in."""
        return self.path / "work" / f"{task}.{attempt}"

    def output(self, task: str, attempt: int) -> Path:
        """Return the folder for what a notebook leaves."""
        return self.path / "output" / f"{task}.{attempt}"

    def log(self, task: str, attempt: int) -> Path:
        """Return the log file of an attempt; its folder exists afterwards."""
        folder = self.path / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{task}.{attempt}.log"

    def logs(self, tasks: Sequence[str]) -> list[StageLog]:
        """Return the log files that are there, in the order of the tasks, then of attempts."""
        found = []
        for path in (self.path / "logs").glob("*.log"):
            task, attempt, _ = path.name.rsplit(".", 2)
            found.append(StageLog(task=task, attempt=int(attempt), path=path))
        return sorted(found, key=lambda log: (tasks.index(log.task), log.attempt))

    def write_supervisor(self, process: psutil.Process) -> None:
        """Record which process supervises; its start time tells it from a later namesake."""
        self._write("supervisor.json", {"pid": process.pid, "started": process.create_time()})

    def supervisor(self) -> psutil.Process | None:
        """Return the supervising process while it lives."""
        try:
            recorded = json.loads((self.path / "supervisor.json").read_text("utf-8"))
            process = psutil.Process(recorded["pid"])
            alive = process.status() != psutil.STATUS_ZOMBIE
            same = abs(process.create_time() - recorded["started"]) < 1
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None
        return process if alive and same else None

    def write_status(self, status: RunStatus) -> None:
        """Replace the status."""
        self._write("status.json", _status_to_data(status))

    def status(self) -> RunStatus | None:
        """Return the status last written, or None before the first."""
        try:
            text = (self.path / "status.json").read_text("utf-8")
        except FileNotFoundError:
            return None
        return _status_from_data(json.loads(text), self.name, str(self.path))

    def _write(self, name: str, data: Any) -> None:
        draft = self.path / f".{name}.draft"
        draft.write_text(json.dumps(data, indent=1), "utf-8")
        draft.replace(self.path / name)


def _status_to_data(status: RunStatus) -> dict[str, Any]:
    return {
        "pipeline": status.pipeline,
        "phase": status.phase.value,
        "commit": status.commit,
        "started": _time_text(status.started),
        "finished": _time_text(status.finished),
        "reason": status.reason,
        "stages": [
            {
                "stage": stage.stage,
                "task": stage.task,
                "phase": stage.phase.value,
                "attempt": stage.attempt,
                "started": _time_text(stage.started),
                "finished": _time_text(stage.finished),
                "exit_code": stage.exit_code,
                "reason": stage.reason,
            }
            for stage in status.stages
        ],
    }


def _status_from_data(data: dict[str, Any], name: str, where: str) -> RunStatus:
    return RunStatus(
        ref=RunRef(backend="local", name=name, where=where),
        pipeline=data["pipeline"],
        phase=Phase(data["phase"]),
        commit=data["commit"],
        started=_time(data["started"]),
        finished=_time(data["finished"]),
        reason=data["reason"],
        stages=tuple(
            StageStatus(
                stage=stage["stage"],
                task=stage["task"],
                phase=Phase(stage["phase"]),
                attempt=stage["attempt"],
                started=_time(stage["started"]),
                finished=_time(stage["finished"]),
                exit_code=stage["exit_code"],
                reason=stage["reason"],
            )
            for stage in data["stages"]
        ),
    )


def _time_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def remove_tree(path: Path) -> None:
    """Remove a folder, also when the stage took rights away from itself in it."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except PermissionError:
        path.chmod(0o700)
        for folder, names, _ in os.walk(path):
            for name in names:
                inner = Path(folder, name)
                if not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
