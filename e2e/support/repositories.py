"""Git repositories that pods of the tests can fetch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.engines.gitservers import HTTP_PASSWORD, HTTP_PORT, HTTP_USER, PRIVATE, SSH_PORT

IDENTITY = {
    "GIT_AUTHOR_NAME": "e2e",
    "GIT_AUTHOR_EMAIL": "e2e@example.com",
    "GIT_COMMITTER_NAME": "e2e",
    "GIT_COMMITTER_EMAIL": "e2e@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}
BRANCH = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitServer:
    """A folder of bare repositories and the address under which pods reach it."""

    root: Path
    address: str
    port: int = HTTP_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A bare repository on the test's Git server, with one branch."""

    server: GitServer
    name: str

    @property
    def url(self) -> str:
        """The address without a password; a private repository asks for one."""
        return f"http://{self.server.address}:{self.server.port}/{self.name}"

    @property
    def url_with_password(self) -> str:
        """The address with the password that opens private repositories."""
        host = f"{self.server.address}:{self.server.port}"
        return f"http://{HTTP_USER}:{HTTP_PASSWORD}@{host}/{self.name}"

    @property
    def ssh_url(self) -> str:
        """The address for SSH; served by the engines only."""
        return f"ssh://root@{self.server.address}:{SSH_PORT}/{self.name}"

    def commit(self, files: Mapping[str, str], message: str = "A commit of a test") -> str:
        """Make a commit of exactly these files on top of the branch and give its hash."""
        tree = _mktree(self, files)
        parent = self._git("rev-parse", "--verify", "-q", BRANCH, check=False)
        options = ["-p", parent] if parent else []
        made = self._git("commit-tree", tree, *options, "-m", message)
        self._git("update-ref", f"refs/heads/{BRANCH}", made)
        return made

    def tag(self, name: str, commit: str) -> None:
        """Make a tag."""
        self._git("update-ref", f"refs/tags/{name}", commit)

    def rename(self, branch: str) -> None:
        """Rename the branch; commits to come make it anew under its old name."""
        self._git("branch", "-m", BRANCH, branch)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Answer nobody meanwhile."""
        elsewhere = self.folder.with_suffix(".away")
        self.folder.rename(elsewhere)
        try:
            yield
        finally:
            elsewhere.rename(self.folder)

    @property
    def folder(self) -> Path:
        """The bare repository."""
        return self.server.root / self.name

    def _git(
        self, *arguments: str, stdin: str = "", check: bool = True, index: Path | None = None
    ) -> str:
        environment = {**os.environ, **IDENTITY, "GIT_DIR": str(self.folder)}
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(index)
        done = subprocess.run(
            ["git", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0 or not check, f"git {arguments[0]}: {done.stderr}"
        return done.stdout.strip()


def _mktree(repository: Repository, files: Mapping[str, str]) -> str:
    index = repository.folder / "index.e2e"
    index.unlink(missing_ok=True)
    entries = []
    for path, text in files.items():
        blob = repository._git("hash-object", "-w", "--stdin", stdin=text)
        entries.append(f"100644 {blob}\t{path}\n")
    repository._git("update-index", "--index-info", stdin="".join(entries), index=index)
    return repository._git("write-tree", index=index)


def make_repository(
    server: GitServer, name: str, files: Mapping[str, str], *, private: bool = False
) -> Repository:
    """Make a repository with one commit."""
    repository = make_empty_repository(server, name, private=private)
    repository.commit(files)
    return repository


def make_empty_repository(server: GitServer, name: str, *, private: bool = False) -> Repository:
    """Make a repository without a commit."""
    path = f"{PRIVATE}/{name}.git" if private else f"{name}.git"
    repository = Repository(server=server, name=path)
    subprocess.run(
        ["git", "init", "-q", "--bare", f"--initial-branch={BRANCH}", str(repository.folder)],
        check=True,
        env={**os.environ, **IDENTITY},
    )
    # Tests fetch commits by their hash, as hosting services allow.
    repository._git("config", "uploadpack.allowAnySHA1InWant", "true")
    return repository
