"""Services of the golden folders, for the tests here and those against real engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bodywork_argo.manifests import Manifest
from bodywork_argo.packed_runner import RUNNER_ANNOTATION
from bodywork_argo.plan import Accounts, Plan
from bodywork_argo.planner import make_plan
from bodywork_argo.schema import parse_project
from bodywork_argo.services import service_objects
from tests.projects import PINNED

GOLDEN = Path(__file__).parent / "golden"
FEATURES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
VERSION = "1.2.3"


def _with_accounts(plan: Plan) -> Plan:
    accounts = Accounts(stage="bodywork-stage", executor="bodywork-executor")
    return replace(plan, accounts=accounts, namespace="team")


def _with_git_image(plan: Plan) -> Plan:
    keys = ("git.example ssh-ed25519 AAAA",)
    return replace(plan, git=replace(plan.git, image="alpine/git:2", host_keys=keys))


CHANGES: dict[str, Callable[[Plan], Plan]] = {
    "accounts": _with_accounts,
    "git-image": _with_git_image,
}
"""What no file says."""


def plan_of_feature(feature: str) -> Plan:
    text = (GOLDEN / feature / "bodywork.yaml").read_bytes()
    plan = make_plan(parse_project(text).project, PINNED)
    change = CHANGES.get(feature)
    return plan if change is None else change(plan)


def objects_of(plan: Plan, run: str = "run-1") -> list[Manifest]:
    return [
        document
        for task in plan.services()
        for document in service_objects(plan, task, run=run, version=VERSION).documents()
    ]


def for_readers(document: Manifest) -> Manifest:
    """Return the document without what changes whenever the runner does."""
    if document["kind"] != "Deployment":
        return document
    spec = document["spec"]
    template = spec["template"]
    metadata = template["metadata"]
    annotations = {**metadata["annotations"], RUNNER_ANNOTATION: "(the text of runner.py)"}
    template = {**template, "metadata": {**metadata, "annotations": annotations}}
    return {**document, "spec": {**spec, "template": template}}
