"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import bodywork_argo

MODULES = [module.name for module in pkgutil.iter_modules(bodywork_argo.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    module = importlib.import_module(f"bodywork_argo.{name}")
    assert doctest.testmod(module).failed == 0
