from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodywork_argo.cron_fields import DESCRIPTORS, read
from bodywork_argo.errors import UsageError
from bodywork_argo.timetable import Timetable, parse_timetable

UTC = timezone.utc
BERLIN = "Europe/Berlin"
fewer = settings(max_examples=50)
NOON = datetime(2026, 10, 24, 12, tzinfo=UTC)


def _next(expressions: list[str], zone: str | None, after: datetime, count: int) -> list[str]:
    times = parse_timetable(expressions, zone).following(after, count)
    return [time.isoformat(" ", "minutes") for time in times]


def test_expressions_are_kept_as_a_cluster_takes_them() -> None:
    found = parse_timetable(["0  6 * * Mon-FRI", "@hourly"], BERLIN)

    assert found == Timetable(expressions=("0 6 * * 1-5", "@hourly"), timezone=BERLIN)


def test_without_a_zone_the_clock_of_argos_images_counts() -> None:
    assert _next(["0 6 * * *"], None, NOON, 1) == ["2026-10-25 06:00+00:00"]


def test_a_time_that_comes_twice_fires_twice() -> None:
    assert _next(["30 2 * * *"], BERLIN, NOON, 3) == [
        "2026-10-25 02:30+02:00",
        "2026-10-25 02:30+01:00",
        "2026-10-26 02:30+01:00",
    ]


def test_times_of_the_doubled_hour_come_in_their_order() -> None:
    assert _next(["*/30 2 * * *"], BERLIN, NOON, 4) == [
        "2026-10-25 02:00+02:00",
        "2026-10-25 02:30+02:00",
        "2026-10-25 02:00+01:00",
        "2026-10-25 02:30+01:00",
    ]


def test_between_the_doubled_times_the_second_is_next() -> None:
    between = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)

    assert _next(["30 2 * * *"], BERLIN, between, 1) == ["2026-10-25 02:30+01:00"]


def test_after_the_longest_way_back_the_repeated_times_are_next() -> None:
    before = datetime(2023, 3, 8, 15, 59, tzinfo=UTC)

    assert _next(["15 * * * *"], "Antarctica/Casey", before, 4) == [
        "2023-03-09 00:15+08:00",
        "2023-03-09 01:15+08:00",
        "2023-03-09 02:15+08:00",
        "2023-03-09 03:15+08:00",
    ]


def test_a_time_that_is_skipped_does_not_fire() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)

    assert _next(["30 2 * * *"], BERLIN, before, 1) == ["2026-03-30 02:30+02:00"]


def test_several_expressions_make_one_sorted_list_with_each_instant_once() -> None:
    monday = datetime(2026, 11, 23, tzinfo=UTC)

    assert _next(["0 6 * * 1", "0 6,7 * * *", "30 6 * * *"], "UTC", monday, 4) == [
        "2026-11-23 06:00+00:00",
        "2026-11-23 06:30+00:00",
        "2026-11-23 07:00+00:00",
        "2026-11-24 06:00+00:00",
    ]


def test_the_time_itself_is_not_among_those_that_follow() -> None:
    six = datetime(2026, 11, 23, 6, tzinfo=UTC)

    assert _next(["0 6 * * *"], "UTC", six, 1) == ["2026-11-24 06:00+00:00"]


def test_seconds_and_less_do_not_move_a_time() -> None:
    late = datetime(2026, 11, 23, 5, 59, 59, 999999, tzinfo=UTC)

    assert _next(["0 6 * * *"], "UTC", late, 1) == ["2026-11-23 06:00+00:00"]


def test_a_stepped_day_of_month_is_one_of_two_ways_to_match() -> None:
    assert _next(["0 6 */10 * 1"], "UTC", datetime(2026, 11, 20, tzinfo=UTC), 3) == [
        "2026-11-21 06:00+00:00",
        "2026-11-23 06:00+00:00",
        "2026-11-30 06:00+00:00",
    ]


def test_a_day_of_week_with_a_step_never_comes_to_a_second_sunday() -> None:
    assert _next(["0 6 * * 5/2"], "UTC", datetime(2026, 11, 23, tzinfo=UTC), 2) == [
        "2026-11-27 06:00+00:00",
        "2026-12-04 06:00+00:00",
    ]


