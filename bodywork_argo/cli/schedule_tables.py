"""How schedules are told: to people, and as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from bodywork_argo.backend import RunStatus
from bodywork_argo.errors import UsageError
from bodywork_argo.scheduling import ScheduleStatus
from bodywork_argo.timetable import Timetable, parse_timetable

UPCOMING = 5
_PATIENCE = timedelta(minutes=2)
"""For the engine to start a run whose time has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A schedule, its last run and the times of its next ones, as they are now."""

    status: ScheduleStatus
    last: RunStatus | None
    """The newest that is kept."""
    upcoming: tuple[datetime, ...]
    """In the schedule's zone; empty while it is suspended."""
    problem: str
    """Why no run starts though one should."""

    @property
    def state(self) -> str:
        """Return how it stands in a word."""
        if self.problem:
            return "refused"
        return "suspended" if self.status.schedule.suspended else "active"


def shown(status: ScheduleStatus, last: RunStatus | None, now: datetime) -> Shown:
    """Return a schedule as it stands at `now`."""
    schedule = status.schedule
    try:
        table = parse_timetable(schedule.expressions, schedule.timezone)
    except UsageError as error:  # somebody else has written it
        problem = status.problem or str(error)
        return Shown(status=status, last=last, upcoming=(), problem=problem)
    upcoming = () if schedule.suspended else table.following(now, UPCOMING)
    problem = status.problem or _overdue(status, table, last, now)
    return Shown(status=status, last=last, upcoming=upcoming, problem=problem)


def _overdue(
    status: ScheduleStatus, table: Timetable, last: RunStatus | None, now: datetime
) -> str:
    """Return what tells that the engine lets a time pass in silence.

    Times that passed before the last run had ended may have been left out for that one.
    """
    ended = last.finished if last else None
    since = max(filter(None, (status.since, status.last_run, ended)), default=None)
    if status.schedule.suspended or status.active or since is None:
        return ""
    missed = table.following(since, 1)
    if not missed or missed[0] + _PATIENCE > now:
        return ""
    return (
        f"the engine has started no run for {_told(missed[0])}: its controller is down, does not "
        f"watch namespace {status.namespace}, or refuses the schedule and tells its log alone"
    )


def lines(each: Shown) -> Iterator[str]:
    """Yield what people are told of a schedule."""
    status, schedule = each.status, each.status.schedule
    yield f"{schedule.name}: {each.state}"
    yield f"  pipeline   {status.pipeline} of {status.repository}"
    taken = f"commit {status.commit[:7]}" if status.commit else f"the head of {_head(status)}"
    yield f"  code       {taken}"
    yield f"  schedule   {', '.join(schedule.expressions)} ({schedule.timezone})"
    yield f"  at once    {schedule.concurrency.value.lower()}"
    if each.problem:
        yield f"  problem    {each.problem}"
    if last_run := ": ".join(_last_run(each)):
        yield f"  last run   {last_run}"
    if status.active:
        yield f"  goes on    {', '.join(status.active)}"
    for number, time in enumerate(each.upcoming):
        yield f"  {'next' if number == 0 else '':<10} {_in_both_zones(time)}"


def document(each: Shown) -> dict[str, Any]:
    """Return a schedule as data for programs; times are UTC."""
    status, schedule = each.status, each.status.schedule
    return {
        "name": schedule.name,
        "namespace": status.namespace,
        "pipeline": status.pipeline,
        "repository": status.repository,
        "ref": _head(status),
        "commit": status.commit or None,
        "schedules": list(schedule.expressions),
        "timezone": schedule.timezone,
        "concurrency": schedule.concurrency.value,
        "startingDeadlineSeconds": schedule.starting_deadline_seconds,
        "history": schedule.history,
        "state": each.state,
        "suspended": schedule.suspended,
        "problem": each.problem or None,
        "lastScheduled": _utc(status.last_run),
        "lastRun": None
        if each.last is None
        else {
            "name": each.last.ref.name,
            "state": each.last.phase.value,
            "started": _utc(each.last.started),
        },
        "active": list(status.active),
        "next": [_utc(time) for time in each.upcoming],
    }


def history_rows(runs: Sequence[RunStatus]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of a table of runs, under `HISTORY`."""
    for run in runs:
        started = f"{run.started:%Y-%m-%d %H:%M:%S} UTC" if run.started else ""
        yield (run.ref.name, run.phase.value, (run.commit or "")[:7], started, run.reason)


HISTORY = ("run", "state", "commit", "started", "why")


def _head(status: ScheduleStatus) -> str:
    return status.ref or "HEAD"


def _last_run(each: Shown) -> Iterator[str]:
    """Yield when the last run was started, whoever did it, and what became of it if it is kept."""
    started = each.last.started if each.last else each.status.last_run
    if started is not None:
        yield _told(started)
    if each.last is not None:
        yield f"{each.last.ref.name} {each.last.phase.value}"


def _told(time: datetime) -> str:
    return f"{time.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _in_both_zones(time: datetime) -> str:
    here = time.astimezone()
    both = f"{time:%a %Y-%m-%d %H:%M %Z}"
    if here.utcoffset() == time.utcoffset():
        return both
    return f"{both} ({here:%a %H:%M %Z} here)"


def _utc(time: datetime | None) -> str | None:
    return None if time is None else f"{time.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
