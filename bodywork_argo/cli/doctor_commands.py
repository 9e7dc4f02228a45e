"""The command that looks whether a cluster is ready, and changes nothing."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bodywork_argo.cli.options import (
    backend_of,
    cluster_of,
    connection,
    engine,
    namespace,
    output,
    planned_of,
    pods,
    repository,
    s,
    secrets_namespace,
)
from bodywork_argo.errors import EngineError, Problem

if TYPE_CHECKING:
    from bodywork_argo.cluster import Cluster
    from bodywork_argo.deploy import Planned
    from bodywork_argo.plan import Plan
    from bodywork_argo.preflight import Check
    from bodywork_argo.terminal import Terminal


@click.command()
@repository
@pods
@engine("argo")
@namespace
@connection
@secrets_namespace
@output("table", "json")
def doctor(backend_name: str, secrets_namespace: str | None, output: str, **words: Any) -> None:
    """Check whether runs would work in a namespace: API, engine, rights, accounts.

    With a repository also its stages' secrets, where they are or in their group, and whether pods
    can fetch it. Nothing is changed, and no stage's secret is read. Exit code 4 when something
    would keep a run from starting.
    """
    from bodywork_argo.preflight import in_cluster, look
    from bodywork_argo.submission import group_of
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    backend = in_cluster(backend_of(backend_name))
    kubeconfig, context = words.pop("kubeconfig"), words.pop("context")
    planned = None
    if words["source"] is not None:
        planned = planned_of(terminal, published=True, **words)
    wanted = planned.plan.namespace if planned else words["namespace"]
    cluster = cluster_of(kubeconfig, context, wanted)()
    settled = partial(_settled, planned, cluster) if planned else None
    group = group_of(planned, cluster, secrets_namespace) if planned else None
    checks = []
    for check in look(backend, cluster, settled, group=group, thorough=True):
        checks.append(check)
        if output == "table":
            _tell(terminal, check, planned)
    if output == "json":
        terminal.result(json.dumps([_document(check, planned) for check in checks], indent=2))
    blocked = sum(check.blocks for check in checks)
    if blocked:
        raise EngineError(f"{blocked} check{s(blocked)} would keep a run from starting")


def _settled(planned: Planned, cluster: Cluster) -> Plan:
    from bodywork_argo.submission import settle

    return settle(planned, cluster).plan


def _tell(terminal: Terminal, check: Check, planned: Planned | None) -> None:
    if not check.problems:
        terminal.result(f"{click.style('ok', fg='green')}       {check.name}: {check.found}")
    for problem in _placed(check, planned):
        colour = "red" if problem.severity == "error" else "yellow"
        severity = click.style(f"{problem.severity:<8}", fg=colour)
        terminal.result(f"{severity} {problem}")
    for line in check.upcoming:
        terminal.result(f"{'':<8} {check.name}: a run would {line}")


def _placed(check: Check, planned: Planned | None) -> tuple[Problem, ...]:
    from bodywork_argo.deploy import placed

    return placed(check.problems, planned.loaded) if planned else check.problems


def _document(check: Check, planned: Planned | None) -> dict[str, Any]:
    return {
        "check": check.name,
        "ok": not check.problems,
        "found": check.found or None,
        "upcoming": list(check.upcoming),
        "problems": [
            {
                "severity": problem.severity,
                "key": problem.key,
                "where": problem.file or None,
                "line": problem.line or None,
                "what": problem.what,
                "remedy": problem.remedy,
            }
            for problem in _placed(check, planned)
        ],
    }
