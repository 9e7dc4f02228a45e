"""Tell a person what happens and how long each phase took."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from e2e.engines.failure import EngineError

HEARTBEAT = 30.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Writes one line an event to a stream."""

    stream: TextIO
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Write a line that starts with the seconds since the command began."""
        self.stream.write(f"[{time.monotonic() - self.began:6.1f} s] {text}\n")
        self.stream.flush()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say when a phase starts and, when it ends well, how long it took."""
        start = time.monotonic()
        self.say(f"{name} ...")
        yield
        self.say(f"{name}: done in {time.monotonic() - start:.1f} s")


def run_logged(
    label: str,
    command: Sequence[str],
    log: Path,
    progress: Progress,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a long command with its output in a log and a sign of life now and then.

    Raises `EngineError` with the log's last lines when the command fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(
            list(command),
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(child, label, start, progress)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if child.returncode != 0:
        raise EngineError(f"{label} failed with exit status {child.returncode}", log=log)


def _wait(child: subprocess.Popen[bytes], label: str, start: float, progress: Progress) -> None:
    while True:
        try:
            child.wait(HEARTBEAT)
        except subprocess.TimeoutExpired:
            progress.say(f"{label}: still at it after {time.monotonic() - start:.0f} s")
        else:
            return
