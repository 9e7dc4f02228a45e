"""What the first task of a scheduled run calls."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from bodywork_argo.plan import Plan
    from bodywork_argo.replanning import Replanning

_APPLY = "apply the schedule again with `bodywork-argo cron apply`"


@click.command("find-commit", hidden=True)
@click.option("--backend", "backend_name", required=True)
@click.option("--run", required=True)
@click.option("--workspace", required=True, type=click.Path(exists=True, file_okay=False))
@click.option("--again", "path", required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--found", required=True, type=click.Path(exists=True, file_okay=False))
@click.option("--termination-log", type=click.Path(dir_okay=False))
def find_commit(
    backend_name: str,
    run: str,
    workspace: str,
    path: str,
    found: str,
    termination_log: str | None,
) -> None:
    """Plan the commit that `prepare` has fetched, and see whether it is what the schedule has.

    If so, the run goes on with that commit. If not, the run that the file asks for now is started
    in its place, unless the schedule is strict.
    """
    from pathlib import Path

    from bodywork_argo import replanning
    from bodywork_argo.errors import BodyworkArgoError

    gc.enable()
    try:
        again = replanning.read(Path(path).read_text(encoding="utf-8"))
        commit = Path(workspace, "commit").read_text(encoding="ascii").strip()
        _leave(found, "commit", commit)
        plan = _plan(again, Path(workspace, "repository"), commit)
        replacement = _replacement(again, plan, commit, backend_name, run)
    except BodyworkArgoError as error:
        if termination_log:
            Path(termination_log).write_text(str(error)[:2000], encoding="utf-8")
        raise
    _leave(found, "go", "no" if replacement else "yes")
    _leave(found, "replacement", replacement)


def _plan(again: Replanning, checkout: Path, commit: str) -> Plan:
    from bodywork_argo.loader import read_checkout

    parsed = read_checkout(checkout, again.source.directory, strict=again.strict)
    return again.plan(parsed.project, commit)


def _replacement(again: Replanning, plan: Plan, commit: str, backend_name: str, run: str) -> str:
    """Return the run that was started in the place of this one; "" when none has to."""
    from bodywork_argo.errors import PipelineFailed
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    terminal.say(f"commit {commit} of {again.source.ref or 'HEAD'}")
    changes = again.changes(plan)
    if not changes:
        return ""
    changed = f"the pipeline has changed: {', '.join(changes)}"
    terminal.say(changed)
    if again.strict:
        raise PipelineFailed(f"{changed}; {_APPLY}, or without --strict")
    name = _start(plan, backend_name, run, changed)
    terminal.say(f"run {name} takes the place of this one")
    return name


def _start(plan: Plan, backend_name: str, run: str, changed: str) -> str:
    from bodywork_argo.backend import errors_of
    from bodywork_argo.cli.options import backend_of, cluster_of
    from bodywork_argo.errors import Forbidden, PipelineFailed, UnsupportedError
    from bodywork_argo.names import dns_label
    from bodywork_argo.scheduling import HasSchedules

    backend = backend_of(backend_name)
    assert isinstance(backend, HasSchedules), "it has started this run"
    if refused := errors_of(backend.check(plan)):
        raise UnsupportedError(refused)
    compiled = backend.compile(plan, dns_label(f"{run}-again"))
    try:
        return backend.schedules(cluster_of(None, None, None)).submit_in_place(compiled, run).name
    except Forbidden as error:
        raise PipelineFailed(
            f"{changed}; this account may not start a run of the new one ({error}): {_APPLY}; "
            "`bodywork-argo setup --apply` makes an account that may"
        ) from error


def _leave(folder: str, name: str, text: str) -> None:
    from pathlib import Path

    Path(folder, name).write_text(text, encoding="utf-8")
