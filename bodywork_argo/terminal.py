"""The only printer. People's output is drawn with rich, which is imported when it is needed."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

import click

from bodywork_argo.errors import Problem

if TYPE_CHECKING:  # annotations alone: `validate` prints without what a run needs
    from datetime import datetime

    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    from bodywork_argo.backend import RunStatus
    from bodywork_argo.plan import Plan, Task

_SEVERITY_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
PHASE_COLOURS = {
    "pending": "white",
    "running": "blue",
    "succeeded": "green",
    "failed": "red",
    "stopped": "yellow",
    "skipped": "bright_black",
}


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

        table = Table(title=headline(plan), title_justify="left", title_style="bold")
        for heading in ("step", "stage", "kind", "module", "limits", "image"):
            table.add_column(heading, overflow="fold")
        for number, task in numbered(plan):
            cells = (number, task.stage, _kind(task), task.container.module, _limits(task))
            table.add_row(*_plain((*cells, task.container.image)))
        with self._lock:
            self._console(self._out).print(table)

    def tree(self, plan: Plan) -> None:
        """Print a plan as a tree of steps."""
        from rich.text import Text
        from rich.tree import Tree

        tree = Tree(Text(headline(plan), style="bold"))
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

    def status(self, status: RunStatus) -> None:
        """Print how a run and its stages stand, as what was asked for."""
        from datetime import datetime, timezone

        now = status.finished or datetime.now(timezone.utc)
        with self._lock:
            self._console(self._out).print(stage_table(status, now))
        commit = f" at {status.commit[:7]}" if status.commit else ""
        took = duration(status.started, now)
        words = f"run {status.ref.name} of {status.pipeline}{commit}: {status.phase.value}"
        why = f": {status.reason}" if status.reason else ""
        where = f"\n{status.ref.where}" if status.ref.where else ""
        self.result(f"{words}{f', {took}' if took else ''}{why}{where}")

    def summary(self, status: RunStatus) -> None:
        """Print how each stage of a run ended, and the run."""
        with self._lock:
            self._console(self._err).print(stage_table(status, status.finished))
        took = duration(status.started, status.finished)
        why = f": {status.reason}" if status.reason else ""
        if status.phase.value != "succeeded" and status.ref.where:
            why += f" (logs: {status.ref.where})"
        self.say(
            f"run {status.ref.name} {status.phase.value} after {took}{why}",
            colour=PHASE_COLOURS[status.phase.value],
        )

    @property
    def live_possible(self) -> bool:
        """Whether what is about the work goes to a terminal that can redraw."""
        return self._err.isatty() and os.environ.get("TERM") != "dumb"

    def live(self, draw: Callable[[], RenderableType]) -> Live:
        """Return a context in which a picture of the work is drawn anew each second."""
        from rich.live import Live

        return Live(
            get_renderable=draw,
            console=self._console(self._err),
            refresh_per_second=1,
            vertical_overflow="ellipsis",
        )

    def raw(self, data: bytes) -> None:
        """Write bytes to where results go, as they are."""
        with self._lock:
            if isinstance(self._out, io.TextIOWrapper):
                self._out.flush()
                self._out.buffer.write(data)
                self._out.flush()
            else:
                self._out.write(data.decode("utf-8", errors="replace"))

    def _console(self, stream: TextIO) -> Console:
        from rich.console import Console

        class Candid(Console):
            """Tells of a reader that is gone, where rich would end the program by itself."""

            def on_broken_pipe(self) -> None:
                raise BrokenPipeError

        # Nobody wants lines broken in a file or a pipe, whatever the width of the terminal.
        return Candid(file=stream, highlight=False, width=None if stream.isatty() else 1000)

    def _print(self, text: str, stream: TextIO) -> None:
        with self._lock:
            click.echo(text, file=stream, color=self._colour)


def stage_table(status: RunStatus, now: datetime | None) -> Table:
    """Return how each stage of a run stands; `now` ends the time of those that still run."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "state", "attempts", "time", "why"):
        table.add_column(heading, overflow="fold")
    for stage in status.stages:
        table.add_row(
            Text(stage.stage),
            Text(stage.phase.value, style=PHASE_COLOURS[stage.phase.value]),
            str(stage.attempt or ""),
            duration(stage.started, stage.finished or now),
            Text(stage.reason),
        )
    return table


def headline(plan: Plan) -> str:
    """Return in one line what is run."""
    source = plan.source
    where = source.repository or "repository and commit given at each run"
    commit = getattr(source.revision, "commit", "")
    return " ".join(part for part in (plan.pipeline, where, source.ref, commit[:7]) if part)


def numbered(plan: Plan) -> list[tuple[str, Task]]:
    """Return the tasks with what people call their place."""
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


def duration(started: datetime | None, finished: datetime | None) -> str:
    """Return a time in words; "" when an end of it is not known."""
    if started is None or finished is None:
        return ""
    seconds = (finished - started).total_seconds()
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def age(created: datetime, now: datetime) -> str:
    """Return how long ago it was, in the largest unit that it fills."""
    seconds = (now - created).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def _plain(cells: Iterable[str]) -> list[Text]:
    """Return cells in which nothing is taken for rich's markup."""
    from rich.text import Text

    return [Text(cell) for cell in cells]
