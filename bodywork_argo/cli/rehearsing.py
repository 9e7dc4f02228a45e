"""What `submit` and `cron apply` have in common: a first look, and documents that are shown."""

from __future__ import annotations

from collections.abc import Iterable

from bodywork_argo import deploy
from bodywork_argo.backend import Compiled
from bodywork_argo.deploy import Planned
from bodywork_argo.manifests import to_yaml
from bodywork_argo.preflight import Check
from bodywork_argo.terminal import Terminal


def told(
    terminal: Terminal, planned: Planned, checks: Iterable[Check], *, rehearsed: bool
) -> list[Check]:
    """Tell what each check finds when it is done, in a rehearsal also what would be done first."""
    done = []
    for check in checks:
        done.append(check)
        terminal.problems(deploy.placed(check.problems, planned.loaded))
        for line in check.upcoming if rehearsed else ():
            terminal.say(f"would {line}")
    return done


def print_documents(terminal: Terminal, compiled: Compiled) -> None:
    """Print what would be sent."""
    terminal.result(to_yaml(compiled.documents).rstrip("\n"))
