"""How keys are described, and how a section is read by its description.

A `Field` is one key: its type, default, unit and constraint, with a sentence for the reference
page. The same table validates files and makes that page, so the two can't part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar, cast

from bodywork_argo.findings import Place
from bodywork_argo.yamltree import ListNode, MapNode, Node, Scalar, shown

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Complaint: TypeAlias = tuple[str, str]
"""What is wrong, and what to do."""
Check: TypeAlias = Callable[[str], Complaint | None]

MAX_WHOLE = 2**31 - 1
"""Kubernetes keeps replicas, ports and retries in 32 bits."""
_MAX_GUESSED_KEY = 40
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
MAX_TEXT_BYTES = 90_000
"""Linux takes 131,071 bytes for one argument or variable; some of it travels as base64."""
_NO_PROCESS_TEXT = re.compile("[\0\ud800-\udfff]")
_EXPONENT = re.compile(r"[-+]?[0-9][0-9.]*[eE][-+]?[0-9]+")
_DIGITS = re.compile(r"[0-9]{1,9}")
_MILLICORES = re.compile(r"([0-9]{1,9})m")


@dataclass(frozen=True, slots=True)
class Type(Generic[T_co]):
    """What a value may be."""

    words: str
    """For messages and the reference page, such as "whole number of 0 or more"."""
    read: Callable[[Node, Place], T_co | None]
    """Return the value, or None after reporting what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Generic[T_co]):
    """One key of a section."""

    name: str
    type: Type[T_co]
    doc: str
    example: str = ""
    """As it would stand in a file; required fields need one."""
    required: bool = False
    default: T_co | None = None
    unit: str = ""
    constraint: str = ""
    engines: str = "all"
    dialects: str = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A mapping of the file and the keys it may have."""

    path: str
    """As the reference page has it, such as ``stages.<name>.batch``."""
    fields: tuple[Field[object], ...]
    ours: bool = False
    """An extension of this project's, where an unknown key is an error."""

    def names(self) -> tuple[str, ...]:
        """Return the keys in the order of the table."""
        return tuple(field.name for field in self.fields)


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of one section that were there and right."""

    place: Place
    values: dict[str, object] = field(default_factory=dict)

    def get(self, wanted: Field[T]) -> T | None:
        """Return the value, else the default, else None."""
        return cast("T | None", self.values.get(wanted.name, wanted.default))

    def need(self, wanted: Field[T]) -> T:
        """Return the value or default of a field that has one, since the file has no errors."""
        return cast("T", self.values.get(wanted.name, wanted.default))

    def place_of(self, wanted: Field[object]) -> Place:
        """Return where the value stands, or the section when it does not."""
        return self.place.at(wanted.name)


def read_section(section: Section, node: Node, place: Place) -> Reading | None:
    """Read a mapping by its description; None, after a report, when it is no mapping."""
    if not isinstance(node, MapNode):
        place.error(described(node), f"write a mapping of keys: {_listed(section.names())}")
        return None
    reading = Reading(place)
    known = {field.name: field for field in section.fields}
    unknown: dict[str, Place] = {}
    for name, entry in node.entries.items():
        below = place.under(entry)
        if name not in known:
            unknown[name] = below
            continue
        value = known[name].type.read(entry.value, below)
        if value is not None:
            reading.values[name] = value
    for wanted in section.fields:
        if wanted.required and wanted.name not in node.entries:
            _report_missing(wanted, reading, unknown)
    for name, below in unknown.items():
        _report_unknown(section, name, below)
    return reading


def _report_missing(wanted: Field[object], reading: Reading, unknown: dict[str, Place]) -> None:
    """Report a missing key, at the unknown one that was likely meant to be it."""
    misspelt = closest(wanted.name, unknown) if unknown else None
    if misspelt is None:
        remedy = f"add it, such as '{wanted.name}: {wanted.example}'"
        reading.place_of(wanted).error("is missing", remedy)
    else:
        what = f"is not a known key, and '{wanted.name}' is missing"
        unknown.pop(misspelt).error(what, f"rename it to '{wanted.name}'")


def _report_unknown(section: Section, name: str, place: Place) -> None:
    guess = closest(name, section.names())
    home = place.findings.homes.get(name)
    if guess:
        remedy = f"did you mean '{guess}'?"
    elif home:
        remedy = f"it belongs under '{home}'"
    else:
        remedy = f"known here: {_listed(section.names())}"
    what = "is not a known key" if section.ours else "is not a known key and is ignored"
    place.findings.unknown_key(place, what, remedy, ours=section.ours)


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `name` was likely meant to be."""
    if len(name) > _MAX_GUESSED_KEY:
        return None
    from difflib import get_close_matches  # costs 4 ms, and most files need no guess

    plain = {candidate.lower().replace("-", "_"): candidate for candidate in candidates}
    found = get_close_matches(name.lower().replace("-", "_"), plain, n=1, cutoff=0.7)
    return plain[found[0]] if found else None


