"""Commands that look at a project and start nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bodywork_argo.cli.options import (
    backend_of,
    engine,
    image,
    location,
    namespace,
    one_file,
    output,
    planned_of,
    pods,
    repository,
    s,
    service_account,
    timed,
)

if TYPE_CHECKING:
    from bodywork_argo.plan import Accounts


@click.command()
@repository
@one_file
@click.option(
    "--check-files/--no-check-files",
    help="Also check that the files of all stages are in the repository.",
)
def validate(**words: Any) -> None:
    """Check a bodywork.yaml and print all that is wrong with it.

    A local folder's file is read as it stands, committed or not, unless --ref is given. Every
    other command checks the commit, and the files of the stages that would run.
    """
    from bodywork_argo.loader import check
    from bodywork_argo.terminal import Terminal

    parsed, label = check(location(**words))
    terminal = Terminal()
    terminal.problems(parsed.notes)
    used, steps = len(parsed.dag.stages), len(parsed.dag.steps)
    terminal.result(
        f"{label} is valid: pipeline {parsed.name}, {used} stage{s(used)} in {steps} step{s(steps)}"
    )


@click.command()
@repository
@one_file
@image
@output("table", "json", "yaml")
def plan(output: str, **words: Any) -> None:
    """Show what would run, whatever the engine."""
    import json

    from bodywork_argo.manifests import to_yaml
    from bodywork_argo.plan import to_document
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    planned = planned_of(terminal, **words)
    if output == "json":
        terminal.result(json.dumps(to_document(planned.plan), indent=2))
    elif output == "yaml":
        terminal.result(to_yaml([to_document(planned.plan)]).rstrip("\n"))
    else:
        terminal.plan(planned.plan)


@click.command()
@repository
@one_file
@output("tree", "mermaid")
def graph(output: str, **words: Any) -> None:
    """Draw the steps of a pipeline."""
    from bodywork_argo.graph import mermaid
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    planned = planned_of(terminal, **words)
    if output == "mermaid":
        terminal.result(mermaid(planned.plan).rstrip("\n"))
    else:
        terminal.tree(planned.plan)


@click.command("compile")
@repository
@one_file
@pods
@namespace
@service_account
@engine("local")
@click.option("--run-name", metavar="NAME", help="Name of the run; default: the engine makes one.")
@click.option(
    "--schedule-name",
    metavar="NAME",
    help="Name of the schedule; default: the pipeline's.",
)
@timed(required=False)
def compile_(service_account: str | None, **words: Any) -> None:
    """Print the documents that an engine would be sent, as YAML.

    No cluster is asked: stages get the accounts that `setup` makes, unless another is named. With
    --schedule it is what `cron apply` sends, for engines that start runs by the clock; the options
    that follow say more of it.
    """
    from bodywork_argo.backend import InCluster

    if isinstance(backend_of(words["backend_name"]), InCluster):
        words["accounts"] = _accounts_of_setup(service_account)
    if words["expressions"]:
        _compile_schedule(**words)
    else:
        _refuse_words_of_schedules()
        _compile_run(**{key: words[key] for key in words if key not in _OF_SCHEDULES})


_OF_SCHEDULES = (
    *("expressions", "timezone", "concurrency", "starting_deadline", "history", "suspend", "pin"),
    "schedule_name",
)


def _compile_run(backend_name: str, run_name: str | None, **words: Any) -> None:
    from bodywork_argo.deploy import compile_for
    from bodywork_argo.manifests import to_yaml
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    published = "accounts" in words and words["file"] is None
    planned = planned_of(terminal, published=published, **words)
    compiled, notes = compile_for(backend_of(backend_name), planned, run_name)
    terminal.problems(notes)
    terminal.result(to_yaml(compiled.documents).rstrip("\n"))


def _compile_schedule(run_name: str | None, file: str | None, **words: Any) -> None:
    from bodywork_argo.cli.applying import print_schedule
    from bodywork_argo.errors import UsageError

    if run_name is not None:
        raise UsageError("--run-name is of no use with --schedule: runs are named by their times")
    if file is not None:
        raise UsageError("--file reads one file alone, and runs need a repository: name one")
    print_schedule(**words)


def _refuse_words_of_schedules() -> None:
    from bodywork_argo.errors import UsageError

    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if given and option.name in _OF_SCHEDULES:
            raise UsageError(f"{option.opts[0]} is of no use without --schedule")


def _accounts_of_setup(stage: str | None) -> Accounts:
    from bodywork_argo.access import EXECUTOR_ACCOUNT, RELEASE_ACCOUNT, STAGE_ACCOUNT
    from bodywork_argo.plan import Accounts

    if stage is not None:
        return Accounts(stage=stage, release=RELEASE_ACCOUNT)
    return Accounts(stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT, release=RELEASE_ACCOUNT)


@click.command()
def backends() -> None:
    """List the engines that are installed."""
    from bodywork_argo.registry import installed, load_backend
    from bodywork_argo.terminal import Terminal

    entries = installed()
    rows = []
    for entry in entries:
        summary = (type(load_backend(entry.name, entries)).__doc__ or "").partition("\n")[0]
        package = entry.dist.name if entry.dist else ""
        rows.append((entry.name, package, summary))
    Terminal().table(("backend", "package", "what it is"), rows)


@click.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    from bodywork_argo.terminal import Terminal

    Terminal().result(f"bodywork-argo {version_of('bodywork-argo')}")
