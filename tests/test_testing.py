"""The fake engine keeps the promises that it can: those of the pure half."""

from __future__ import annotations

import pytest

from bodywork_argo.testing import CompileContract, InstantBackend


class TestInstantBackend(CompileContract):
    @pytest.fixture
    def backend(self) -> InstantBackend:
        return InstantBackend()
