"""What the runner's tests run: real repositories, real processes, wheels made by hand."""

from __future__ import annotations

import base64
import functools
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bodywork_argo import runner

RUNNER = Path(runner.__file__)
PATIENCE = 20.0


def encoded(text: str) -> str:
    """Return the base64 form in which text travels past an engine."""
    return base64.b64encode(text.encode()).decode()


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Tell whether a process runs (one that only waits to be reaped does not)."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(shown.stdout.strip()) and not shown.stdout.strip().startswith("Z")


def processes_with(text: str) -> list[str]:
    """Return the command lines of the processes that mention a text."""
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "stat=,args="], capture_output=True, text=True)
    lines = [line for line in shown.stdout.splitlines() if not line.startswith("Z")]
    return [line for line in lines if text in line]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of the runner ended."""

    code: int
    out: str
    err: str
    reason: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A Git repository with a work tree, filled by the test."""

    path: Path

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
        allowed = ["-c", "protocol.file.allow=always"]
        done = subprocess.run(
            ["git", *who, *allowed, *arguments],
            cwd=self.path,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str]) -> str:
        """Commit files; return the full hash."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=A commit")
        return self.git("rev-parse", "HEAD")


def new_repository(path: Path) -> Repository:
    """Make an empty repository."""
    path.mkdir(parents=True)
    repository = Repository(path)
    repository.git("init", "--quiet", "--initial-branch=main")
    return repository


class Lab:
    """A workspace, a repository and a clean environment to run the runner in."""

    def __init__(self, root: Path, python: str = sys.executable) -> None:
        self.root = root
        self.python = python
        self.workspace = root / "workspace"
        self.log = root / "termination-log"
        self.home = root / "home"
        self.temporary = root / "temporary"
        self.home.mkdir()
        self.temporary.mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(root / "links"),
        }
        self.repository = new_repository(root / "source")

    def start(self, command: str, *options: str, **env: str) -> subprocess.Popen[str]:
        """Start the runner."""
        common = [f"--workspace={self.workspace}", f"--termination-log={self.log}"]
        return subprocess.Popen(
            [self.python, str(RUNNER), command, *common, *options],
            env={**self.env, **env},
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Outcome:
        """Wait for the end of a runner that was started."""
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        reason = self.log.read_text() if self.log.exists() else ""
        return Outcome(process.returncode, out, err, reason)

    def run(self, command: str, *options: str, **env: str) -> Outcome:
        """Run the runner to its end."""
        return self.finish(self.start(command, *options, **env))

    def prepare(self, commit: str, *options: str, repository: str = "", **env: str) -> Outcome:
        """Prepare a stage of a commit."""
        source = repository or str(self.repository.path)
        return self.run("prepare", f"--repository={source}", f"--commit={commit}", *options, **env)

    def ready(self, files: dict[str, str], *options: str) -> str:
        """Commit files, prepare that commit and return its hash."""
        commit = self.repository.commit(files)
        done = self.prepare(commit, *options)
        assert done.code == 0, done
        return commit

    def wheel(self, name: str, files: dict[str, str], script: str = "") -> None:
        """Make a wheel that pip finds."""
        links = self.root / "links"
        links.mkdir(exist_ok=True)
        about = f"{name}-1.0.dist-info"
        files = {
            **files,
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
        }
        if script:
            files[f"{about}/entry_points.txt"] = f"[console_scripts]\n{script}\n"
        record = "".join(f"{path},,\n" for path in files) + f"{about}/RECORD,,\n"
        with zipfile.ZipFile(links / f"{name}-1.0-py3-none-any.whl", "w") as archive:
            for path, text in {**files, f"{about}/RECORD": record}.items():
                archive.writestr(path, text)

    def bin_without(self, *names: str) -> str:
        """Return a PATH with every program of the machine's but some."""
        folder = self.root / "bin"
        folder.mkdir()
        for place in os.environ["PATH"].split(os.pathsep):
            for program in Path(place).glob("*") if place else ():
                link = folder / program.name
                if program.name not in names and not link.is_symlink():
                    link.symlink_to(program)
        return str(folder)

    def program(self, name: str, text: str) -> str:
        """Put a program first on the PATH; return that PATH."""
        folder = self.root / "programs"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
        return f"{folder}{os.pathsep}{self.env['PATH']}"


def terminate(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> None:
    """Send a signal to the runner alone."""
    os.kill(process.pid, number)


@functools.cache
def found_interpreters() -> dict[str, str]:
    """Return the Pythons to test with, by version.

    BODYWORK_TEST_PYTHONS (paths, separated as in PATH) adds to what PATH has.
    """
    given = os.environ.get("BODYWORK_TEST_PYTHONS", "").split(os.pathsep)
    names = [f"python3.{minor}" for minor in range(8, 15)]
    found: dict[str, str] = {}
    for path in filter(None, [*given, *map(shutil.which, names)]):
        show = "import sys; print('{}.{}'.format(*sys.version_info))"
        shown = subprocess.run([path, "-c", show], capture_output=True, text=True)
        if shown.returncode == 0:
            found.setdefault(shown.stdout.strip(), path)
    return found


@contextmanager
def without(path: Path, mode: int) -> Iterator[None]:
    """Give a folder other permissions for a while."""
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)
