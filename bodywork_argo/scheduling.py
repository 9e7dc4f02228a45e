"""What an engine has to offer for runs that start by the clock: an optional part of a backend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol, runtime_checkable

from bodywork_argo.backend import Compiled, RunRef
from bodywork_argo.cluster import ClusterFactory
from bodywork_argo.plan import Plan

NAME_LIMIT = 52
"""Leaves room for the time that engines append for the names of runs."""


class Concurrency(Enum):
    """What happens when a schedule's time comes while a run of it still goes on."""

    FORBID = "Forbid"
    """That time is left out."""
    REPLACE = "Replace"
    """The run that goes on is terminated."""
    ALLOW = "Allow"
    """Both go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a pipeline runs by itself."""

    name: str
    """DNS-1123 label of at most `NAME_LIMIT` characters."""
    expressions: tuple[str, ...]
    """Cron expressions as `timetable` takes them."""
    timezone: str
    """Name of the IANA zone in which they are read."""
    concurrency: Concurrency = Concurrency.FORBID
    starting_deadline_seconds: int | None = None
    """How late a run may start that was missed, such as while the engine was down; None: it is
    left out."""
    history: int = 10
    """How many runs that ended well, and how many others, are kept."""
    suspended: bool = False
    """Whether no run is started until it is resumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """How a schedule stands."""

    schedule: Schedule
    pipeline: str
    namespace: str
    repository: str = ""
    ref: str = ""
    """Branch or tag whose head the runs take."""
    commit: str = ""
    """The one commit that the runs take; "" when each takes the head of `ref`."""
    since: datetime | None = None
    """When somebody last changed it."""
    last_run: datetime | None = None
    """For when the last run was started."""
    active: tuple[str, ...] = ()
    """Names of the runs that go on."""
    problem: str = ""
    """Why the engine starts no runs though it should."""


class Applied(Enum):
    """What came of applying documents."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Schedules(Protocol):
    """The schedules of ours in one namespace.

    Raises:
        EngineError: the engine is unreachable, refuses, or knows no such schedule.
    """

    def apply(self, compiled: Compiled) -> Applied:
        """Create or update a schedule.

        One that was suspended stays so. One of that name that is not ours is an EngineError.
        """
        ...

    def list(self) -> tuple[ScheduleStatus, ...]:
        """Return all schedules in the order of their names."""
        ...

    def get(self, name: str) -> ScheduleStatus:
        """Return one."""
        ...

    def suspend(self, name: str, suspended: bool) -> bool:
        """Start no run until it is resumed, or resume; return whether that changed anything."""
        ...

    def run_now(self, name: str) -> RunRef:
        """Start a run at once, as if its time had come."""
        ...

    def runs(self, name: str) -> tuple[RunRef, ...]:
        """Return the runs that are still kept, newest first."""
        ...

    def submit_in_place(self, compiled: Compiled, name: str) -> RunRef:
        """Start a run that takes the place of the scheduled run `name`, as one of its schedule."""
        ...

    def delete(self, name: str) -> None:
        """Remove a schedule with its runs."""
        ...


@runtime_checkable
class HasSchedules(Protocol):
    """Optional capability of a `Backend`: its engine starts runs by the clock."""

    def compile_schedule(self, plan: Plan, schedule: Schedule) -> Compiled:
        """Return the documents of a schedule. Pure: the same input gives the same documents."""
        ...

    def schedules(self, cluster: ClusterFactory) -> Schedules:
        """Return a connection; nothing is contacted before it is used."""
        ...
