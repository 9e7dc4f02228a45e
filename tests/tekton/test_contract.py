"""The Tekton backend keeps the promises of the pure half."""

from __future__ import annotations

import pytest

from bodywork_argo.testing import CompileContract
from bodywork_argo_adapters.tekton import TektonBackend


class TestTektonCompiles(CompileContract):
    @pytest.fixture
    def backend(self) -> TektonBackend:
        return TektonBackend()
