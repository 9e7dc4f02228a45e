from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo.kube import KubeCluster, connect
from tests.kube.api import Api, SkippedTime

TOKEN = "token-that-nobody-may-see"
MakeKubeconfig = Callable[..., Path]


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        yield server


@pytest.fixture
def skipped() -> SkippedTime:
    return SkippedTime()


@pytest.fixture
def make_kubeconfig(tmp_path: Path, api: Api) -> MakeKubeconfig:
    """Write a kubeconfig with one context."""

    def make(name: str = "config", *, user: Any = None, server: str = "", **context: str) -> Path:
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, **context}}],
            "clusters": [{"name": name, "cluster": {"server": server or api.url}}],
            "users": [{"name": name, "user": user or {"token": TOKEN}}],
        }
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path

    return make


@pytest.fixture
def target(make_kubeconfig: MakeKubeconfig, skipped: SkippedTime) -> KubeCluster:
    return connect(
        kubeconfig=str(make_kubeconfig()),
        context=None,
        namespace="space",
        environ={},
        time=skipped.time,
    )
