"""Commands that release services: by hand, and as a task of a run."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import click

from bodywork_argo.cli.options import (
    cluster_of,
    connection,
    namespace,
    planned_of,
    pods,
    repository,
    service_account,
)
from bodywork_argo.cli.releasing import pending, release_of

if TYPE_CHECKING:
    from bodywork_argo.release import Release


@click.command()
@repository
@pods
@namespace
@connection
@service_account
@pending
@click.option("--run-name", "name", metavar="NAME", help="Name of the release; default: a new one.")
def release(
    kubeconfig: str | None,
    context: str | None,
    service_account: str | None,
    pending_timeout: float,
    name: str | None,
    **words: Any,
) -> None:
    """Release the services of a pipeline, without a run: no batch stage is started.

    Each step of services waits for the one before. When a service can't be released, all of them
    go back to their last good version.
    """
    import secrets

    from bodywork_argo import deploy, submission
    from bodywork_argo.errors import PipelineFailed, UsageError
    from bodywork_argo.release import steps_of
    from bodywork_argo.terminal import Terminal

    gc.enable()
    terminal = Terminal()
    planned = planned_of(terminal, published=True, **words)
    if not any(True for _ in planned.plan.services()):
        raise UsageError(f"pipeline {planned.plan.pipeline} has no services")
    cluster = cluster_of(kubeconfig, context, planned.plan.namespace)()
    plan = submission.settle(planned, cluster, service_account=service_account).plan
    run = name or deploy.run_name(plan, f"release-{secrets.token_hex(3)}")
    releasing = release_of(cluster, plan.name, run, pending_timeout, plan.run.rollback)
    commit = getattr(plan.revision, "commit", "")
    terminal.say(f"release {run} of {plan.pipeline} at {commit[:7]} in {cluster.namespace}")
    try:
        for step in steps_of(plan, run=run, version=_version()):
            releasing.roll_out(step, commit)
    except PipelineFailed:
        releasing.end(well=False)
        raise


@click.group("release-task", hidden=True)
def release_task() -> None:
    """What runs on clusters call to release their services."""


def _task(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--pipeline", required=True),
            click.option("--run", required=True),
            click.option("--rollback", required=True, type=click.Choice(["run", "step", "none"])),
            pending,
            click.option("--termination-log", type=click.Path(dir_okay=False)),
            click.option("--termination-bytes", type=click.IntRange(min=1), default=4000),
        )
    ):
        command = option(command)
    return command


@release_task.command("roll-out")
@_task
@click.option("--plan", "path", required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--step", required=True, type=click.IntRange(min=0))
@click.option("--repository", required=True)
@click.option("--commit", required=True)
@click.option("--ends-run", is_flag=True)
def roll_out(
    path: str, step: int, repository: str, commit: str, ends_run: bool, **words: Any
) -> None:
    """Release the services of a step and wait until all of them serve."""
    import json
    from dataclasses import replace
    from pathlib import Path

    from bodywork_argo.plan import Pinned
    from bodywork_argo.plan_document import from_document
    from bodywork_argo.release import steps_of

    def work(release: Release) -> None:
        plan = from_document(json.loads(Path(path).read_text(encoding="utf-8")))
        source = replace(plan.source, revision=Pinned(commit=commit), repository=repository)
        steps = steps_of(replace(plan, source=source), run=release.run, version=_version())
        release.roll_out(replace(steps[step], ends_run=ends_run), commit)

    _as_task(work, **words)


@release_task.command("end")
@_task
@click.option("--status", required=True)
@click.option("--good", required=True)
def end(status: str, good: str, **words: Any) -> None:
    """Decide what a run has released: it is good, or everything goes back."""
    _as_task(lambda release: release.end(well=status == good), **words)


def _as_task(
    work: Any,
    *,
    pipeline: str,
    run: str,
    rollback: str,
    pending_timeout: float,
    termination_log: str | None,
    termination_bytes: int,
) -> None:
    """Do a run's part of a release, and leave its failure where the engine reads it.

    Engines take so many bytes of it: the kubelet 4 KiB, and Tekton less.
    """
    from pathlib import Path

    from bodywork_argo.errors import BodyworkArgoError
    from bodywork_argo.spec import Rollback

    gc.enable()
    try:
        cluster = cluster_of(None, None, None)()
        work(release_of(cluster, pipeline, run, pending_timeout, Rollback(rollback)))
    except BodyworkArgoError as error:
        if termination_log:
            reason = str(error).encode()[:termination_bytes].decode(errors="ignore")
            Path(termination_log).write_text(reason, encoding="utf-8")
        raise


def _version() -> str:
    from importlib.metadata import version

    return version("bodywork-argo")
