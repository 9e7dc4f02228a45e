"""Hera's models without the rest of Hera, which would be most of the time that `compile` takes."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_PACKAGE, _MODELS = "hera.workflows", "hera.workflows.models"


@contextmanager
def models_only() -> Iterator[None]:
    """Make ``from hera.workflows import models`` import the models alone.

    The package's own ``__init__`` imports builders and clients of Argo's server as well. For
    whoever imports it later it is whole, with the same models. A Hera whose models need the rest
    of it is imported as ever.
    """
    spec = importlib.util.find_spec("hera")
    if _PACKAGE in sys.modules or spec is None:
        yield
        return
    stand_in = ModuleType(_PACKAGE)
    stand_in.__path__ = [f"{folder}/workflows" for folder in spec.submodule_search_locations or ()]
    sys.modules[_PACKAGE] = stand_in
    try:
        _import_models()
        yield
    finally:
        # Without these two the next import of either runs as if it were the first.
        sys.modules.pop(_PACKAGE, None)
        sys.modules.pop(_MODELS, None)


def _import_models() -> None:
    collects = gc.isenabled()
    gc.disable()  # hundreds of classes, none of which is garbage, are looked through many times
    try:
        importlib.import_module(_MODELS)
    except ImportError:
        sys.modules.pop(_PACKAGE, None)
    finally:
        if collects:
            gc.enable()
