"""The only printer. People's output is drawn with rich, which is imported when it is needed."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

import click

from bodywork_argo.errors import Problem

if TYPE_CHECKING:  # annotations alone: `validate` prints without what a run needs
    from datetime import datetime

    from rich.console import Console
    from rich.text import Text

    from bodywork_argo.backend import LogPiece, RunRef, RunStatus, StageStatus
    from bodywork_argo.plan import Plan, Task

_SEVERITY_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
_PHASE_COLOURS = {
    "pending": "white",
    "running": "blue",
    "succeeded": "green",
    "failed": "red",
    "stopped": "yellow",
    "skipped": "bright_black",
}
_STAGE_COLOURS = ("cyan", "magenta", "blue", "green", "yellow")


class Terminal:
    """Results go to `out`, everything about the work to `err`; safe to call from two threads."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._lock = threading.Lock()
        # None leaves it to the stream; see no-color.org and terminfo's name for "no abilities".
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._colour = False if plain else None
        for stream in (self._out, self._err):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a stage may write what a locale lacks

    def result(self, text: str) -> None:
        """Print what was asked for."""
        self._print(text, self._out)

    def say(self, text: str, *, colour: str | None = None) -> None:
        """Print one line about the work."""
        self._print(click.style(text, fg=colour) if colour else text, self._err)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Print one line each, with its severity."""
        for problem in problems:
            colour = _SEVERITY_COLOURS[problem.severity]
            self.say(f"{click.style(problem.severity, fg=colour)}: {problem}")

    def plan(self, plan: Plan) -> None:
        """Print a plan as a table."""
        from rich.table import Table

        table = Table(title=_headline(plan), title_justify="left", title_style="bold")
        for heading in ("step", "stage", "kind", "module", "limits", "image"):
            table.add_column(heading, overflow="fold")
        for number, task in _numbered(plan):
            cells = (number, task.stage, _kind(task), task.container.module, _limits(task))
            table.add_row(*_plain((*cells, task.container.image)))
        with self._lock:
            self._console(self._out).print(table)

    def tree(self, plan: Plan) -> None:
        """Print a plan as a tree of steps."""
        from rich.text import Text
        from rich.tree import Tree

        tree = Tree(Text(_headline(plan), style="bold"))
        for number, step in enumerate(plan.steps, start=1):
            branch = tree.add(Text(f"step {number}", style="bright_black"))
            for task in step.tasks:
                branch.add(_leaf(task))
        if plan.on_failure is not None:
            tree.add(Text("on failure", style="bright_black")).add(_leaf(plan.on_failure))
        with self._lock:
            self._console(self._out).print(tree)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print plain columns."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*_plain(row))
        with self._lock:
            self._console(self._out).print(table)

    def summary(self, status: RunStatus) -> None:
        """Print how each stage of a run ended, and the run."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for heading in ("stage", "state", "attempts", "time", "why"):
            table.add_column(heading, overflow="fold")
        for stage in status.stages:
            table.add_row(
                Text(stage.stage),
                Text(stage.phase.value, style=_PHASE_COLOURS[stage.phase.value]),
                str(stage.attempt or ""),
                _duration(stage.started, stage.finished),
                Text(stage.reason),
            )
        with self._lock:
            self._console(self._err).print(table)
        took = _duration(status.started, status.finished)
        why = f": {status.reason}" if status.reason else ""
        if status.phase.value != "succeeded" and status.ref.where:
            why += f" (logs: {status.ref.where})"
        self.say(
            f"run {status.ref.name} {status.phase.value} after {took}{why}",
            colour=_PHASE_COLOURS[status.phase.value],
        )

    def _console(self, stream: TextIO) -> Console:
        from rich.console import Console

        # Nobody wants lines broken in a file or a pipe, whatever the width of the terminal.
        return Console(file=stream, highlight=False, width=None if stream.isatty() else 1000)

    def _print(self, text: str, stream: TextIO) -> None:
        with self._lock:
            click.echo(text, file=stream, color=self._colour)


