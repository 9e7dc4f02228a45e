"""YAML text to a tree whose nodes know their lines, within limits that no file can talk past.

The tree is built from the parser's events with a stack of its own, so deep nesting meets a limit
here and not the end of a C or Python stack, and an alias is a second reference to one node, so a
chain of aliases costs nothing. Scalars mean what PyYAML's safe loader says they mean (YAML 1.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol, TypeAlias

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import Reader
from yaml.resolver import Resolver

from bodywork_argo.errors import Problem, SpecError
from bodywork_argo.schema.credentials import shown

try:
    from yaml import CSafeLoader as _Parser
except ImportError:  # pragma: no cover - PyYAML built without libyaml
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

MAX_BYTES = 1_048_576
"""What a stored Argo workflow may hold; a file of 1,000 stages has less than half of it."""
MAX_DEPTH = 32
MAX_NODES = 100_000
MAX_DUPLICATES = 100
_MAX_TAG_DIRECTIVES = 16
"""libyaml compares each ``%TAG`` line with all before it."""


class _Mark(Protocol):
    """A place in the text; libyaml's and PyYAML's are two types."""

    line: int


Kind: TypeAlias = Literal["text", "whole number", "number", "boolean", "null", "date"]
Value: TypeAlias = str | int | float | bool | None

_TAG = "tag:yaml.org,2002:"
_KINDS: dict[str, Kind] = {
    f"{_TAG}str": "text",
    f"{_TAG}int": "whole number",
    f"{_TAG}float": "number",
    f"{_TAG}bool": "boolean",
    f"{_TAG}null": "null",
    f"{_TAG}timestamp": "date",
    f"{_TAG}value": "text",
    f"{_TAG}merge": "text",
}
_KEY_REMEDY = "write KEY: VALUE, and put text that starts with '{' or '[' in quotes"
_INDENT = "a line is indented unlike those it belongs to"
_INDENT_REMEDY = "check the indent here and just above"
_UNCLOSED = (
    ("unexpected end of stream", "a quote is left open", "close the quote that opens here"),
    ("expected ','", "a bracket is left open", "close the bracket that opens here"),
)
"""Sign in the parser's words, own words, remedy: what is found far behind where it began."""
_SYNTAX = (
    (
        "mapping values are not allowed",
        "a ': ' stands where no key can be",
        "put text that holds ': ' in quotes and check the indent",
    ),
    *((f"expected {thing}", _INDENT, _INDENT_REMEDY) for thing in ("key", "<block end>", "'-'")),
    ("expected ':'", "a key has no value", "write KEY: VALUE, with a blank after the colon"),
    ("cannot start any token", "text starts with a sign of YAML's own", "put the text in quotes"),
    (
        "unknown escape character",
        "a text in double quotes has a backslash that YAML does not know",
        "use single quotes, or write two backslashes for one",
    ),
    ("alphabetic or numeric", "an '&' or '*' has no name after it", "put the text in quotes"),
    ("node content", "a value is missing", "write one, or put text in quotes"),
    ("maximum nesting depth", f"it is nested deeper than {MAX_DEPTH} levels", "flatten it"),
)


class Scalar(NamedTuple):
    """A single value: what YAML takes it for, and what stands in the file."""

    line: int
    kind: Kind
    value: Value
    """The text itself when `kind` is "date"."""
    text: str
    plain: bool = True
    """Written without quotes, so that YAML guessed the kind."""


class ListNode(NamedTuple):
    """A list, in the order of the file."""

    line: int
    items: tuple[Node, ...]


class Entry(NamedTuple):
    """A key with its value."""

    key: Scalar
    value: Node


class MapNode(NamedTuple):
    """A mapping by the text of its keys, merge keys already taken in."""

    line: int
    entries: dict[str, Entry]


Node: TypeAlias = Scalar | ListNode | MapNode


class Tree(NamedTuple):
    """The whole file; `problems` does not stop the tree from being read further."""

    root: Node
    problems: tuple[Problem, ...]


