"""Commands that start runs, and that look after them."""

from __future__ import annotations

import gc
from typing import Any

import click

from bodywork_argo.cli.options import backend_of, engine, planned_of, repository
from bodywork_argo.errors import PipelineFailed


@click.command()
@repository
@engine("local")
@click.option("--keep-services", is_flag=True, help="Keep services up after the run, until Ctrl-C.")
def run(backend_name: str, keep_services: bool, **words: Any) -> None:
    """Run a pipeline and show it to its end.

    On this machine stages get their secrets from environment variables of the same names. Ctrl-C
    ends the run and all its processes.
    """
    import secrets

    from bodywork_argo import deploy
    from bodywork_argo.backend import Phase
    from bodywork_argo.terminal import RunPrinter, Terminal

    gc.enable()  # this takes long enough to leave something behind
    terminal = Terminal()
    backend = backend_of(backend_name)
    planned = planned_of(terminal, keep_services=keep_services, **words)
    name = deploy.run_name(planned.plan, secrets.token_hex(3))
    compiled, notes = deploy.compile_for(backend, planned, name)
    terminal.problems(notes)
    runtime = backend.runtime(deploy.no_cluster)
    printer = RunPrinter(terminal, planned.plan)
    status = deploy.run_attached(runtime, compiled, printer, keep_services=keep_services)
    if status.phase is not Phase.SUCCEEDED:
        raise PipelineFailed
