"""The client of the local engine: starts supervisors, reads run folders, sends signals."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import psutil

from bodywork_argo.backend import Compiled, LogPiece, Phase, RunRef, RunStatus
from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.local import processes
from bodywork_argo_adapters.local.document import LocalRun, read_document
from bodywork_argo_adapters.local.folder import RunFolder, StageLog, remove_tree
from bodywork_argo_adapters.local.services import port_is_free

POLL_SECONDS = 0.1
KEPT_RUNS = 20
"""Runs that have ended and are kept when a new one starts."""
_NOT_OURS = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"})
_PIECE = 65536
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"


def default_root(environment: Mapping[str, str]) -> Path:
    """Return where runs are kept: BODYWORK_ARGO_HOME, else the XDG state folder of the user."""
    if own := environment.get("BODYWORK_ARGO_HOME"):
        return Path(own) / "runs"
    state = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "bodywork-argo" / "runs"


class LocalRuntime:
    """Runs are folders below `root`; what stages call secrets comes from `environment`.

    With `attached`, runs end when this process ends, however it ends.
    """

    def __init__(
        self,
        root: Path | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        attached: bool = True,
    ) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self.root = (root or default_root(self._environment)).absolute()
        self.attached = attached
        self._children: list[subprocess.Popen[bytes]] = []
        self._reaping = threading.Lock()

    def submit(self, compiled: Compiled) -> RunRef:
        """Start the supervisor of a new run. See `Runtime.submit`.

        Raises:
            EngineError: a secret's variable is not set, a service's port is in use, or the
                name is taken.
        """
        (document,) = compiled.documents
        run = read_document(document)
        folder = RunFolder(self.root / (compiled.run_name or _generated(document)))
        if folder.path.exists():
            if folder.document() == document:
                return self._ref(folder)
            raise EngineError(f"there is a run {folder.name} already, and it is another one")
        self._check_secrets(run)
        _check_ports(run)
        try:
            self._prune()
            folder.path.mkdir(parents=True)
            # Until the supervisor has started we answer for the run: to others it would be dead.
            folder.write_supervisor(psutil.Process())
            folder.write_document(document)
            self._start(folder)
        except OSError as error:
            raise EngineError(
                f"{self.root} can't hold runs: {error}; set BODYWORK_ARGO_HOME to a folder that can"
            ) from error
        return self._ref(folder)

    def status(self, ref: RunRef) -> RunStatus:
        """Return the status as the supervisor wrote it; a dead supervisor's run has failed."""
        folder = self._folder(ref)
        self._reap()
        alive = folder.supervisor() is not None  # asked first: it writes before it goes
        status = folder.status()
        if status is None:
            run = read_document(folder.document())
            status = RunStatus(ref=self._ref(folder), pipeline=run.pipeline, phase=Phase.PENDING)
        if alive or status.phase.final:
            return status
        return _buried(folder, status)

    def list(self, pipeline: str | None = None) -> tuple[RunStatus, ...]:
        """Return the runs below the root, newest first."""
        found = [
            replace(self.status(self._ref(RunFolder(path.parent))), stages=())
            for path in self.root.glob("*/run.json")
        ]
        oldest = datetime.min.replace(tzinfo=timezone.utc)
        found.sort(key=lambda status: status.started or oldest, reverse=True)
        return tuple(status for status in found if pipeline in (None, status.pipeline))

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        """Yield the status at each change, looking ten times a second."""
        last = None
        while last is None or not last.phase.final:
            status = self.status(ref)
            if status != last:
                yield status
                last = status
            else:
                time.sleep(POLL_SECONDS)

    def logs(
        self, ref: RunRef, stage: str | None = None, *, follow: bool = False
    ) -> Iterator[LogPiece]:
        """Yield what the log files hold; follows kept services until they end, too."""
        folder = self._folder(ref)
        stages = {task.name: task.stage for task in read_document(folder.document()).tasks()}
        read: dict[Path, int] = {}
        while True:
            alive = follow and folder.supervisor() is not None
            for log in folder.logs(list(stages)):
                if stage in (None, stages[log.task]):
                    yield from _new_pieces(log, stages[log.task], read)
            if not alive:
                self._reap()
                return
            time.sleep(POLL_SECONDS)

    def stop(self, ref: RunRef) -> None:
        """End the stages that run; the failure stage follows."""
        self._signal(ref, signal.SIGUSR1)

    def terminate(self, ref: RunRef) -> None:
        """End everything, kept services included; a second call does not wait for the grace."""
        folder = self._folder(ref)
        if folder.supervisor() is None:
            _sweep(folder)
        else:
            self._signal(ref, signal.SIGTERM)

    def delete(self, ref: RunRef) -> None:
        """Terminate, wait for the end and remove the folder."""
        folder = self._folder(ref)
        self.terminate(ref)
        if supervisor := folder.supervisor():
            supervisor.wait()
        self._reap()
        remove_tree(folder.path)

    def _ref(self, folder: RunFolder) -> RunRef:
        return RunRef(backend="local", name=folder.name, where=str(folder.path))

    def _prune(self) -> None:
        """Remove the oldest runs that have ended, beyond those kept."""
        ended = [status for status in self.list() if status.phase.final]
        for status in ended[KEPT_RUNS:]:
            if self._folder(status.ref).supervisor() is None:
                remove_tree(self.root / status.ref.name)

    def _folder(self, ref: RunRef) -> RunFolder:
        folder = RunFolder(self.root / ref.name)
        if Path(ref.name).name != ref.name or not (folder.path / "run.json").is_file():
            raise EngineError(f"there is no run {ref.name} in {self.root}")
        return folder

    def _check_secrets(self, run: LocalRun) -> None:
        missing = [
            f"{variable.name} (stage '{task.stage}', secret '{variable.secret}')"
            for task in run.tasks()
            for variable in task.variables
            if variable.secret is not None and variable.name not in self._environment
        ]
        if missing:
            raise EngineError(
                "the local backend takes secrets from environment variables; set "
                + ", ".join(missing)
            )

    def _start(self, folder: RunFolder) -> None:
        with folder.supervisor_log.open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "bodywork_argo_adapters.local.supervisor", folder.path],
                cwd=folder.path,  # -m looks for modules there: not among the user's files
                stdin=subprocess.PIPE if self.attached else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={k: v for k, v in self._environment.items() if k not in _NOT_OURS},
                start_new_session=True,
            )
        self._children.append(child)  # keeps the pipe open, whose end tells that we are gone
        folder.write_supervisor(psutil.Process(child.pid))

    def _reap(self) -> None:
        """Let go of supervisors that have ended."""
        with self._reaping:  # logs are followed in a thread of their own
            for child in [child for child in self._children if child.poll() is not None]:
                if child.stdin is not None:
                    child.stdin.close()
                self._children.remove(child)

    def _signal(self, ref: RunRef, number: signal.Signals) -> None:
        supervisor = self._folder(ref).supervisor()
        if supervisor is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                supervisor.send_signal(number)


