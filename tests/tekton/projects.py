"""Plans of the golden folders, for the tests here and those against real engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bodywork_argo.manifests import Manifest
from bodywork_argo.names import DIGEST_ANNOTATION
from bodywork_argo.packed_runner import RUNNER_ANNOTATION
from bodywork_argo.plan import Accounts, Plan
from bodywork_argo.planner import make_plan
from bodywork_argo.schema import parse_project
from bodywork_argo_adapters.releases import SERVICES_ANNOTATION
from bodywork_argo_adapters.tekton import TektonBackend
from bodywork_argo_adapters.tekton.failure import FAILURES_ANNOTATION
from tests.projects import PINNED

GOLDEN = Path(__file__).parent / "golden"
FEATURES = sorted(path.name for path in GOLDEN.iterdir())
VERSION = "1.2.3"


def _with_accounts(plan: Plan) -> Plan:
    return replace(plan, accounts=Accounts(stage="bodywork-stage", executor="bodywork-executor"))


def _with_all_accounts(plan: Plan) -> Plan:
    accounts = Accounts(
        stage="bodywork-stage", executor="bodywork-executor", release="bodywork-release"
    )
    return replace(plan, accounts=accounts)


def _with_git_image(plan: Plan) -> Plan:
    keys = ("git.example ssh-ed25519 AAAA",)
    return replace(plan, git=replace(plan.git, image="alpine/git:2", host_keys=keys))


def _submitted(plan: Plan) -> Plan:
    return replace(plan, submitted_by="ann@example.org")


CHANGES: dict[str, Callable[[Plan], Plan]] = {
    "accounts": _with_accounts,
    "failure-stage": _with_accounts,
    "git-image": _with_git_image,
    "services": _with_all_accounts,
    "whole-run": _submitted,
}
"""What no file says."""


def plan_of_feature(feature: str) -> Plan:
    text = (GOLDEN / feature / "bodywork.yaml").read_bytes()
    plan = make_plan(parse_project(text).project, PINNED)
    change = CHANGES.get(feature)
    return plan if change is None else change(plan)


def compiled(plan: Plan, run_name: str | None = "run-1") -> Manifest:
    (document,) = TektonBackend(VERSION).compile(plan, run_name).documents
    return document


def tasks_of(document: Manifest) -> dict[str, Any]:
    """Return the tasks of a pipeline by their names, those in ``finally`` as well."""
    pipeline = document["spec"]["pipelineSpec"]
    return {each["name"]: each for each in (*pipeline["tasks"], *pipeline.get("finally", ()))}


def steps_of(task: Any) -> dict[str, Any]:
    return {each["name"]: each for each in task["taskSpec"]["steps"]}


def for_readers(document: Manifest) -> Manifest:
    """Return the document without what changes whenever its programs do."""
    shown = {
        DIGEST_ANNOTATION: "(of the document)",
        RUNNER_ANNOTATION: "(the text of runner.py)",
        FAILURES_ANNOTATION: "(the text of failures.py)",
        SERVICES_ANNOTATION: "(the plan of the services)",
    }

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {key: shown.get(key) or without(each) for key, each in value.items()}

    found: Manifest = without(document)
    return found
