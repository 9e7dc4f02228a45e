"""The oracle of conformance says what the rules say, and the cases meet all of them."""

from __future__ import annotations

import urllib.request
from dataclasses import replace

import pytest

from bodywork_argo.backend import Phase, RunRef, RunStatus, StageStatus
from e2e.support.conformance.cases import (
    FAILURE_STAGE,
    LIMIT_SECONDS,
    Behaviour,
    Case,
    Exits,
    FailsFirst,
    KillsItself,
    LacksImage,
    LacksModule,
    Overruns,
    Stage,
    draw,
    project_of,
)
from e2e.support.conformance.engines import ENGINES, Engine
from e2e.support.conformance.ledger import Entry, Ledger, serve
from e2e.support.conformance.oracle import SKIPPED, End, Ways, expected, reached
from e2e.support.conformance.trial import CASES, SEED, differences

WELL = Exits(0)
GOOD = End(phase=Phase.SUCCEEDED, attempts=1, begun=1, exit_code=0)
BAD = End(phase=Phase.FAILED, attempts=1, begun=1, exit_code=3, reason="exit code 3")


def stage(name: str, behaviour: Behaviour = WELL, retries: int = 0) -> Stage:
    return Stage(name=name, behaviour=behaviour, retries=retries)


def tell(behaviour: Behaviour = WELL) -> Stage:
    return stage(FAILURE_STAGE, behaviour)


def end_of(behaviour: Behaviour, retries: int) -> End:
    return expected(Case(steps=((stage("a", behaviour, retries),),))).stages["a"]


def test_a_step_after_a_failed_stage_is_skipped_and_its_siblings_finish() -> None:
    case = Case(steps=((stage("a", Exits(3)), stage("b")), (stage("c"),), (stage("d"),)))
    wanted = expected(case)
    assert wanted.phase is Phase.FAILED
    assert wanted.stages == {"a": BAD, "b": GOOD, "c": SKIPPED, "d": SKIPPED}


def test_a_good_run_skips_its_failure_stage() -> None:
    wanted = expected(Case(steps=((stage("a"),),), on_failure=tell()))
    assert (wanted.phase, wanted.told) == (Phase.SUCCEEDED, None)
    assert wanted.stages == {"a": GOOD, FAILURE_STAGE: SKIPPED}


def test_the_failure_stage_is_told_what_failed() -> None:
    wanted = expected(
        Case(steps=((stage("a", Exits(3)), stage("b", Exits(1))),), on_failure=tell())
    )
    assert wanted.told == ("2 stages failed: ", "a: exit code 3", "b: exit code 1")
    assert wanted.stages[FAILURE_STAGE] == GOOD
    assert wanted.named == ("a", "b")


def test_a_failure_stage_that_fails_itself_is_named_and_changes_no_more() -> None:
    wanted = expected(Case(steps=((stage("a", Exits(3)),),), on_failure=tell(Exits(3))))
    assert wanted.phase is Phase.FAILED
    assert wanted.stages[FAILURE_STAGE] == BAD
    assert wanted.named == ("a", FAILURE_STAGE)


@pytest.mark.parametrize(
    ("behaviour", "attempts", "begun", "code", "reason"),
    [
        (Exits(1), 3, 3, 1, "exit code 1"),
        (FailsFirst(3), 3, 3, 1, "exit code 1"),
        (KillsItself(), 3, 3, 137, "exit code 137"),
        (Overruns(), 3, 3, 137, f"time limit of {LIMIT_SECONDS} s exceeded"),
        (LacksModule(), 3, 0, 1, "module 'absent.py' is not in the repository"),
    ],
)
def test_a_stage_that_fails_has_as_many_attempts_as_it_may(
    behaviour: Behaviour, attempts: int, begun: int, code: int, reason: str
) -> None:
    assert end_of(behaviour, retries=2) == End(
        phase=Phase.FAILED, attempts=attempts, begun=begun, exit_code=code, reason=reason
    )


@pytest.mark.parametrize("times", [1, 2])
def test_a_stage_that_fails_at_first_ends_well_after_its_retries(times: int) -> None:
    assert end_of(FailsFirst(times), retries=2) == replace(
        GOOD, attempts=times + 1, begun=times + 1
    )


def test_a_run_whose_image_is_nowhere_is_stopped() -> None:
    case = Case(steps=((stage("a", LacksImage(), 2),), (stage("b"),)), on_failure=tell())
    wanted = expected(case)
    assert wanted.phase is Phase.STOPPED
    assert wanted.stages["a"] == End(phase=Phase.STOPPED, attempts=1, reason="stopped")
    assert (wanted.stages["b"], wanted.stages[FAILURE_STAGE]) == (SKIPPED, GOOD)


def test_an_engine_may_leave_a_stopped_run_without_further_attempts_of_its_failure_stage() -> None:
    again = stage(FAILURE_STAGE, FailsFirst(1), 2)
    stopped = Case(steps=((stage("a", LacksImage()),),), on_failure=again)
    failed = Case(steps=((stage("a", Exits(3)),),), on_failure=again)

    def attempts(case: Case, *, tries_again: bool) -> int:
        wanted = expected(case, Ways(tries_again_when_stopped=tries_again))
        return wanted.stages[FAILURE_STAGE].attempts

    assert attempts(stopped, tries_again=True) == attempts(failed, tries_again=False) == 2
    assert attempts(stopped, tries_again=False) == 1


