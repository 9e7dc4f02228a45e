"""Releases of services: roll out, judge, mark as good, go back, prune.

What goes on is told by objects of the cluster alone: `release_records` has what was and is to be,
and every step may be done again. So whoever releases can be killed at any point; the same call,
or the next release, goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from typing_extensions import assert_never

from bodywork_argo import names
from bodywork_argo.cluster import POD, Cluster
from bodywork_argo.errors import AlreadyExists, EngineError, PipelineFailed
from bodywork_argo.lease import Claim, Clock, Held, held
from bodywork_argo.plan import Plan, ServiceStep
from bodywork_argo.release_objects import (
    apply_object,
    in_transition,
    prune,
    refuse_strangers,
)
from bodywork_argo.release_records import (
    Record,
    State,
    decide,
    forget,
    newest,
    read_records,
    write_record,
)
from bodywork_argo.release_report import explain
from bodywork_argo.rollout import (
    RESTART_ANNOTATION,
    Broken,
    Limits,
    Ready,
    Verdict,
    Waiting,
    judge,
    limits_of,
    of_new_version,
)
from bodywork_argo.services import DEPLOYMENT, ServiceObjects, service_objects
from bodywork_argo.spec import Rollback

DEFAULT_PENDING_SECONDS = 600.0
_PAUSE_SECONDS = 1.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Services that a run releases side by side, and where that stands in the run."""

    services: tuple[ServiceObjects, ...]
    """All of the run, those of later steps included."""
    now: tuple[str, ...]
    """Names of those of this step."""
    before: tuple[str, ...] = ()
    """Names of those of earlier steps of the same run."""
    ends_run: bool = True
    """Whether the run is over, and has ended well, when this step has."""

    @property
    def is_last(self) -> bool:
        """Whether no services follow in the run."""
        return {each.name for each in self.services} == {*self.before, *self.now}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One run's release of the services of a pipeline.

    All calls raise EngineError when the cluster refuses or somebody else's objects are in the
    way, and TimedOut when another release goes on for too long.
    """

    cluster: Cluster
    clock: Clock
    tell: Tell
    pipeline: str
    """`Plan.name`."""
    run: str
    holder: str
    """Another for each process; see `Claim.holder`."""
    mode: Rollback = Rollback.RUN
    pending_seconds: float = DEFAULT_PENDING_SECONDS
    """For a pod to get its node and its image, and for another release to end."""

    def roll_out(self, step: Step, commit: str) -> None:
        """Release the services of a step and wait until all of them serve.

        Raises:
            PipelineFailed: one of them does not, or this was decided already. With `Rollback.RUN`
                everything is left for `end`; otherwise it was decided here.
        """
        with held(self.cluster, self._claim, self.clock, self.tell) as lease:
            records = read_records(self.cluster, self.pipeline)
            record = self._record(step, commit, records)
            if record.state is State.UNDECIDED:
                try:
                    self._apply(_of(step.now, record.services), records)
                    self._await(_of(step.now, record.services), lease)
                except PipelineFailed as failure:
                    self._decide_failed(record, records, lease, str(failure))
                    raise
            if self.mode is not Rollback.RUN or step.ends_run:
                self._keep(record, prunes=step.is_last)

    def end(self, *, well: bool) -> None:
        """Decide what the run released, after its end: it is good, or everything goes back.

        Does nothing when nothing was released, or all is decided. Raises PipelineFailed when the
        last good version does not serve any more either.
        """
        with held(self.cluster, self._claim, self.clock, self.tell) as lease:
            records = read_records(self.cluster, self.pipeline)
            mine = next((each for each in reversed(records) if each.run == self.run), None)
            if mine is None:
                self.tell("no service was released")
            elif mine.state is State.SUPERSEDED:
                self.tell(f"left as it is: {mine.reason}")
            elif well:
                self._keep(mine, prunes=True)
            elif mine.state is State.UNDECIDED:
                reason = mine.reason or "its run did not end well"
                self._go_back(mine, records, lease, reason)

    def go_back_to(self, record: Record) -> None:
        """Release an earlier version again, as it was, and wait until it serves."""
        with held(self.cluster, self._claim, self.clock, self.tell) as lease:
            records = read_records(self.cluster, self.pipeline)
            again = self._write(record.services, record.commit, records)
            try:
                self._restore(again, lease)
            except PipelineFailed as failure:
                decide(self.cluster, again, State.FAILED, str(failure))
                raise
            self._keep(again, prunes=True)

    def restart(self, service: str) -> None:
        """Start a service's pods anew, as they are, and wait until the new ones serve.

        Raises EngineError when there is no such service, PipelineFailed when it does not serve.
        """
        with held(self.cluster, self._claim, self.clock, self.tell) as lease:
            annotations = {RESTART_ANNOTATION: self.clock.now().isoformat()}
            template = {"metadata": {"annotations": annotations}}
            changed = self.cluster.patch(DEPLOYMENT, service, {"spec": {"template": template}})
            if changed is None:
                raise EngineError(f"service {service} was deleted meanwhile")
            self.tell(f"{service}: its pods are started anew")
            self._await([ServiceObjects(name=service, deployment=changed, services=())], lease)

    @property
    def _claim(self) -> Claim:
        return Claim(
            pipeline=self.pipeline, holder=self.holder, patience_seconds=self.pending_seconds
        )

    def _record(self, step: Step, commit: str, records: Sequence[Record]) -> Record:
        """Return the record of this step, written now unless it is there.

        Raises PipelineFailed when this failed before: an engine may start us again that can't
        tell a release that failed from one that was killed.
        """
        content = self._content(step, records)
        for record in reversed(records):
            if record.run == self.run and record.services == content:
                if record.state is State.UNDECIDED and record.reason:
                    raise PipelineFailed(record.reason)
                if record.state in (State.UNDECIDED, State.GOOD):
                    return record
                raise PipelineFailed(
                    f"{record.reason}; the release of run {self.run} is {record.state.value}: "
                    "start another run"
                )
        return self._write(content, commit, records)

    def _content(self, step: Step, records: Sequence[Record]) -> tuple[ServiceObjects, ...]:
        """Return all that serves once this step is good."""
        if self.mode is Rollback.RUN or step.is_last:
            return step.services
        good = newest(records, State.GOOD)
        served = {each.name: each for each in (good.services if good else ())}
        done = _of((*step.before, *step.now), step.services)
        return tuple({**served, **{each.name: each for each in done}}.values())

    def _write(
        self, services: tuple[ServiceObjects, ...], commit: str, records: Sequence[Record]
    ) -> Record:
        refuse_strangers(self.cluster, self.pipeline, services)
        for record in records:
            if record.state is State.UNDECIDED:
                self.tell(f"the release of run {record.run} was never decided: it counts no more")
                decide(self.cluster, record, State.SUPERSEDED, f"run {self.run} came after it")
        forget(self.cluster, records)
        try:
            return write_record(
                self.cluster, self.pipeline, records, services, run=self.run, commit=commit
            )
        except AlreadyExists:  # by an attempt of ours whose answer was lost: we have the lease
            *_, last = read_records(self.cluster, self.pipeline)
            if last.run != self.run or last.services != services:
                raise
            return last

    def _apply(self, services: Iterable[ServiceObjects], records: Sequence[Record]) -> None:
        """Send the objects; what leads to the services in use stays until this is decided."""
        good = newest(records, State.GOOD)
        before = {each.name: each for each in (good.services if good else ())}
        for service in services:
            self.tell(f"{service.name}: is released")
            for document in in_transition(service, before.get(service.name)).documents():
                apply_object(self.cluster, document, self.tell)

    def _await(self, services: Sequence[ServiceObjects], lease: Held) -> None:
        """Return when all services serve. Raises PipelineFailed as soon as one does not."""
        start, told = self.clock.now(), dict[str, str]()
        left = list(services)
        while left:
            lease.renew()
            left = [each for each in left if not self._serves(each, start, told)]
            if left:
                self.clock.sleep(_PAUSE_SECONDS)

    def _serves(self, service: ServiceObjects, start: datetime, told: dict[str, str]) -> bool:
        verdict, elapsed = self._look(service), self.clock.now() - start
        if isinstance(verdict, Waiting) and elapsed > self._longest(service):
            late = f"is not ready after {elapsed.total_seconds():.0f} s: {verdict.reason}"
            verdict = Broken(reason=late)
        match verdict:
            case Ready(pods=pods):
                self.tell(f"{service.name}: serves with {pods} pod{'s'[pods == 1 :]}")
                return True
            case Waiting(reason=reason):
                if told.get(service.name) != reason:
                    self.tell(f"{service.name}: {reason}")
                told[service.name] = reason
                return False
            case Broken():
                for line in explain(self.cluster, verdict):
                    self.tell(f"{service.name} | {line}")
                raise PipelineFailed(f"{service.name} could not be released: {verdict.reason}")
            case _ as unreachable:
                assert_never(unreachable)

    def _look(self, service: ServiceObjects) -> Verdict:
        found = self.cluster.get(DEPLOYMENT, service.name)
        if found is None:
            return Broken(reason="its Deployment was deleted meanwhile")
        labels = service.deployment["spec"]["template"]["metadata"]["labels"]
        wanted = {
            key: labels[key] for key in (names.PIPELINE_LABEL, names.STAGE_LABEL, names.RUN_LABEL)
        }
        pods = of_new_version(found, self.cluster.list(POD, wanted))
        return judge(found, pods, self._limits(service), self.clock.now())

    def _limits(self, service: ServiceObjects) -> Limits:
        return limits_of(service.deployment, self.pending_seconds)

    def _longest(self, service: ServiceObjects) -> timedelta:
        """Return when to give up whatever the reason: a net below the limits of each pod."""
        limits = self._limits(service)
        pods = max(service.deployment["spec"]["replicas"], 1)
        if not limits.pending:
            return timedelta.max
        each = limits.startup + limits.install + limits.pending
        return timedelta(seconds=each * pods + 60)

    def _decide_failed(
        self, record: Record, records: Sequence[Record], lease: Held, reason: str
    ) -> None:
        match self.mode:
            case Rollback.RUN:  # `end` decides; this is for whoever asks why
                decide(self.cluster, record, State.UNDECIDED, reason)
            case Rollback.STEP:
                self._go_back(record, records, lease, reason)
            case Rollback.NONE:
                decide(self.cluster, record, State.FAILED, reason)

    def _keep(self, record: Record, *, prunes: bool) -> None:
        """Note that a release is good; then take away what led to the version before."""
        decide(self.cluster, record, State.GOOD)
        for service in record.services:
            for document in service.services:
                apply_object(self.cluster, document, self.tell)
        if prunes:
            prune(self.cluster, self.pipeline, record.services, self.tell)

    def _go_back(self, record: Record, records: Sequence[Record], lease: Held, reason: str) -> None:
        good = newest(records, State.GOOD)
        if good is None:
            self.tell("there is no good version: what was released is removed")
            prune(self.cluster, self.pipeline, (), self.tell)
        else:
            self.tell(f"goes back to commit {good.commit[:7]} of run {good.run}")
            self._restore(good, lease)
            prune(self.cluster, self.pipeline, good.services, self.tell)
        decide(self.cluster, record, State.ROLLED_BACK, reason)

    def _restore(self, record: Record, lease: Held) -> None:
        refuse_strangers(self.cluster, self.pipeline, record.services)
        for document in record.documents():
            apply_object(self.cluster, document, self.tell)
        self._await(record.services, lease)


def _of(wanted: Iterable[str], services: Iterable[ServiceObjects]) -> tuple[ServiceObjects, ...]:
    by_name = {each.name: each for each in services}
    return tuple(by_name[name] for name in wanted)


def steps_of(plan: Plan, *, run: str, version: str) -> tuple[Step, ...]:
    """Return what a run named `run` releases, step by step; the last of a plan ends the run."""
    steps = [step for step in plan.steps if isinstance(step, ServiceStep)]
    services = tuple(
        service_objects(plan, task, run=run, version=version)
        for step in steps
        for task in step.tasks
    )
    now = [tuple(task.name for task in step.tasks) for step in steps]
    return tuple(
        Step(
            services=services,
            now=each,
            before=tuple(name for earlier in now[:number] for name in earlier),
            ends_run=number == len(steps) - 1,
        )
        for number, each in enumerate(now)
    )


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(timezone.utc)

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        time.sleep(seconds)
