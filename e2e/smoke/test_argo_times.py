"""Schedules are read as Argo's own code reads them, and run when it lets them run."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bodywork_argo.cron_fields import FIELDS, Field, parse_expression
from bodywork_argo.timetable import parse_timetable
from e2e.engines.places import SOURCES as ENGINES
from e2e.support.argo_times import RECORDED, SOURCES, Question, Refused, ask, build, record

pytestmark = pytest.mark.smoke

SEED = 20261125
UTC = timezone.utc
START = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
ORDINARY = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "Africa/Casablanca",
    "Pacific/Auckland",
    "Asia/Kathmandu",
    "UTC",
)
# Their clocks change at midnight, or by half an hour. Then Argo's choice for the next hour depends
# on when its controller last looked.
UNSETTLED = (
    "Australia/Lord_Howe",
    "America/Havana",
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Cairo",
    "Atlantic/Azores",
)
# What is refused although Argo takes it.
STRICTER = (
    "never fires|steps past|with nothing beside it|has a range after|@every counts"
    "|its time zone in front|^(hour|minute|day of month|month|day of week): [+].* is no number"
)


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that answers with the controller's calls."""
    if shutil.which("go") is None:
        pytest.skip("the controller's own code is built with Go, and there is no `go`")
    return build(tmp_path_factory.mktemp("argo-times"))


def test_the_library_asked_is_the_one_that_argo_is_built_with() -> None:
    required = [
        re.findall(r"github.com/robfig/cron/v3 (v\S+)", (folder / "go.mod").read_text("utf-8"))
        for folder in (SOURCES, ENGINES / "argo")
    ]

    assert required[0] == required[1]


def test_what_the_unit_tests_compare_with_is_still_what_argo_says(controller: Path) -> None:
    assert record(controller) == RECORDED.read_text("utf-8")


def test_random_schedules_run_when_argo_runs_them(controller: Path) -> None:
    draw = random.Random(SEED)
    changes = {zone: _changes(zone) for zone in ORDINARY}
    questions = [_around_a_change(draw, changes) for _ in range(200)]

    answers = ask(controller, questions)

    assert [_ours(*pair) for pair in zip(questions, answers, strict=True)] == answers


def test_the_searchs_own_next_times_are_the_same(controller: Path) -> None:
    draw = random.Random(SEED)
    questions = [
        Question(
            zone=draw.choice(ORDINARY),
            expression=f"{draw.randrange(60)} {draw.randrange(24)} {_days(draw)}",
            first=START + draw.random() * YEAR,
            last=START + 10 * YEAR,
        )
        for _ in range(100)
    ]

    answers = [_first(answer, 40) for answer in ask(controller, questions, resync="0")]

    assert [_ours(*pair, more=0) for pair in zip(questions, answers, strict=True)] == answers


def test_unusual_changes_of_the_clocks_disturb_no_more_than_an_hour(controller: Path) -> None:
    draw = random.Random(SEED)
    changes = {zone: _changes(zone) for zone in UNSETTLED}
    questions = [_around_a_change(draw, changes) for _ in range(80)]

    answers = ask(controller, questions)

    for question, answer in zip(questions, answers, strict=True):
        hours = changes[question.zone]
        ours = _ours(question, answer, more=130)
        assert _settled(ours, hours) == _settled(answer, hours), question


def test_what_argo_refuses_is_refused_and_what_it_takes_is_taken(controller: Path) -> None:
    draw = random.Random(SEED)
    expressions = sorted({_wild(draw) for _ in range(1500)})
    asked = [Question(zone="", expression=text, first=START, last=START) for text in expressions]

    for text, answer in zip(expressions, ask(controller, asked), strict=True):
        problems = [str(problem) for problem in parse_expression(text)[1]]
        if isinstance(answer, Refused):
            assert problems, f"{text} is taken, and Argo says: {answer.reason}"
        else:
            wrong = [problem for problem in problems if not re.search(STRICTER, problem)]
            assert not wrong, f"Argo takes {text}"


def _ours(question: Question, answer: object, more: int = 1) -> list[datetime]:
    assert isinstance(answer, list), answer
    table = parse_timetable([question.expression], question.zone)
    times = table.following(question.first, len(answer) + more)
    return [time.astimezone(UTC) for time in times if time.astimezone(UTC) <= question.last]


def _first(answer: object, count: int) -> list[datetime]:
    assert isinstance(answer, list), answer
    return answer[:count]


def _settled(times: object, changes: list[datetime]) -> list[datetime]:
    """Leave the hours after the changes away."""
    assert isinstance(times, list), times
    hour = timedelta(hours=1)
    return [time for time in times if not any(change <= time < change + hour for change in changes)]


def _around_a_change(draw: random.Random, changes: Mapping[str, list[datetime]]) -> Question:
    zone = draw.choice(list(changes))
    change = draw.choice(changes[zone] or [START])
    first = change - timedelta(minutes=draw.randrange(180, 2 * 24 * 60))
    last = change + timedelta(days=1.5)
    while True:
        expression = f"{_field(draw, FIELDS[0])} {_field(draw, FIELDS[1])} {_days(draw)}"
        if not parse_expression(expression)[1]:
            return Question(zone=zone, expression=expression, first=first, last=last)


def _changes(zone: str) -> list[datetime]:
    """Return when a zone's clocks change in the year that is looked at."""
    place = ZoneInfo(zone)
    half_hours = [START + timedelta(minutes=30 * number) for number in range(2 * 24 * 365)]
    offsets = [moment.astimezone(place).utcoffset() for moment in half_hours]
    return [
        moment
        for before, moment, after in zip(offsets, half_hours[1:], offsets[1:], strict=False)
        if before != after
    ]


def _days(draw: random.Random) -> str:
    while True:
        days = " ".join(_field(draw, field) for field in FIELDS[2:])
        if not parse_expression(f"0 0 {days}")[1]:
            return days


def _field(draw: random.Random, field: Field) -> str:
    low, high = sorted(draw.randint(field.low, field.high) for _ in "ab")
    step = draw.randint(1, field.high - field.low)
    some = ",".join(str(draw.randint(field.low, field.high)) for _ in range(3))
    forms = ["*", "*", "?", f"{low}", f"{low}-{high}", f"*/{step}", f"{low}/{step}", some]
    return draw.choice([*forms, f"{low}-{high}/{step}", *field.names])


def _wild(draw: random.Random) -> str:
    """Draw what may be an expression: most of a good one, with something strange in it."""
    words = [_field(draw, field) for field in FIELDS]
    strange = [
        "0",
        "7",
        "13",
        "24",
        "31",
        "32",
        "60",
        "99",
        "*/0",
        "*/99",
        "-1",
        "+1",
        "5-1",
        "1-2-3",
    ]
    strange += [
        "*-5",
        "L",
        "15W",
        "5#2",
        "mon",
        "FRI-mon",
        "Jan-Mar",
        "sunday",
        "?/2",
        "**",
        "1//2",
    ]
    strange += [
        "1/2/3",
        ",",
        "1,",
        "",
        "*/",
        "/5",
        "-",
        "1.5",
        "H",
        "@daily",
        "٣",
        "1-*",
        "007",
        "*/x",
    ]
    for _ in range(draw.choice([0, 1, 1, 2])):
        words[draw.randrange(5)] = draw.choice(strange)
    names = ["@daily", "@Daily", "@reboot", "@every 1h", "@yearly x", "@annually", "@midnight", ""]
    return draw.choice([" ".join(words)] * 9 + names + [" ".join([*words, "*"]), "* * * *"])
