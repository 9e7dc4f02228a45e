"""A run that writes until it is told to end, and the three commands that look on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.support.cluster import await_state
from e2e.support.commands import Call, CommandLine, Ended, ending
from e2e.support.program import is_open, open_gate, pipeline, stage
from e2e.support.repositories import Repository
from e2e.support.spaces import Space

_WRITER = """
import sys, time
from urllib.request import urlopen
written = 0
while not {ended}:
    for _ in range(10):
        sys.stdout.buffer.write(b"\\r%06d%s" % (written, b"\\n" * (written % 3)))
        sys.stdout.flush()
        written += 1
        time.sleep(0.02)
sys.stdout.write("wrote %d" % written)
"""
POD = {"apiVersion": "v1", "kind": "Pod"}


def written(count: int) -> bytes:
    """Return what the module writes all in all: lines long and short, and one without an end."""
    lines = (b"\r%06d%s" % (number, b"\n" * (number % 3)) for number in range(count))
    return b"".join(lines) + b"wrote %d" % count


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A run that goes on, waited for, watched and read by processes."""

    space: Space
    repository: Repository
    commit: str
    name: str
    submit: Call
    watch: Call
    logs: Call

    def await_shown(self, more: int = 20) -> None:
        """Wait until the logs show more than they do now."""
        now = self.logs.out.stat().st_size
        await_state(
            lambda: self.logs.out.stat().st_size,
            lambda size: size > now + more * 7,
            f"more of the log; {self.logs.told()}",
        )

    def await_written(self, more: int = 50) -> None:
        """Wait until the module has written more, whether the logs show it or not."""
        (pod,) = pods_of(self.name, self.space)
        now = len(self._log(pod["metadata"]["name"]))
        await_state(
            lambda: len(self._log(pod["metadata"]["name"])),
            lambda size: size > now + more * 7,
            "more output of the module",
        )

    def end(self) -> None:
        """Let the module end; then all commands have to have told all, and to end well."""
        open_gate(self.repository, self.commit)
        logs = self.logs.end()
        count = int(logs.out.rpartition(b"wrote ")[2] or -1)
        assert logs.out == written(count)
        assert (logs.code, logs.err) == (0, "")
        for call in (self.submit, self.watch):
            ended = call.end()
            assert ended.code == 0, ended.err
            assert _changes(ended) == ["writer: running", "writer: succeeded"]
            assert f"run {self.name} succeeded after" in ended.err

    def _log(self, pod: str) -> str:
        return self.space.logs(pod, "main")


def pods_of(run: str, space: Space) -> list[Any]:
    """Return the pods of a run that are there."""
    return space.find(POD, f"workflows.argoproj.io/workflow={run}")


@contextmanager
def followed(
    space: Space,
    make_repository: Callable[..., Repository],
    commands: CommandLine,
    onlookers: Path | None = None,
) -> Iterator[Followed]:
    """Start such a run, and its onlookers with a kubeconfig of their own."""
    repository = make_repository({})
    code = _WRITER.format(ended=is_open(repository))
    commit = repository.commit(pipeline("writer", {"writer": stage(code)}))
    looking = commands.through(onlookers or commands.kubeconfig)
    submit = looking.start("submit", repository.url, "--wait")
    with ExitStack() as calls:
        calls.enter_context(ending(submit))
        submit.await_out(b"\n")
        name = submit.out.read_text(encoding="utf-8").strip()
        watch, logs = looking.start("watch", name), looking.start("logs", name, "writer", "-f")
        calls.enter_context(ending(watch, logs))
        run = Followed(
            space=space,
            repository=repository,
            commit=commit,
            name=name,
            submit=submit,
            watch=watch,
            logs=logs,
        )
        for call in (submit, watch):
            call.await_err("writer: running", patience=300)
        run.await_shown()
        yield run


def _changes(watch: Ended) -> list[str]:
    return [line for line in watch.err.splitlines() if line.startswith("writer: ")]
