"""Deleting all that a pipeline has in a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bodywork_argo.cli.options import backend_of, cluster_of, served_by
from bodywork_argo.cli.releasing import claim_of
from bodywork_argo.errors import EngineError, Forbidden, Unreachable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bodywork_argo.backend import Backend, RunStatus, Runtime
    from bodywork_argo.cluster import Cluster
    from bodywork_argo.scheduling import Schedules
    from bodywork_argo.service_removal import Found
    from bodywork_argo.terminal import Terminal


def delete_pipeline(
    name: str,
    runtime: Runtime,
    unknown: EngineError,
    *,
    yes: bool,
    backend_name: str,
    run_name: str,
    **words: Any,
) -> None:
    """Delete schedules, runs, services and records of a pipeline.

    Raises `unknown`, why there is no run of that name, where there can be no services.
    """
    from bodywork_argo.backend import InCluster
    from bodywork_argo.names import dns_label
    from bodywork_argo.release import SystemClock
    from bodywork_argo.service_removal import remove_pipeline
    from bodywork_argo.terminal import Terminal

    backend = backend_of(backend_name)
    if not isinstance(backend, InCluster) or served_by(backend, **words):
        raise unknown
    cluster, pipeline = cluster_of(**words)(), dns_label(name)
    objects = _objects(cluster, pipeline, unknown)
    runs = _runs(runtime, pipeline, quiet=bool(objects))
    terminal = Terminal()
    schedules = _schedules(backend, cluster, pipeline, terminal)
    if not objects and not runs and not schedules:
        raise EngineError(
            f"there is no run and no pipeline {name} in namespace {cluster.namespace}: "
            "`list` and `service list` tell which there are"
        ) from unknown
    if not yes:
        terminal.say(f"pipeline {pipeline} in namespace {cluster.namespace} has")
        for line in _summary(schedules, runs, objects):
            terminal.say(f"  {line}")
        click.confirm("Delete all of it? Secrets and the namespace stay.", abort=True, err=True)
    _end(schedules, runs, runtime, terminal)
    if objects:
        claim = claim_of(pipeline, f"delete {pipeline}")
        remove_pipeline(cluster, claim, SystemClock(), terminal.say)
    terminal.say(f"pipeline {pipeline} is deleted")


def _end(
    schedules: Mapping[str, Schedules],
    runs: tuple[RunStatus, ...],
    runtime: Runtime,
    terminal: Terminal,
) -> None:
    """Delete runs and schedules; meanwhile no run begins."""
    for name, keeper in schedules.items():
        keeper.suspend(name, True)
    for run in runs:
        runtime.delete(run.ref)
        terminal.say(f"run {run.ref.name} is deleted")
    for name, keeper in schedules.items():
        keeper.delete(name)
        terminal.say(f"schedule {name} is deleted")


def _objects(cluster: Cluster, pipeline: str, unknown: EngineError) -> tuple[Found, ...]:
    from bodywork_argo.service_removal import objects_of_pipeline

    try:
        return objects_of_pipeline(cluster, pipeline)
    except Forbidden as error:
        raise EngineError(
            f"{unknown}; whether there is a pipeline {pipeline} can't be told: {error}"
        ) from error


def _runs(runtime: Runtime, pipeline: str, *, quiet: bool) -> tuple[RunStatus, ...]:
    """Return the runs; with `quiet` also where the cluster has no engine that could know any."""
    try:
        return runtime.list(pipeline)
    except (Unreachable, Forbidden):
        raise
    except EngineError:
        if quiet:
            return ()
        raise


def _schedules(
    backend: Backend, cluster: Cluster, pipeline: str, terminal: Terminal
) -> dict[str, Schedules]:
    """Return what keeps the schedules of a pipeline, by their names."""
    from bodywork_argo.names import dns_label
    from bodywork_argo.scheduling import HasSchedules

    if not isinstance(backend, HasSchedules):
        return {}
    schedules = backend.schedules(lambda: cluster)
    try:
        found = schedules.list()
    except Forbidden as error:
        terminal.say(f"whether the pipeline has schedules can't be told: {error}")
        return {}
    except EngineError:  # no engine there that could have any
        return {}
    return {each.schedule.name: schedules for each in found if dns_label(each.pipeline) == pipeline}


def _summary(
    schedules: Collection[str], runs: tuple[RunStatus, ...], objects: tuple[Found, ...]
) -> list[str]:
    """Return what there is, a line for each kind."""
    found: dict[str, list[str]] = {"schedule": [*schedules]} if schedules else {}
    for run in runs:
        found.setdefault("run", []).append(run.ref.name)
    for each in objects:
        found.setdefault(each.resource.kind, []).append(each.name)
    return [f"{kind} {', '.join(them)}" for kind, them in found.items()]
