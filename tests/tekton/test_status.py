"""Whatever Tekton says of a run is exactly one of our phases, with a reason for people."""

from __future__ import annotations

import pytest

from bodywork_argo.backend import Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.tekton.status import STOP, TERMINATE, phase_of, run_status
from tests.tekton.runs import bad, good, run, taskrun

REF = RunRef(backend="tekton", name="run-1")


def status(found: Manifest, *taskruns: Manifest, waits: dict[str, str] | None = None) -> RunStatus:
    return run_status(found, taskruns, REF, waits or {})


def stage_of(found: RunStatus, name: str) -> StageStatus:
    return next(stage for stage in found.stages if stage.stage == name)


def phases(found: RunStatus) -> dict[str, Phase]:
    return {stage.stage: stage.phase for stage in found.stages}


@pytest.mark.parametrize(
    ("found", "phase"),
    [
        (run(), Phase.PENDING),
        (run("Unknown", "PipelineRunPending"), Phase.PENDING),
        (run("Unknown", "Started"), Phase.RUNNING),
        (run("Unknown", "Running"), Phase.RUNNING),
        (run("Unknown", "ResolvingTaskRef"), Phase.RUNNING),
        (run("Unknown", "Stopping"), Phase.RUNNING),
        (run("Unknown", "CancelledRunningFinally", told=STOP), Phase.RUNNING),
        (run("Unknown", "SomethingNew"), Phase.RUNNING),
        (run("True", "Succeeded"), Phase.SUCCEEDED),
        (run("True", "Completed"), Phase.SUCCEEDED),
        (run("True", "Completed", told=STOP), Phase.SUCCEEDED),
        (run("False", "Failed"), Phase.FAILED),
        (run("False", "PipelineRunTimeout"), Phase.FAILED),
        (run("False", "PipelineValidationFailed"), Phase.FAILED),
        (run("False", "Cancelled", told=STOP), Phase.STOPPED),
        (run("False", "Failed", told=STOP), Phase.STOPPED),
        (run("False", "Cancelled", told=TERMINATE), Phase.STOPPED),
        (run("False", "Cancelled", told="StoppedRunFinally"), Phase.STOPPED),
    ],
)
def test_each_word_for_a_run_is_one_phase(found: Manifest, phase: Phase) -> None:
    assert phase_of(found) is phase


@pytest.mark.parametrize(
    ("found", "phase", "attempt"),
    [
        (taskrun("a", word="Started"), Phase.PENDING, 0),
        (taskrun("a", word="Pending"), Phase.PENDING, 0),
        (taskrun("a", word="ToBeRetried", retried=1), Phase.PENDING, 2),
        (taskrun("a", word="Running"), Phase.RUNNING, 1),
        (taskrun("a", word="Running", retried=2), Phase.RUNNING, 3),
        (good("a"), Phase.SUCCEEDED, 1),
        (bad("a", retried=1), Phase.FAILED, 2),
        (taskrun("a", "False", "TaskRunCancelled"), Phase.FAILED, 1),
    ],
)
def test_each_word_for_a_task_is_one_phase(found: Manifest, phase: Phase, attempt: int) -> None:
    stage = stage_of(status(run("Unknown", "Running"), found), "a")
    assert (stage.phase, stage.attempt) == (phase, attempt)


def test_a_good_run_skips_its_failure_stage_and_shows_no_join() -> None:
    found = status(run("True", "Completed"), good("a"), good("b-2"), good("c"))
    assert phases(found) == {
        "a": Phase.SUCCEEDED,
        "b_2": Phase.SUCCEEDED,
        "c": Phase.SUCCEEDED,
        "tell": Phase.SKIPPED,
    }
    assert stage_of(found, "tell").reason == "nothing failed"
    assert (found.reason, found.pipeline) == ("", "shop")
    assert found.started is not None
    assert found.finished is not None


def test_a_failed_run_says_who_failed_and_what_never_began() -> None:
    found = status(run("False", "Failed"), bad("a", 3), good("b-2"), good("tell"))
    assert found.phase is Phase.FAILED
    assert found.reason == "1 stage failed: a"
    assert (stage_of(found, "a").exit_code, stage_of(found, "a").reason) == (3, "exit code 3")
    assert stage_of(found, "c").phase is Phase.SKIPPED
    assert stage_of(found, "c").reason == "a stage before it did not end well"


def test_a_run_that_was_stopped_says_so_of_the_stages_that_ran() -> None:
    cancelled = taskrun("a", "False", "TaskRunCancelled", code=1)
    found = status(run("False", "Cancelled", told=STOP), cancelled, good("b-2"), good("tell"))
    assert found.phase is Phase.STOPPED
    assert found.reason == "stopped while a ran"
    assert stage_of(found, "a").reason == "stopped"
    assert stage_of(found, "a").exit_code is None


def test_a_run_that_was_terminated_skips_its_failure_stage() -> None:
    cancelled = taskrun("a", "False", "TaskRunCancelled")
    found = status(run("False", "Cancelled", told=TERMINATE), cancelled)
    assert stage_of(found, "tell").phase is Phase.SKIPPED
    assert stage_of(found, "tell").reason == "terminated"


def test_a_run_goes_on_until_its_tasks_have_ended() -> None:
    found = status(run("False", "Cancelled", told=TERMINATE), taskrun("a"))
    assert found.phase is Phase.RUNNING
    assert found.finished is None


def test_a_run_over_its_time_limit_says_so() -> None:
    document = run("False", "PipelineRunTimeout")
    document["spec"]["timeouts"]["tasks"] = "90s"
    message = 'TaskRun "x" was cancelled. TaskRun cancelled as the PipelineRun has timed out.'
    found = status(document, taskrun("a", "False", "TaskRunCancelled", message))
    assert found.phase is Phase.FAILED
    assert stage_of(found, "a").phase is Phase.STOPPED
    assert "time limit of 90 s exceeded" in found.reason


def test_a_run_that_tekton_refuses_says_why() -> None:
    found = status(run("False", "PipelineValidationFailed", "invalid value: x"))
    assert (found.phase, found.reason) == (Phase.FAILED, "invalid value: x")


def test_a_run_whose_services_could_not_be_decided_says_so() -> None:
    undecided = bad("decide-services", code=1)
    undecided["status"]["results"] = [{"name": "reason", "value": "the cluster refused"}]
    found = status(run("False", "Failed"), good("a"), good("b-2"), good("c"), undecided)
    assert found.reason == "decide-services failed: the cluster refused"
    assert [stage.stage for stage in found.stages] == ["a", "b_2", "c", "tell"]
    found = status(run("False", "Failed"), bad("a"), good("b-2"), undecided)
    assert found.reason == "1 stage failed: a; decide-services failed: the cluster refused"


def test_a_stage_that_waits_says_for_what() -> None:
    waits = {"a": "no node can take it"}
    pending = taskrun("a", word="Pending")
    assert stage_of(status(run("Unknown", "Running"), pending, waits=waits), "a").reason == (
        "no node can take it"
    )


def test_a_stage_over_the_quota_says_so_though_it_has_no_pod() -> None:
    message = 'TaskRun Pod exceeded available resources: pods "x" is forbidden: exceeded quota: q'
    waiting = taskrun("a", word="ExceededResourceQuota", message=message)
    stage = stage_of(status(run("Unknown", "Running"), waiting), "a")
    assert (stage.phase, stage.reason) == (
        Phase.PENDING,
        "its pod was refused: exceeded quota: q",
    )
