from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.cron_fields import DESCRIPTORS, FIELDS, Field, parse_expression, read

# What the full definition of CronWorkflow in Argo 4.0.5 takes, on top of what the controller reads.
SCHEMA = re.compile(
    r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)"
    r"|@every\s+([0-9]+(ns|us|µs|ms|s|m|h))+|([0-9*,/?-]+\s+){4}[0-9*,/?-]+)$"
)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("* * * * *", "* * * * *"),
        ("0 6 * * MON-FRI", "0 6 * * 1-5"),
        ("0 0 1 jan,Jul ?", "0 0 1 1,7 ?"),
        ("  5\t6  * *  * ", "5 6 * * *"),
        ("00 06 01 01 *", "00 06 01 01 *"),
        ("*/15 8-18/2 1-7 */3 0,6", "*/15 8-18/2 1-7 */3 0,6"),
        ("5/20 * * * sun/2", "5/20 * * * 0/2"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 31 4,5 *", "0 0 31 4,5 *"),
        ("0 0 31 2 1", "0 0 31 2 1"),
        ("0 0 31 2 */2", "0 0 31 2 */2"),
        *((name, name) for name in DESCRIPTORS),
    ],
)
def test_an_expression_is_taken_as_clusters_take_it(text: str, plain: str) -> None:
    assert parse_expression(text) == (plain, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", 'is empty; write five fields, such as "0 6 * * 1-5"'),
        (" \t", 'is empty; write five fields, such as "0 6 * * 1-5"'),
        ("5", "has 1 field, not five; write minute, hour, day of month, month, day of week"),
        ("0 6 * *", "has 4 fields, not five; write minute, hour, day of month, month, day of week"),
        (
            "0 0 6 * * *",
            "has 6 fields, not five; write minute, hour, day of month, month, day of week"
            " (there are no seconds and no years)",
        ),
        (
            "CRON_TZ=Europe/Berlin 0 6 * * *",
            "has its time zone in front;"
            " leave CRON_TZ=Europe/Berlin away and give --timezone Europe/Berlin",
        ),
        (
            "TZ=UTC @daily",
            "has its time zone in front; leave TZ=UTC away and give --timezone UTC",
        ),
        (
            "@reboot",
            "@reboot is no name of a schedule; write one of @yearly, @annually, @monthly, @weekly,"
            " @daily, @midnight, @hourly, or five fields",
        ),
        (
            "@Daily",
            "@Daily is no name of a schedule; write one of @yearly, @annually, @monthly, @weekly,"
            " @daily, @midnight, @hourly, or five fields",
        ),
        (
            "@daily 6",
            "@daily stands alone; write one of @yearly, @annually, @monthly, @weekly,"
            " @daily, @midnight, @hourly, or five fields",
        ),
        (
            "@every 90m",
            "@every counts from when the controller last looked, every 20 minutes or sooner, so"
            ' that a longer interval never ends; write the times, such as "*/15 * * * *" or'
            ' "0 */2 * * *"',
        ),
        (
            "0 0 31 2 *",
            "never fires: no month of these has a day 31; write a day up to 29, or other months",
        ),
        (
            "0 0 30,31 feb ?",
            "never fires: no month of these has a day 30; write a day up to 29, or other months",
        ),
        (
            "0 0 31 4,6,9,11 *",
            "never fires: no month of these has a day 31; write a day up to 30, or other months",
        ),
        (
            "0 0 31 2 */1",
            "never fires: no month of these has a day 31; write a day up to 29, or other months",
        ),
    ],
)
def test_what_is_no_expression_is_refused_with_the_way_out(text: str, problem: str) -> None:
    plain, problems = parse_expression(text)

    assert plain == ""
    assert [str(found) for found in problems] == [problem]


SIGNS = "of signs there are * , - and / only"


