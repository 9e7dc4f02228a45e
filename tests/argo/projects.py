"""Plans of the golden folders, for the tests here and those against real engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bodywork_argo.manifests import Manifest
from bodywork_argo.names import DIGEST_ANNOTATION
from bodywork_argo.plan import Accounts, Plan, Source
from bodywork_argo.planner import make_plan
from bodywork_argo.schema import parse_project
from bodywork_argo_adapters.argo import ArgoBackend
from bodywork_argo_adapters.argo.metadata import RUNNER_ANNOTATION
from tests.projects import PARAMETER, PINNED

GOLDEN = Path(__file__).parent / "golden"
FEATURES = sorted(path.name for path in GOLDEN.iterdir())
VERSION = "1.2.3"


def _with_accounts(plan: Plan) -> Plan:
    return replace(plan, accounts=Accounts(stage="bodywork-stage", executor="bodywork-executor"))


def _with_git_image(plan: Plan) -> Plan:
    keys = ("git.example ssh-ed25519 AAAA",)
    return replace(plan, git=replace(plan.git, image="alpine/git:2", host_keys=keys))


def _exclusive(plan: Plan) -> Plan:
    return replace(plan, exclusive=True, submitted_by="ann@example.org")


SOURCES: dict[str, Source] = {"parameter": PARAMETER}
CHANGES: dict[str, Callable[[Plan], Plan]] = {
    "accounts": _with_accounts,
    "git-image": _with_git_image,
    "whole-run": _exclusive,
}
"""What no file says."""


def plan_of_feature(feature: str) -> Plan:
    text = (GOLDEN / feature / "bodywork.yaml").read_bytes()
    plan = make_plan(parse_project(text).project, SOURCES.get(feature, PINNED))
    change = CHANGES.get(feature)
    return plan if change is None else change(plan)


def compiled(plan: Plan, run_name: str | None = "run-1") -> Manifest:
    (document,) = ArgoBackend(VERSION).compile(plan, run_name).documents
    return document


def for_readers(document: Manifest) -> Manifest:
    """Return the document without what changes whenever the runner does."""
    metadata, spec = document["metadata"], document["spec"]
    annotations = {**metadata["annotations"], DIGEST_ANNOTATION: "(of the document)"}
    pods = {**spec["podMetadata"], "annotations": {RUNNER_ANNOTATION: "(the text of runner.py)"}}
    return {
        **document,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {**spec, "podMetadata": pods},
    }
