"""When a schedule fires, as Argo's controller chooses the times.

`cronsim` finds the times on a clock that never changes, field by field. What a change of the
clocks does to them is decided here, since cronsim follows Debian's cron there and Argo doesn't:
a time that is skipped when clocks go forward is left out, and one that comes twice when they go
back fires twice.

Both is what Argo 4.0 does. It searches with robfig/cron 3.0.1, and anew every 20 minutes at the
latest (`cronWorkflowResyncPeriod`). That search errs in the hour after clocks have changed at
midnight, as in Cairo or Havana, or by half an hour, as on Lord Howe Island, and around a change by
two hours, as at Troll: a time may be left out there, or a run come on a day too many, depending
on when the controller searched last. For these hours, what the clocks show is told here.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo

from bodywork_argo.cron_fields import FIELDS, Reading, parse_expression, read
from bodywork_argo.errors import Problem, UsageError
from bodywork_argo.time_zones import check_zone

UTC = timezone.utc
_DAY_FIELDS = (2, 4)
_SEARCHED_YEARS = 5
# Since 2000 no clocks went back by more than those of Casey Station: three hours, in 2023.
_LONGEST_REPETITION = timedelta(hours=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """The times of a schedule; made by `parse_timetable`, which checks them.

    ``expressions`` are as a CronWorkflow takes them: numbers for names, single spaces.
    ``timezone`` is None when none is given. A CronWorkflow without one follows the clock of the
    controller's container; that is UTC in Argo's images, and so it is read here.
    """

    expressions: tuple[str, ...]
    timezone: str | None = None

    def following(self, after: datetime, count: int) -> tuple[datetime, ...]:
        """Return the next ``count`` times later than ``after``, in the zone of the schedule.

        They are sorted, and each instant stands once even when several expressions name it. There
        are fewer when the next time is more than five years away: the controller looks no further
        (robfig/cron 3.0.1, `Next`). The two times of an hour that comes twice differ in ``fold``
        alone, which Python's ``<`` and ``==`` pass over: compare such times in UTC.

        Raises:
            ValueError: ``after`` has no time zone.
        """
        import heapq
        from itertools import dropwhile, groupby, islice
        from zoneinfo import ZoneInfo

        if after.tzinfo is None:
            raise ValueError("a time without a zone is neither before nor after another")
        zone = ZoneInfo(self.timezone or "UTC")
        moment = after.astimezone(UTC)
        times = heapq.merge(*(_times(read(text), zone, moment) for text in self.expressions))
        later = dropwhile(lambda instant: instant <= moment, times)
        each_once = (instant for instant, _ in groupby(later))
        return tuple(instant.astimezone(zone) for instant in islice(each_once, count))


def parse_timetable(expressions: Sequence[str], timezone: str | None = None) -> Timetable:
    """Return the timetable that a user asks for.

    Args:
        expressions: Five fields each, or a name such as ``@daily``, as Argo reads them.
        timezone: The current name of a zone in the IANA database, or None.

    Raises:
        UsageError: Something is wrong. The message has a line for each problem: the expression,
            the field, what is wrong with it and what to write instead.
    """
    problems = [] if expressions else [_no_schedule()]
    known: dict[Reading, str] = {}
    for text in expressions:
        plain, wrong = parse_expression(text)
        if not wrong and (first := known.get(read(plain))):
            wrong = (_twice(first),)
        if not wrong:
            known[read(plain)] = plain
        problems += [_of_schedule(text, problem) for problem in wrong]
    if timezone is not None and (problem := check_zone(timezone)):
        problems.append(problem)
    if problems:
        raise UsageError("\n".join(map(str, problems)))
    return Timetable(expressions=tuple(known.values()), timezone=timezone)


def _no_schedule() -> Problem:
    return Problem(key="schedule", what="is missing", remedy='give one, such as "0 6 * * 1-5"')


def _twice(first: str) -> Problem:
    return Problem(key="", what=f'fires at the times of "{first}"', remedy="leave one of them away")


def _of_schedule(text: str, problem: Problem) -> Problem:
    place = f"schedule {json.dumps(text, ensure_ascii=False)}"
    return replace(problem, key=f"{place}: {problem.key}" if problem.key else place)


def _times(reading: Reading, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Yield the instants of one expression in UTC and in order, from a little before `after`."""
    from cronsim import CronSim

    start = after.astimezone(zone).replace(tzinfo=None)
    last_year = start.year + _SEARCHED_YEARS
    # cronsim has each clock time once and in order; what fires again waits here for its turn.
    repeated: deque[datetime] = deque()
    clocks = CronSim(_for_cronsim(reading), start - _LONGEST_REPETITION)
    while (clock := next(clocks)).year <= last_year:
        if instants := _instants(clock, zone):
            while repeated and repeated[0] < instants[0]:
                yield repeated.popleft()
            yield instants[0]
            repeated.extend(instants[1:])
            last_year = max(last_year, clock.year + _SEARCHED_YEARS)
    yield from repeated


def _instants(clock: datetime, zone: tzinfo) -> list[datetime]:
    """Return when the zone's clocks show this: once, twice, or never."""
    both = {clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    shown = (instant for instant in both if instant.astimezone(zone).replace(tzinfo=None) == clock)
    return sorted(shown)


def _for_cronsim(reading: Reading) -> str:
    """Spell a reading so that cronsim can't take it for anything else.

    It asks for both day fields to match when one *begins* with a star, such as */2, and counts
    Sunday as 0 and as 7 in steps. So values stand one by one, and a star where there is one.
    """
    words = [",".join(map(str, values)) for values in reading.fields]
    if not reading.either_day:
        for index in _DAY_FIELDS:
            field = FIELDS[index]
            if len(reading.fields[index]) == field.high - field.low + 1:
                words[index] = "*"
    return " ".join(words)