def test_the_search_ends_after_five_years_as_the_controllers_does() -> None:
    assert _next(["0 0 29 2 *"], "UTC", datetime(2090, 1, 1, tzinfo=UTC), 5) == [
        "2092-02-29 00:00+00:00",
        "2096-02-29 00:00+00:00",
    ]


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        parse_timetable(["@daily"]).following(datetime(2026, 1, 1), 1)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_timetable(["61 * * * *", "0 0 31 2 *", ""], "US/Eastern")

    assert str(caught.value).splitlines() == [
        'schedule "61 * * * *": minute: 61 is above 59; write 0 to 59',
        'schedule "0 0 31 2 *": never fires: no month of these has a day 31;'
        " write a day up to 29, or other months",
        'schedule "": is empty; write five fields, such as "0 6 * * 1-5"',
        "timezone: US/Eastern is an old name, which not every system knows;"
        " write America/New_York, whose clocks it shares",
    ]


def test_no_schedule_at_all_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        parse_timetable([])

    assert str(caught.value) == 'schedule: is missing; give one, such as "0 6 * * 1-5"'


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("0 6 * * 1-5", "0 6 * * mon-fri"),
        ("@daily", "00 00 * * *"),
        ("*/20 * * * *", "0/20 * * * ?"),
    ],
)
def test_an_expression_that_says_nothing_new_is_refused(first: str, second: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_timetable([first, second])

    assert str(caught.value) == (
        f'schedule "{second}": fires at the times of "{first}"; leave one of them away'
    )


def test_control_characters_of_an_expression_do_not_reach_the_terminal() -> None:
    with pytest.raises(UsageError) as caught:
        parse_timetable(["\x1b[31m * * * *"])

    assert str(caught.value) == (
        'schedule "\\u001b[31m * * * *": has characters that can\'t be shown; write it without them'
    )


def test_the_libraries_are_loaded_only_when_times_are_asked_for() -> None:
    code = (
        "import sys, bodywork_argo.timetable;"
        "print(*{'cronsim', 'zoneinfo', 'tzdata', 'difflib', 'heapq'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("\n", "")


EXPRESSIONS = st.sampled_from(
    [*DESCRIPTORS, "*/7 * * * *", "30 2 * * *", "0 0-6 1,15 * *", "5 4 */2 * 0", "59 23 * 2 1-5"]
)
ZONES = st.sampled_from([BERLIN, "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2034, 1, 1), timezones=st.just(UTC))


@fewer
@given(EXPRESSIONS, ZONES, MOMENTS)
def test_times_rise_and_the_zones_clocks_show_what_is_written(
    expression: str, zone: str, after: datetime
) -> None:
    minutes, hours, days, months, weekdays = read(expression).fields
    either = read(expression).either_day

    times = parse_timetable([expression], zone).following(after, 6)

    instants = [time.astimezone(UTC) for time in times]
    assert instants == sorted(set(instants))
    assert all(instant > after for instant in instants)
    for instant in instants:
        clock = instant.astimezone(ZoneInfo(zone))
        assert (clock.minute in minutes, clock.hour in hours, clock.month in months) == (True,) * 3
        matches = [clock.day in days, clock.isoweekday() % 7 in weekdays]
        assert any(matches) if either else all(matches)


@fewer
@given(st.lists(EXPRESSIONS, min_size=1, max_size=3, unique_by=read), ZONES, MOMENTS)
def test_several_expressions_fire_when_one_of_them_does(
    expressions: list[str], zone: str, after: datetime
) -> None:
    together = parse_timetable(expressions, zone).following(after, 5)

    alone = {
        time.astimezone(UTC)
        for expression in expressions
        for time in parse_timetable([expression], zone).following(after, 5)
    }
    assert [time.astimezone(UTC) for time in together] == sorted(alone)[:5]


@fewer
@given(EXPRESSIONS, ZONES, MOMENTS)
def test_no_minute_that_the_clocks_show_is_left_out(
    expression: str, zone: str, after: datetime
) -> None:
    reading = read(expression)
    minutes, hours, days, months, weekdays = reading.fields
    start = after.replace(second=0, microsecond=0)
    clocks = [
        (start + timedelta(minutes=number)).astimezone(ZoneInfo(zone)) for number in range(1, 400)
    ]
    shown = [
        clock.astimezone(UTC)
        for clock in clocks
        if clock.minute in minutes
        and clock.hour in hours
        and clock.month in months
        and (any if reading.either_day else all)(
            [clock.day in days, clock.isoweekday() % 7 in weekdays]
        )
    ]

    times = parse_timetable([expression], zone).following(after, len(shown))

    assert [time.astimezone(UTC) for time in times] == shown
