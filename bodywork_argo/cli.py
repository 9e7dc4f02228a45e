"""Arguments to calls. The only place that catches `BodyworkArgoError`; see `main` for exit codes.

Modules that a command needs are imported in it: `--help` and `validate` start fast.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bodywork_argo.errors import (
    BodyworkArgoError,
    EngineError,
    Interrupted,
    PipelineFailed,
    SpecError,
)

if TYPE_CHECKING:
    from types import FrameType

    from bodywork_argo.backend import Backend
    from bodywork_argo.deploy import Planned
    from bodywork_argo.loader import Location
    from bodywork_argo.terminal import Terminal

_Command = TypeVar("_Command", bound=Callable[..., Any])

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def script() -> None:
    """Run as the console script; a request to end or a closed terminal counts as Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    gc.disable()  # what imports make stays until the end: looking through it is a tenth of a start
    code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # told already; what is left in the buffer has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or EngineError.exit_code
    sys.exit(code)


def main(argv: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    0 success, 1 the pipeline failed, 2 wrong usage, 3 bodywork.yaml invalid, 4 cluster or engine
    unreachable or refused, 5 Git, 6 timed out, 130 interrupted.
    """
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    try:
        code = commands.main(list(argv), prog_name="bodywork-argo", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        terminal.say("interrupted", colour="red")
        return Interrupted.exit_code
    except BodyworkArgoError as error:
        _show(error, terminal)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        return PipelineFailed.exit_code
    except OSError as error:
        terminal.say(f"error: {error}", colour="red")
        return EngineError.exit_code
    return code if isinstance(code, int) else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show(error: BodyworkArgoError, terminal: Terminal) -> None:
    if isinstance(error, SpecError):
        terminal.problems(error.problems)
        count = sum(problem.severity == "error" for problem in error.problems)
        terminal.say(f"{count} error{_s(count)} found", colour="red")
    elif str(error):
        terminal.say(f"error: {error}", colour="red")


def _repository(command: _Command) -> _Command:
    """Add the arguments that say which bodywork.yaml is meant."""
    options = (
        click.argument("source", required=False, metavar="[URL|PATH]"),
        click.option("--ref", metavar="REF", help="Branch, tag or commit; default: HEAD."),
        click.option(
            "--path", "directory", default="", metavar="FOLDER",
            help="Folder of bodywork.yaml inside the repository.",
        ),
        click.option("--strict", is_flag=True, help="Take unknown keys for errors."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _one_file(command: _Command) -> _Command:
    return click.option(
        "--file", metavar="FILE", help="One bodywork.yaml alone, without a repository."
    )(command)


def _image(command: _Command) -> _Command:
    return click.option("--image", metavar="IMAGE", help="Use instead of every stage's image.")(
        command
    )


def _output(*forms: str) -> Callable[[_Command], _Command]:
    """Let the user choose the form of the output; the first is the default."""
    return click.option(
        "-o", "--output", type=click.Choice(forms), default=forms[0], show_default=True,
        help="Form of the output.",
    )  # fmt: skip


def _location(**words: Any) -> Location:
    from bodywork_argo.loader import Location

    return Location(**words)


@click.group(context_settings=_CONTEXT)
def commands() -> None:
    """Run Bodywork repositories on Argo Workflows, Tekton or this machine, straight from Git.

    Commands take the URL of a repository, the path of a local one, or none for the current
    folder.
    """


@commands.command()
@_repository
@_one_file
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

    parsed, label = check(_location(**words))
    terminal = Terminal()
    terminal.problems(parsed.notes)
    used, steps = len(parsed.dag.stages), len(parsed.dag.steps)
    terminal.result(
        f"{label} is valid: pipeline {parsed.name}, {used} stage{_s(used)} "
        f"in {steps} step{_s(steps)}"
    )


@commands.command()
@_repository
@_one_file
@_image
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="Form of the output.",
)
def plan(output: str, image: str | None, **words: Any) -> None:
    """Show what would run, whatever the engine."""
    import json

    from bodywork_argo.manifests import to_yaml
    from bodywork_argo.plan import to_document
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    planned = _planned(terminal, image=image, **words)
    if output == "json":
        terminal.result(json.dumps(to_document(planned.plan), indent=2))
    elif output == "yaml":
        terminal.result(to_yaml([to_document(planned.plan)]).rstrip("\n"))
    else:
        terminal.plan(planned.plan)


@commands.command()
@_repository
@_one_file
@click.option(
    "-o",
    "--output",
    type=click.Choice(["tree", "mermaid"]),
    default="tree",
    show_default=True,
    help="Form of the output.",
)
def graph(output: str, **words: Any) -> None:
    """Draw the steps of a pipeline."""
    from bodywork_argo.graph import mermaid
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    planned = _planned(terminal, **words)
    if output == "mermaid":
        terminal.result(mermaid(planned.plan).rstrip("\n"))
    else:
        terminal.tree(planned.plan)


@commands.command("compile")
@_repository
@_one_file
@_image
@click.option(
    "--backend",
    "backend_name",
    metavar="NAME",
    default="local",
    show_default=True,
    help="The engine; `backends` lists them.",
)
@click.option("--run-name", metavar="NAME", help="Name of the run; default: the engine makes one.")
def compile_(backend_name: str, run_name: str | None, image: str | None, **words: Any) -> None:
    """Print the documents that an engine would be sent, as YAML."""
    from bodywork_argo.deploy import compile_for
    from bodywork_argo.manifests import to_yaml
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    backend = _backend(backend_name)
    planned = _planned(terminal, image=image, **words)
    compiled, notes = compile_for(backend, planned, run_name)
    terminal.problems(notes)
    terminal.result(to_yaml(compiled.documents).rstrip("\n"))


@commands.command()
@_repository
@click.option(
    "--backend",
    "backend_name",
    metavar="NAME",
    default="local",
    show_default=True,
    help="The engine; `backends` lists them.",
)
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
    backend = _backend(backend_name)
    planned = _planned(terminal, keep_services=keep_services, **words)
    name = deploy.run_name(planned.plan, secrets.token_hex(3))
    compiled, notes = deploy.compile_for(backend, planned, name)
    terminal.problems(notes)
    runtime = backend.runtime(deploy.no_cluster)
    printer = RunPrinter(terminal, planned.plan)
    status = deploy.run_attached(runtime, compiled, printer, keep_services=keep_services)
    if status.phase is not Phase.SUCCEEDED:
        raise PipelineFailed


@commands.command()
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


@commands.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    from bodywork_argo.terminal import Terminal

    Terminal().result(f"bodywork-argo {version_of('bodywork-argo')}")


def _backend(name: str) -> Backend:
    from bodywork_argo.registry import installed, load_backend

    return load_backend(name, installed())


def _planned(
    terminal: Terminal, image: str | None = None, keep_services: bool = False, **words: Any
) -> Planned:
    """Load and plan what the command line names; tell what is worth knowing."""
    from bodywork_argo.deploy import plan_location
    from bodywork_argo.planner import PlanOptions

    planned = plan_location(
        _location(**words), PlanOptions(image=image, keep_services=keep_services)
    )
    terminal.problems(planned.loaded.notes)
    return planned


def _s(count: int) -> str:
    return "" if count == 1 else "s"
