"""Finds backends through entry points; the built-in ones go the same way as a stranger's."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from bodywork_argo.backend import ENTRY_POINT_GROUP, Backend
from bodywork_argo.errors import UsageError


def installed() -> tuple[EntryPoint, ...]:
    """Return the entry points of all installed backends, by name."""
    found = entry_points(group=ENTRY_POINT_GROUP)
    return tuple(sorted(found, key=lambda entry: entry.name))


def load_backend(name: str, entries: Iterable[EntryPoint]) -> Backend:
    """Import and return the backend of that name.

    Raises:
        UsageError: there is none, two packages offer one, or it can't be imported.
    """
    entries = tuple(entries)
    matches = {entry.value: entry for entry in entries if entry.name == name}
    if not matches:
        known = ", ".join(entry.name for entry in entries) or "none"
        raise UsageError(f"there is no backend '{name}' (installed: {known})")
    if len(matches) > 1:
        both = " and ".join(sorted(matches))
        raise UsageError(f"two backends are called '{name}': {both}; uninstall one of them")
    (entry,) = matches.values()
    try:
        return cast(Backend, entry.load()())
    except (ImportError, AttributeError) as error:
        raise UsageError(f"backend '{name}' ({entry.value}) can't be loaded: {error}") from error
