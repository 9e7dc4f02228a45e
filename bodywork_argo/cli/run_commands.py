"""Commands that start runs, and that look after them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import click

from bodywork_argo.cli.options import (
    backend_of,
    cluster_of,
    connection,
    dry_run,
    engine,
    namespace,
    output,
    planned_of,
    pods,
    repository,
    require_no_token,
    run_name,
    secrets_namespace,
    served_by,
    service_account,
)
from bodywork_argo.errors import PipelineFailed

if TYPE_CHECKING:
    from bodywork_argo.backend import RunRef, RunStatus, Runtime


@click.command()
@repository
@engine("local")
@click.option("--keep-services", is_flag=True, help="Keep services up after the run, until Ctrl-C.")
def run(backend_name: str, keep_services: bool, **words: Any) -> None:
    """Run a pipeline on this machine and show it to its end.

    Stages get their secrets from environment variables of the same names. Ctrl-C ends the run and
    all its processes. `submit` starts runs in a cluster, which go on without you.
    """
    import secrets

    from bodywork_argo import deploy
    from bodywork_argo.backend import Phase
    from bodywork_argo.errors import UsageError
    from bodywork_argo.run_views import RunPrinter
    from bodywork_argo.terminal import Terminal

    gc.enable()  # this takes long enough to leave something behind
    terminal = Terminal()
    backend = backend_of(backend_name)
    runtime = backend.runtime(deploy.no_cluster)
    if not runtime.attached:
        raise UsageError(f"runs on {backend_name} go on by themselves: use `submit --watch`")
    planned = planned_of(terminal, keep_services=keep_services, **words)
    name = deploy.run_name(planned.plan, secrets.token_hex(3))
    compiled, notes = deploy.compile_for(backend, planned, name)
    terminal.problems(notes)
    printer = RunPrinter(terminal, planned.plan)
    status = deploy.run_attached(runtime, compiled, printer, keep_services=keep_services)
    if status.phase is not Phase.SUCCEEDED:
        raise PipelineFailed


@click.command()
@repository
@pods
@engine("argo")
@namespace
@connection
@secrets_namespace
@service_account
@require_no_token
@click.option(
    "--exclusive/--allow-parallel",
    default=None,
    help="Whether runs of the pipeline wait for each other; default: those with services do.",
)
@click.option("--run-name", "name", metavar="NAME", help="Name of the run; default: a new one.")
@dry_run
@click.option("--wait", is_flag=True, help="Wait for the end; the exit code tells how it was.")
@click.option("--watch", is_flag=True, help="As --wait, and show how the stages go on.")
@click.option(
    "--pending-timeout",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="With --wait: stop the run when a stage can't start for so long; 0: never.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Where the engine removes no runs by itself (Tekton): delete those of the pipeline that "
    "have ended, but for its newest N; default: 20.",
)
@output("name", "json")
def submit(**words: Any) -> None:
    """Start a run in a cluster, and print its name.

    The commit is the one that REF names now, whatever is pushed later. A local repository stands
    for that commit on its remote. Ctrl-C ends the waiting, not the run.
    """
    from bodywork_argo.cli.submitting import submit_run

    gc.enable()
    submit_run(**words)


@click.command()
@run_name
@engine("argo")
@namespace
@connection
def watch(**words: Any) -> None:
    """Show how the stages of a run go on, to its end; the exit code tells how it was."""
    from bodywork_argo.cli.submitting import wait_for
    from bodywork_argo.follow import Patience
    from bodywork_argo.terminal import Terminal

    gc.enable()
    runtime, ref = _run_of(**words)
    wait_for(Terminal(), runtime, ref, Patience(pending_seconds=0), show=True)


@click.command()
@run_name
@click.argument("stage", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@engine("argo")
@namespace
@connection
def logs(stage: str | None, follow: bool, **words: Any) -> None:
    """Print what the modules of a run wrote, of all attempts.

    Of one stage its very bytes; of all stages each line with the stage's name in front.
    """
    from bodywork_argo.run_views import LogWriter
    from bodywork_argo.terminal import Terminal

    gc.enable()
    runtime, ref = _run_of(**words)
    writer = LogWriter(Terminal(), prefixed=stage is None)
    for piece in runtime.logs(ref, stage, follow=follow):
        writer.write(piece)
    writer.close()


@click.command()
@run_name
@engine("argo")
@namespace
@connection
@output("table", "json")
def status(output: str, **words: Any) -> None:
    """Show how a run and its stages stand now."""
    import json

    from bodywork_argo.run_views import status_document
    from bodywork_argo.terminal import Terminal

    runtime, ref = _run_of(**words)
    found = runtime.status(ref)
    if output == "json":
        Terminal().result(json.dumps(status_document(found), indent=2))
    else:
        Terminal().status(found)


@click.command("list")
@click.option("--pipeline", metavar="NAME", help="Runs of this pipeline alone.")
@engine("argo")
@namespace
@connection
@output("table", "json")
def list_(pipeline: str | None, output: str, backend_name: str, **words: Any) -> None:
    """List the runs that are known, newest first."""
    import json

    from bodywork_argo.run_views import status_document
    from bodywork_argo.terminal import Terminal

    runs = _runtime_of(backend_name, **words).list(pipeline)
    if output == "json":
        Terminal().result(json.dumps([status_document(each) for each in runs], indent=2))
        return
    Terminal().table(("run", "pipeline", "state", "commit", "started"), map(_row, runs))


@click.command()
@run_name
@engine("argo")
@namespace
@connection
def stop(**words: Any) -> None:
    """End the stages of a run, then run its failure stage. A run that has ended is left."""
    runtime, ref = _run_of(**words)
    runtime.stop(ref)
    _tell(f"run {ref.name} is being stopped")


@click.command()
@run_name
@engine("argo")
@namespace
@connection
def terminate(**words: Any) -> None:
    """End a run at once, without its failure stage. A run that has ended is left."""
    runtime, ref = _run_of(**words)
    runtime.terminate(ref)
    _tell(f"run {ref.name} is being terminated")


@click.command()
@run_name
@engine("argo")
@namespace
@connection
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(yes: bool, **words: Any) -> None:
    """Remove a run and what it left; one that goes on is terminated first.

    Where no run is called so, but a pipeline is, everything of that pipeline is deleted: its
    schedules, runs, services and their Ingresses, and the records of its releases. Secrets and the
    namespace stay.
    """
    from bodywork_argo.cli.removing import delete_pipeline
    from bodywork_argo.errors import EngineError, Forbidden, Unreachable

    runtime, ref = _run_of(**words)
    try:
        runtime.status(ref)  # asking about what is not there helps nobody
    except (Unreachable, Forbidden):
        raise
    except EngineError as unknown:
        delete_pipeline(ref.name, runtime, unknown, yes=yes, **words)
        return
    if not yes:
        click.confirm(f"Delete run {ref.name} and its logs?", abort=True, err=True)
    runtime.delete(ref)
    _tell(f"run {ref.name} is deleted")


def _runtime_of(backend_name: str, **words: Any) -> Runtime:
    backend = backend_of(backend_name)
    served = served_by(backend, **words)
    return served.runtime if served else backend.runtime(cluster_of(**words))


def _run_of(run_name: str, backend_name: str, **words: Any) -> tuple[Runtime, RunRef]:
    from bodywork_argo.backend import RunRef

    return _runtime_of(backend_name, **words), RunRef(backend=backend_name, name=run_name)


def _row(status: RunStatus) -> tuple[str, ...]:
    started = f"{status.started:%Y-%m-%d %H:%M:%S} UTC" if status.started else ""
    commit = (status.commit or "")[:7]
    return (status.ref.name, status.pipeline, status.phase.value, commit, started)


def _tell(text: str) -> None:
    from bodywork_argo.terminal import Terminal

    Terminal().say(text)