def described(node: Node) -> str:
    """Return what a node is, in words that follow a key: "is the number 1.5"."""
    if isinstance(node, ListNode):
        return "is a list"
    if isinstance(node, MapNode):
        return "is a mapping"
    match node.kind:
        case "null":
            return "is empty"
        case "boolean" if node.text.lower() not in ("true", "false"):
            return f"is '{node.text}', which YAML reads as {str(node.value).lower()}"
        case "boolean":
            return f"is {node.text.lower()}"
        case "text":
            return f"is the text '{shown(node.text)}'"
        case "date":
            return f"is the date {shown(node.text)}"
        case _:
            return f"is the number {shown(node.text)}"


def text(*checks: Check, words: str = "text", secret: bool = False) -> Type[str]:
    """Describe text. With `secret` no message repeats the value."""

    def read(node: Node, place: Place) -> str | None:
        if not isinstance(node, Scalar) or node.kind != "text":
            place.error(_described_unseen(node, secret), _quote_remedy(node, words, secret))
            return None
        complaint = first_complaint(node.text, (process_text, *checks))
        if complaint:
            place.error(*complaint)
            return None
        return node.text

    return Type(words, read)


def texts(*checks: Check, words: str = "list of texts") -> Type[tuple[str, ...]]:
    """Describe a list of texts."""
    one = text(*checks)

    def read(node: Node, place: Place) -> tuple[str, ...] | None:
        if not isinstance(node, ListNode):
            place.error(described(node), "write a list: ['...', '...']")
            return None
        found = [one.read(item, place.item(n, item)) for n, item in enumerate(node.items)]
        return tuple(item for item in found if item is not None)

    return Type(words, read)


def mapping(
    key: Check, value: Type[T], *, words: str, example: str, secret: bool = False
) -> Type[tuple[tuple[str, T], ...]]:
    """Describe a mapping with free keys. With `secret` no message repeats what stands there."""

    def read(node: Node, place: Place) -> tuple[tuple[str, T], ...] | None:
        if not isinstance(node, MapNode):
            place.error(_described_unseen(node, secret), f"write a mapping, such as '{example}'")
            return None
        pairs: list[tuple[str, T]] = []
        for name, entry in node.entries.items():
            below = place.under(entry)
            found = value.read(entry.value, below)
            complaint = key_complaint(entry.key, key)
            if complaint:
                below.error(*complaint)
            elif found is not None:
                pairs.append((name, found))
        return tuple(pairs)

    return Type(words, read)


def whole(minimum: int = 0, maximum: int = MAX_WHOLE) -> Type[int]:
    """Describe a whole number within limits."""
    limits = f"of {minimum} or more" if maximum == MAX_WHOLE else f"from {minimum} to {maximum}"
    words = f"whole number {limits}"

    def read(node: Node, place: Place) -> int | None:
        if not isinstance(node, Scalar) or node.kind != "whole number":
            place.error(described(node), _number_remedy(node, words))
            return None
        value = cast("int", node.value)
        if not minimum <= value <= maximum:
            place.error(described(node), f"write a whole number from {minimum} to {maximum}")
            return None
        _tell_surprise(node, place)
        return value

    return Type(words, read)


