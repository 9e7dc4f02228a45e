"""The process that runs one pipeline: ``python -m bodywork_argo_adapters.local.supervisor RUN``.

Signals: USR1 stops the run (its failure stage still runs), TERM ends everything at once, a second
TERM without grace. When standard input is a pipe, its end counts as TERM: the caller is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from pathlib import Path

from bodywork_argo import reasons
from bodywork_argo.backend import Phase, StageStatus
from bodywork_argo_adapters.local import processes
from bodywork_argo_adapters.local.board import Board
from bodywork_argo_adapters.local.document import LocalTask, read_document
from bodywork_argo_adapters.local.folder import RunFolder, remove_tree
from bodywork_argo_adapters.local.services import Service
from bodywork_argo_adapters.local.stages import Outcome, Workshop, run_batch

_FAILURES_LENGTH, _FAILURES_TOLD = 15_000, 300
"""Linux takes 131,071 bytes for one variable, and one character may become six in JSON."""


class Supervisor:
    """Runs the steps of one run, then the failure stage if need be, and ends the services."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._services: list[Service] = []
        self._steps: asyncio.Task[bool] | None = None
        self._stopping = False
        self._turns = asyncio.Semaphore(shop.run.parallelism or len(shop.run.tasks()))

    async def run(self) -> None:
        """Run to the end; when that is good and services are to be kept, until terminated."""
        try:
            good = await self._run()
            if good and self._services and self._shop.run.keep_services:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._terminated()
        finally:
            await asyncio.gather(*(service.stop() for service in self._services))

    def stop(self) -> None:
        """End the stages that run; the failure stage follows."""
        if self._steps is not None and not self._steps.done():
            self._stopping = True
            self._steps.cancel()

    async def _run(self) -> bool:
        run, board = self._shop.run, self._shop.board
        self._steps = asyncio.create_task(self._all_steps())
        # On a time-out, as when it is cancelled, wait_for ends the steps and waits until they are.
        ending = asyncio.wait_for(self._steps, run.timeout_seconds or None)
        ended_by = ""
        try:
            good = await ending
        except asyncio.TimeoutError:
            good, ended_by = False, reasons.of_run_limit(run.timeout_seconds)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            good, ended_by = False, reasons.STOPPED
        if good:
            self._succeeded()
        else:
            if ended_by:
                board.stop_running(ended_by)
            await self._failed(ended_by)
        return good

    def _succeeded(self) -> None:
        board, on_failure = self._shop.board, self._shop.run.on_failure
        if on_failure is not None:
            board.end(on_failure.name, Phase.SKIPPED, exit_code=None, reason=reasons.NOTHING_FAILED)
        board.finish(Phase.SUCCEEDED, "")

    async def _all_steps(self) -> bool:
        for step in self._shop.run.steps:
            outcomes = await asyncio.gather(*(self._task(task) for task in step))
            if not all(outcome.well for outcome in outcomes):
                return False
        return True

    async def _task(self, task: LocalTask) -> Outcome:
        if task.port is None:
            async with self._turns:
                return await run_batch(self._shop, task)
        service = Service(self._shop, task)
        self._services.append(service)
        return await service.release()

    async def _failed(self, ended_by: str) -> None:
        board, on_failure = self._shop.board, self._shop.run.on_failure
        if on_failure is not None:
            told = _told(board.in_phases([Phase.FAILED, Phase.STOPPED]))
            await run_batch(self._shop, on_failure, told)
        board.skip_pending(reasons.NEVER_BEGAN)
        board.finish(Phase.STOPPED if self._stopping else Phase.FAILED, self._why(ended_by))

    def _why(self, ended_by: str) -> str:
        on_failure = self._shop.run.on_failure
        return reasons.why_run_ended(
            self._shop.board.in_phases([Phase.FAILED, Phase.STOPPED]),
            failure_task=on_failure.name if on_failure else None,
            ended_by=ended_by,
        )

    def _terminated(self) -> None:
        board = self._shop.board
        if board.finished:
            return
        board.stop_running(reasons.TERMINATED)
        board.skip_pending(reasons.TERMINATED)
        board.finish(Phase.STOPPED, self._why(reasons.TERMINATED))


def _told(failed: list[StageStatus]) -> dict[str, str]:
    """Return the variable from which the runner makes EXCEPTION_MESSAGE."""
    failures = []
    each = max(_FAILURES_LENGTH // max(len(failed), 1), 50)
    for status in failed[:_FAILURES_TOLD]:
        code = status.exit_code
        bare = code is not None and status.reason == reasons.of_exit(code)  # the runner says so
        reason = None if bare else status.reason[:each]
        failures.append({"stage": status.stage, "exit_code": code, "reason": reason})
    return {"BODYWORK_FAILURES": json.dumps(failures, ensure_ascii=False)}


async def supervise(folder: RunFolder) -> None:
    """Run what the folder's document says, with signals and the caller's pipe connected."""
    run = read_document(folder.document())
    shop = Workshop(folder=folder, run=run, board=Board(folder, run), environment=dict(os.environ))
    supervisor = Supervisor(shop)
    processes.adopt_orphans()
    main = asyncio.create_task(supervisor.run())
    _connect(shop, supervisor, main)
    try:
        await main
    finally:
        if not shop.board.finished:  # what went wrong is in the supervisor's log
            shop.board.stop_running("the supervisor failed")
            shop.board.skip_pending("the supervisor failed")
            shop.board.finish(Phase.FAILED, f"the supervisor failed; see {folder.supervisor_log}")
        # Whatever happened above: no process and no work folder outlives the run.
        await processes.uninterrupted(processes.end_all(f"{folder.path}/", 1))
        remove_tree(folder.path / "work")


def _connect(shop: Workshop, supervisor: Supervisor, main: asyncio.Task[None]) -> None:
    asked = 0

    def terminate() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            main.cancel()
            return
        for process in processes.marked(f"{shop.folder.path}/"):
            process.kill()

    def caller_gone() -> None:
        if not os.read(0, 1):
            loop.remove_reader(0)
            terminate()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, terminate)
    loop.add_signal_handler(signal.SIGUSR1, supervisor.stop)
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        loop.add_reader(0, caller_gone)


if __name__ == "__main__":
    asyncio.run(supervise(RunFolder(Path(sys.argv[1]))))
