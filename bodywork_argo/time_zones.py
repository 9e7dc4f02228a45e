"""Which time zones a schedule may name: those that every system knows.

The database of time zones has kept each name that a zone ever had. Distributions now ship the
old ones apart, so a controller may not know them, and a schedule in such a zone never fires. So
only the current names of places are taken, and UTC. All names come from the `tzdata` package:
what is accepted doesn't depend on the machine.
"""

from __future__ import annotations

import re

from bodywork_argo.errors import Problem

_ANY = "write a place such as Europe/Berlin, or UTC"


def check_zone(name: str) -> Problem | None:
    """Return what is wrong with the name of a zone, with the name to write instead."""
    database = _file("tzdata.zi").splitlines()
    zones = _current(database)
    if name in zones:
        return None
    key = "timezone"
    if not name:
        return Problem(key=key, what="is empty", remedy=_ANY)
    if not name.isprintable():
        return Problem(key=key, what="has characters that can't be shown", remedy=_ANY)
    for line in database:
        if line.startswith("L ") and line.split()[2] == name:
            return Problem(
                key=key,
                what=f"{name} is an old name, which not every system knows",
                remedy=f"write {line.split()[1]}, whose clocks it shares",
            )
    return Problem(key=key, what=f"there is no {name}", remedy=_meant(name, zones))


def _current(database: list[str]) -> frozenset[str]:
    """Return the zones of places, and those of the sea: UTC and fixed differences to it."""
    places = [line.split("\t")[2] for line in _file("zone.tab").splitlines() if line[:1] != "#"]
    seas = [line.split()[1] for line in database if line.startswith("Z Etc/")]
    return frozenset([*places, *seas, "UTC"])


def _meant(name: str, zones: frozenset[str]) -> str:
    import difflib

    if difference := re.fullmatch("(?:UTC|GMT)([+-])0?([0-9]{1,2})", name):
        sign, hours = difference.groups()
        zone = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
        if zone in zones:
            return f"write a place such as Europe/Berlin, or {zone}, whose sign is turned round"
        return _ANY
    wanted = name.lower().replace(" ", "_")
    spellings = {zone.lower().rpartition("/")[2]: zone for zone in sorted(zones)}
    spellings |= {zone.lower(): zone for zone in zones}
    close = difflib.get_close_matches(wanted, spellings, n=1, cutoff=0.75)
    if close:
        return f"did you mean {spellings[close[0]]}?"
    return _ANY


def _file(name: str) -> str:
    from importlib.resources import files

    return (files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8")
