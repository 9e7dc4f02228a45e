"""Schedules on a real Argo over more than one of their times, and what may go wrong there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bodywork_argo.services import DEPLOYMENT
from bodywork_argo_adapters.argo.schedules import CRON_WORKFLOW
from e2e.conftest import MakeRepository
from e2e.support.cluster import await_state
from e2e.support.identities import as_administrator
from e2e.support.program import (
    TELL,
    administrator_of,
    gate,
    open_gate,
    phases,
    pipeline,
    reasons,
    set_up,
    stage,
)
from e2e.support.schedules import NIGHTLY, SAYS, Kept, says
from e2e.support.shop_runs import service
from e2e.support.spaces import Space

pytestmark = pytest.mark.full

EVERY_MINUTE = "* * * * *"


@pytest.fixture
def kept(namespace: Space, make_git_repository: MakeRepository, tmp_path: Path) -> Kept:
    return Kept(
        program=set_up(namespace, tmp_path), space=namespace, repository=make_git_repository({})
    )


def test_a_push_between_two_times_is_picked_up_and_each_time_has_one_run(kept: Kept) -> None:
    kept.repository.commit(says("first"))
    assert kept.apply(EVERY_MINUTE).err.splitlines()[-1] == "schedule nightly: created"
    assert kept.apply(EVERY_MINUTE).err.splitlines()[-1] == "schedule nightly: no change"
    first = kept.fired()
    kept.program("watch", first)
    kept.repository.commit(says("second"))

    await_state(kept.runs, lambda runs: len(runs) > 1, "a second run", patience=100)
    second = kept.runs()[0]

    kept.program("watch", second)
    assert kept.program("logs", first, "one").out.startswith("first ")
    assert kept.program("logs", second, "one").out.startswith("second ")
    times = [kept.program("logs", run, "two").out for run in (first, second)]
    assert len(set(times)) == 2
    (schedule,) = kept.program("cron", "list", "-o", "json").data
    assert schedule["lastRun"]["name"] in kept.runs()
    assert (schedule["state"], len(schedule["next"])) == ("active", 5)


def test_nothing_starts_while_a_schedule_is_suspended(kept: Kept) -> None:
    kept.repository.commit(says("word"))
    kept.apply(EVERY_MINUTE, words=("--suspend",))
    time.sleep(75)
    assert kept.runs() == []
    assert kept.apply(EVERY_MINUTE).err.splitlines()[-1] == "schedule nightly: no change"

    kept.program("cron", "resume", kept.name)

    kept.program("watch", kept.fired())
    kept.program("cron", "suspend", kept.name)
    (schedule,) = kept.program("cron", "list", "-o", "json").data
    assert (schedule["state"], schedule["next"]) == ("suspended", [])


def test_a_time_is_left_out_while_a_run_goes_on(kept: Kept) -> None:
    stages = {"one": stage(gate(kept.repository))}
    commit = kept.repository.commit(pipeline("one", stages))
    kept.apply(EVERY_MINUTE)
    run = kept.fired()

    time.sleep(90)

    assert kept.runs() == [run]
    kept.program("cron", "suspend", kept.name)
    open_gate(kept.repository, commit)
    kept.program("watch", run)


def test_a_changed_pipeline_runs_in_its_new_form(kept: Kept) -> None:
    kept.repository.commit(says("old"))
    kept.apply(NIGHTLY)
    stages = {"one": stage(SAYS.format("new")), "three": stage("print('three')")}
    commit = kept.repository.commit(pipeline("one >> three", stages))

    run = kept.start()

    status = kept.program("status", run, "-o", "json").data
    instead = status["reason"].split()[-4]
    assert status["reason"] == (f"the pipeline has changed: run {instead} took its place")
    assert phases(status) == {
        "find-commit": "succeeded",
        "one": "skipped",
        "two": "skipped",
        "tell": "skipped",
    }
    assert kept.runs() == [instead, run]
    kept.program("watch", instead)
    assert phases(kept.program("status", instead, "-o", "json").data) == {
        "one": "succeeded",
        "three": "succeeded",
    }
    assert kept.program("logs", instead, "one").lines == [f"new {commit}"]
    said = kept.program("logs", run, "find-commit").out
    assert "the pipeline has changed: stage one" not in said
    for part in ("stage two is gone", "stage tell is gone", "stage three is new"):
        assert part in said


def test_a_strict_schedule_stops_when_the_pipeline_has_changed(kept: Kept) -> None:
    kept.repository.commit(says("old"))
    kept.apply(NIGHTLY, words=("--strict",))
    kept.repository.commit(says("new", dag="two >> one"))

    run = kept.start(code=1)

    changed = "the pipeline has changed: the order of the stages"
    status = kept.program("status", run, "-o", "json").data
    assert changed in reasons(status)["find-commit"]
    assert status["stages"][0]["attempt"] == 1
    assert kept.runs() == [run]
    told = kept.program("logs", run, "tell").lines
    assert told[0] == "1 stage failed: find-commit"
    assert changed in told[1]


def test_a_branch_that_is_gone_is_told_to_the_failure_stage_of_the_commit_that_was_known(
    kept: Kept,
) -> None:
    kept.repository.commit(says("old"))
    kept.apply(NIGHTLY, words=("--ref", "main"))
    kept.repository.rename("trunk")

    run = kept.start(code=1)

    status = kept.program("status", run, "-o", "json").data
    gone = "has no branch or tag main: was it deleted?"
    assert gone in reasons(status)["find-commit"]
    assert status["stages"][0]["attempt"] == 6
    assert (phases(status)["one"], phases(status)["tell"]) == ("skipped", "succeeded")
    told = kept.program("logs", run, "tell").lines
    assert told[0] == "1 stage failed: find-commit"
    assert gone in told[1]


def test_a_git_host_that_comes_back_costs_no_run(kept: Kept) -> None:
    kept.repository.commit(says("old"))
    kept.apply(NIGHTLY)
    with kept.repository.away():
        run = kept.start(wait=False)
        await_state(
            lambda: kept.program("status", run, "-o", "json").data["stages"][0]["attempt"],
            lambda attempt: attempt > 1,
            "a second attempt to find the commit",
        )

    kept.program("watch", run)

    assert kept.program("logs", run, "one").out.startswith("old ")


def test_a_pinned_schedule_keeps_its_commit(kept: Kept) -> None:
    commit = kept.repository.commit(says("old"))
    kept.apply(NIGHTLY, words=("--pin",))
    kept.repository.commit(says("new"))

    run = kept.start()

    assert kept.program("logs", run, "one").lines == [f"old {commit}"]
    assert "find-commit" not in phases(kept.program("status", run, "-o", "json").data)


def test_without_an_account_that_may_start_runs_a_changed_pipeline_stops(
    namespace: Space, make_git_repository: MakeRepository, tmp_path: Path
) -> None:
    program = administrator_of(namespace, tmp_path)
    kept = Kept(program=program, space=namespace, repository=make_git_repository({}))
    kept.repository.commit(says("old"))
    where = ("-n", namespace.name)
    said = kept.apply(NIGHTLY, words=(*where, "--service-account", "default"))
    assert "the account that may start another in its place is missing" in said.err
    kept.repository.commit(says("new", dag="two >> one"))

    run = kept.start(*where, code=1)

    status = program("status", run, "-o", "json", *where).data
    assert "this account may not start a run of the new one" in reasons(status)["find-commit"]


def test_services_are_released_by_scheduled_runs(kept: Kept) -> None:
    stages = {"web": service("scheduled", 5000), "tell": stage(TELL)}
    commit = kept.repository.commit(pipeline("web", stages, on_failure="tell"))
    kept.apply(NIGHTLY)

    kept.start()

    (web,) = as_administrator(kept.space).list(DEPLOYMENT, {"bodywork-argo/stage": "web"})
    assert web["metadata"]["labels"]["bodywork-argo/commit"] == commit


def test_deleting_a_schedule_leaves_what_is_not_its_own(kept: Kept) -> None:
    kept.repository.commit(says("word"))
    kept.apply(NIGHTLY)
    kept.program("cron", "apply", "weekly", kept.repository.url, "--schedule", "@weekly")
    (other,) = kept.program("submit", kept.repository.url, "--wait").lines
    own = kept.start()

    kept.program("cron", "delete", kept.name, "--yes")

    def listed() -> list[str]:
        return [each["run"] for each in kept.program("list", "-o", "json").data]

    await_state(listed, lambda runs: own not in runs, "the end of the schedule's runs")
    assert listed() == [other]
    names = [each["name"] for each in kept.program("cron", "list", "-o", "json").data]
    assert names == ["weekly"]
    kept.program("cron", "get", kept.name, code=4)


def test_what_argo_refuses_in_silence_is_told(kept: Kept) -> None:
    kept.repository.commit(says("word"))
    kept.apply(NIGHTLY, words=("--suspend",))
    broken = {"schedules": [EVERY_MINUTE], "workflowSpec": {"entrypoint": "nowhere"}}
    as_administrator(kept.space).patch(
        CRON_WORKFLOW, kept.name, {"spec": {"suspend": False, **broken}}
    )

    (schedule,) = await_state(
        lambda: kept.program("cron", "list", "-o", "json").data,
        lambda listed: listed[0]["state"] == "refused",
        "what is said of it when its time has passed",
        patience=240,
    )

    # Argo 4.0 notes such an error in its own log only.
    assert schedule["problem"].startswith("the engine has started no run for ")
    assert "problem" in kept.program("cron", "list").out
