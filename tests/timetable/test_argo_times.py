"""The times are those that Argo's own code chose, recorded around changes of the clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from bodywork_argo.timetable import parse_timetable

RECORDED = Path(__file__).parent / "argo-times.tsv"
AROUND = timedelta(hours=36)
LORD_HOWE = "Australia/Lord_Howe"
HALF_AN_HOUR_FORWARD = datetime(2026, 10, 3, 15, 30, tzinfo=timezone.utc)

Row = tuple[str, datetime, str, list[int]]


def _rows() -> Iterator[Row]:
    """Give zone, change of the clocks, expression, and the minutes from there to each run."""
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        zone, change, expression, minutes = line.split("\t")
        moment = datetime.fromisoformat(f"{change}+00:00")
        yield zone, moment, expression, [int(minute) for minute in minutes.split()]


ROWS = tuple(_rows())


def _ours(zone: str, change: datetime, expression: str, count: int) -> list[int]:
    times = parse_timetable([expression], zone or None).following(change - AROUND, count)
    moments = [time.astimezone(timezone.utc) - change for time in times]
    return [moment // timedelta(minutes=1) for moment in moments if moment <= AROUND]


@pytest.mark.parametrize("zone", sorted({zone for zone, *_ in ROWS} - {LORD_HOWE}))
def test_all_times_around_changes_of_the_clocks_are_argos(zone: str) -> None:
    rows = [row for row in ROWS if row[0] == zone]

    assert [_ours(*row[:3], len(row[3]) + 1) for row in rows] == [row[3] for row in rows]


def test_a_change_by_half_an_hour_disturbs_no_more_than_the_hour_after_it() -> None:
    rows = [row for row in ROWS if row[0] == LORD_HOWE]

    ours = [_ours(*row[:3], len(row[3]) + 2) for row in rows]

    assert [_beyond_an_hour(minutes) for minutes in ours] == [
        _beyond_an_hour(row[3]) for row in rows
    ]


def _beyond_an_hour(minutes: list[int]) -> list[int]:
    return [minute for minute in minutes if not 0 <= minute < 60]


def test_in_that_hour_argo_leaves_out_what_the_clocks_do_show() -> None:
    (argos,) = (row[3] for row in ROWS if row[1:3] == (HALF_AN_HOUR_FORWARD, "0 3 * * *"))

    ours = _ours(LORD_HOWE, HALF_AN_HOUR_FORWARD, "0 3 * * *", 3)

    assert [minute for minute in ours if minute not in argos] == [30]
