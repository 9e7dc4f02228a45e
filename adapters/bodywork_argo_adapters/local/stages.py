"""One attempt of a stage: prepare, then the module, then nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import bodywork_argo.runner
from bodywork_argo.backend import Phase
from bodywork_argo.plan import Site, exec_command, prepare_command
from bodywork_argo_adapters.local import processes
from bodywork_argo_adapters.local.board import Board
from bodywork_argo_adapters.local.document import LocalRun, LocalTask
from bodywork_argo_adapters.local.folder import RunFolder

GRACE_SECONDS = 10.0
"""Between TERM and KILL, as the runner's own watchdog has it."""

BASE_PYTHON: str = getattr(sys, "_base_executable", sys.executable)
"""The interpreter behind the one that runs us: a stage must not find this tool's own packages."""

_PASSED_ON = frozenset(
    """
    HOME LANG LOGNAME PATH SHELL TERM TMPDIR TZ USER
    http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
"""What a module sees of the caller's environment; the rest comes from the plan, as in a pod."""

_KEPT_FROM_PREPARE = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", processes.COOKIE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended; `reason` is empty when it ended well."""

    exit_code: int | None
    reason: str = ""

    @property
    def well(self) -> bool:
        """Whether the stage did what it should."""
        return self.exit_code == 0 and not self.reason


@dataclass(slots=True, kw_only=True)
class Workshop:
    """What every stage of a run needs: where it works and what it is told."""

    folder: RunFolder
    run: LocalRun
    board: Board
    environment: Mapping[str, str]
    """The caller's."""
    grace_seconds: float = GRACE_SECONDS

    def cookie(self, task: LocalTask, attempt: int) -> str:
        """Return the mark of an attempt's processes."""
        return f"{self.folder.path}/{task.name}/{attempt}/"

    def site(self, task: LocalTask) -> Site:
        """Return where the attempt that runs finds its things."""
        work = self.folder.work(task.name)
        return Site(
            python=BASE_PYTHON,
            runner=bodywork_argo.runner.__file__,
            workspace=str(work),
            termination_log=str(work / "termination-log"),
        )

    def module_environment(self, task: LocalTask, extra: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the module: few of the caller's, all of the plan's."""
        passed = {
            name: value
            for name, value in self.environment.items()
            if name in _PASSED_ON or name.startswith("LC_")
        }
        planned = {
            variable.name: self._value(variable.value, variable.secret, variable.name)
            for variable in task.variables
        }
        return {**passed, **planned, **extra}

    def prepare_environment(self) -> dict[str, str]:
        """Return the variables of prepare: the caller's, who can reach Git and the index."""
        return {k: v for k, v in self.environment.items() if k not in _KEPT_FROM_PREPARE}

    def _value(self, value: str | None, secret: str | None, name: str) -> str:
        if value is not None:
            return value
        return self.environment[name] if secret is not None else self.folder.name


async def run_batch(
    shop: Workshop, task: LocalTask, extra: Mapping[str, str] | None = None
) -> Outcome:
    """Run a batch stage with its retries; the board tells how it ended."""
    outcome = Outcome(exit_code=None)
    for attempt in range(1, task.retries + 2):
        shop.board.begin(task.name, attempt)
        outcome = await _attempt(shop, task, attempt, extra or {})
        if outcome.well:
            break
        if attempt <= task.retries:
            shop.board.note(task.name, f"attempt {attempt} failed: {outcome.reason}")
    phase = Phase.SUCCEEDED if outcome.well else Phase.FAILED
    shop.board.end(task.name, phase, exit_code=outcome.exit_code, reason=outcome.reason)
    return outcome


async def _attempt(
    shop: Workshop, task: LocalTask, attempt: int, extra: Mapping[str, str]
) -> Outcome:
    async with work_folder(shop, task, attempt):
        outcome = await prepare(shop, task, attempt)
        if not outcome.well:
            return outcome
        return await execute(shop, task, attempt, extra)


@contextlib.asynccontextmanager
async def work_folder(shop: Workshop, task: LocalTask, attempt: int) -> AsyncIterator[Path]:
    """Make an attempt's folder; keep what a notebook left in it and remove the rest."""
    work = shop.folder.work(task.name)
    await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        if (work / "output").is_dir():
            target = shop.folder.output(task.name, attempt)
            target.parent.mkdir(exist_ok=True)
            shutil.move(work / "output", target)
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


async def prepare(shop: Workshop, task: LocalTask, attempt: int) -> Outcome:
    """Fetch the commit and install the requirements."""
    command = prepare_command(
        task.container, shop.site(task), repository=shop.run.repository, commit=shop.run.commit
    )
    outcome = await _command(shop, task, attempt, command, shop.prepare_environment())
    if outcome.well:
        return outcome
    # The exit code is the runner's: the module, whose code people look for, never started.
    return Outcome(exit_code=None, reason=outcome.reason)


async def execute(
    shop: Workshop, task: LocalTask, attempt: int, extra: Mapping[str, str]
) -> Outcome:
    """Run the module to its end."""
    environment = shop.module_environment(task, extra)
    return await _command(
        shop, task, attempt, exec_command(task.container, shop.site(task)), environment
    )


async def _command(
    shop: Workshop,
    task: LocalTask,
    attempt: int,
    command: tuple[str, ...],
    environment: Mapping[str, str],
) -> Outcome:
    cookie = shop.cookie(task, attempt)
    process = await processes.start(
        command,
        environment=environment,
        cookie=cookie,
        folder=shop.folder.work(task.name),
        log=shop.folder.log(task.name, attempt),
    )
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        await asyncio.shield(processes.end(cookie, process.pid, shop.grace_seconds))
        raise
    await processes.end(cookie, None, 0)
    return Outcome(exit_code=_shell_code(code), reason=reason_of(shop, task, code))


def reason_of(shop: Workshop, task: LocalTask, code: int) -> str:
    """Return why a command ended badly: the runner's own words, else the exit code."""
    written = Path(shop.site(task).termination_log)
    with contextlib.suppress(FileNotFoundError):
        if text := written.read_text("utf-8", errors="replace").strip():
            return text
    return "" if code == 0 else f"exit code {_shell_code(code)}"


def _shell_code(code: int) -> int:
    """Return the exit code as containers report it: 128 + n for signal n."""
    return code if code >= 0 else 128 - code
