"""The HTTP Git server and the repositories behind it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from e2e.engines.gitservers import GitHandler
from e2e.support.repositories import IDENTITY, GitServer, make_repository

FILES = {"a.txt": "first\n", "deep/down/b.txt": "second\n"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    root = tmp_path / "served"
    root.mkdir()
    handler = type("Handler", (GitHandler,), {"root": root})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield GitServer(root=root, address="127.0.0.1", port=running.server_port)
        running.shutdown()
        thread.join()


def clone(url: str, target: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **IDENTITY, "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "clone", "-q", url, str(target)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_clone_has_every_file(server: GitServer, tmp_path: Path) -> None:
    repository = make_repository(server, "project", FILES)

    assert clone(repository.url, tmp_path / "clone").returncode == 0
    assert {name: (tmp_path / "clone" / name).read_text() for name in FILES} == FILES


def test_a_commit_replaces_the_files(server: GitServer, tmp_path: Path) -> None:
    repository = make_repository(server, "project", FILES)

    repository.commit({"c.txt": "third\n"})
    clone(repository.url, tmp_path / "clone")

    names = {path.name for path in (tmp_path / "clone").iterdir()}
    assert names == {".git", "c.txt"}


def test_a_private_repository_asks_for_the_password(server: GitServer, tmp_path: Path) -> None:
    repository = make_repository(server, "secret", FILES, private=True)

    assert clone(repository.url, tmp_path / "refused").returncode != 0
    assert clone(repository.url_with_password, tmp_path / "let-in").returncode == 0
