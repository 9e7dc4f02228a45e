"""Fixtures of the runner's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A workspace, a repository and a clean environment to run the runner in."""
    return Lab(tmp_path)
