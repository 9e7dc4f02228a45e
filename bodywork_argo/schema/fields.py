"""How keys are described, and how a section is read by its description.

A `Field` is one key: its type, default, unit and constraint, with a sentence for the reference
page. The same table validates files and makes that page, so the two can't part.

What is made at import are plain classes and named tuples here: a frozen dataclass takes 0.7 ms to
define, and `validate` as a whole has 50 ms beside click.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeAlias, TypeVar, cast

from bodywork_argo.schema.credentials import shown
from bodywork_argo.schema.findings import Place
from bodywork_argo.schema.yamltree import ListNode, MapNode, Node, Scalar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Complaint: TypeAlias = tuple[str, str]
"""What is wrong, and what to do."""
Check: TypeAlias = Callable[[str], Complaint | None]

MAX_WHOLE = 2**31 - 1
"""Kubernetes keeps replicas, ports and retries in 32 bits."""
_OCTAL = r"[-+]?0[0-7_]+"
FREE_PREFIX = "x-"
"""Keys that start so are the author's own, to hold what anchors refer to."""
MAX_TEXT_BYTES = 90_000
"""Linux takes 131,071 bytes for one argument or variable; some of it travels as base64."""
_NO_PROCESS_TEXT = "[\0\ud800-\udfff]"
_EXPONENT = r"[-+]?[0-9][0-9.]*[eE][-+]?[0-9]+"
_DIGITS = r"[0-9]{1,9}"
_MILLICORES = r"([0-9]{1,9})m"


class Type(Generic[T_co]):
    """What a value may be."""

    def __init__(self, words: str, read: Callable[[Node, Place], T_co | None]) -> None:
        self.words = words
        """For messages and the reference page, such as "whole number of 0 or more"."""
        self.read = read
        """Return the value, or None after reporting what is wrong with it."""


class Field(Generic[T_co]):
    """One key of a section. Required fields need an example, as it would stand in a file."""

    def __init__(
        self,
        *,
        name: str,
        type: Type[T_co],
        doc: str,
        example: str = "",
        required: bool = False,
        default: T_co | None = None,
        unit: str = "",
        constraint: str = "",
        engines: str = "all",
        dialects: str = "all",
    ) -> None:
        self.name = name
        self.type = type
        self.doc = doc
        self.example = example
        self.required = required
        self.default = default
        self.unit = unit
        self.constraint = constraint
        self.engines = engines
        self.dialects = dialects


class Section(NamedTuple):
    """A mapping of the file and the keys it may have."""

    path: str
    """As the reference page has it, such as ``stages.<name>.batch``."""
    fields: tuple[Field[object], ...]
    ours: bool = False
    """An extension of this project's, where an unknown key is an error."""

    def names(self) -> tuple[str, ...]:
        """Return the keys in the order of the table."""
        return tuple(field.name for field in self.fields)


class Reading:
    """The values of one section that were there and right."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.values: dict[str, object] = {}

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
    unknown = _read_entries(section, node, reading)
    for wanted in section.fields:
        if wanted.required and wanted.name not in node.entries:
            _report_missing(wanted, reading, unknown)
    for name, below in unknown.items():
        _report_unknown(section, name, below)
    return reading


def _read_entries(section: Section, node: MapNode, reading: Reading) -> dict[str, Place]:
    """Fill in the values, and return the keys that nobody reads."""
    known = {field.name: field for field in section.fields}
    unknown: dict[str, Place] = {}
    for name, entry in node.entries.items():
        below = reading.place.under(entry)
        if name in known:
            value = known[name].type.read(entry.value, below)
            if value is not None:
                reading.values[name] = value
        elif section.ours or not name.startswith(FREE_PREFIX):
            unknown[name] = below
    return unknown


def _report_missing(wanted: Field[object], reading: Reading, unknown: dict[str, Place]) -> None:
    """Report a missing key, at the unknown one that was likely meant to be it."""
    misspelt = reading.place.findings.guess(wanted.name, unknown)
    if misspelt is None:
        remedy = f"add it, such as '{wanted.name}: {wanted.example}'"
        reading.place_of(wanted).error("is missing", remedy)
    else:
        what = f"is not a known key, and '{wanted.name}' is missing"
        unknown.pop(misspelt).error(what, f"rename it to '{wanted.name}'")


def _report_unknown(section: Section, name: str, place: Place) -> None:
    guess = place.findings.guess(name, section.names())
    home = place.findings.homes.get(name)
    if guess:
        remedy = f"did you mean '{guess}'?"
    elif home:
        remedy = f"it belongs under '{home}'"
    else:
        remedy = f"known here: {_listed(section.names())}"
    place.findings.unknown_key(place, remedy, ours=section.ours)


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


def texts(*checks: Check) -> Type[tuple[str, ...]]:
    """Describe a list of texts."""
    return each(text(*checks), "list of texts")


def each(one: Type[T], words: str) -> Type[tuple[T, ...]]:
    """Describe a list."""

    def read(node: Node, place: Place) -> tuple[T, ...] | None:
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


def nested(section: Section) -> Type[Reading]:
    """Describe a key that holds a section."""
    return Type("mapping", lambda node, place: read_section(section, node, place))


def built(section: Section, build: Callable[[Reading], T | None]) -> Type[T]:
    """Describe a section that is one value, built only when nothing in it is missing."""

    def read(node: Node, place: Place) -> T | None:
        reading = read_section(section, node, place)
        if reading is None or not all(
            field.name in reading.values for field in section.fields if field.required
        ):
            return None
        return build(reading)

    return Type("mapping", read)


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
    bad = re.search(_NO_PROCESS_TEXT, value)
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
        if re.fullmatch(_DIGITS, node.text):
            return f"write {node.text}, without quotes"
        millicores = re.fullmatch(_MILLICORES, node.text)
        if millicores and not words.startswith("whole"):
            return f"write {int(millicores[1]) / 1000}"
        if re.fullmatch(_EXPONENT, node.text):
            return "write it without an exponent, which YAML 1.1 takes for text"
    return f"write a {words}, without quotes or a unit"


def _tell_surprise(node: Scalar, place: Place) -> None:
    if re.fullmatch(_OCTAL, node.text) or ":" in node.text:
        what = f"is {shown(node.text)}, which YAML reads as {node.value}"
        place.warn(what, f"write {node.value}, or the number that was meant")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
