"""Read one cron expression as Argo's controller does, and find all that is wrong with it.

Argo 4.0 hands an expression to `ParseStandard` of robfig/cron 3.0.1. On top of that come a few
things that it takes and then reads as something else than what is written, or never acts upon:
these are refused here as well, each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bodywork_argo.errors import Problem

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAYS_OF_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One of the five fields: what it is called, its bounds, and names for its values in order."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field(name="minute", low=0, high=59),
    Field(name="hour", low=0, high=23),
    Field(name="day of month", low=1, high=31),
    Field(name="month", low=1, high=12, names=_MONTHS),
    Field(name="day of week", low=0, high=6, names=_WEEKDAYS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an expression means, however it is written: equal readings fire at the same times.

    ``fields`` holds the values of each of `FIELDS`, in order. ``either_day`` says that a day has
    to match one of its two fields only: so it is unless one of them has a star.
    """

    fields: tuple[tuple[int, ...], ...]
    either_day: bool


class _Wrong(Exception):
    """One field can't be read; the message says what is wrong, the second argument what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def parse_expression(text: str) -> tuple[str, tuple[Problem, ...]]:
    """Return the expression as a cluster takes it, and what is wrong with it.

    The text has numbers for names and single spaces: the full definition of CronWorkflow refuses
    names, although the controller itself reads them. It is empty when there are problems. Their
    keys are the fields' names, or empty for the whole expression.

    >>> parse_expression("0  6 * * MON-FRI")
    ('0 6 * * 1-5', ())
    """
    words = text.split()
    if problem := _unsupported(words):
        return "", (problem,)
    if words[0].startswith("@"):
        return words[0], ()
    problems = []
    for word, field in zip(words, FIELDS, strict=True):
        try:
            _values(word, field)
        except _Wrong as wrong:
            problems.append(Problem(key=field.name, what=wrong.what, remedy=wrong.remedy))
    if problems:
        return "", tuple(problems)
    plain = " ".join(_with_numbers(word, field) for word, field in zip(words, FIELDS, strict=True))
    if never := _never_fires(read(plain)):
        return "", (never,)
    return plain, ()


def read(expression: str) -> Reading:
    """Return what an expression means that `parse_expression` gave back."""
    words = DESCRIPTORS.get(expression, expression).split()
    values = tuple(
        tuple(sorted(_values(word, field))) for word, field in zip(words, FIELDS, strict=True)
    )
    _, _, day, _, weekday = words
    return Reading(fields=values, either_day=not (_has_star(day) or _has_star(weekday)))


def _unsupported(words: Sequence[str]) -> Problem | None:
    """Say why this isn't an expression of five fields, or a name for one."""
    if not words:
        return Problem(key="", what="is empty", remedy='write five fields, such as "0 6 * * 1-5"')
    if not all(word.isprintable() for word in words):
        return Problem(
            key="", what="has characters that can't be shown", remedy="write it without them"
        )
    first = words[0]
    if first.startswith(("TZ=", "CRON_TZ=")):
        zone = first.partition("=")[2]
        return Problem(
            key="",
            what="has its time zone in front",
            remedy=f"leave {first} away and give --timezone {zone}",
        )
    if first.startswith("@"):
        return _unknown_name(words)
    if len(words) != len(FIELDS):
        names = ", ".join(field.name for field in FIELDS)
        seconds = " (there are no seconds and no years)" if len(words) > len(FIELDS) else ""
        return Problem(
            key="",
            what=f"has {len(words)} field{'s' if len(words) > 1 else ''}, not five",
            remedy=f"write {names}{seconds}",
        )
    return None