def test_an_engine_may_tell_no_signal() -> None:
    silent = Ways(tells_signals=False)
    killed, late = (
        expected(Case(steps=((stage("a", behaviour),),)), silent).stages["a"]
        for behaviour in (KillsItself(), Overruns())
    )
    assert (killed.phase, killed.exit_code) == (Phase.FAILED, 255)
    assert (late.phase, late.exit_code) == (Phase.FAILED, None)


def test_an_engine_may_give_up_an_image_by_itself() -> None:
    case = Case(steps=((stage("a", LacksImage(), 2),), (stage("b"),)), on_failure=tell())
    wanted = expected(case, Ways(ends_without_image=True))
    assert wanted.phase is Phase.FAILED
    assert wanted.stages["a"] == End(phase=Phase.FAILED, attempts=3, reason="no image: ")
    assert wanted.told == ("1 stage failed: ", "a: no image: ")


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_cases_of_the_suite_meet_every_behaviour(engine: Engine) -> None:
    cases = draw(CASES, SEED, images=engine.in_cluster)
    assert len(cases) == CASES
    met = frozenset().union(*map(reached, cases))
    wanted = {Exits, FailsFirst, KillsItself, LacksModule, Overruns}
    assert met == (wanted | {LacksImage} if engine.in_cluster else wanted)
    ends = [expected(case) for case in cases]
    assert {end.phase for end in ends} >= {Phase.SUCCEEDED, Phase.FAILED}
    assert any(FAILURE_STAGE in end.named for end in ends)
    assert any(end.told for end in ends)


def test_the_same_seed_draws_the_same_cases_and_another_one_others() -> None:
    assert draw(10, 1, images=True) == draw(10, 1, images=True)
    assert draw(10, 1, images=True) != draw(10, 2, images=True)


def test_a_case_becomes_a_project_with_the_same_steps() -> None:
    case = Case(steps=((stage("a"), stage("b", Overruns(), 2)), (stage("c"),)), on_failure=tell())
    project = project_of(case, image="image", address="http://ledger/run")
    assert project.dag.steps == (("a", "b"), ("c",))
    assert project.run_on_failure == FAILURE_STAGE
    assert project.stage("b").args == ("http://ledger/run/b", "overrun", "0")


def test_the_ledger_counts_what_each_stage_of_each_run_tells() -> None:
    with serve("127.0.0.1") as ledger:
        counts = []
        for path in ("r1/a/begun/1", "r1/a/begun/2", "r1/b/begun/3", "r2/a/begun/4"):
            with urllib.request.urlopen(f"{ledger.address}/{path}", b"why") as answer:
                counts.append(int(answer.read()))
    assert counts == [1, 2, 1, 1]
    assert ledger.of("r2") == (Entry(stage="a", what="begun", attempt="4", message="why"),)


def test_the_ledger_counts_what_is_told_twice_once() -> None:
    first, second = (Entry(stage="a", what="begun", attempt=it, message="") for it in "12")
    ledger = Ledger()
    assert [ledger.enter("r", each) for each in (first, second, first)] == [1, 2, 1]
    assert ledger.of("r") == (first, second)


# What an engine might do, beside what it should: a run of `a >> b` that both end well.
CASE = Case(steps=((stage("a"),), (stage("b"),)))
RUN = RunRef(backend="none", name="run")
TOLD = tuple(
    Entry(stage=s, what=w, attempt="", message="") for s in "ab" for w in ("begun", "ended")
)


def good_stage(name: str) -> StageStatus:
    return StageStatus(stage=name, task=name, phase=Phase.SUCCEEDED, attempt=1, exit_code=0)


def good_run() -> RunStatus:
    stages = (good_stage("a"), good_stage("b"))
    return RunStatus(ref=RUN, pipeline="p", phase=Phase.SUCCEEDED, stages=stages)


def test_a_run_that_ends_as_it_should_has_no_differences() -> None:
    assert list(differences(CASE, expected(CASE), good_run(), TOLD)) == []


def test_another_end_is_a_difference() -> None:
    failed = replace(good_stage("b"), phase=Phase.FAILED, exit_code=1, reason="x")
    status = replace(good_run(), phase=Phase.FAILED, stages=(good_stage("a"), failed))
    assert list(differences(CASE, expected(CASE), status, TOLD)) == [
        "the run is failed, not succeeded",
        "b: phase failed, not succeeded (x)",
        "b: exit code 1, not 0 (x)",
    ]


def test_an_attempt_that_the_status_hides_is_a_difference() -> None:
    again = (*TOLD, *(replace(each, attempt="2") for each in TOLD[2:]))
    assert list(differences(CASE, expected(CASE), good_run(), again)) == [
        "b: times begun 2, not 1 ()"
    ]


def test_a_step_that_begins_early_is_a_difference() -> None:
    early = (TOLD[0], TOLD[2], TOLD[1], TOLD[3])
    assert list(differences(CASE, expected(CASE), good_run(), early)) == [
        "['a'] still went on when ['b'] began"
    ]


def test_a_message_that_leaves_a_stage_out_is_a_difference() -> None:
    case = Case(steps=((stage("a", Exits(3)),),), on_failure=tell())
    bad = replace(good_stage("a"), phase=Phase.FAILED, exit_code=3, reason="exit code 3")
    told = Entry(stage=FAILURE_STAGE, what="begun", attempt="", message="1 stage failed: a")
    status = replace(
        good_run(),
        phase=Phase.FAILED,
        reason="failed: a",
        stages=(bad, good_stage(FAILURE_STAGE)),
    )
    assert list(differences(case, expected(case), status, (TOLD[0], told))) == [
        "EXCEPTION_MESSAGE is ['1 stage failed: a'], not ['1 stage failed: ', 'a: exit code 3']"
    ]
