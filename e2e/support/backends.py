"""What tests of runs have to know of the engine that they run on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bodywork_argo.access import Needs
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS
from bodywork_argo_adapters.tekton.needs import TEKTON_NEEDS
from e2e.support.cluster import Manifest
from e2e.support.spaces import PIPELINE_RUN, WORKFLOW

_OF_RUNS = frozenset(
    "compile delete doctor list logs setup status stop submit terminate watch".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine in the cluster, as the command line and Kubernetes know it."""

    name: str
    run: Manifest
    """What a run is."""
    needs: Needs
    module: str
    """The container of a stage's pod that becomes the module."""
    tells_signals: bool
    """Whether a module's exit code tells which signal has ended it."""

    def chosen(self, *words: str) -> tuple[str, ...]:
        """Return the words of a command, with the engine for those that are about runs."""
        if self is ARGO or words[0] not in _OF_RUNS or "--backend" in words:
            return words  # the default
        return (words[0], "--backend", self.name, *words[1:])


ARGO = Engine(name="argo", run=WORKFLOW, needs=ARGO_NEEDS, module="main", tells_signals=True)
TEKTON = Engine(
    name="tekton", run=PIPELINE_RUN, needs=TEKTON_NEEDS, module="step-exec", tells_signals=False
)

EACH = [pytest.param(ARGO, id="argo"), pytest.param(TEKTON, id="tekton")]
"""For tests that are short."""
EACH_IN_FULL = [
    pytest.param(ARGO, id="argo"),
    pytest.param(TEKTON, id="tekton", marks=pytest.mark.full),
]
"""For tests of which one is enough for every change."""