class RunPrinter:
    """Prints a run as it goes on: changes of stages, and their output with the stage's name.

    Stages' output goes to standard output, everything else to standard error.
    """

    def __init__(self, terminal: Terminal, plan: Plan) -> None:
        stages = [task.stage for _, task in _numbered(plan)]
        self._terminal = terminal
        self._plan = plan
        self._width = max((len(stage) for stage in stages), default=0)
        self._colours = {
            stage: _STAGE_COLOURS[number % len(_STAGE_COLOURS)]
            for number, stage in enumerate(dict.fromkeys(stages))
        }
        self._seen: dict[str, tuple[str, int, str]] = {}
        self._unfinished: dict[tuple[str, int], list[bytes]] = {}

    def started(self, ref: RunRef) -> None:
        """Print the run's name."""
        self._terminal.say(f"run {ref.name} on {ref.backend}: {_headline(self._plan)}")

    def status(self, status: RunStatus) -> None:
        """Print what has changed since the last call."""
        for stage in status.stages:
            now = (stage.phase.value, stage.attempt, stage.reason)
            if self._seen.get(stage.task, ("pending", 0, "")) != now:
                self._seen[stage.task] = now
                self._terminal.say(f"{self._prefix(stage.stage, '*')} {_event(stage)}")

    def log(self, piece: LogPiece) -> None:
        """Print the whole lines among the bytes; the rest waits for its end."""
        parts = self._unfinished.setdefault((piece.stage, piece.attempt), [])
        parts.append(piece.data)
        if b"\n" not in piece.data:
            return
        *lines, rest = b"".join(parts).split(b"\n")
        parts[:] = [rest] if rest else []
        for line in lines:
            self._line(piece.stage, line)

    def serving(self) -> None:
        """Print where the services are."""
        self._terminal.say("the run has ended; its services stay up until Ctrl-C", colour="green")

    def ending(self) -> None:
        """Print that everything ends."""
        self._terminal.say("ending all processes of the run; Ctrl-C again: at once")

    def ended(self, status: RunStatus) -> None:
        """Print lines that never ended, and the summary."""
        for (stage, _), parts in self._unfinished.items():
            if parts:
                self._line(stage, b"".join(parts))
        self._unfinished.clear()
        self._terminal.summary(status)

    def _line(self, stage: str, line: bytes) -> None:
        # A progress bar rewrites its line after each \r; what stands at its end is what counts.
        text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", errors="replace")
        self._terminal.result(f"{self._prefix(stage, '|')} {text}")

    def _prefix(self, stage: str, mark: str) -> str:
        return click.style(f"{stage:<{self._width}} {mark}", fg=self._colours.get(stage))


def _event(stage: StageStatus) -> str:
    words = click.style(stage.phase.value, fg=_PHASE_COLOURS[stage.phase.value])
    if stage.attempt > 1:
        words += f" (attempt {stage.attempt})"
    return f"{words}: {'; '.join(stage.reason.splitlines())}" if stage.reason else words


def _headline(plan: Plan) -> str:
    source = plan.source
    where = source.repository or "repository and commit given at each run"
    commit = getattr(source.revision, "commit", "")
    return " ".join(part for part in (plan.pipeline, where, source.ref, commit[:7]) if part)


def _numbered(plan: Plan) -> list[tuple[str, Task]]:
    rows: list[tuple[str, Task]] = [
        (str(number), task)
        for number, step in enumerate(plan.steps, start=1)
        for task in step.tasks
    ]
    if plan.on_failure is not None:
        rows.append(("on failure", plan.on_failure))
    return rows


def _kind(task: Task) -> str:
    from bodywork_argo.plan import ServiceTask

    return "service" if isinstance(task, ServiceTask) else "batch"


def _limits(task: Task) -> str:
    from bodywork_argo.plan import ServiceTask

    if isinstance(task, ServiceTask):
        return f"port {task.port}, {task.replicas} x, up within {task.startup_seconds} s"
    limit = f"{task.time_limit_seconds} s" if task.time_limit_seconds else "no time limit"
    retries = f"{task.retries} retr{'y' if task.retries == 1 else 'ies'}"
    return f"{limit}, {retries}" if task.retries else limit


def _leaf(task: Task) -> Text:
    from rich.text import Text

    return Text.assemble(task.stage, (f"  {_kind(task)}, {_limits(task)}", "bright_black"))


def _duration(started: datetime | None, finished: datetime | None) -> str:
    if started is None or finished is None:
        return ""
    seconds = (finished - started).total_seconds()
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _plain(cells: Iterable[str]) -> list[Text]:
    """Return cells in which nothing is taken for rich's markup."""
    from rich.text import Text

    return [Text(cell) for cell in cells]
