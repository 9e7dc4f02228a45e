"""Starts processes of a stage and makes sure that none of them outlives it.

A container takes all its processes along when it ends. Here each process of an attempt carries a
cookie in its environment, which its children inherit, so that those which left the process group
(a notebook's kernel, a worker pool) are found as well.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

COOKIE = "BODYWORK_LOCAL_COOKIE"
"""Environment variable that marks the processes of one attempt of one run."""

Result = TypeVar("Result")

_POLL_SECONDS = 0.05
_PR_SET_CHILD_SUBREAPER = 36


async def start(
    command: Sequence[str], *, environment: Mapping[str, str], cookie: str, folder: Path, log: Path
) -> asyncio.subprocess.Process:
    """Start a command in a session of its own, both its outputs appended to the log."""
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**environment, COOKIE: cookie},
            start_new_session=True,
        )


def marked(cookie: str) -> list[psutil.Process]:
    """Return the living processes whose cookie begins with `cookie`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(COOKIE, "").startswith(cookie):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
            continue  # somebody else's, or gone meanwhile
    return found


async def run_to_end(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    cookie: str,
    folder: Path,
    log: Path,
    grace_seconds: float,
) -> int:
    """Run a command; return its exit code when the last of its processes is gone.

    Cancelled, it ends them with TERM and, after the grace, KILL before it lets go.
    """
    process = await start(command, environment=environment, cookie=cookie, folder=folder, log=log)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            await uninterrupted(end(cookie, process.pid, grace_seconds))
        else:
            await uninterrupted(end(cookie, None, 0))


async def uninterrupted(work: Awaitable[Result]) -> Result:
    """Finish some work even if the caller is cancelled meanwhile, then pass that on."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()


def adopt_orphans() -> None:
    """On Linux, become the parent of descendants whose own parent has ended.

    So those are found that have neither the group nor the environment of their stage any more.
    Elsewhere only the cookie finds what has left its group.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def end_all(prefix: str, grace_seconds: float) -> None:
    """End every marked process and every descendant of this one, however it hides."""
    await end(prefix, os.getpid(), grace_seconds)


async def end(cookie: str, pid: int | None, grace_seconds: float) -> None:
    """End all processes of an attempt: TERM, and KILL after the grace."""
    family = _family(cookie, pid)
    _signal(family, signal.SIGTERM)
    await _gone(family, grace_seconds)
    for _ in range(3):  # a process may have forked while its siblings were being killed
        family = _family(cookie, pid)
        if not family:
            return
        _signal(family, signal.SIGKILL)
        await _gone(family, 5)


def _family(cookie: str, pid: int | None) -> list[psutil.Process]:
    """Return marked processes and descendants; some systems hide others' environment."""
    family = {process.pid: process for process in marked(cookie)}
    if pid is not None:
        try:
            leader = psutil.Process(pid)
            for process in [leader, *leader.children(recursive=True)]:
                family.setdefault(process.pid, process)
        except psutil.NoSuchProcess:
            pass
    family.pop(os.getpid(), None)
    return [process for process in family.values() if _alive(process)]


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(group: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in group:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


async def _gone(group: Sequence[psutil.Process], seconds: float) -> None:
    """Wait until all are gone, at most so long."""
    deadline = asyncio.get_running_loop().time() + seconds
    while any(_alive(process) for process in group):
        if asyncio.get_running_loop().time() >= deadline:
            return
        await asyncio.sleep(_POLL_SECONDS)
