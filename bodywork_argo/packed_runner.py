"""The runner as it travels: packed by ``scripts/pack-runner``, and still a Python program."""

from __future__ import annotations

from importlib import resources

RUNNER_ANNOTATION = "bodywork-argo/runner.py"
"""Where each pod carries it."""


def runner_text() -> str:
    """Return the program that runs inside each stage."""
    return resources.files("bodywork_argo").joinpath("runner.packed").read_text(encoding="utf-8")
