"""What planning a later commit again finds different."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bodywork_argo import replanning
from bodywork_argo.errors import EngineError
from bodywork_argo.plan import Accounts, Deployer, Pinned, Plan, ResolvedAtRun, Source
from bodywork_argo.planner import PlanOptions
from bodywork_argo.spec import Project
from tests.projects import batch, project

PIPELINE = "load >> train, check"
SOURCE = Source(
    revision=Pinned(commit="a" * 40),
    repository="https://git.example/team/shop.git",
    ref="main",
    directory="ml",
)
OPTIONS = PlanOptions(
    namespace="team",
    accounts=Accounts(stage="stage", executor="executor"),
    deployer=Deployer(image="python:3.13"),
    scheduled=True,
)


def shop(
    dag: str = PIPELINE, *, retries: int = 1, failure: str | None = "report", limit: int = 0
) -> Project:
    names = ("load", "train", "tune", "check", "report")
    stages = [batch(name, retries=retries if name == "load" else 0) for name in names]
    made = replace(project(dag, *stages), run_on_failure=failure)
    return replace(made, run=replace(made.run, run_timeout_seconds=limit))


def scheduled() -> Plan:
    return replanning.resolved_at_run(shop(), SOURCE, OPTIONS, ref="main", strict=True)


def travelled() -> replanning.Replanning:
    revision = scheduled().revision
    assert isinstance(revision, ResolvedAtRun)
    return replanning.read(revision.again)


def changes(now: Project) -> tuple[str, ...]:
    again = travelled()
    return again.changes(again.plan(now, "b" * 40))


def test_a_schedules_plan_takes_the_ref_and_knows_its_commit() -> None:
    revision = scheduled().revision
    assert isinstance(revision, ResolvedAtRun)
    assert (revision.ref, revision.known) == ("main", "a" * 40)


def test_the_plan_of_a_later_commit_is_made_with_the_same_options() -> None:
    plan = travelled().plan(shop(), "b" * 40)
    assert plan.revision == Pinned(commit="b" * 40)
    assert replace(plan, source=replace(plan.source, revision=scheduled().revision)) == scheduled()


def test_strictness_travels() -> None:
    assert travelled().strict


def test_another_commit_alone_changes_nothing() -> None:
    assert changes(shop()) == ()


def test_a_changed_stage_is_named() -> None:
    assert changes(shop(retries=2)) == ("stage load",)


def test_a_new_stage_is_named_and_the_order_with_it() -> None:
    assert changes(shop("load >> train, tune, check")) == (
        "the order of the stages",
        "stage tune is new",
    )


def test_a_stage_that_is_gone_is_named() -> None:
    assert changes(shop("load >> train")) == ("stage check is gone", "the order of the stages")


def test_another_failure_stage_changes_the_order() -> None:
    assert changes(shop(failure=None)) == ("stage report is gone", "the order of the stages")


def test_what_holds_for_the_whole_run_is_named() -> None:
    assert changes(shop(limit=60)) == ("what holds for the whole run",)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"source": {"kind": "Plan"}})])
def test_what_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match="this is no plan's, or another version's"):
        replanning.read(text)
