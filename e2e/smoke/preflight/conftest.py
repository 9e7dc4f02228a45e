"""The commands as several people call them, and what they look at."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bodywork_argo.access import (
    SUBMITTER,
    access_manifests,
)
from bodywork_argo.provision import provision
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS
from e2e.conftest import MakeRepository
from e2e.support.identities import (
    as_account,
    as_administrator,
    await_right,
    kubeconfig_of,
)
from e2e.support.leaks import LeakScan
from e2e.support.looks import Commands
from e2e.support.repositories import IDENTITY, Repository
from e2e.support.spaces import Space
from tests.files import bodywork_yaml


@pytest.fixture
def commands_of(
    namespace: Space, tmp_path: Path, capfd: pytest.CaptureFixture[str], leaks: LeakScan
) -> Callable[[Path], Commands]:
    """Return the commands as who has a kubeconfig calls them."""
    return lambda path: Commands(
        kubeconfig=path, namespace=namespace.name, capfd=capfd, leaks=leaks
    )


@pytest.fixture
def administrator(namespace: Space, commands_of: Callable[[Path], Commands]) -> Commands:
    return commands_of(namespace.cluster.kubeconfig)


@pytest.fixture
def submitter(
    namespace: Space, tmp_path: Path, commands_of: Callable[[Path], Commands]
) -> Commands:
    """Somebody with the submitter's rights alone, where all is set up."""
    list(provision(as_administrator(namespace), access_manifests(namespace.name, [ARGO_NEEDS])))
    await_right(as_account(namespace, SUBMITTER, tmp_path), "create", "argoproj.io", "workflows")
    return commands_of(kubeconfig_of(namespace, SUBMITTER, tmp_path))


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def clone(make_git_repository: MakeRepository, tmp_path: Path) -> Callable[..., str]:
    """Make a working copy whose origin is at an address; its stage may take secrets of a group."""

    def make(address: str = "", secrets: Mapping[str, str] | None = None, group: str = "") -> str:
        text = bodywork_yaml()
        asked = "".join(f"\n      {key}: {secret}" for key, secret in (secrets or {}).items())
        if asked:
            text = text.replace("path: a.py", f"path: a.py\n    secrets:{asked}")
        if group:
            text = text.replace("DAG: a\n", f"DAG: a\n  secrets_group: {group}\n")
        repository = make_git_repository({"bodywork.yaml": text, "a.py": ""})
        folder = str(tmp_path / "clone")
        git("clone", "-q", str(repository.folder), folder)
        git("-C", folder, "remote", "set-url", "origin", address or repository.url)
        return folder

    return make


@pytest.fixture
def private(make_git_repository: MakeRepository) -> Repository:
    return make_git_repository({"bodywork.yaml": bodywork_yaml(), "a.py": ""}, private=True)


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, env={**IDENTITY, "PATH": "/usr/bin:/bin"})
