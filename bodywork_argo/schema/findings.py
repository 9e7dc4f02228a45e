"""What was found in one file, and where: the collector of problems and the places they have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from bodywork_argo.errors import Problem, Severity
from bodywork_argo.schema.credentials import shown
from bodywork_argo.schema.yamltree import Entry, Node

MAX_FINDINGS = 200
"""More than anyone reads; twice as many errors are kept, the rest is counted."""

_MAX_GUESSED_KEY = 40
_MAX_COMPARISONS = 5_000
"""Each takes up to 0.1 ms."""


class Findings:
    """Collects the problems of one file, and the line of each key met."""

    def __init__(
        self, file: str, *, strict: bool = False, homes: Mapping[str, str] | None = None
    ) -> None:
        self.lines: dict[str, int] = {}
        self.homes = homes or {}
        """The section that each key belongs to, to say so where one stands elsewhere."""
        self._file = file
        self._strict = strict
        self._problems: list[Problem] = []
        self._dropped = 0
        self._comparisons = _MAX_COMPARISONS

    def add(self, problem: Problem) -> None:
        """Keep a problem whose place is filled in; beyond a limit they are only counted."""
        if problem.severity != "error" and len(self._problems) >= MAX_FINDINGS:
            return
        self._problems.append(problem)

    def report(self, place: Place, severity: Severity, what: str, remedy: str = "") -> None:
        """Keep a problem with the key at `place`."""
        if len(self._problems) >= MAX_FINDINGS * 2:
            self._dropped += severity == "error"
            return
        problem = Problem(key=place.key, what=what, remedy=remedy, severity=severity)
        self.add(problem.at(self._file, place.line))

    def unknown_key(self, place: Place, remedy: str, *, ours: bool) -> None:
        """Keep a problem with a key that nobody knows."""
        error = ours or self._strict
        what = "is not a known key" if error else "is not a known key and is ignored"
        self.unread(place, what, remedy, ours=ours)

    def unread(self, place: Place, what: str, remedy: str, *, ours: bool = False) -> None:
        """Keep a problem with a key that is not read: an error in our own blocks and if strict."""
        self.report(place, "error" if ours or self._strict else "warning", what, remedy)

    def guess(self, name: str, candidates: Collection[str]) -> str | None:
        """Return the candidate that `name` was likely meant to be, while time allows."""
        self._comparisons -= len(candidates)
        return closest(name, candidates) if self._comparisons >= 0 else None

    def has_errors(self) -> bool:
        """Tell whether the file is refused."""
        return any(problem.severity == "error" for problem in self._problems)

    def sorted(self) -> tuple[Problem, ...]:
        """Return what was found in the order of the file."""
        found = sorted(self._problems, key=lambda problem: problem.line)
        if self._dropped:
            what = f"has {self._dropped} further problems that are not listed"
            found.append(Problem(key="", what=what, remedy="mend these first", file=self._file))
        return tuple(found)


class Place(NamedTuple):
    """A key in the file; where problems with it are reported."""

    findings: Findings
    key: str
    line: int

    def error(self, what: str, remedy: str) -> None:
        """Report what makes the file invalid."""
        self.findings.report(self, "error", what, remedy)

    def warn(self, what: str, remedy: str) -> None:
        """Report what is likely a mistake."""
        self.findings.report(self, "warning", what, remedy)

    def note(self, what: str, remedy: str = "") -> None:
        """Report what is worth knowing."""
        self.findings.report(self, "note", what, remedy)

    def under(self, entry: Entry) -> Place:
        """Return the place of a key below this one."""
        name = shown(entry.key.text)
        return self._below(f"{self.key}.{name}" if self.key else name, entry.key.line)

    def at(self, name: str) -> Place:
        """Return the place of a key below this one that was met before."""
        return self._met(f"{self.key}.{shown(name)}" if self.key else shown(name))

    def at_item(self, number: int) -> Place:
        """Return the place of a list's item that was met before."""
        return self._met(f"{self.key}[{number}]")

    def _met(self, key: str) -> Place:
        return Place(self.findings, key, self.findings.lines.get(key, self.line))

    def item(self, number: int, node: Node) -> Place:
        """Return the place of a list's item."""
        return self._below(f"{self.key}[{number}]", node.line)

    def _below(self, key: str, line: int) -> Place:
        self.findings.lines.setdefault(key, line)
        return Place(self.findings, key, line)


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `name` was likely meant to be."""
    if len(name) > _MAX_GUESSED_KEY:
        return None
    from difflib import get_close_matches  # costs 4 ms, and most files need no guess

    plain = {candidate.lower().replace("-", "_"): candidate for candidate in candidates}
    found = get_close_matches(name.lower().replace("-", "_"), plain, n=1, cutoff=0.7)
    return plain[found[0]] if found else None
