"""What `cron apply` does, step by step, and `compile` of a schedule, which asks no cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Protocol, cast

from bodywork_argo import deploy, replanning, submission
from bodywork_argo.access import SUBMITTER
from bodywork_argo.backend import Backend, Compiled
from bodywork_argo.cli.options import backend_of, cluster_of, location, plan_options
from bodywork_argo.cli.rehearsing import print_documents, told
from bodywork_argo.cluster import Cluster
from bodywork_argo.deploy import Planned
from bodywork_argo.errors import UsageError
from bodywork_argo.names import dns_label
from bodywork_argo.plan import Pinned
from bodywork_argo.planner import PlanOptions
from bodywork_argo.preflight import in_cluster, look, looked_through, submitter_account_there
from bodywork_argo.repo import is_url, published_ref
from bodywork_argo.runner import is_local
from bodywork_argo.scheduling import NAME_LIMIT, Applied, Concurrency, HasSchedules, Schedule
from bodywork_argo.terminal import Terminal
from bodywork_argo.timetable import parse_timetable

_HASH = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be kept as a schedule, before a cluster was asked."""

    planned: Planned
    options: PlanOptions
    ref: str | None
    """Whose head the runs take; None: the commit of the plan."""
    strict: bool

    def settled(self, planned: Planned, submitter: Callable[[], str | None]) -> Planned:
        """Return the plan of the runs, with what `planned` has of the cluster.

        `submitter` gives the account for those that may start another in their place.
        """
        if self.ref is None:
            return planned
        plan = planned.plan
        options = replace(
            self.options,
            namespace=plan.namespace,
            accounts=replace(plan.accounts, submitter=submitter()),
            submitted_by=plan.submitted_by,
        )
        project, source = planned.loaded.parsed.project, plan.source
        if source.ref is not None:  # where the code was read it may be called otherwise
            source = replace(source, ref=self.ref)
        plan = replanning.resolved_at_run(
            project, source, options, ref=self.ref, strict=self.strict
        )
        return replace(planned, plan=plan)


class Scheduler(Backend, HasSchedules, Protocol):
    """A backend that starts runs by the clock."""


def scheduler_of(backend_name: str) -> Scheduler:
    """Return the backend of that name. Raises UsageError when it starts no runs by the clock."""
    backend = backend_of(backend_name)
    if not isinstance(backend, HasSchedules):
        raise UsageError(
            f"the backend {backend_name} starts no runs by the clock: use '--backend argo', or "
            "have what starts jobs at your place (cron, a CronJob, CI) call `bodywork-argo submit "
            f"--backend {backend_name}`"
        )
    return cast("Scheduler", backend)


def schedule_label(name: str) -> str:
    """Return the name of a schedule in the cluster: with a hash where it had to be changed."""
    return dns_label(name, NAME_LIMIT)


def schedule_of(name: str, words: dict[str, Any]) -> tuple[Schedule, dict[str, Any]]:
    """Return what the words of `timed` say, and the other words. Raises UsageError."""
    words = dict(words)
    table = parse_timetable(words.pop("expressions"), words.pop("timezone"))
    schedule = Schedule(
        name=schedule_label(name),
        expressions=table.expressions,
        timezone=table.timezone or "UTC",
        concurrency=Concurrency(words.pop("concurrency")),
        starting_deadline_seconds=words.pop("starting_deadline"),
        history=words.pop("history"),
        suspended=words.pop("suspend"),
    )
    return schedule, words


def draft_of(terminal: Terminal, *, pin: bool, **words: Any) -> Draft:
    """Load and plan what is to run by the clock; tell what is worth knowing."""
    options, words = plan_options({**words, "scheduled": True})
    where = location(published=True, **words)
    planned = deploy.plan_location(where, options)
    terminal.problems(planned.loaded.notes)
    ref = None if pin else _ref(planned, where.source or ".", where.ref)
    return Draft(planned=planned, options=options, ref=ref, strict=where.strict)