def read_tree(text: str | bytes, file: str) -> Tree:
    """Return the tree of the one document in `text`.

    Raises:
        SpecError: when there is no tree to read: no UTF-8, no YAML, too large, too deep.
    """
    source = _decoded(text, file)
    _check_directives(source, file)
    builder = _Builder(file)
    try:
        for event in yaml.parse(source, Loader=_Parser):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, source, file) from error
    if builder.root is None:
        raise _fatal(file, 1, "is empty", 'start it with version: "1.1"')
    return Tree(builder.root, tuple(builder.problems))


def _decoded(text: str | bytes, file: str) -> str:
    if len(text) > MAX_BYTES:
        size = f"has {len(text):,} bytes, more than {MAX_BYTES:,}"
        raise _fatal(file, 1, size, "split the pipeline into several files")
    if isinstance(text, bytes):
        text = _from_utf8(text, file)
    text = text.removeprefix("\ufeff")
    strange = Reader.NON_PRINTABLE.search(text)
    if strange:
        what = f"holds the character U+{ord(strange[0]):04X}, which YAML does not allow"
        raise _fatal(file, _line_at(text, strange.start()), what, "remove it")
    return text


def _from_utf8(data: bytes, file: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _fatal(file, 1, "is encoded as UTF-16", "save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _fatal(file, line, "is not encoded as UTF-8", "save it as UTF-8") from error


def _check_directives(text: str, file: str) -> None:
    if len(re.findall(r"^%TAG", text, re.MULTILINE)) > _MAX_TAG_DIRECTIVES:
        raise _fatal(file, 1, f"has more than {_MAX_TAG_DIRECTIVES} %TAG lines", "remove them")


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> SpecError:
    """Tell a parser's error in own words, since libyaml and PyYAML word theirs differently."""
    said = str(error.problem)
    for sign, what, remedy in _UNCLOSED:
        if sign in said:
            return _not_yaml(error.context_mark or error.problem_mark, file, what, remedy)
    mark = error.problem_mark or error.context_mark
    line = _line_text(text, mark.line + 1) if mark else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return _not_yaml(mark, file, "a line is indented with a tab", "indent with blanks")
    for sign, what, remedy in _SYNTAX:
        if sign in said:
            return _not_yaml(mark, file, what, remedy)
    return _not_yaml(mark, file, said, "")


def _not_yaml(mark: _Mark | None, file: str, what: str, remedy: str) -> SpecError:
    return _fatal(file, mark.line + 1 if mark else 1, f"is not valid YAML: {what}", remedy)


def _line_at(text: str, position: int) -> int:
    return len(re.findall(r"\r\n|\r|\n", text[:position])) + 1


def _line_of(event: yaml.Event) -> int:
    assert event.start_mark is not None, "parsers mark every event"
    return event.start_mark.line + 1


def _line_text(text: str, line: int) -> str:
    lines = text.splitlines()
    return lines[line - 1] if line <= len(lines) else ""


def _fatal(file: str, line: int, what: str, remedy: str) -> SpecError:
    return SpecError([Problem(key="", what=what, remedy=remedy, file=file, line=line)])


class _Open:
    """A list or mapping whose end has not come yet."""

    def __init__(self, event: yaml.CollectionStartEvent) -> None:
        self.event = event
        self.children: list[Node] = []


class _Scalars(Resolver, SafeConstructor):
    """PyYAML's own reading of a scalar, without its loader."""

    def __init__(self) -> None:
        Resolver.__init__(self)
        SafeConstructor.__init__(self)

    def tag_of(self, text: str) -> str:
        tag: str = self.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return tag


class _Builder:
    """Takes events one by one; `root` is there when the document was closed."""

    def __init__(self, file: str) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._file = file
        self._scalars = _Scalars()
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._add(self._scalar(event), event.anchor)
            case yaml.AliasEvent():
                self._add(self._alias(event), None)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._start(event)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._end()
            case yaml.DocumentStartEvent() if self.root is not None:
                raise self._stop(event, "holds several documents", "keep one, without '---'")
            case _:
                pass

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        expected = "seq" if isinstance(event, yaml.SequenceStartEvent) else "map"
        if event.tag not in (None, "!", f"{_TAG}{expected}"):
            raise self._bad_tag(event, event.tag)
        if len(self._open) >= MAX_DEPTH:
            raise self._stop(event, f"is nested deeper than {MAX_DEPTH} levels", "flatten it")
        self._open.append(_Open(event))

    def _end(self) -> None:
        opened = self._open.pop()
        line = _line_of(opened.event)
        node: Node
        if isinstance(opened.event, yaml.SequenceStartEvent):
            node = ListNode(line, tuple(opened.children))
        else:
            node = MapNode(line, self._entries(opened.children))
        self._add(node, opened.event.anchor)

    def _add(self, node: Node, anchor: str | None) -> None:
        self._count(1, node.line)
        if anchor is not None:
            self._anchors[anchor] = node
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node

    def _count(self, more: int, line: int) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            what = f"holds more than {MAX_NODES:,} values"
            raise _fatal(self._file, line, what, "split the pipeline into several files")

    def _alias(self, event: yaml.AliasEvent) -> Node:
        if any(opened.event.anchor == event.anchor for opened in self._open):
            raise self._stop(event, f"*{event.anchor} stands inside itself", "write it out")
        if event.anchor not in self._anchors:
            remedy = f"define &{event.anchor} above this line"
            raise self._stop(event, f"*{event.anchor} is not defined", remedy)
        return self._anchors[event.anchor]

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        line = _line_of(event)
        plain = bool(event.implicit[0])
        tag = event.tag
        if plain and tag is None:
            tag = self._scalars.tag_of(event.value)
        elif tag in (None, "!"):
            tag = f"{_TAG}str"
        kind = _KINDS.get(tag)
        if kind is None:
            raise self._bad_tag(event, tag)
        return Scalar(line, kind, self._value(kind, tag, event), event.value, plain)

    def _value(self, kind: Kind, tag: str, event: yaml.ScalarEvent) -> Value:
        node = yaml.ScalarNode(tag, event.value)
        try:
            match kind:
                case "whole number":
                    return int(self._scalars.construct_yaml_int(node))
                case "number":
                    return float(self._scalars.construct_yaml_float(node))
                case "boolean":
                    return bool(self._scalars.construct_yaml_bool(node))
                case "null":
                    return None
                case _:
                    return str(event.value)
        except (ValueError, OverflowError, KeyError, IndexError) as error:
            what = f"holds a {kind} that can't be read"
            raise self._stop(event, what, "write a plain decimal number or use quotes") from error

    def _entries(self, children: list[Node]) -> dict[str, Entry]:
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                raise _fatal(self._file, key.line, "has a key that is no text", _KEY_REMEDY)
            if key.plain and key.text == "<<":
                for entries in self._merge_sources(key, value):
                    merged = entries | merged
            elif key.text in own:
                self._duplicate(own[key.text].key, key)
            else:
                own[key.text] = Entry(key, value)
        return own | {name: entry for name, entry in merged.items() if name not in own}

    def _merge_sources(self, key: Scalar, value: Node) -> Iterator[dict[str, Entry]]:
        for source in value.items if isinstance(value, ListNode) else (value,):
            if not isinstance(source, MapNode):
                what = "<< takes a mapping or a list of mappings"
                raise _fatal(self._file, key.line, what, "write <<: *NAME")
            self._count(len(source.entries), key.line)
            yield source.entries

    def _duplicate(self, first: Scalar, again: Scalar) -> None:
        if len(self.problems) >= MAX_DUPLICATES:
            return
        what = f"stands twice, first on line {first.line}"
        path = ".".join([*self._path(), shown(again.text)])
        problem = Problem(key=path, what=what, remedy="keep one of the two")
        self.problems.append(problem.at(self._file, again.line))

    def _path(self) -> Iterator[str]:
        for opened in self._open:
            key = opened.children[-1] if opened.children else None
            if isinstance(opened.event, yaml.MappingStartEvent) and isinstance(key, Scalar):
                yield shown(key.text)

    def _bad_tag(self, event: yaml.Event, tag: str) -> SpecError:
        name = shown(tag.replace(_TAG, "!!"))
        return self._stop(event, f"tag {name} is not supported", "write the value without it")

    def _stop(self, event: yaml.Event, what: str, remedy: str) -> SpecError:
        return _fatal(self._file, _line_of(event), what, remedy)
