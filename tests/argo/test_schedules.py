"""Schedules as CronWorkflows in a cluster's memory, and what stored ones say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo import names, replanning
from bodywork_argo.backend import Compiled, RunRef
from bodywork_argo.cluster import Resource
from bodywork_argo.errors import EngineError, Forbidden
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.plan import Plan
from bodywork_argo.planner import PlanOptions
from bodywork_argo.scheduling import Applied, Concurrency, Schedule, ScheduleStatus
from bodywork_argo_adapters.argo import ArgoBackend
from bodywork_argo_adapters.argo.cron import (
    CRON_LABEL,
    SCHEDULED_ANNOTATION,
    read_status,
    workflow_of,
)
from bodywork_argo_adapters.argo.schedules import CRON_WORKFLOW, ArgoSchedules
from bodywork_argo_adapters.argo.watching import WORKFLOW
from bodywork_argo_adapters.argo.workflows import INSTANCE_LABEL
from bodywork_argo_adapters.first_task import AGAIN_ANNOTATION
from tests.argo.projects import VERSION, compiled_schedule
from tests.projects import PINNED, batch, plan_of, project

NOW = datetime(2026, 11, 25, 3, 30, tzinfo=timezone.utc)
RUN = "nightly-1795577400"
NIGHTLY = Schedule(name="nightly", expressions=("30 3 * * *",), timezone="UTC")
Change = Callable[..., Manifest]


def plan(*, ref: str = "main", submitted_by: str | None = None) -> Plan:
    options = PlanOptions(scheduled=True, namespace="team", submitted_by=submitted_by)
    return replanning.resolved_at_run(
        project("a", batch("a")), PINNED, options, ref=ref, strict=False
    )


def compiled(schedule: Schedule = NIGHTLY, **words: Any) -> Compiled:
    return ArgoBackend(VERSION).compile_schedule(plan(**words), schedule)


def replacement(name: str = f"{RUN}-again") -> Compiled:
    options = PlanOptions(scheduled=True, namespace="team")
    return ArgoBackend(VERSION).compile(plan_of("b", batch("b"), options=options), name)


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster("team")


@pytest.fixture
def schedules(cluster: MemoryCluster) -> ArgoSchedules:
    return ArgoSchedules(lambda: cluster, now=lambda: NOW)


@pytest.fixture
def nightly(schedules: ArgoSchedules) -> ArgoSchedules:
    schedules.apply(compiled())
    return schedules


def stored(cluster: MemoryCluster, kind: Resource = CRON_WORKFLOW, name: str = "nightly") -> Any:
    found = cluster.get(kind, name)
    assert found is not None, name
    return found


# --- the document ---------------------------------------------------------------------------------


def templates(feature: str) -> dict[str, Any]:
    spec = compiled_schedule(feature)["spec"]["workflowSpec"]
    return {each["name"]: each for each in spec["templates"]}


def test_stages_carry_the_commit_that_was_found_and_what_runs_without_one_does_not() -> None:
    found = "{{workflow.outputs.parameters.commit}}"
    pods = {k: v["metadata"]["labels"] for k, v in templates("schedule").items() if "metadata" in v}
    assert {name: labels.get(names.COMMIT_LABEL) for name, labels in pods.items()} == {
        "find-commit": None,
        "load": found,
        "train": found,
        "check": found,
        "tell": None,
    }


def test_only_the_failure_stage_knows_a_commit_for_when_none_was_found() -> None:
    for name, template in templates("schedule").items():
        for container in template.get("initContainers", ()) if name != "find-commit" else ():
            known = [word for word in container["command"] if word.startswith("--known-commit=")]
            assert bool(known) is (name == "tell"), name


@pytest.mark.parametrize("feature", ["schedule", "schedule-pinned", "schedule-services"])
def test_a_schedule_counts_its_runs_and_none_goes_by_age(feature: str) -> None:
    spec = compiled_schedule(feature)["spec"]
    assert "ttlStrategy" not in spec["workflowSpec"]
    assert spec["successfulJobsHistoryLimit"] == spec["failedJobsHistoryLimit"]


@given(st.text(alphabet="{}$()ax-", min_size=1, max_size=12))
def test_whatever_a_branch_is_called_argo_substitutes_nothing_in_it(ref: str) -> None:
    (document,) = compiled(ref=ref, submitted_by=ref).documents
    (first,) = (
        each
        for each in document["spec"]["workflowSpec"]["templates"]
        if each["name"] == "find-commit"
    )
    text = first["metadata"]["annotations"][AGAIN_ANNOTATION]
    assert replanning.read(text).options.submitted_by == ref
    for given_text in (text, *first["initContainers"][0]["command"]):
        assert "{{" not in given_text
        assert "$(" not in given_text


# --- applying -------------------------------------------------------------------------------------


def test_what_is_not_there_is_created(schedules: ArgoSchedules, cluster: MemoryCluster) -> None:
    assert schedules.apply(compiled()) is Applied.CREATED
    (document,) = compiled().documents
    assert stored(cluster)["spec"] == document["spec"]


def test_the_same_again_changes_nothing(nightly: ArgoSchedules, cluster: MemoryCluster) -> None:
    before = stored(cluster)
    assert nightly.apply(compiled()) is Applied.UNCHANGED
    assert stored(cluster) == before


@pytest.mark.parametrize(
    "words",
    [{"ref": "release"}, {"schedule": Schedule(name="nightly", expressions=("@daily",),
                                               timezone="UTC")}, {"submitted_by": "ann"}],
    ids=["ref", "expression", "who"],
)  # fmt: skip
def test_what_differs_is_updated(nightly: ArgoSchedules, words: dict[str, Any]) -> None:
    assert nightly.apply(compiled(**words)) is Applied.UPDATED
    assert nightly.apply(compiled(**words)) is Applied.UNCHANGED


def test_what_somebody_else_has_changed_is_set_right(
    nightly: ArgoSchedules, cluster: MemoryCluster
) -> None:
    cluster.patch(CRON_WORKFLOW, "nightly", {"spec": {"timezone": "Asia/Tokyo"}})
    assert nightly.apply(compiled()) is Applied.UPDATED
    assert nightly.get("nightly").schedule.timezone == "UTC"


def test_one_that_another_controller_is_to_take_up_is_updated(
    nightly: ArgoSchedules, cluster: MemoryCluster
) -> None:
    other = ArgoSchedules(lambda: cluster, instance="team-a")
    assert [other.apply(compiled()) for _ in range(2)] == [Applied.UPDATED, Applied.UNCHANGED]


def test_one_that_is_suspended_stays_so_when_it_is_applied(nightly: ArgoSchedules) -> None:
    nightly.suspend("nightly", True)
    assert nightly.apply(compiled()) is Applied.UNCHANGED
    assert nightly.apply(compiled(ref="release")) is Applied.UPDATED
    assert nightly.get("nightly").schedule.suspended


def test_one_that_was_made_suspended_stays_so(schedules: ArgoSchedules) -> None:
    suspended = replace(NIGHTLY, suspended=True)
    assert schedules.apply(compiled(suspended)) is Applied.CREATED
    assert schedules.apply(compiled()) is Applied.UNCHANGED
    assert schedules.get("nightly").schedule.suspended


def test_a_cron_workflow_of_somebody_else_is_left_alone(
    schedules: ArgoSchedules, cluster: MemoryCluster
) -> None:
    foreign = {"apiVersion": CRON_WORKFLOW.api_version, "kind": CRON_WORKFLOW.kind}
    cluster.create({**foreign, "metadata": {"name": "nightly"}, "spec": {"schedules": ["@daily"]}})
    before = stored(cluster)
    told = "namespace team has a CronWorkflow nightly that is not of bodywork-argo"
    with pytest.raises(EngineError, match=told):
        schedules.apply(compiled())
    for change in (schedules.get, schedules.delete, schedules.run_now):
        with pytest.raises(EngineError, match="no schedule nightly of ours in namespace team"):
            change("nightly")
    assert stored(cluster) == before
    assert schedules.list() == ()


# --- looking, suspending, removing ----------------------------------------------------------------


def test_schedules_are_listed_by_name(nightly: ArgoSchedules) -> None:
    nightly.apply(compiled(Schedule(name="hourly", expressions=("0 * * * *",), timezone="UTC")))
    assert [each.schedule.name for each in nightly.list()] == ["hourly", "nightly"]


def test_a_schedule_is_read_as_it_was_applied(schedules: ArgoSchedules) -> None:
    schedule = Schedule(
        name="hourly",
        expressions=("0 * * * *", "30 12 * * *"),
        timezone="Europe/Berlin",
        concurrency=Concurrency.REPLACE,
        starting_deadline_seconds=90,
        history=3,
        suspended=True,
    )
    schedules.apply(compiled(schedule))
    assert schedules.get("hourly") == ScheduleStatus(
        schedule=schedule,
        pipeline="shop",
        namespace="team",
        repository="https://git.example/team/shop.git",
        ref="main",
        since=datetime(2026, 1, 1, tzinfo=timezone.utc),
    )


def test_a_pinned_one_tells_its_commit(schedules: ArgoSchedules) -> None:
    options = PlanOptions(scheduled=True)
    pinned = plan_of("a", batch("a"), options=options)
    schedules.apply(ArgoBackend(VERSION).compile_schedule(pinned, NIGHTLY))
    assert schedules.get("nightly").commit == "0123456789abcdef0123456789abcdef01234567"


def test_suspending_and_resuming_tell_whether_that_changed_anything(nightly: ArgoSchedules) -> None:
    asked = (True, True, False, False)
    assert [nightly.suspend("nightly", each) for each in asked] == [True, False, True, False]
    assert not nightly.get("nightly").schedule.suspended


def test_a_schedule_goes_with_its_runs(nightly: ArgoSchedules, cluster: MemoryCluster) -> None:
    run = nightly.run_now("nightly")
    nightly.delete("nightly")
    assert cluster.get(WORKFLOW, run.name) is None
    with pytest.raises(EngineError, match="no schedule nightly of ours"):
        nightly.get("nightly")


@pytest.mark.parametrize("name", ["get", "delete", "run_now"])
def test_a_schedule_that_is_not_there_is_an_error(schedules: ArgoSchedules, name: str) -> None:
    with pytest.raises(EngineError, match="no schedule weekly of ours in namespace team"):
        getattr(schedules, name)("weekly")


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_of_now_is_what_the_controller_would_make(
    nightly: ArgoSchedules, cluster: MemoryCluster
) -> None:
    ref = nightly.run_now("nightly")

    assert ref == RunRef(backend="argo", name=RUN, namespace="team")
    schedule, run = stored(cluster), stored(cluster, WORKFLOW, RUN)
    given_metadata = schedule["spec"]["workflowMetadata"]
    assert run["spec"] == schedule["spec"]["workflowSpec"]
    assert run["metadata"]["labels"] == {**given_metadata["labels"], CRON_LABEL: "nightly"}
    assert run["metadata"]["annotations"] == {
        **given_metadata["annotations"],
        SCHEDULED_ANNOTATION: "2026-11-25T03:30:00Z",
    }
    assert run["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "CronWorkflow",
            "name": "nightly",
            "uid": schedule["metadata"]["uid"],
            "controller": True,
        }
    ]


def test_what_the_controller_notes_on_a_schedule_is_no_part_of_a_run(
    nightly: ArgoSchedules, cluster: MemoryCluster
) -> None:
    noted = {"annotations": {"cronworkflows.argoproj.io/last-used-schedule": "30 3 * * *"}}
    cluster.patch(CRON_WORKFLOW, "nightly", {"metadata": noted})
    run = workflow_of(stored(cluster), RUN, "2026-11-25T03:30:00Z")
    assert not noted["annotations"].keys() & run["metadata"]["annotations"].keys()


def test_two_runs_in_one_second_are_refused(nightly: ArgoSchedules) -> None:
    nightly.run_now("nightly")
    with pytest.raises(EngineError, match=f"run {RUN} has started in this very second"):
        nightly.run_now("nightly")


def test_runs_are_told_newest_first_and_those_of_others_are_not(
    nightly: ArgoSchedules, cluster: MemoryCluster
) -> None:
    nightly.apply(compiled(Schedule(name="hourly", expressions=("0 * * * *",), timezone="UTC")))
    nightly.run_now("hourly")
    for number, minutes in enumerate((5, 20, 10)):
        name = f"nightly-{number}"
        cluster.create(workflow_of(stored(cluster), name, ""))
        created = f"{NOW + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
        cluster.patch(WORKFLOW, name, {"metadata": {"creationTimestamp": created}})
    runs = [each.name for each in nightly.runs("nightly")]
    assert runs == ["nightly-1", "nightly-2", "nightly-0"]


def test_a_run_in_the_place_of_another_belongs_to_its_schedule_and_its_time(
    nightly: ArgoSchedules, cluster: MemoryCluster
) -> None:
    nightly.run_now("nightly")

    ref = nightly.submit_in_place(replacement(), RUN)

    assert ref == RunRef(backend="argo", name=f"{RUN}-again", namespace="team")
    first, second = (stored(cluster, WORKFLOW, name)["metadata"] for name in (RUN, ref.name))
    assert second["ownerReferences"] == first["ownerReferences"]
    assert second["annotations"][SCHEDULED_ANNOTATION] == "2026-11-25T03:30:00Z"
    assert second["annotations"][names.DIGEST_ANNOTATION]
    assert second["labels"][CRON_LABEL] == "nightly"
    assert second["labels"][names.COMMIT_LABEL] == "0123456789abcdef0123456789abcdef01234567"
    assert [each.name for each in nightly.runs("nightly")] == [ref.name, RUN]


def test_one_of_several_controllers_takes_up_the_schedule_and_its_runs(
    cluster: MemoryCluster,
) -> None:
    schedules = ArgoSchedules(lambda: cluster, instance="team-a", now=lambda: NOW)
    schedules.apply(compiled())
    schedules.run_now("nightly")
    again = ArgoSchedules(lambda: cluster).submit_in_place(replacement(), RUN)

    found = [stored(cluster), *(stored(cluster, WORKFLOW, name) for name in (RUN, again.name))]
    assert {each["metadata"]["labels"][INSTANCE_LABEL] for each in found} == {"team-a"}


def test_a_second_try_finds_the_run_of_the_first(
    nightly: ArgoSchedules, cluster: MemoryCluster
) -> None:
    nightly.run_now("nightly")
    first = nightly.submit_in_place(replacement(), RUN)
    before = stored(cluster, WORKFLOW, first.name)
    assert nightly.submit_in_place(replacement(), RUN) == first
    assert stored(cluster, WORKFLOW, first.name) == before


@pytest.mark.parametrize("there", [False, True], ids=["gone", "of-no-schedule"])
def test_only_the_run_of_a_schedule_can_be_replaced(
    nightly: ArgoSchedules, cluster: MemoryCluster, there: bool
) -> None:
    if there:
        cluster.create(replacement("shop-1").documents[0])
    with pytest.raises(EngineError, match="run shop-1 is not of a schedule"):
        nightly.submit_in_place(replacement("shop-1-again"), "shop-1")
    assert cluster.get(WORKFLOW, "shop-1-again") is None


def test_that_nobody_may_start_runs_is_said_as_it_is(
    nightly: ArgoSchedules, cluster: MemoryCluster
) -> None:
    nightly.run_now("nightly")
    cluster.denied.add(("create", "argoproj.io", "workflows"))
    with pytest.raises(Forbidden):
        nightly.submit_in_place(replacement(), RUN)


# --- what stored ones say -------------------------------------------------------------------------


def a_stored_one(**changes: Any) -> Manifest:
    metadata = {
        "name": "nightly",
        "namespace": "team",
        "creationTimestamp": "2026-11-20T08:00:00Z",
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
    }
    spec = {"schedules": ["30 3 * * *"], "timezone": "UTC"}
    return {"metadata": metadata, "spec": spec, **changes}


def condition(kind: str, message: str, status: str = "True") -> Manifest:
    return {"type": kind, "message": message, "status": status}


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ({}, ""),
        ({"conditions": None, "phase": "Active"}, ""),
        ({"conditions": [condition("SpecError", "bad zone")]}, "bad zone"),
        ({"conditions": [condition("SubmissionError", "quota")]}, "quota"),
        ({"conditions": [condition("SpecError", "bad", "False")]}, ""),
        ({"conditions": [condition("Completed", "done")]}, ""),
        ({"phase": "Stopped"}, "its stopping condition is met"),
        (
            {
                "conditions": [condition("SpecError", "bad"), condition("SubmissionError", "full")],
                "phase": "Stopped",
            },
            "bad; full; its stopping condition is met",
        ),
    ],
)
def test_why_the_controller_starts_nothing_is_told(status: Manifest, problem: str) -> None:
    assert read_status(a_stored_one(status=status)).problem == problem


def test_what_argo_takes_for_granted_is_read_so() -> None:
    schedule = read_status(a_stored_one(spec={"schedules": ["@daily"]})).schedule
    assert schedule == Schedule(
        name="nightly",
        expressions=("@daily",),
        timezone="UTC",
        concurrency=Concurrency.ALLOW,
        history=3,
    )


def test_the_last_time_and_the_runs_that_go_on_are_read() -> None:
    active = [{"kind": "Workflow", "name": "nightly-1"}, {"kind": "Workflow", "name": "nightly-2"}]
    found = read_status(
        a_stored_one(status={"lastScheduledTime": "2026-11-25T03:30:00Z", "active": active})
    )
    assert (found.last_run, found.active) == (NOW, ("nightly-1", "nightly-2"))


def wrote(manager: str, time: str) -> Manifest:
    return {"manager": manager, "time": time, "operation": "Update"}


@pytest.mark.parametrize(
    ("fields", "since"),
    [
        ([], "2026-11-20T08:00:00+00:00"),
        ([wrote("bodywork-argo", "2026-11-22T09:00:00Z")], "2026-11-22T09:00:00+00:00"),
        (
            [
                wrote("bodywork-argo", "2026-11-23T09:00:00Z"),
                wrote("bodywork-argo", "2026-11-22T09:00:00Z"),
                wrote("workflow-controller", "2026-11-25T03:30:00Z"),
            ],
            "2026-11-23T09:00:00+00:00",
        ),
        ([{"manager": "bodywork-argo"}], "2026-11-20T08:00:00+00:00"),
    ],
    ids=["created", "changed", "not-by-the-controller", "without-a-time"],
)
def test_a_schedule_is_as_old_as_our_last_change_of_it(fields: list[Manifest], since: str) -> None:
    found = a_stored_one()
    found["metadata"]["managedFields"] = fields
    read = read_status(found).since
    assert read is not None
    assert read.isoformat() == since


def test_one_that_nobody_has_dated_has_no_age() -> None:
    found = a_stored_one()
    del found["metadata"]["creationTimestamp"]
    assert read_status(found).since is None
