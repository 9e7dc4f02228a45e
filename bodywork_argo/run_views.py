"""How runs look while they go on: lines of what happens, a live table, logs as they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from bodywork_argo.backend import LogPiece, Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.terminal import PHASE_COLOURS, Terminal, headline, numbered, stage_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bodywork_argo.plan import Plan

_STAGE_COLOURS = ("cyan", "magenta", "blue", "green", "yellow")


class RunPrinter:
    """Prints a run as it goes on: changes of stages, and their output with the stage's name.

    Stages' output goes to standard output, everything else to standard error.
    """

    def __init__(self, terminal: Terminal, plan: Plan) -> None:
        stages = [task.stage for _, task in numbered(plan)]
        self._terminal = terminal
        self._plan = plan
        self._width = max((len(stage) for stage in stages), default=0)
        self._colours = {
            stage: _STAGE_COLOURS[number % len(_STAGE_COLOURS)]
            for number, stage in enumerate(dict.fromkeys(stages))
        }
        self._seen: dict[str, tuple[str, int, str]] = {}
        self._lines = _Lines()

    def started(self, ref: RunRef) -> None:
        """Print the run's name."""
        self._terminal.say(f"run {ref.name} on {ref.backend}: {headline(self._plan)}")

    def status(self, status: RunStatus) -> None:
        """Print what has changed since the last call."""
        for stage in changed(status, self._seen):
            self._terminal.say(f"{self._prefix(stage.stage, '*')} {_event(stage)}")

    def log(self, piece: LogPiece) -> None:
        """Print the whole lines among the bytes; the rest waits for its end."""
        for line in self._lines.add(piece):
            self._line(piece.stage, line)

    def serving(self) -> None:
        """Print where the services are."""
        self._terminal.say("the run has ended; its services stay up until Ctrl-C", colour="green")

    def ending(self) -> None:
        """Print that everything ends."""
        self._terminal.say("ending all processes of the run; Ctrl-C again: at once")

    def ended(self, status: RunStatus) -> None:
        """Print lines that never ended, and the summary."""
        for stage, line in self._lines.unfinished():
            self._line(stage, line)
        self._terminal.summary(status)

    def _line(self, stage: str, line: bytes) -> None:
        # A progress bar rewrites its line after each \r; what stands at its end is what counts.
        text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", errors="replace")
        self._terminal.result(f"{self._prefix(stage, '|')} {text}")

    def _prefix(self, stage: str, mark: str) -> str:
        return click.style(f"{stage:<{self._width}} {mark}", fg=self._colours.get(stage))


class ChangePrinter:
    """Prints one line for each change of a stage, for output that can't be drawn anew.

    Also why the run itself waits, such as for another one.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._seen: dict[str, tuple[str, int, str]] = {}
        self._waits = ""

    def __call__(self, status: RunStatus) -> None:
        """Print what has changed since the last call."""
        waits = _waits(status)
        if waits and waits != self._waits:
            self._terminal.say(waits)
        self._waits = waits
        for stage in changed(status, self._seen):
            self._terminal.say(f"{stage.stage}: {_event(stage)}")


class LiveTable:
    """Draws how every stage stands, once a second, while its context is open."""

    def __init__(self, terminal: Terminal, now: Callable[[], datetime]) -> None:
        self._now = now
        self._status: RunStatus | None = None
        self._live = terminal.live(self.drawing)

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status = None  # the summary that follows says it all
        self._live.stop()

    def __call__(self, status: RunStatus) -> None:
        """Take a new status; it is drawn at once."""
        self._status = status
        self._live.refresh()

    def drawing(self) -> RenderableType:
        """Return what is drawn: the stages, and why the run itself waits."""
        from rich.console import Group
        from rich.text import Text

        if self._status is None:
            return ""
        table, waits = stage_table(self._status, self._now()), _waits(self._status)
        return Group(table, Text(waits)) if waits else table


class LogWriter:
    """Writes logs unchanged; of several stages each line gets its stage's name in front."""

    def __init__(self, terminal: Terminal, *, prefixed: bool) -> None:
        self._terminal = terminal
        self._prefixed = prefixed
        self._lines = _Lines()

    def write(self, piece: LogPiece) -> None:
        """Write a piece; of several stages its whole lines."""
        if not self._prefixed:
            self._terminal.raw(piece.data)
            return
        if lines := self._lines.add(piece):
            self._terminal.raw(b"".join(self._prefixed_line(piece.stage, line) for line in lines))

    def close(self) -> None:
        """Write the lines that never ended."""
        for stage, line in self._lines.unfinished():
            self._terminal.raw(self._prefixed_line(stage, line))

    def _prefixed_line(self, stage: str, line: bytes) -> bytes:
        return f"{stage} | ".encode() + line + b"\n"


