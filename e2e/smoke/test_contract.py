"""Engines keep the promises that every backend makes, for real."""

from __future__ import annotations

import pytest

from bodywork_argo.backend import Backend, Runtime
from bodywork_argo.registry import installed, load_backend
from e2e.support.backends import EACH, TEKTON, Engine
from e2e.support.contract import ContractInCluster
from e2e.support.identities import as_administrator
from e2e.support.spaces import Space
from e2e.support.tekton import let_executor_look

pytestmark = pytest.mark.smoke


class TestEngines(ContractInCluster):
    @pytest.fixture(params=EACH)
    def engine(self, request: pytest.FixtureRequest) -> Engine:
        found: Engine = request.param
        return found

    @pytest.fixture
    def backend(self, engine: Engine) -> Backend:
        return load_backend(engine.name, installed())

    @pytest.fixture
    def runtime(self, backend: Backend, engine: Engine, namespace: Space) -> Runtime:
        if engine is TEKTON:
            let_executor_look(namespace)
        cluster = as_administrator(namespace)
        return backend.runtime(lambda: cluster)