def _unknown_name(words: Sequence[str]) -> Problem | None:
    name = words[0]
    if name == "@every":
        # The controller adds a CronWorkflow anew whenever that changes, and every 20 minutes
        # anyway (Argo 4.0, `cronWorkflowResyncPeriod`); each time the interval starts again.
        return Problem(
            key="",
            what="@every counts from when the controller last looked, every 20 minutes or sooner,"
            " so that a longer interval never ends",
            remedy='write the times, such as "*/15 * * * *" or "0 */2 * * *"',
        )
    if name in DESCRIPTORS and len(words) == 1:
        return None
    known = ", ".join(DESCRIPTORS)
    what = f"{name} stands alone" if name in DESCRIPTORS else f"{name} is no name of a schedule"
    return Problem(key="", what=what, remedy=f"write one of {known}, or five fields")


def _values(word: str, field: Field) -> set[int]:
    """Return the values that a field names.

    Raises:
        _Wrong: It can't be read, or is read as something else than what is written.
    """
    values: set[int] = set()
    for item in word.split(","):
        values |= _item(item, field)
    return values


def _item(item: str, field: Field) -> set[int]:
    if not item:
        raise _Wrong("has a comma with nothing beside it", "write a value there, or no comma")
    span, slash, step = item.partition("/")
    low, dash, high = span.partition("-")
    if low in ("*", "?"):
        if dash:
            # robfig/cron forgets what comes after the dash.
            raise _Wrong(f"{item} has a range after {low}", f"write {low}, or where it begins")
        start, end = field.low, field.high
    else:
        start = _number(low, field)
        end = _number(high, field) if dash else field.high if slash else start
    if start > end:
        raise _Wrong(
            f"{item} ends before it begins",
            f"write {_span(start, field.high)},{_span(field.low, end)}",
        )
    return set(range(start, end + 1, _step(step, item, start, field) if slash else 1))


def _step(text: str, item: str, start: int, field: Field) -> int:
    if not _NUMBER.fullmatch(text):
        raise _Wrong(f"{item} has no number after the /", "write one, such as */5")
    step = int(text)
    if step == 0:
        raise _Wrong(f"{item} has a step of 0", "write 1 or more")
    if step > field.high - field.low:
        raise _Wrong(
            f"{item} steps past {field.high} at once and begins anew, so that it is {start} alone",
            f"write {start} if that is meant",
        )
    return step


def _number(text: str, field: Field) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.low
    if not text:
        raise _Wrong("a number is missing", f"write {field.low} to {field.high} there")
    if not _NUMBER.fullmatch(text):
        known = f", or a name such as {field.names[0]}" if field.names else ""
        raise _Wrong(
            f"{text} is no number",
            f"write {field.low} to {field.high}{known}; of signs there are * , - and / only",
        )
    number = int(text)
    if not field.low <= number <= field.high:
        if (field.name, number) == ("day of week", 7):
            raise _Wrong("7 is above 6", "write 0 for Sunday, and 1-6,0 for 1-7")
        side = "below" if number < field.low else "above"
        bound = field.low if number < field.low else field.high
        raise _Wrong(f"{number} is {side} {bound}", f"write {field.low} to {field.high}")
    return number


def _span(low: int, high: int) -> str:
    return f"{low}-{high}" if low != high else str(low)


def _with_numbers(word: str, field: Field) -> str:
    def number(match: re.Match[str]) -> str:
        return str(_number(match[0], field))

    return re.sub("[A-Za-z]+", number, word)


def _has_star(word: str) -> bool:
    # A step of 2 or more takes the star away (robfig/cron 3.0.1, `getRange`); in Debian's cron it
    # doesn't.
    return any(re.fullmatch(r"[*?](/0*1)?", item) for item in word.split(","))


def _never_fires(reading: Reading) -> Problem | None:
    """Say so when none of the months has one of the days.

    The controller would take it. Once such a CronWorkflow has run, after a change of its schedule,
    the controller even looks for missed runs without end (Argo 4.0,
    `shouldOutstandingWorkflowsBeRun`).
    """
    _, _, days, months, _ = reading.fields
    longest = max(_DAYS_OF_MONTHS[month - 1] for month in months)
    if reading.either_day or days[0] <= longest:
        return None
    return Problem(
        key="",
        what=f"never fires: no month of these has a day {days[0]}",
        remedy=f"write a day up to {longest}, or other months",
    )