@pytest.mark.parametrize(
    ("place", "word", "problem"),
    [
        (0, "60", "60 is above 59; write 0 to 59"),
        (0, "-1", "a number is missing; write 0 to 59 there"),
        (0, "1-", "a number is missing; write 0 to 59 there"),
        (0, "/5", "a number is missing; write 0 to 59 there"),
        (0, "+1", f"+1 is no number; write 0 to 59; {SIGNS}"),
        (0, "٣", f"٣ is no number; write 0 to 59; {SIGNS}"),
        (0, "9" * 5000, f"{'9' * 5000} is no number; write 0 to 59; {SIGNS}"),
        (0, "1-2-3", f"2-3 is no number; write 0 to 59; {SIGNS}"),
        (0, "*/0", "*/0 has a step of 0; write 1 or more"),
        (0, "*/", "*/ has no number after the /; write one, such as */5"),
        (0, "*/5/2", "*/5/2 has no number after the /; write one, such as */5"),
        (
            0,
            "*/90",
            "*/90 steps past 59 at once and begins anew, so that it is 0 alone;"
            " write 0 if that is meant",
        ),
        (0, "50-10", "50-10 ends before it begins; write 50-59,0-10"),
        (0, "1,,2", "has a comma with nothing beside it; write a value there, or no comma"),
        (0, "5,", "has a comma with nothing beside it; write a value there, or no comma"),
        (0, "*-5", "*-5 has a range after *; write *, or where it begins"),
        (1, "24", "24 is above 23; write 0 to 23"),
        (1, "H", f"H is no number; write 0 to 23; {SIGNS}"),
        (2, "0", "0 is below 1; write 1 to 31"),
        (2, "L", f"L is no number; write 1 to 31; {SIGNS}"),
        (2, "15W", f"15W is no number; write 1 to 31; {SIGNS}"),
        (3, "0", "0 is below 1; write 1 to 12"),
        (3, "13", "13 is above 12; write 1 to 12"),
        (3, "mon", f"mon is no number; write 1 to 12, or a name such as jan; {SIGNS}"),
        (3, "nov-feb", "nov-feb ends before it begins; write 11-12,1-2"),
        (4, "7", "7 is above 6; write 0 for Sunday, and 1-6,0 for 1-7"),
        (4, "1-7", "7 is above 6; write 0 for Sunday, and 1-6,0 for 1-7"),
        (4, "8", "8 is above 6; write 0 to 6"),
        (4, "sat-sun", "sat-sun ends before it begins; write 6,0"),
        (4, "monday", f"monday is no number; write 0 to 6, or a name such as sun; {SIGNS}"),
        (4, "5#2", f"5#2 is no number; write 0 to 6, or a name such as sun; {SIGNS}"),
        (4, "5L", f"5L is no number; write 0 to 6, or a name such as sun; {SIGNS}"),
    ],
)
def test_a_field_is_refused_by_name_with_what_to_write(place: int, word: str, problem: str) -> None:
    words = ["0", "0", "1", "1", "*"]
    words[place] = word

    plain, problems = parse_expression(" ".join(words))

    assert plain == ""
    assert [str(found) for found in problems] == [f"{FIELDS[place].name}: {problem}"]


def test_every_field_that_is_wrong_is_told() -> None:
    _, problems = parse_expression("60 24 32 13 7")

    assert [problem.key for problem in problems] == [field.name for field in FIELDS]


@pytest.mark.parametrize(
    ("day", "weekday", "either"),
    [
        ("1", "1", True),
        ("*/2", "1", True),
        ("1-31", "1", True),
        ("1", "0-6", True),
        ("*", "1", False),
        ("?", "1", False),
        ("1", "*/1", False),
        ("1", "?/01", False),
        ("*,5", "1", False),
    ],
)
def test_both_days_have_to_match_only_where_one_has_a_star(
    day: str, weekday: str, either: bool
) -> None:
    assert read(f"0 0 {day} * {weekday}").either_day is either


def test_a_value_with_a_step_goes_on_to_the_end_of_the_field() -> None:
    minutes, _, _, _, weekdays = read("50/4 * * * 3/2").fields

    assert (minutes, weekdays) == ((50, 54, 58), (3, 5))


@pytest.mark.parametrize(("name", "meaning"), DESCRIPTORS.items())
def test_a_name_means_its_five_fields(name: str, meaning: str) -> None:
    assert read(name) == read(meaning)


def _words(field: Field) -> st.SearchStrategy[str]:
    values = st.integers(field.low, field.high)
    named = st.sampled_from([*field.names, str(field.low)])
    ranges = st.tuples(values, values).map(lambda ends: "{}-{}".format(*sorted(ends)))
    steps = st.integers(1, field.high - field.low)
    stepped = st.tuples(st.one_of(st.just("*"), st.just("?"), ranges, values.map(str)), steps).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    one = st.one_of(st.just("*"), named, named.map(str.upper), values.map(str), ranges, stepped)
    return st.lists(one, min_size=1, max_size=3).map(",".join)


@given(st.tuples(*map(_words, FIELDS)))
def test_what_is_taken_is_valid_on_a_cluster_and_is_taken_again(words: tuple[str, ...]) -> None:
    plain, problems = parse_expression("  ".join(words))

    if problems:
        assert [problem.what[:12] for problem in problems] == ["never fires:"]
    else:
        assert SCHEMA.match(plain)
        assert parse_expression(plain) == (plain, ())


@given(st.text(alphabet="0123456789*?/,-LW#@ abjmnorsu=TZ\n\t٣"))
def test_any_text_is_either_taken_or_explained(text: str) -> None:
    plain, problems = parse_expression(text)

    assert bool(plain) != bool(problems)
    assert all(problem.what and problem.remedy for problem in problems)
