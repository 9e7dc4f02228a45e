from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bodywork_argo.plan import Pinned, Source
from bodywork_argo.testing import Publish
from bodywork_argo_adapters.local import LocalBackend, processes
from bodywork_argo_adapters.local.runtime import LocalRuntime
from tests.repositories import make_repository

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}


@pytest.fixture
def backend() -> LocalBackend:
    return LocalBackend()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def make_runtime(home: Path) -> Iterator[Callable[..., LocalRuntime]]:
    """Return a maker of runtimes; no process of any run is left when the test has ended."""
    made: list[LocalRuntime] = []

    def make(environment: Mapping[str, str] | None = None) -> LocalRuntime:
        made.append(LocalRuntime(home, {**ENVIRONMENT, **(environment or {})}))
        return made[-1]

    yield make
    for runtime in made:
        for status in runtime.list():
            runtime.delete(status.ref)
    assert processes.marked(str(home)) == []


@pytest.fixture
def runtime(make_runtime: Callable[..., LocalRuntime]) -> LocalRuntime:
    return make_runtime()


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    numbers = itertools.count(1)

    def publish(files: Mapping[str, str]) -> Source:
        folder = tmp_path / f"repository-{next(numbers)}"
        commit = make_repository(folder, files)
        return Source(revision=Pinned(commit=commit), repository=str(folder), ref="main")

    return publish


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
