"""The command line: arguments to calls.

`program` is where a call enters and its errors come out; each ``*_commands`` module has a few
commands; `options` has what several of them take. Modules that a command needs are imported in it,
and a command's own module when it is called: `--help` and `validate` start fast.
"""

from bodywork_argo.cli.program import commands, main, script

__all__ = ["commands", "main", "script"]
