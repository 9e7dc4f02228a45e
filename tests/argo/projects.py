"""Plans of the golden folders, for the tests here and those against real engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bodywork_argo import replanning
from bodywork_argo.manifests import Manifest
from bodywork_argo.names import DIGEST_ANNOTATION
from bodywork_argo.packed_runner import RUNNER_ANNOTATION
from bodywork_argo.plan import Accounts, Plan, Source
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.scheduling import Concurrency, Schedule
from bodywork_argo.schema import parse_project
from bodywork_argo_adapters.argo import ArgoBackend
from tests.projects import PARAMETER, PINNED

GOLDEN = Path(__file__).parent / "golden"
VERSION = "1.2.3"


def _with_accounts(plan: Plan) -> Plan:
    return replace(plan, accounts=Accounts(stage="bodywork-stage", executor="bodywork-executor"))


RELEASING = Accounts(
    stage="bodywork-stage", executor="bodywork-executor", release="bodywork-release"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What the file of a schedule does not say."""

    schedule: Schedule
    accounts: Accounts = Accounts()
    ref: str | None = "main"


TIMED = {
    "schedule": Timed(
        schedule=Schedule(
            name="nightly",
            expressions=("30 3 * * 1-5", "0 12 * * 0"),
            timezone="Europe/Berlin",
            concurrency=Concurrency.REPLACE,
            starting_deadline_seconds=3600,
        ),
        accounts=replace(RELEASING, submitter="bodywork-argo-submitter"),
    ),
    "schedule-pinned": Timed(
        schedule=Schedule(
            name="clean-up",
            expressions=("0 * * * *",),
            timezone="UTC",
            concurrency=Concurrency.ALLOW,
            history=1,
            suspended=True,
        ),
        ref=None,
    ),
    "schedule-services": Timed(
        schedule=Schedule(name="shop", expressions=("0 5 * * *",), timezone="UTC"),
        accounts=replace(RELEASING, submitter="bodywork-argo-submitter"),
    ),
}
"""Schedules, whose documents are CronWorkflows."""
FEATURES = sorted(path.name for path in GOLDEN.iterdir() if path.name not in TIMED)


def _with_git_image(plan: Plan) -> Plan:
    keys = ("git.example ssh-ed25519 AAAA",)
    return replace(plan, git=replace(plan.git, image="alpine/git:2", host_keys=keys))


def _exclusive(plan: Plan) -> Plan:
    return replace(plan, exclusive=True, submitted_by="ann@example.org")


SOURCES: dict[str, Source] = {"parameter": PARAMETER}


def _with_release_account(plan: Plan) -> Plan:
    return replace(plan, accounts=RELEASING)


CHANGES: dict[str, Callable[[Plan], Plan]] = {
    "accounts": _with_accounts,
    "git-image": _with_git_image,
    "services": _with_release_account,
    "whole-run": _exclusive,
}
"""What no file says."""


def plan_of_feature(feature: str) -> Plan:
    text = (GOLDEN / feature / "bodywork.yaml").read_bytes()
    plan = make_plan(parse_project(text).project, SOURCES.get(feature, PINNED))
    change = CHANGES.get(feature)
    return plan if change is None else change(plan)


def scheduled_plan(feature: str) -> Plan:
    timed = TIMED[feature]
    parsed = parse_project((GOLDEN / feature / "bodywork.yaml").read_bytes())
    options = PlanOptions(accounts=timed.accounts, scheduled=True)
    if timed.ref is None:
        return make_plan(parsed.project, PINNED, options)
    return replanning.resolved_at_run(parsed.project, PINNED, options, ref=timed.ref, strict=False)


def compiled_schedule(feature: str) -> Manifest:
    backend, plan = ArgoBackend(VERSION), scheduled_plan(feature)
    (document,) = backend.compile_schedule(plan, TIMED[feature].schedule).documents
    return document


def compiled(plan: Plan, run_name: str | None = "run-1") -> Manifest:
    (document,) = ArgoBackend(VERSION).compile(plan, run_name).documents
    return document


def for_readers(document: Manifest) -> Manifest:
    """Return the document without what changes whenever the runner does."""
    metadata, spec = document["metadata"], document["spec"]
    annotations = {**metadata["annotations"], DIGEST_ANNOTATION: "(of the document)"}
    document = {**document, "metadata": {**metadata, "annotations": annotations}}
    if "workflowSpec" in spec:
        return {**document, "spec": {**spec, "workflowSpec": _for_readers(spec["workflowSpec"])}}
    return {**document, "spec": _for_readers(spec)}


def _for_readers(spec: Manifest) -> Manifest:
    pods = {**spec["podMetadata"], "annotations": {RUNNER_ANNOTATION: "(the text of runner.py)"}}
    return {**spec, "podMetadata": pods}
