"""Through the Argo Server, too, Argo Workflows keeps the promises that every backend makes."""

from __future__ import annotations

import pytest

from bodywork_argo.access import SUBMITTER, access_manifests
from bodywork_argo.backend import Backend, Runtime
from bodywork_argo.provision import provision
from bodywork_argo_adapters.argo import ArgoBackend
from e2e.engines.network import SERVER_PORT
from e2e.engines.places import Places
from e2e.support.contract import ContractInCluster
from e2e.support.identities import as_administrator
from e2e.support.spaces import Space

pytestmark = pytest.mark.full


class TestArgoServer(ContractInCluster):
    @pytest.fixture
    def backend(self) -> Backend:
        return ArgoBackend()

    @pytest.fixture
    def runtime(self, own_engines: Places, namespace: Space) -> Runtime:
        needs = [ArgoBackend().needs]
        list(provision(as_administrator(namespace), access_manifests(namespace.name, needs)))
        environ = {
            "ARGO_SERVER": f"127.0.0.1:{SERVER_PORT}",
            "ARGO_SECURE": "false",
            "ARGO_TOKEN": namespace.token(SUBMITTER),
        }
        served = ArgoBackend(environ=environ).served(namespace.name)
        assert served is not None
        return served.runtime