def _ref(planned: Planned, source: str, asked: str | None) -> str:
    """Return the branch or tag that runs take. Raises UsageError when there is none."""
    found, revision = planned.plan.source.ref, planned.plan.revision
    pinned = "give --pin to have every run take this commit"
    assert isinstance(revision, Pinned), "the loader pins what it has read"
    if asked and _HASH.fullmatch(asked) and revision.commit.startswith(asked):
        raise UsageError(f"--ref names a commit, and runs take the head of a branch: {pinned}")
    if not is_local(source) or is_url(source):
        return found or "HEAD"
    if found is None:
        raise UsageError(f"no branch is checked out, so name one with --ref, or {pinned}")
    return published_ref(source, found)


def apply_schedule(
    *,
    backend_name: str,
    kubeconfig: str | None,
    context: str | None,
    secrets_namespace: str | None,
    service_account: str | None,
    require_no_token: bool,
    dry_run: str | None,
    schedule: Schedule,
    **words: Any,
) -> Applied | None:
    """Plan, look at the cluster, settle, compile and send; None when it was a rehearsal."""
    terminal = Terminal()
    backend = scheduler_of(backend_name)
    engine = in_cluster(backend)
    draft = draft_of(terminal, **words)
    connect = cluster_of(kubeconfig, context, draft.planned.plan.namespace)
    cluster = connect()
    group = submission.group_of(draft.planned, cluster, secrets_namespace)

    @cache
    def compiled() -> tuple[Planned, Compiled]:
        settled = submission.settle(
            draft.planned,
            cluster,
            service_account=service_account,
            no_token_on=engine if require_no_token else None,
        )
        planned = draft.settled(settled, partial(submitter_account_there, cluster))
        return planned, _compiled(terminal, backend, planned, schedule)

    looks = look(engine, cluster, lambda: compiled()[0].plan, group=group, scheduled=True)
    checks = told(terminal, draft.planned, looks, rehearsed=dry_run is not None)
    if dry_run is not None and looked_through(checks):
        _rehearse(terminal, compiled()[1], cluster, dry_run)
    submission.refuse(checks, done="applied")
    if dry_run is not None:
        return None
    settled, documents = compiled()
    for line in submission.fetch_group(settled.plan, group, cluster) if group else ():
        terminal.say(line)
    _warn_of_account(terminal, draft, settled)
    return backend.schedules(connect).apply(documents)


def _rehearse(terminal: Terminal, compiled: Compiled, cluster: Cluster, how: str) -> None:
    if how == "server":
        for document in compiled.documents:
            cluster.apply(document, dry_run=True)
    print_documents(terminal, compiled)


def print_schedule(*, backend_name: str, schedule_name: str | None, **words: Any) -> None:
    """Plan, compile and print a schedule for who keeps such documents in Git."""
    terminal = Terminal()
    backend = scheduler_of(backend_name)
    schedule, words = schedule_of(schedule_name or "", words)
    draft = draft_of(terminal, **words)
    if schedule_name is None:
        schedule = replace(schedule, name=schedule_label(draft.planned.plan.pipeline))
    planned = draft.settled(draft.planned, lambda: SUBMITTER)
    print_documents(terminal, _compiled(terminal, backend, planned, schedule))


def _compiled(
    terminal: Terminal, backend: Scheduler, planned: Planned, schedule: Schedule
) -> Compiled:
    """Return the documents of a schedule, and tell what the engine does otherwise."""
    terminal.problems(deploy.checked_by(backend, planned))
    return backend.compile_schedule(planned.plan, schedule)


def _warn_of_account(terminal: Terminal, draft: Draft, settled: Planned) -> None:
    if draft.ref is None or draft.strict or settled.plan.accounts.submitter is not None:
        return
    terminal.say(
        "warning: a run whose commit changes the pipeline will stop, since the account that may "
        f"start another in its place is missing: `bodywork-argo setup --namespace "
        f"{settled.plan.namespace} --apply` makes it"
    )
