"""What runs need from a namespace: accounts, and roles with the least that serves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Verbs on resources of one API group, as a rule of a Role has them; never a wildcard."""

    group: str
    """ "" is the core."""
    resources: tuple[str, ...]
    """Plurals; sub-resources as ``pods/log``."""
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What an engine needs beside what every run on a cluster needs."""

    kinds: tuple[tuple[str, str], ...]
    """API version and kind of the objects that it has to serve."""
    submitter: tuple[Grant, ...]
    """For whoever submits, follows, stops and deletes runs."""
    executor: tuple[Grant, ...] = ()
    """For the engine's own part in each pod; none where it has no part there."""
