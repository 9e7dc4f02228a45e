"""Prints reference/cli.md, made from the commands themselves.

Write it anew with ``python docs/_ext/cli_reference.py > docs/reference/cli.md``.
"""

import inspect
import sys
from collections.abc import Iterator

import click

from bodywork_argo.cli import commands

HEAD = """\
# Commands

<!-- Made by docs/_ext/cli_reference.py from the commands themselves; edit those. -->

Results go to standard output, everything about the work (progress, notes, warnings, errors) to
standard error. How a command ends is told by its [exit code](exit-codes.md). Each command explains
itself with `-h` or `--help`.
"""


def page() -> str:
    """Return the whole page."""
    context = click.Context(commands, info_name="bodywork-argo")
    parts = [HEAD, _prose(commands)]
    parts += _sections(commands, context)
    return "\n".join(parts)


def _sections(group: click.Group, context: click.Context) -> Iterator[str]:
    """Yield a section for each command of a group, and for those of the groups in it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, context, info_name=name)
        if isinstance(command, click.Group):
            yield from _sections(command, inner)
        else:
            yield _section(command, inner)


def _section(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    title = context.command_path.partition(" ")[2]
    lines = [f"## {title}", "", "```text", usage, "```", "", _prose(command)]
    if options := [each for each in command.params if isinstance(each, click.Option)]:
        lines += ["| option | meaning |", "|---|---|", *map(_row, options), ""]
    return "\n".join(lines)


def _prose(command: click.Command) -> str:
    return f"{inspect.cleandoc(command.help or '')}\n"


def _row(option: click.Option) -> str:
    """Return a table's row; not from click's own help, which differs between its versions."""
    value = option.metavar or ""
    if isinstance(option.type, click.Choice):
        value = "[" + "\\|".join(option.type.choices) + "]"
    elif not (value or option.is_flag):
        value = option.type.name.upper()
    meaning = option.help or ""
    if isinstance(option.default, str) and option.default:
        meaning = f"{meaning} Default: `{option.default}`.".strip()
    return f"| `{' '.join([', '.join(option.opts), value]).strip()}` | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(page())
