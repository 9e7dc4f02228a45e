"""Compiling imports what it needs of Hera, and leaves Hera as others expect it."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMPILE = """
from bodywork_argo.plan import Pinned, Source
from bodywork_argo.planner import make_plan
from bodywork_argo.testing import batch_project, batch_stage
from bodywork_argo_adapters.argo import ArgoBackend

source = Source(revision=Pinned(commit="0" * 40), repository="https://git.example/r")
plan = make_plan(batch_project("a", batch_stage("a")), source)


def compiled():
    return ArgoBackend("1").compile(plan, "run-1").documents[0]["kind"]
"""


def run(text: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", COMPILE + text]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_compiling_imports_no_builder_and_no_client_of_hera() -> None:
    text = 'import sys\nprint(compiled(), *(n for n in sys.modules if n.startswith("hera.")))'
    kind, *modules = run(text)
    assert kind == "Workflow"
    assert "hera.workflows.models.io.argoproj.workflow.v1alpha1" in modules
    assert {"hera.workflows.workflow", "hera.workflows.service"}.isdisjoint(modules)


def test_hera_is_whole_for_whoever_imports_it_afterwards() -> None:
    text = """
compiled()
from bodywork_argo_adapters.argo import workflow
import hera.workflows
print(hera.workflows.Workflow.__name__, hera.workflows.models.Workflow is workflow.m.Workflow)
"""
    assert run(text) == ["Workflow", "True"]


@pytest.mark.parametrize("before", ["hera.workflows", "hera.workflows.models"])
def test_a_hera_that_is_imported_already_is_taken_as_it_is(before: str) -> None:
    text = f"""
import {before}
print(compiled())
import sys
print(hasattr(sys.modules["hera.workflows"], "WorkflowsService"))
"""
    assert run(text) == ["Workflow", "True"]


def test_garbage_is_collected_after_a_compilation_as_before() -> None:
    assert run("import gc\ncompiled()\nprint(gc.isenabled())") == ["True"]
    assert run("import gc\ngc.disable()\ncompiled()\nprint(gc.isenabled())") == ["False"]
