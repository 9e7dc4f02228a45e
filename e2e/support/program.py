"""The command line as its users have it, and the repositories that they run with it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bodywork_argo.access import SUBMITTER, access_manifests
from bodywork_argo.provision import provision
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS
from e2e.support.backends import ARGO, Engine
from e2e.support.identities import as_account, as_administrator, await_right, kubeconfig_of
from e2e.support.leaks import check_said
from e2e.support.pods import RUNNER
from e2e.support.repositories import IDENTITY, Repository
from e2e.support.spaces import Space

SCRIPT = Path(sys.executable).with_name("bodywork-argo")
PATIENCE_SECONDS = 300.0
GATE_TAG = "go"
_OPEN = 'b"refs/tags/{tag}" in urlopen("{url}/info/refs?service=git-upload-pack").read()'
_GATE = """
import time
from urllib.request import urlopen
print("waiting", flush=True)
while not {is_open}:
    time.sleep(0.3)
print("through")
"""
TELL = "import os; print(os.environ['EXCEPTION_MESSAGE'])"
"""A failure stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one call of the program came to."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The output as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """The lines of the output."""
        return self.out.splitlines()

    @property
    def warnings(self) -> list[str]:
        """The lines that warn."""
        return [line for line in self.err.splitlines() if line.startswith("warning: ")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Calls the program in processes of their own, as somebody who has nothing but a kubeconfig."""

    home: Path
    kubeconfig: Path
    engine: Engine = ARGO
    """Of all commands that are about runs."""

    def __call__(
        self,
        *words: str,
        code: int = 0,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> Said:
        """Run a command to its end, which has to have this exit code."""
        done = subprocess.run(
            [str(SCRIPT), *self.engine.chosen(*words)],
            cwd=folder or self.home,
            env=self._environment(variables or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=patience,
        )
        told = f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        check_said(done.stdout.encode(), done.stderr.encode())
        assert done.returncode == code, told
        assert "Traceback" not in done.stderr, told
        return Said(code=done.returncode, out=done.stdout, err=done.stderr)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command and return while it goes on; its errors can be read."""
        return subprocess.Popen(
            [str(SCRIPT), *self.engine.chosen(*words)],
            cwd=self.home,
            env=self._environment({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_terminal(self, *words: str, rows: int, columns: int) -> Said:
        """Run a command to its end whose errors go to a terminal of this size."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        with subprocess.Popen(
            [str(SCRIPT), *self.engine.chosen(*words)],
            cwd=self.home,
            env=self._environment({"TERM": "xterm"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
        ) as process:
            os.close(theirs)
            drawn = b"".join(iter(lambda: _read(ours), b""))
            out, _ = process.communicate()
        os.close(ours)
        return Said(code=process.returncode, out=out, err=drawn.decode())

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return an environment in which nothing is ours."""
        return {
            **IDENTITY,
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
            "LANG": "C.UTF-8",
            **variables,
        }


def _read(terminal: int) -> bytes:
    """Return what came; nothing when the other side was closed, which Linux tells as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def administrator_of(space: Space, folder: Path, engine: Engine = ARGO) -> Program:
    """Call the program as who may do everything; commands take the namespace with `-n`."""
    return _program(folder, "administrator", space.cluster.kubeconfig, engine)


def account_of(space: Space, account: str, folder: Path, engine: Engine = ARGO) -> Program:
    """Call the program as an account of the namespace that may start runs there."""
    may = engine.needs.submitter[0]
    await_right(as_account(space, account, folder), "create", may.group, may.resources[0])
    return _program(folder, account, kubeconfig_of(space, account, folder), engine)


def set_up(space: Space, folder: Path, engine: Engine = ARGO) -> Program:
    """Prepare the namespace for runs, and give what calls the program as a submitter there."""
    administrator_of(space, folder, engine)("setup", "-n", space.name, "--apply")
    return account_of(space, SUBMITTER, folder, engine)


def prepare(space: Space) -> None:
    """Make the accounts that runs on Argo need, as `setup` does, without a process."""
    list(provision(as_administrator(space), access_manifests(space.name, [ARGO_NEEDS])))


def _program(folder: Path, name: str, kubeconfig: Path, engine: Engine) -> Program:
    home = folder / f"home-of-{name}"
    home.mkdir(parents=True)
    return Program(home=home, kubeconfig=kubeconfig, engine=engine)


def stage(
    code: str = "", *, retries: int = 0, limit: int = 600, **keys: Any
) -> tuple[str, dict[str, Any]]:
    """Write a batch stage: its module, and what bodywork.yaml says of it."""
    batch = {"max_completion_time_seconds": limit, "retries": retries}
    return code, {"cpu_request": 0, "memory_request_mb": 0, "batch": batch, **keys}


def pipeline(
    dag: str,
    stages: Mapping[str, tuple[str, dict[str, Any]]],
    *,
    on_failure: str | None = None,
    image: str = RUNNER,
    **keys: Any,
) -> dict[str, str]:
    """Write the files of a repository."""
    failure = {} if on_failure is None else {"run_on_failure": on_failure}
    document = {
        "version": "1.1",
        "pipeline": {"name": "shop", "docker_image": image, "DAG": dag, **failure, **keys},
        "stages": {
            name: {"executable_module_path": f"code/{name}.py", **keys}
            for name, (_, keys) in stages.items()
        },
        "logging": {"log_level": "INFO"},
    }
    modules = {f"code/{name}.py": code for name, (code, _) in stages.items()}
    return {"bodywork.yaml": yaml.safe_dump(document, allow_unicode=True), **modules}


def gate(repository: Repository) -> str:
    """Write a module that goes on until the gate is opened."""
    return _GATE.format(is_open=is_open(repository))


def is_open(repository: Repository) -> str:
    """Write the expression by which a module that has `urlopen` learns that it may end."""
    return _OPEN.format(url=repository.url, tag=GATE_TAG)


def open_gate(repository: Repository, commit: str) -> None:
    """Let the modules that wait at the gate end well."""
    repository.tag(GATE_TAG, commit)


def phases(run: Any) -> dict[str, str]:
    """Return how the stages of a status stand."""
    return {each["stage"]: each["phase"] for each in run["stages"]}


def reasons(run: Any) -> dict[str, str]:
    """Return why the stages of a status stand so."""
    return {each["stage"]: each["reason"] for each in run["stages"]}
