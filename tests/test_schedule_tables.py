"""How schedules are told at a fixed time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from bodywork_argo.backend import Phase, RunRef, RunStatus
from bodywork_argo.cli.schedule_tables import HISTORY, document, history_rows, lines, shown
from bodywork_argo.scheduling import Concurrency, Schedule, ScheduleStatus
from tests.projects import COMMIT

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)
NIGHT = datetime(2026, 11, 25, 2, 30, tzinfo=timezone.utc)
NIGHTLY = ScheduleStatus(
    schedule=Schedule(name="nightly", expressions=("30 3 * * *",), timezone="Europe/Berlin"),
    pipeline="shop",
    namespace="team",
    repository="https://git.example/team/shop.git",
    ref="main",
    since=NOW - timedelta(days=5),
    last_run=NIGHT,
)
RUN = RunStatus(
    ref=RunRef(backend="argo", name="nightly-1795573800", namespace="team"),
    pipeline="shop",
    phase=Phase.SUCCEEDED,
    commit=COMMIT,
    started=NIGHT + timedelta(seconds=2),
    finished=NIGHT + timedelta(minutes=10),
)
NEVER_RAN = replace(NIGHTLY, last_run=None, since=NOW - timedelta(minutes=1))


def changed(status: ScheduleStatus = NIGHTLY, **words: object) -> ScheduleStatus:
    schedule = replace(status.schedule, **words)  # type: ignore[arg-type]
    return replace(status, schedule=schedule)


CASES = {
    "active": shown(NIGHTLY, RUN, NOW),
    "new": shown(NEVER_RAN, None, NOW),
    "going-on": shown(
        replace(
            changed(concurrency=Concurrency.ALLOW, expressions=("0 * * * *", "30 3 * * 1")),
            active=("nightly-1", "nightly-2"),
        ),
        replace(RUN, phase=Phase.RUNNING, finished=None),
        NOW,
    ),
    "suspended": shown(changed(suspended=True, timezone="UTC"), RUN, NOW),
    "pinned": shown(replace(NIGHTLY, commit=COMMIT), None, NOW),
    "refused": shown(replace(NEVER_RAN, problem="templates.x: not found"), None, NOW),
    "overdue": shown(replace(NIGHTLY, last_run=NIGHT - timedelta(days=1)), None, NOW),
}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have everybody look from UTC, or from another zone."""

    def look_from(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    look_from("UTC")
    yield look_from
    monkeypatch.undo()
    time.tzset()


def test_schedules_are_told_in_the_reviewed_words(
    check_golden: Callable[[Path, str], None],
) -> None:
    parts = [f"# {name}\n" + "\n".join(lines(each)) for name, each in CASES.items()]
    check_golden(GOLDEN / "schedules.txt", "\n\n".join(parts) + "\n")


def test_schedules_are_data_in_the_reviewed_form(
    check_golden: Callable[[Path, str], None],
) -> None:
    data = {name: document(each) for name, each in CASES.items()}
    check_golden(GOLDEN / "schedules.json", json.dumps(data, indent=2) + "\n")


def test_what_the_controller_says_comes_before_what_the_clock_says() -> None:
    late = replace(NIGHTLY, last_run=None, problem="bad entrypoint")
    assert shown(late, None, NOW).problem == "bad entrypoint"


@pytest.mark.parametrize(
    ("minutes", "state"), [(0, "active"), (1, "active"), (2, "refused"), (600, "refused")]
)
def test_a_time_may_pass_for_two_minutes(minutes: int, state: str) -> None:
    late = replace(NIGHTLY, last_run=NIGHT - timedelta(days=1))
    assert shown(late, None, NIGHT + timedelta(minutes=minutes)).state == state


def test_times_before_a_schedule_was_changed_are_none_of_its_own() -> None:
    late = replace(NIGHTLY, last_run=NIGHT - timedelta(days=1))
    assert shown(replace(late, since=NIGHT + timedelta(minutes=1)), None, NOW).state == "active"


def test_a_time_that_was_left_out_for_a_run_is_not_missed() -> None:
    hourly = changed(expressions=("0 * * * *",))
    went_on = replace(RUN, finished=NOW - timedelta(minutes=10))
    assert shown(replace(hourly, active=(RUN.ref.name,)), RUN, NOW).state == "active"
    assert shown(hourly, went_on, NOW - timedelta(minutes=5)).state == "active"
    assert shown(hourly, went_on, NOW + timedelta(minutes=5)).state == "refused"


def test_a_suspended_schedule_misses_nothing_and_has_no_next_time() -> None:
    late = changed(replace(NIGHTLY, last_run=None), suspended=True)
    found = shown(late, None, NOW)
    assert (found.state, found.upcoming) == ("suspended", ())


def test_one_that_somebody_else_has_broken_is_told_with_what_is_wrong() -> None:
    found = shown(changed(timezone="Nowhere/Town"), RUN, NOW)
    assert (found.state, found.upcoming) == ("refused", ())
    assert "Nowhere/Town" in found.problem


def test_the_next_times_are_those_of_the_schedules_zone() -> None:
    spring = datetime(2027, 3, 27, 12, 0, tzinfo=timezone.utc)
    found = shown(changed(expressions=("30 3 * * *",)), RUN, spring).upcoming
    assert [f"{each:%a %H:%M %Z}" for each in found[:2]] == ["Sun 03:30 CEST", "Mon 03:30 CEST"]
    assert document(shown(NIGHTLY, RUN, spring))["next"][0] == "2027-03-28T01:30:00Z"


def test_whoever_looks_from_another_zone_is_told_their_own_time(
    here: Callable[[str], None],
) -> None:
    here("Asia/Tokyo")
    told = [line for line in lines(shown(NIGHTLY, RUN, NOW)) if "  next" in line]
    assert told == ["  next       Thu 2026-11-26 03:30 CET (Thu 11:30 JST here)"]


def test_the_runs_of_a_schedule_are_rows_of_a_table() -> None:
    failed = replace(RUN, phase=Phase.FAILED, commit=None, started=None, reason="1 stage failed: a")
    rows = [dict(zip(HISTORY, row, strict=True)) for row in history_rows((RUN, failed))]
    assert rows == [
        {
            "run": RUN.ref.name,
            "state": "succeeded",
            "commit": "0123456",
            "started": "2026-11-25 02:30:02 UTC",
            "why": "",
        },
        {
            "run": RUN.ref.name,
            "state": "failed",
            "commit": "",
            "started": "",
            "why": "1 stage failed: a",
        },
    ]
