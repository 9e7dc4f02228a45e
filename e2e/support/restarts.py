"""Kill single parts of the engines and start them again."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.engines.lifecycle import locked
from e2e.engines.parts import Options, parts
from e2e.engines.places import Places
from e2e.engines.processes import Processes
from e2e.engines.progress import Progress
from e2e.support.cluster import await_state


@contextmanager
def killed(places: Places, name: str) -> Iterator[None]:
    """Kill a part without a warning; afterwards it is started again, and ready."""
    (part,) = [each for each in parts(places, Options()) if each.name == name]
    processes = Processes(places)
    # An `up` that finds the API server dead would start everything anew.
    with locked(places.lock, Progress(sys.stderr)):
        try:
            pid = processes.records()[name].pid
            os.kill(pid, signal.SIGKILL)
            await_state(lambda: _threads(pid), lambda count: count == 0, f"the end of {name}")
            yield
        finally:
            processes.start(part)
            processes.await_ready(part)


def restart(places: Places, name: str) -> None:
    """Kill a part and start it again at once."""
    with killed(places, name):
        pass


def _threads(pid: int) -> int:
    """Return how many threads of a process still hold its ports; the first may be gone already."""
    states = []
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            states.append(path.read_text(encoding="utf-8", errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return sum(state.rpartition(")")[2].split()[0] not in ("Z", "X") for state in states)
