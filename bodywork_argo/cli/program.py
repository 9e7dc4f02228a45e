"""Where a call enters. The only place that catches `BodyworkArgoError`; see `main`'s exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bodywork_argo.cli.options import s
from bodywork_argo.errors import (
    BodyworkArgoError,
    EngineError,
    Interrupted,
    OutputClosed,
    SpecError,
)

if TYPE_CHECKING:
    from types import FrameType

    from bodywork_argo.terminal import Terminal

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_MODULES = {
    "project_commands": ("validate", "plan", "graph", "compile", "backends", "version"),
    "doctor_commands": ("doctor",),
    "setup_commands": ("setup",),
    "release_commands": ("release", "release-task"),
    "service_commands": ("service",),
    "cron_commands": ("cron",),
    "find_commit": ("find-commit",),
    "secret_commands": ("secret",),
    "git_commands": ("ssh-key", "git-token"),
    "run_commands": (
        *("run", "submit", "watch", "logs", "status", "list", "stop", "terminate", "delete"),
    ),
}
"""Commands by the module that has them. One whose name Python has taken ends with ``_`` there."""


def script() -> None:
    """Run as the console script; a request to end or a closed terminal counts as Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    gc.disable()  # what imports make stays until the end: looking through it is a tenth of a start
    code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:  # told already; what is left in the buffer has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        gone = isinstance(error, BrokenPipeError)
        code = code or (OutputClosed.exit_code if gone else EngineError.exit_code)
    sys.exit(code)


def main(argv: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    0 success, 1 the pipeline failed, 2 wrong usage, 3 bodywork.yaml invalid, 4 cluster or engine
    unreachable or refused, 5 Git, 6 timed out, 130 interrupted, 141 nobody reads on.
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
        terminal.say(f"{count} error{s(count)} found", colour="red")
    elif str(error):
        terminal.say(f"error: {error}", colour="red")


class _Commands(click.Group):
    """Imports a command's module when the command is asked for."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; that nobody reads what it writes is for `main`, not for click, to tell."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise OutputClosed from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the alphabet."""
        return sorted(name for names in _MODULES.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None when there is none of that name."""
        from importlib import import_module

        for module_name, names in _MODULES.items():
            if cmd_name in names:
                found = vars(import_module(f"bodywork_argo.cli.{module_name}"))
                name = cmd_name.replace("-", "_")
                command: click.Command = found[name if name in found else f"{name}_"]
                return command
        return None


@click.group(cls=_Commands, context_settings=_CONTEXT)
def commands() -> None:
    """Run Bodywork repositories on Argo Workflows, Tekton or this machine, straight from Git.

    Commands take the URL of a repository, the path of a local one, or none for the current
    folder.
    """
