"""The command line as people have it: a process of its own, with its exit code and two streams."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from e2e.support.cluster import await_state
from e2e.support.leaks import check_said

PROGRAM = Path(sys.executable).with_name("bodywork-argo")
_POLL = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A call that has ended."""

    code: int
    out: bytes
    err: str
    megabytes: float
    """The most memory that the process had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that goes on; what it writes goes to files, so it never waits for a reader."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def end(self, patience: float = 400.0) -> Ended:
        """Wait for the end; AssertionError with what was said when it does not come."""
        highest, deadline = 0.0, time.monotonic() + patience
        while self.process.poll() is None:
            highest = max(highest, megabytes(self.process.pid))
            if time.monotonic() > deadline:
                raise AssertionError(f"no end within {patience:.0f} s: {self.told()}")
            time.sleep(_POLL)
        check_said(self.out.read_bytes(), self.err.read_bytes())
        return Ended(
            code=self.process.returncode,
            out=self.out.read_bytes(),
            err=self.err.read_text(encoding="utf-8"),
            megabytes=highest,
        )

    def told(self) -> str:
        """Tell what the call said so far, for the message of a failed test."""
        written = self.out.stat().st_size
        return f"{self.process.args!r}: {written} bytes and {self.err.read_text()[-2000:]!r}"

    def await_out(self, wanted: bytes, patience: float = 120.0) -> None:
        """Wait until the call has written this."""
        await_state(
            self.out.read_bytes, lambda out: wanted in out, f"{wanted!r} of {self.out}", patience
        )

    def await_err(self, wanted: str, patience: float = 120.0) -> None:
        """Wait until the call has said this about its work."""
        await_state(self.err.read_text, lambda said: wanted in said, f"{wanted!r}", patience)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """Calls of bodywork-argo for one namespace of one cluster."""

    kubeconfig: Path
    namespace: str
    folder: Path

    def through(self, kubeconfig: Path) -> CommandLine:
        """Return the same with another kubeconfig."""
        return replace(self, kubeconfig=kubeconfig)

    def start(self, command: str, *words: str) -> Call:
        """Start a call; `ending` leaves none behind."""
        number = len(list(self.folder.glob("*.out")))
        out, err = (self.folder / f"{number}-{command}.{end}" for end in ("out", "err"))
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = self.piped(command, *words, out=to_out, err=to_err)
        return Call(process=process, out=out, err=err)

    def run(self, command: str, *words: str, patience: float = 400.0) -> Ended:
        """Carry out a call to its end."""
        with ending(self.start(command, *words)) as call:
            return call.end(patience)

    def submit(self, repository: str, *words: str) -> str:
        """Start a run and return its name."""
        ended = self.run("submit", repository, *words)
        assert ended.code == 0, ended.err
        return ended.out.decode().strip()

    def piped(
        self,
        command: str,
        *words: str,
        out: IO[bytes] | int,
        err: IO[bytes] | int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a call whose streams go where they are told."""
        where = ("-n", self.namespace, "--kubeconfig", str(self.kubeconfig))
        return subprocess.Popen(
            [str(PROGRAM), command, *words, *where],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, "NO_COLOR": "1"},
        )


@contextmanager
def ending(*calls: Call) -> Iterator[Call]:
    """Leave no call behind, however the test ends; gives the first."""
    try:
        yield calls[0]
    finally:
        for call in calls:
            if call.process.poll() is None:
                call.process.kill()
            call.process.wait()


def megabytes(pid: int) -> float:
    """Return the most memory that a process has had; 0 when it has just ended.

    The kernel's own account at the end would count what this process had when it made the other.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except ProcessLookupError:
        return 0.0
    return next((int(each.split()[1]) / 1024 for each in lines if each.startswith("VmHWM")), 0.0)
