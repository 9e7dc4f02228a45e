"""What `submit` does, step by step, and waiting for runs."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from typing import Any

from bodywork_argo import deploy, submission
from bodywork_argo.access import SECRETS_NAMESPACE
from bodywork_argo.backend import Compiled, Phase, RunRef, RunStatus, Runtime
from bodywork_argo.cli.options import backend_of, cluster_of, planned_of
from bodywork_argo.cluster import Cluster
from bodywork_argo.deploy import Planned
from bodywork_argo.errors import Interrupted, PipelineFailed
from bodywork_argo.follow import Patience, follow
from bodywork_argo.manifests import to_yaml
from bodywork_argo.preflight import in_cluster, look
from bodywork_argo.run_views import ChangePrinter, LiveTable
from bodywork_argo.terminal import Terminal


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
    output: str,
    **words: Any,
) -> None:
    """Plan, settle, look, send, and wait if that was asked for."""
    terminal = Terminal()
    backend = backend_of(backend_name)
    engine = in_cluster(backend)
    planned = planned_of(terminal, published=True, **words)
    connect = cluster_of(kubeconfig, context, planned.plan.namespace)
    cluster = connect()
    planned = submission.settle(
        planned, cluster, service_account=service_account, require_no_token=require_no_token
    )
    name = name or deploy.run_name(planned.plan, secrets.token_hex(3))
    compiled, notes = deploy.compile_for(backend, planned, name)
    terminal.problems(notes)
    if dry_run is None:
        source = cluster.within(secrets_namespace or SECRETS_NAMESPACE)
        for line in submission.fetch_group(planned, source, cluster):
            terminal.say(line)
    checks = tuple(look(engine, cluster, lambda: planned.plan))
    for check in checks:
        terminal.problems(deploy.placed(check.problems, planned.loaded))
    if dry_run is not None:
        _rehearse(terminal, compiled, cluster, asked=dry_run)
        return
    submission.refuse(checks)
    runtime = backend.runtime(connect)
    ref = runtime.submit(compiled)
    _tell_started(terminal, ref, planned, output)
    if wait or watch:
        wait_for(terminal, runtime, ref, Patience(pending_seconds=pending_timeout), show=watch)


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
            raise Interrupted(f"run {ref.name} goes on: `bodywork-argo watch {ref.name}`") from None
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

    def sum_up(self, terminal: Terminal) -> None:
        """Print how the run has ended, if it has."""
        if self._last is not None and self._last.phase.final:
            terminal.summary(self._last)


def _teller(terminal: Terminal, stack: ExitStack, *, live: bool) -> Callable[[RunStatus], None]:
    if live and terminal.live_possible:
        return stack.enter_context(LiveTable(terminal, lambda: datetime.now(timezone.utc)))
    return ChangePrinter(terminal)


def _rehearse(terminal: Terminal, compiled: Compiled, cluster: Cluster, *, asked: str) -> None:
    if asked == "server":
        submission.rehearse(compiled, cluster)
    terminal.result(to_yaml(compiled.documents).rstrip("\n"))


def _tell_started(terminal: Terminal, ref: RunRef, planned: Planned, output: str) -> None:
    plan = planned.plan
    commit = getattr(plan.revision, "commit", "")
    terminal.say(f"run {ref.name} of {plan.pipeline} at {commit[:7]} in namespace {ref.namespace}")
    if ref.where:
        terminal.say(f"see it at {ref.where}")
    else:
        terminal.say(f"follow it with `bodywork-argo watch {ref.name} -n {ref.namespace}`")
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
