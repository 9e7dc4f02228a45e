"""What `submit` does, step by step, and waiting for runs."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache, partial
from typing import Any

from bodywork_argo import deploy, submission
from bodywork_argo.backend import (
    Backend,
    Compiled,
    InCluster,
    Phase,
    Prunes,
    RunRef,
    RunStatus,
    Runtime,
    Served,
)
from bodywork_argo.cli.options import backend_of, cluster_of, planned_of, served_by
from bodywork_argo.cli.rehearsing import print_documents, told
from bodywork_argo.cluster import ClusterFactory
from bodywork_argo.deploy import Planned
from bodywork_argo.errors import EngineError, Interrupted, PipelineFailed, UsageError
from bodywork_argo.follow import Patience, follow
from bodywork_argo.preflight import in_cluster, look, looked_through
from bodywork_argo.run_views import ChangePrinter, LiveTable
from bodywork_argo.terminal import Terminal

_DEFAULT_ENGINE = "argo"
"""Of `watch`, and of all commands for runs in a cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """What the command line asks for beside the file."""

    name: str | None
    service_account: str | None
    require_no_token: bool
    secrets_namespace: str | None
    dry_run: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A run that nothing speaks against, and the way to its engine."""

    planned: Planned
    compiled: Compiled
    runtime: Runtime


def submit_run(
    *,
    backend_name: str,
    kubeconfig: str | None,
    context: str | None,
    secrets_namespace: str | None,
    service_account: str | None,
    require_no_token: bool,
    name: str | None,
    dry_run: str | None,
    wait: bool,
    watch: bool,
    pending_timeout: float,
    keep: int | None,
    output: str,
    **words: Any,
) -> None:
    """Plan, look at the cluster, settle, compile, send, and wait if that was asked for."""
    terminal = Terminal()
    backend = backend_of(backend_name)
    engine = in_cluster(backend)
    _refuse_keep(keep, backend)
    planned = planned_of(terminal, published=True, pending_timeout=pending_timeout, **words)
    wishes = _Wishes(
        name=name,
        service_account=service_account,
        require_no_token=require_no_token,
        secrets_namespace=secrets_namespace,
        dry_run=dry_run,
    )
    served = served_by(backend, kubeconfig, context, planned.plan.namespace)
    if served is not None:
        ready = _ready_unseen(terminal, backend, planned, served, wishes)
    else:
        connect = cluster_of(kubeconfig, context, planned.plan.namespace)
        ready = _ready(terminal, backend, engine, planned, connect, wishes)
    if ready is None:
        return
    ref = ready.runtime.submit(ready.compiled)
    _tell_started(terminal, ref, ready.planned, output)
    prune(terminal, ready.runtime, ready.planned.plan.pipeline, keep)
    if wait or watch:
        patience = Patience(pending_seconds=pending_timeout)
        wait_for(terminal, ready.runtime, ref, patience, show=watch)


def _refuse_keep(keep: int | None, backend: Backend) -> None:
    if keep is None:
        return
    if not isinstance(backend.runtime(cluster_of(None, None, None)), Prunes):
        raise UsageError(
            f"--keep is of no use with --backend {backend.name}, which removes runs by itself: "
            "leave it out (pipeline.kubernetes.ttl_seconds says when)"
        )


def prune(terminal: Terminal, runtime: Runtime, pipeline: str, keep: int | None) -> None:
    """Delete old runs where the engine does not; whoever has begun a run need not care."""
    if not isinstance(runtime, Prunes):
        return
    try:
        deleted = runtime.prune(pipeline, keep or runtime.kept_runs)
    except EngineError as error:
        terminal.say(f"old runs could not be deleted: {error}")
        return
    if deleted:
        terminal.say(f"deleted old runs: {', '.join(deleted)}")


def _ready(
    terminal: Terminal,
    backend: Backend,
    engine: InCluster,
    planned: Planned,
    connect: ClusterFactory,
    wishes: _Wishes,
) -> _Ready | None:
    """Look at the cluster and compile; None when it was a rehearsal."""
    cluster = connect()
    group = submission.group_of(planned, cluster, wishes.secrets_namespace)
    settle = partial(
        submission.settle,
        planned,
        cluster,
        service_account=wishes.service_account,
        no_token_on=engine if wishes.require_no_token else None,
    )
    draft = cache(lambda: _draft(terminal, backend, settle(), wishes.name))
    looks = look(engine, cluster, lambda: draft()[0].plan, group=group)
    checks = told(terminal, planned, looks, rehearsed=wishes.dry_run is not None)
    if wishes.dry_run is not None and looked_through(checks):
        if wishes.dry_run == "server":
            submission.rehearse(draft()[1], cluster)
        print_documents(terminal, draft()[1])
    submission.refuse(checks)
    if wishes.dry_run is not None:
        return None
    settled, compiled = draft()
    for line in submission.fetch_group(settled.plan, group, cluster) if group else ():
        terminal.say(line)
    return _Ready(planned=settled, compiled=compiled, runtime=backend.runtime(connect))


def _ready_unseen(
    terminal: Terminal, backend: Backend, planned: Planned, served: Served, wishes: _Wishes
) -> _Ready | None:
    """Compile for an engine whose server shows nothing but runs; None when it was a rehearsal."""
    if wishes.dry_run == "server":
        raise UsageError(
            f"'--dry-run=server' has the Kubernetes API check the documents, and {served.address} "
            "stands in its place: give --kubeconfig or --context, too"
        )
    settled = submission.settle_unseen(
        planned,
        served,
        service_account=wishes.service_account,
        require_no_token=wishes.require_no_token,
    )
    settled, compiled = _draft(terminal, backend, settled, wishes.name)
    if wishes.dry_run is not None:
        print_documents(terminal, compiled)
        return None
    terminal.say(submission.unseen(settled, served))
    return _Ready(planned=settled, compiled=compiled, runtime=served.runtime)


def _draft(
    terminal: Terminal, backend: Backend, planned: Planned, name: str | None
) -> tuple[Planned, Compiled]:
    """Compile what would be sent, and tell what the engine does otherwise."""
    name = name or deploy.run_name(planned.plan, secrets.token_hex(3))
    compiled, notes = deploy.compile_for(backend, planned, name)
    terminal.problems(notes)
    return planned, compiled


def wait_for(
    terminal: Terminal, runtime: Runtime, ref: RunRef, patience: Patience, *, show: bool
) -> None:
    """Wait for the end of a run and sum it up.

    Raises:
        PipelineFailed: it ended otherwise than well.
        TimedOut: a stage could not start, so the run was stopped.
        Interrupted: Ctrl-C; the run goes on.
    """
    with ExitStack() as stack:
        seen = _LastStatus(_teller(terminal, stack, live=show))
        try:
            follow(runtime, ref, seen, patience, time.monotonic)
        except KeyboardInterrupt:
            raise Interrupted(f"run {ref.name} goes on: {_to_watch(seen.ref or ref)}") from None
        finally:
            stack.close()
            seen.sum_up(terminal)
    if seen.phase is not Phase.SUCCEEDED:
        raise PipelineFailed


class _LastStatus:
    """Passes statuses on and keeps the last one."""

    def __init__(self, tell: Callable[[RunStatus], None]) -> None:
        self._tell = tell
        self._last: RunStatus | None = None

    def __call__(self, status: RunStatus) -> None:
        self._last = status
        self._tell(status)

    @property
    def phase(self) -> Phase | None:
        return self._last.phase if self._last else None

    @property
    def ref(self) -> RunRef | None:
        return self._last.ref if self._last else None

    def sum_up(self, terminal: Terminal) -> None:
        """Print how the run has ended, if it has."""
        if self._last is not None and self._last.phase.final:
            terminal.summary(self._last)


def _teller(terminal: Terminal, stack: ExitStack, *, live: bool) -> Callable[[RunStatus], None]:
    if live and terminal.live_possible:
        return stack.enter_context(LiveTable(terminal, lambda: datetime.now(timezone.utc)))
    return ChangePrinter(terminal)


def _tell_started(terminal: Terminal, ref: RunRef, planned: Planned, output: str) -> None:
    plan = planned.plan
    commit = getattr(plan.revision, "commit", "")
    terminal.say(f"run {ref.name} of {plan.pipeline} at {commit[:7]} in namespace {ref.namespace}")
    if ref.where:
        terminal.say(f"see it at {ref.where}")
    else:
        terminal.say(f"follow it with {_to_watch(ref)}")
    if output == "json":
        document = {
            "run": ref.name,
            "namespace": ref.namespace,
            "backend": ref.backend,
            "commit": commit,
            "where": ref.where or None,
        }
        terminal.result(json.dumps(document, indent=2))
    else:
        terminal.result(ref.name)


def _to_watch(ref: RunRef) -> str:
    where = f" -n {ref.namespace}" if ref.namespace else ""
    engine = "" if ref.backend == _DEFAULT_ENGINE else f" --backend {ref.backend}"
    return f"`bodywork-argo watch {ref.name}{engine}{where}`"
