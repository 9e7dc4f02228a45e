"""The fake engine keeps the promises that it can: those of the pure half."""

from __future__ import annotations

import pytest

from bodywork_argo.fakes import InstantBackend
from bodywork_argo.testing import CompileContract


class TestInstantBackend(CompileContract):
    @pytest.fixture
    def backend(self) -> InstantBackend:
        return InstantBackend()