class PodLogWriter:
    """Writes logs of a service's pods: unchanged while there is one, else as those of stages.

    Not `prefixed` at first, it becomes so when a second pod writes.
    """

    def __init__(self, terminal: Terminal, *, prefixed: bool) -> None:
        self._terminal = terminal
        self._prefixed = prefixed
        self._writer = LogWriter(terminal, prefixed=prefixed)
        self._pod = ""
        self._ended = True

    def write(self, piece: LogPiece) -> None:
        """Write a piece."""
        if not self._prefixed and self._pod not in ("", piece.stage):
            if not self._ended:
                self._terminal.raw(b"\n")
            self._prefixed, self._writer = True, LogWriter(self._terminal, prefixed=True)
        self._pod, self._ended = piece.stage, piece.data.endswith(b"\n")
        self._writer.write(piece)

    def close(self) -> None:
        """Write the lines that never ended."""
        self._writer.close()


class _Lines:
    """Whole lines of the pieces of logs; each attempt of a stage has an unfinished one."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], list[bytes]] = {}

    def add(self, piece: LogPiece) -> list[bytes]:
        """Return the lines that end in a piece, without their ends."""
        parts = self._parts.setdefault((piece.stage, piece.attempt), [])
        parts.append(piece.data)
        if b"\n" not in piece.data:
            return []
        *lines, rest = b"".join(parts).split(b"\n")
        parts[:] = [rest] if rest else []
        return lines

    def unfinished(self) -> list[tuple[str, bytes]]:
        """Return stage and text of the lines that never ended, and forget them."""
        found = [(stage, b"".join(parts)) for (stage, _), parts in self._parts.items() if parts]
        self._parts.clear()
        return found


def changed(status: RunStatus, seen: dict[str, tuple[str, int, str]]) -> list[StageStatus]:
    """Return the stages that differ from what was seen, and note them."""
    stages = []
    for stage in status.stages:
        now = (stage.phase.value, stage.attempt, stage.reason)
        if seen.get(stage.task, ("pending", 0, "")) != now:
            seen[stage.task] = now
            stages.append(stage)
    return stages


def status_document(status: RunStatus) -> dict[str, Any]:
    """Return a status as plain data, for programs; times are ISO 8601 in UTC."""
    ref = status.ref
    document = {
        "run": ref.name,
        "backend": ref.backend,
        "namespace": ref.namespace,
        "where": ref.where or None,
        "pipeline": status.pipeline,
        "commit": status.commit,
        **_common(status),
    }
    if status.stages:
        document["stages"] = [
            {
                "stage": stage.stage,
                "task": stage.task,
                "attempt": stage.attempt,
                "exit_code": stage.exit_code,
                **_common(stage),
            }
            for stage in status.stages
        ]
    return document


def _common(status: RunStatus | StageStatus) -> dict[str, Any]:
    return {
        "phase": status.phase.value,
        "started": status.started.isoformat() if status.started else None,
        "finished": status.finished.isoformat() if status.finished else None,
        "reason": status.reason or None,
    }


def _waits(status: RunStatus) -> str:
    """Return why a run waits before any of its stages can; "" when it does not."""
    if status.phase is not Phase.PENDING or not status.reason:
        return ""
    return f"run {status.ref.name} waits: {status.reason}"


def _event(stage: StageStatus) -> str:
    words = click.style(stage.phase.value, fg=PHASE_COLOURS[stage.phase.value])
    if stage.attempt > 1:
        words += f" (attempt {stage.attempt})"
    return f"{words}: {'; '.join(stage.reason.splitlines())}" if stage.reason else words
