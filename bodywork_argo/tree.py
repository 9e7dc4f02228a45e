"""The files of a commit, and whether a path that bodywork.yaml names leads to one of them."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

_LONGEST_CHAIN = 40
"""Symbolic links followed for one path, as Linux does."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Files by their path from the repository's root.

    >>> Tree({"a.py": None, "b.py": "../x", "c.py": "a.py"}).fault("c.py")
    ''
    >>> Tree({"b.py": "../x"}).fault("b.py")
    'leads out of the repository'
    """

    entries: Mapping[str, str | None]
    """Path -> target of a symbolic link, None for a file."""
    submodules: frozenset[str] = frozenset()
    """Folders that are other repositories; what they hold is not known here."""

    def fault(self, path: str) -> str:
        """Return what is wrong with a path, "" when it leads to a file inside."""
        for _ in range(_LONGEST_CHAIN):
            path = posixpath.normpath(path)
            if path.startswith(("/", "..")):
                return "leads out of the repository"
            link = self._first_link(path)
            if link is None:
                known = path in self.entries or self._in_submodule(path)
                return "" if known else "is not a file of the repository"
            target = self.entries[link] or ""
            path = posixpath.join(posixpath.dirname(link), target) + path[len(link) :]
        return "is a symbolic link without end"

    def _first_link(self, path: str) -> str | None:
        """Return the first folder (or the file) on the way that is a symbolic link."""
        parts = path.split("/")
        ways = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        return next((way for way in ways if self.entries.get(way) is not None), None)

    def _in_submodule(self, path: str) -> bool:
        return any(path.startswith(f"{folder}/") for folder in self.submodules)
