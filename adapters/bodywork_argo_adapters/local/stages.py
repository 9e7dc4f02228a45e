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
from bodywork_argo import reasons
from bodywork_argo.backend import Phase
from bodywork_argo.plan import Site, exec_command, prepare_command
from bodywork_argo_adapters.local import processes
from bodywork_argo_adapters.local.board import Board
from bodywork_argo_adapters.local.document import LocalRun, LocalTask
from bodywork_argo_adapters.local.folder import RunFolder, remove_tree

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of a task: where it works, how it is found, what it runs."""

    shop: Workshop
    task: LocalTask
    number: int

    @property
    def cookie(self) -> str:
        """The mark of its processes."""
        return f"{self.shop.folder.path}/{self.task.name}/{self.number}/"

    @property
    def work(self) -> Path:
        """Its folder."""
        return self.shop.folder.work(self.task.name, self.number)

    @property
    def site(self) -> Site:
        """Where it finds its things."""
        return Site(
            python=BASE_PYTHON,
            runner=bodywork_argo.runner.__file__,
            workspace=str(self.work),
            termination_log=str(self.work / "termination-log"),
        )

    @contextlib.asynccontextmanager
    async def folder(self) -> AsyncIterator[None]:
        """Make its folder; keep what a notebook left in it and remove the rest."""
        (self.work / "tmp").mkdir(parents=True)
        try:
            yield
        finally:
            if (self.work / "output").is_dir():
                target = self.shop.folder.output(self.task.name, self.number)
                target.parent.mkdir(exist_ok=True)
                shutil.move(self.work / "output", target)
            await processes.uninterrupted(asyncio.to_thread(remove_tree, self.work))

    async def prepare(self) -> Outcome:
        """Fetch the commit and install the requirements."""
        run = self.shop.run
        command = prepare_command(
            self.task.container, self.site, repository=run.repository, commit=run.commit
        )
        # pip leaves its folders behind when it is ended: they go with the attempt's own.
        environment = {**self.shop.prepare_environment(), "TMPDIR": str(self.work / "tmp")}
        outcome = await self._command(command, environment)
        if outcome.well:
            return outcome
        # The exit code is the runner's: the module, whose code people look for, never started.
        return Outcome(exit_code=None, reason=outcome.reason)

    async def execute(self, extra: Mapping[str, str]) -> Outcome:
        """Run the module to its end."""
        environment = self.shop.module_environment(self.task, extra)
        return await self._command(exec_command(self.task.container, self.site), environment)

    async def _command(self, command: tuple[str, ...], environment: Mapping[str, str]) -> Outcome:
        try:
            code = await processes.run_to_end(
                command,
                environment=environment,
                cookie=self.cookie,
                folder=self.work,
                log=self.shop.folder.log(self.task.name, self.number),
                grace_seconds=self.shop.grace_seconds,
            )
        except OSError as error:  # no interpreter, a full disk: the stage's failure, not the run's
            return Outcome(exit_code=None, reason=f"can't be started: {error}")
        # As containers report it: 128 + n for signal n.
        return self._outcome(code if code >= 0 else 128 - code)

    def _outcome(self, code: int) -> Outcome:
        """Return why a command ended badly in the runner's own words, else its exit code.

        Exit code 0 is a good end whatever the log says: a module that is told to end when its time
        is over, and does it well within the grace, has ended well in a pod, too.
        """
        if code == 0:
            return Outcome(exit_code=0)
        with contextlib.suppress(FileNotFoundError):
            text = Path(self.site.termination_log).read_text("utf-8", errors="replace").strip()
            if text:
                return Outcome(exit_code=code, reason=text)
        return Outcome(exit_code=code, reason=reasons.of_exit(code))


async def run_batch(
    shop: Workshop, task: LocalTask, extra: Mapping[str, str] | None = None
) -> Outcome:
    """Run a batch stage with its retries; the board tells how it ended."""
    outcome = Outcome(exit_code=None)
    for number in range(1, task.retries + 2):
        shop.board.begin(task.name, number)
        outcome = await _attempt(Attempt(shop=shop, task=task, number=number), extra or {})
        if outcome.well:
            break
        if number <= task.retries:
            shop.board.note(task.name, f"attempt {number} failed: {outcome.reason}")
    phase = Phase.SUCCEEDED if outcome.well else Phase.FAILED
    shop.board.end(task.name, phase, exit_code=outcome.exit_code, reason=outcome.reason)
    return outcome


async def _attempt(attempt: Attempt, extra: Mapping[str, str]) -> Outcome:
    async with attempt.folder():
        outcome = await attempt.prepare()
        return await attempt.execute(extra) if outcome.well else outcome