def number() -> Type[float]:
    """Describe a finite number of 0 or more."""
    words = "number of 0 or more"

    def read(node: Node, place: Place) -> float | None:
        if not isinstance(node, Scalar) or node.kind not in ("whole number", "number"):
            place.error(described(node), _number_remedy(node, words))
            return None
        value = cast("float", node.value)
        if not 0 <= value <= MAX_WHOLE:  # nor is NaN
            place.error(described(node), f"write a number from 0 to {MAX_WHOLE}")
            return None
        _tell_surprise(node, place)
        return float(value)

    return Type(words, read)


def switch() -> Type[bool]:
    """Describe true or false."""

    def read(node: Node, place: Place) -> bool | None:
        if not isinstance(node, Scalar) or node.kind != "boolean":
            place.error(described(node), "write true or false, without quotes")
            return None
        return cast("bool", node.value)

    return Type("true or false", read)


def choice(*words: str) -> Type[str]:
    """Describe one of a few words."""

    def known(value: str) -> Complaint | None:
        if value in words:
            return None
        return f"is the text '{shown(value)}'", f"write one of {_listed(words)}"

    return text(known, words=f"one of {_listed(words)}")


def block() -> Type[Node]:
    """Describe a key whose value another section describes."""
    return Type("mapping", lambda node, place: node)


def first_complaint(value: str, checks: Iterable[Check]) -> Complaint | None:
    """Return what the first check that objects says."""
    return next((complaint for check in checks if (complaint := check(value))), None)


def key_complaint(key: Scalar, check: Check) -> Complaint | None:
    """Return what is wrong with a free key."""
    if key.kind != "text":
        return f"as a key {described(key)}", f'put it in quotes: "{shown(key.text)}"'
    return first_complaint(key.text, (process_text, check))


def process_text(value: str) -> Complaint | None:
    """Object to what no process can take as an argument or a variable."""
    bad = _NO_PROCESS_TEXT.search(value)
    if bad:
        what = f"holds the character U+{ord(bad[0]):04X}, which no process can be given"
        return what, "remove it"
    if len(value.encode()) > MAX_TEXT_BYTES:
        return f"is longer than {MAX_TEXT_BYTES:,} bytes", "read it from a file of the repository"
    return None


def _described_unseen(node: Node, secret: bool) -> str:
    if secret and isinstance(node, Scalar) and node.kind != "null":
        return f"is a {node.kind}" if node.kind != "text" else "is text"
    return described(node)


def _quote_remedy(node: Node, words: str, secret: bool) -> str:
    if isinstance(node, Scalar) and node.kind == "null":
        return f"write {words}, or remove the key where it is not required"
    if isinstance(node, Scalar) and not secret:
        return f'put it in quotes: "{shown(node.text)}"'
    return f"write {words}"


def _number_remedy(node: Node, words: str) -> str:
    if isinstance(node, Scalar) and node.kind == "text":
        if _DIGITS.fullmatch(node.text):
            return f"write {node.text}, without quotes"
        millicores = _MILLICORES.fullmatch(node.text)
        if millicores and not words.startswith("whole"):
            return f"write {int(millicores[1]) / 1000}"
        if _EXPONENT.fullmatch(node.text):
            return "write it without an exponent, which YAML 1.1 takes for text"
    return f"write a {words}, without quotes or a unit"


def _tell_surprise(node: Scalar, place: Place) -> None:
    if _OCTAL.fullmatch(node.text) or ":" in node.text:
        what = f"is {shown(node.text)}, which YAML reads as {node.value}"
        place.warn(what, f"write {node.value}, or the number that was meant")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
