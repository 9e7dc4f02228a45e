"""The words in which a run's end is told."""

from __future__ import annotations

from bodywork_argo.backend import Phase, StageStatus
from bodywork_argo.reasons import why_run_ended


def stage(name: str, phase: Phase, reason: str = "") -> StageStatus:
    return StageStatus(stage=name, task=name, phase=phase, reason=reason)


def test_failed_stages_are_named_in_their_order() -> None:
    stages = [stage("b", Phase.FAILED), stage("c", Phase.SUCCEEDED), stage("a", Phase.FAILED)]
    assert why_run_ended(stages) == "2 stages failed: b, a"


def test_of_many_stages_the_first_are_named_and_all_counted() -> None:
    stages = [stage(f"s{number}", Phase.FAILED) for number in range(23)]
    why = why_run_ended(stages)
    assert why.startswith("23 stages failed: s0, s1,")
    assert why.endswith(", s19 ... and 3 more")


def test_stages_that_were_ended_are_told_apart_from_those_that_failed() -> None:
    stages = [stage("a", Phase.STOPPED), stage("b", Phase.FAILED)]
    assert why_run_ended(stages, ended_by="stopped") == "1 stage failed: b; stopped while a ran"


def test_a_run_that_is_ended_between_two_stages_names_none() -> None:
    stages = [stage("a", Phase.SUCCEEDED), stage("b", Phase.SKIPPED)]
    assert why_run_ended(stages, ended_by="stopped") == "stopped"


def test_a_failure_stage_that_fails_is_no_cause() -> None:
    stages = [stage("a", Phase.FAILED), stage("tell", Phase.FAILED, "exit code 9")]
    why = why_run_ended(stages, failure_task="tell")
    assert why == "1 stage failed: a; the failure stage tell failed too: exit code 9"


def test_a_failure_stage_that_is_ended_is_not_what_ran() -> None:
    stages = [stage("a", Phase.FAILED), stage("tell", Phase.STOPPED)]
    why = why_run_ended(stages, failure_task="tell", ended_by="terminated")
    assert why == "1 stage failed: a; terminated"
