"""The Argo backend keeps the promises of the pure half."""

from __future__ import annotations

import pytest

from bodywork_argo.testing import CompileContract
from bodywork_argo_adapters.argo import ArgoBackend


class TestArgoCompiles(CompileContract):
    @pytest.fixture
    def backend(self) -> ArgoBackend:
        return ArgoBackend()
