"""Start processes that outlive this one, and stop exactly those again."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.engines.failure import EngineError
from e2e.engines.launch import start_time
from e2e.engines.network import STAY_INSIDE
from e2e.engines.places import CHECKOUT, SOURCES, Places

POLL = 0.1
LAUNCH = SOURCES / "launch.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A process of ours. A pid alone may be reused; with its start time it may not."""

    name: str
    pid: int
    started: str
    fingerprint: str

    @property
    def alive(self) -> bool:
        """Whether this very process runs."""
        return start_time(self.pid) == self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process of the engines: how to start it and how to ask it whether it is ready."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool]
    environment: Mapping[str, str]
    patience: float = 60.0

    @property
    def fingerprint(self) -> str:
        """Change when the part has to be started anew to do what it is told."""
        told = repr((self.command, sorted(self.environment.items())))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that `up` started, on record in a folder that `down` removes."""

    places: Places

    @property
    def _folder(self) -> Path:
        return self.places.run / "parts"

    def records(self) -> dict[str, Record]:
        """Give every process on record, the dead ones too."""
        return {
            path.stem: Record(**json.loads(path.read_text(encoding="utf-8")))
            for path in sorted(self._folder.glob("*.json"))
        }

    def runs(self, part: Part) -> bool:
        """Whether the part runs with the very command it should."""
        record = self.records().get(part.name)
        return record is not None and record.alive and record.fingerprint == part.fingerprint

    def start(self, part: Part) -> None:
        """Start the part in the background; when this returns, it is on record."""
        log, path = self.places.log(part.name), self._folder / f"{part.name}.json"
        for folder in (log.parent, path.parent):
            folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        launch = [sys.executable, "-I", "-S", str(LAUNCH), str(path), part.name, part.fingerprint]
        with log.open("wb") as output:
            child = subprocess.Popen(
                [*launch, *part.command],
                cwd="/",
                env={**_plain_environment(), **part.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while not path.exists():
            if child.poll() is not None:
                raise EngineError(f"{part.name} could not be started", log=log)
            time.sleep(POLL / 10)
        if child.returncode is None:
            child.returncode = 0  # It outlives this process; nobody should warn of that.

    def await_ready(self, part: Part) -> None:
        """Ask the part until it is ready; a part that died or stays silent is an `EngineError`."""
        log = self.places.log(part.name)
        deadline = time.monotonic() + part.patience
        while not part.ready():
            record = self.records().get(part.name)
            if record is None or not record.alive:
                raise EngineError(f"{part.name} ended instead of getting ready", log=log)
            if time.monotonic() > deadline:
                raise EngineError(f"{part.name} is not ready after {part.patience:.0f} s", log=log)
            time.sleep(POLL)

    def stop(self, names: Iterable[str], patience: float) -> None:
        """Ask processes to end, and kill those that still run after `patience` seconds."""
        records = self.records()
        chosen = [records[name] for name in names if name in records]
        for record in chosen:
            _signal(record, signal.SIGTERM)
        if not _gone(chosen, patience):
            for record in chosen:
                _signal(record, signal.SIGKILL)
            if not _gone(chosen, 5.0):
                left = ", ".join(f"{item.name} ({item.pid})" for item in chosen if item.alive)
                raise EngineError(f"could not end {left}")
        for record in chosen:
            (self._folder / f"{record.name}.json").unlink(missing_ok=True)


def _plain_environment() -> dict[str, str]:
    # No credentials of the caller reach an engine.
    return {
        **STAY_INSIDE,
        "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _signal(record: Record, number: signal.Signals) -> None:
    if record.alive:
        try:
            os.kill(record.pid, number)
        except ProcessLookupError:
            return


def _gone(records: list[Record], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while any(record.alive for record in records):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL / 2)
    return True
