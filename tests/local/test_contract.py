"""The local backend keeps the promises of the backend interface."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from bodywork_argo.backend import ENTRY_POINT_GROUP, Backend
from bodywork_argo.testing import CompileContract, RuntimeContract


class TestCompileOfEveryInstalledBackend(CompileContract):
    @pytest.fixture(params=entry_points(group=ENTRY_POINT_GROUP), ids=lambda entry: entry.name)
    def backend(self, request: pytest.FixtureRequest) -> Backend:
        made: Backend = request.param.load()()
        return made


class TestLocalRuntime(RuntimeContract):
    """Runs real processes from real repositories."""