def _check_ports(run: LocalRun) -> None:
    for task in run.tasks():
        if task.port is not None and task.replicas and not port_is_free(task.port):
            raise EngineError(
                f"port {task.port} of service '{task.stage}' is in use on this machine; "
                "end what listens there or give the service another port"
            )


def _buried(folder: RunFolder, status: RunStatus) -> RunStatus:
    """End what a supervisor that died has left, and write down how its run ended."""
    _sweep(folder)
    remove_tree(folder.path / "work")
    why = f"its supervisor died; see {folder.supervisor_log}"
    ended = {Phase.RUNNING: Phase.FAILED, Phase.PENDING: Phase.SKIPPED}
    stages = tuple(
        replace(stage, phase=ended[stage.phase], reason=why) if stage.phase in ended else stage
        for stage in status.stages
    )
    now = datetime.now(timezone.utc)
    status = replace(status, phase=Phase.FAILED, reason=why, finished=now, stages=stages)
    folder.write_status(status)
    return status


def _sweep(folder: RunFolder) -> None:
    """Kill what a supervisor that was killed itself has left."""
    for process in processes.marked(f"{folder.path}/"):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _new_pieces(log: StageLog, stage: str, read: dict[Path, int]) -> Iterator[LogPiece]:
    with log.path.open("rb") as file:
        file.seek(read.get(log.path, 0))
        while data := file.read(_PIECE):
            read[log.path] = file.tell()
            yield LogPiece(stage=stage, attempt=log.attempt, data=data)


def _generated(document: Manifest) -> str:
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(5))
    return f"{document['metadata']['generateName']}{tail}"
