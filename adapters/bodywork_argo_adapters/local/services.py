"""Supervised services: started, probed, started again when they end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import socket
from dataclasses import dataclass
from typing import Any

from bodywork_argo.backend import Phase
from bodywork_argo_adapters.local import processes
from bodywork_argo_adapters.local.document import LocalTask
from bodywork_argo_adapters.local.stages import Attempt, Outcome, Workshop

PROBE_SECONDS = 0.2
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
"""Between restarts, doubled each time, as the kubelet does with other numbers."""


def port_is_free(port: int) -> bool:
    """Return whether a service could listen on a port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def answers(port: int, path: str | None) -> bool:
    """Return whether a port is open or, with a path, whether it answers as the kubelet wants.

    That is with a status from 200 to 399, within a second (Kubernetes' default).
    """
    try:
        if path is None:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return 200 <= connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False


@dataclass(slots=True)
class _State:
    """What the supervision of one service has seen."""

    starts: int = 0
    ready: bool = False
    last: Outcome | None = None


class Service:
    """One service stage of a run. `release` starts it; `stop` ends it with all its processes."""

    def __init__(self, shop: Workshop, task: LocalTask) -> None:
        assert task.port is not None
        self._shop = shop
        self._task = task
        self._port = task.port
        self._attempt = Attempt(shop=shop, task=task, number=1)
        self._state = _State()
        self._keeper: asyncio.Task[None] | None = None

    async def release(self) -> Outcome:
        """Start the service and wait until its port answers.

        Returns a failed outcome when that takes longer than the stage's start-up time (counted
        from the module's first start), and leaves nothing running then.
        """
        task = self._task
        self._shop.board.begin(task.name, 1)
        if task.replicas == 0:
            return self._judged(Outcome(exit_code=0), "no replicas asked for")
        if not port_is_free(self._port):
            return self._judged(
                Outcome(exit_code=None, reason=f"port {self._port} is in use on this machine")
            )
        opened: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(opened))
        either: set[asyncio.Future[Any]] = {self._keeper, opened}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            await self._keeper  # raises what kept it from telling
        outcome = opened.result()
        if not outcome.well:
            await self.stop()
        return self._judged(outcome, f"serves at http://127.0.0.1:{self._port}")

    async def stop(self) -> None:
        """End the service; wait until its last process is gone."""
        if self._keeper is not None:
            self._keeper.cancel()
            await processes.uninterrupted(asyncio.wait({self._keeper}))

    def _judged(self, outcome: Outcome, good: str = "") -> Outcome:
        phase = Phase.SUCCEEDED if outcome.well else Phase.FAILED
        self._shop.board.end(
            self._task.name,
            phase,
            exit_code=outcome.exit_code if not outcome.well else None,
            reason=outcome.reason or good,
        )
        return outcome

    async def _keep(self, opened: asyncio.Future[Outcome]) -> None:
        """Prepare once, then run the module for ever; tell through `opened` how it began."""
        async with self._attempt.folder():
            prepared = await self._attempt.prepare()
            if not prepared.well:
                opened.set_result(prepared)
                return
            judge = asyncio.create_task(self._judge(opened))
            try:
                await self._restart_for_ever()
            finally:
                judge.cancel()

    async def _judge(self, opened: asyncio.Future[Outcome]) -> None:
        """Probe the port until it answers or the start-up time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._task.startup_seconds
        while loop.time() < deadline:
            if self._state.starts and await self._answers():
                self._state.ready = True
                opened.set_result(Outcome(exit_code=0))
                return
            await asyncio.sleep(PROBE_SECONDS)
        opened.set_result(self._too_late())

    def _too_late(self) -> Outcome:
        what = f"port {self._port}"
        if self._task.startup_path:
            what = f"http://127.0.0.1:{self._port}{self._task.startup_path}"
        limit = f"{what} did not answer within {self._task.startup_seconds} s"
        last = self._state.last
        if last is None:
            return Outcome(exit_code=None, reason=limit)
        ended = last.reason or "the module ended with exit code 0"
        return Outcome(
            exit_code=last.exit_code,
            reason=f"{limit}; start {self._state.starts}, the last end: {ended}",
        )

    async def _answers(self) -> bool:
        return await asyncio.to_thread(answers, self._port, self._task.startup_path)

    async def _restart_for_ever(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            self._state.starts += 1
            self._state.last = await self._attempt.execute({})
            if self._state.ready:
                why = self._state.last.reason or "exit code 0"
                self._shop.board.note(
                    self._task.name, f"has ended ({why}); start {self._state.starts + 1} follows"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
