"""First looks of the commands, and what tests do about their findings."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo.access import (
    SUBMITTER_GRANTS,
)
from bodywork_argo.cli import main
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS
from e2e.support.leaks import LeakScan

SUBMITTERS_RULES = [
    {"apiGroups": [grant.group], "resources": list(grant.resources), "verbs": list(grant.verbs)}
    for grant in (*ARGO_NEEDS.submitter, *ARGO_NEEDS.schedules, *SUBMITTER_GRANTS)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The commands, called by somebody for a namespace; nothing they say may be a secret."""

    kubeconfig: Path
    namespace: str
    capfd: pytest.CaptureFixture[str]
    leaks: LeakScan

    def __call__(self, *words: str, code: int = 0) -> tuple[str, str]:
        """Call a command, which has to end with this code; return what it wrote."""
        self.capfd.readouterr()
        ended = main([*words, "--kubeconfig", str(self.kubeconfig)])
        out, err = self.capfd.readouterr()
        assert ended == code, (words, out, err)
        assert not self.leaks.shows(f"{out}{err}".encode())
        return out, err

    def finding(self, check: str, *words: str, code: int = 4) -> dict[str, Any]:
        """Return the one thing that is wrong with what a check looked at, told in both forms."""
        where = ("-n", self.namespace, *words)
        checks = json.loads(self("doctor", *where, "-o", "json", code=code)[0])
        (found,) = [each for each in checks if each["check"] == check]
        (problem,) = found["problems"]
        assert problem["severity"] == ("error" if code else "warning")
        assert problem["remedy"] in self("doctor", *where, code=code)[0]
        return dict(problem)

    def nothing(self, check: str, *words: str, code: int = 0) -> None:
        """Assert that a check finds nothing to mend."""
        out, _ = self("doctor", "-n", self.namespace, *words, "-o", "json", code=code)
        (found,) = [each for each in json.loads(out) if each["check"] == check]
        assert found["problems"] == []

    def mend(self, remedy: str, *more: str, **given: str) -> None:
        """Carry out the command that a remedy names, with what it leaves to the reader."""
        words = shlex.split(remedy.split("`")[1])
        assert words[0] == "bodywork-argo"
        self(*(given.get(word, word) for word in words[1:]), *more)


def env_file(folder: Path, **values: str) -> str:
    path = folder / "values.env"
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    return str(path)
