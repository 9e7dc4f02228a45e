"""How YAML text becomes a tree, and where it stops."""

from __future__ import annotations

import time

import pytest

from bodywork_argo.errors import SpecError
from bodywork_argo.schema.credentials import shown
from bodywork_argo.schema.yamltree import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_DUPLICATES,
    MAX_NODES,
    ListNode,
    MapNode,
    Node,
    Scalar,
    read_tree,
)


def plain(node: Node) -> object:
    """Return a tree as the data it stands for."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {name: plain(entry.value) for name, entry in node.entries.items()}


def read(text: str | bytes) -> object:
    return plain(read_tree(text, "f.yaml").root)


def refusal(text: str | bytes) -> str:
    with pytest.raises(SpecError) as caught:
        read_tree(text, "f.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("a", "text", "a"),
        ('"1"', "text", "1"),
        ("! 1", "text", "1"),
        ("!!str 1", "text", "1"),
        ("1", "whole number", 1),
        ("!!int '1'", "whole number", 1),
        ("010", "whole number", 8),
        ("0x10", "whole number", 16),
        ("1_000", "whole number", 1000),
        ("1:30", "whole number", 90),
        ("1.5", "number", 1.5),
        ("1e3", "text", "1e3"),
        ("1.0e+3", "number", 1000.0),
        (".inf", "number", float("inf")),
        ("yes", "boolean", True),
        ("Off", "boolean", False),
        ("y", "text", "y"),
        ("~", "null", None),
        ("2021-01-02", "date", "2021-01-02"),
        ("=", "text", "="),
    ],
)
def test_a_scalar_means_what_yaml_1_1_says(text: str, kind: str, value: object) -> None:
    root = read_tree(text, "f.yaml").root
    assert isinstance(root, Scalar)
    assert (root.kind, root.value) == (kind, value)


def test_nodes_know_their_lines() -> None:
    root = read_tree("a:\n  - 1\n  - b: 2\n", "f.yaml").root
    assert isinstance(root, MapNode)
    items = root.entries["a"].value
    assert isinstance(items, ListNode)
    assert [item.line for item in items.items] == [2, 3]


@pytest.mark.parametrize("text", ["a: 1\r\nb: 2\r\n", "a: 1\rb: 2", "\ufeffa: 1\nb: 2"])
def test_line_ends_of_all_systems_and_a_byte_order_mark_are_read(text: str) -> None:
    assert read(text) == {"a": 1, "b": 2}
    assert read(text.encode()) == {"a": 1, "b": 2}


def test_anchors_and_merge_keys_are_read() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], y: 5}\nd: {<<: *a}\ne: *a\n"
    tree = read(text)
    assert isinstance(tree, dict)
    assert tree["c"] == {"y": 5, "x": 1, "z": 4}
    assert tree["d"] == tree["e"] == {"x": 1, "y": 2}


def test_of_two_merged_mappings_the_first_wins() -> None:
    tree = read("a: &a {y: 2}\nb: &b {y: 3}\nc: {<<: [*a, *b]}\n")
    assert isinstance(tree, dict)
    assert tree["c"] == {"y": 2}


def test_a_quoted_merge_sign_is_an_ordinary_key() -> None:
    assert read('"<<": 1') == {"<<": 1}


def test_every_key_that_stands_twice_is_told_with_both_lines() -> None:
    tree = read_tree("a: 1\nb:\n  - c: 1\n    c: 2\na: 2\n", "f.yaml")
    assert [str(problem) for problem in tree.problems] == [
        "f.yaml:4: b.c: stands twice, first on line 3; keep one of the two",
        "f.yaml:5: a: stands twice, first on line 1; keep one of the two",
    ]
    assert plain(tree.root) == {"a": 1, "b": [{"c": 1}]}


def test_more_repeated_keys_than_anyone_reads_are_not_kept() -> None:
    assert len(read_tree("a: 1\n" * 1000, "f.yaml").problems) == MAX_DUPLICATES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'f.yaml:1: is empty; start it with version: "1.1"'),
        (b"\xff\xfea\0", "f.yaml:1: is encoded as UTF-16; save it as UTF-8"),
        (b"a: 1\nb: \xe9\n", "f.yaml:2: is not encoded as UTF-8; save it as UTF-8"),
        (
            "a: 1\nb: \0",
            "f.yaml:2: holds the character U+0000, which YAML does not allow; remove it",
        ),
        ("a: \ud800", "f.yaml:1: holds the character U+D800, which YAML does not allow; remove it"),
        ("a: 1\n---\nb: 1", "f.yaml:2: holds several documents; keep one, without '---'"),
        ("&a [*a]", "f.yaml:1: *a stands inside itself; write it out"),
        ("a: *b", "f.yaml:1: *b is not defined; define &b above this line"),
        (
            "[a]: 1",
            "f.yaml:1: has a key that is no text; "
            "write KEY: VALUE, and put text that starts with '{' or '[' in quotes",
        ),
        ("<<: 1", "f.yaml:1: << takes a mapping or a list of mappings; write <<: *NAME"),
        ("a: !x 1", "f.yaml:1: tag !x is not supported; write the value without it"),
        ("a: !!set {b}", "f.yaml:1: tag !!set is not supported; write the value without it"),
        ("a: !!binary x", "f.yaml:1: tag !!binary is not supported; write the value without it"),
        (
            "a: 0x_",
            "f.yaml:1: holds a whole number that can't be read; "
            "write a plain decimal number or use quotes",
        ),
        (
            "a: !!bool maybe",
            "f.yaml:1: holds a boolean that can't be read; "
            "write a plain decimal number or use quotes",
        ),
        (
            f"a: 1{':00' * 400}.5",
            "f.yaml:1: holds a number that can't be read; "
            "write a plain decimal number or use quotes",
        ),
        (
            "a:\n\tb: 1",
            "f.yaml:2: is not valid YAML: a line is indented with a tab; indent with blanks",
        ),
        (
            "a: b: c",
            "f.yaml:1: is not valid YAML: a ': ' stands where no key can be; "
            "put text that holds ': ' in quotes and check the indent",
        ),
        (
            "a: 'b",
            "f.yaml:1: is not valid YAML: a quote is left open; close the quote that opens here",
        ),
        (
            "a: @b",
            "f.yaml:1: is not valid YAML: text starts with a sign of YAML's own; "
            "put the text in quotes",
        ),
        (
            "- a\nb: c",
            "f.yaml:2: is not valid YAML: a line is indented unlike those it belongs to; "
            "check the indent here and just above",
        ),
        (
            'a: "C:\\data"',
            "f.yaml:1: is not valid YAML: a text in double quotes has a backslash that YAML does "
            "not know; use single quotes, or write two backslashes for one",
        ),
        (
            "a: *",
            "f.yaml:1: is not valid YAML: an '&' or '*' has no name after it; "
            "put the text in quotes",
        ),
        (
            "a: }",
            "f.yaml:1: is not valid YAML: a value is missing; write one, or put text in quotes",
        ),
        ("%TAG !a! b\n" * 17, "f.yaml:1: has more than 16 %TAG lines; remove them"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str | bytes, message: str) -> None:
    assert refusal(text) == message


def test_an_unknown_syntax_error_has_no_invented_remedy() -> None:
    assert refusal("!<x y").startswith("f.yaml:1: is not valid YAML: ")
    assert ";" not in refusal("!<x y")


def test_a_bracket_left_open_is_told_where_it_opens() -> None:
    assert refusal("a: [1\nb: 2\nc: 3") == (
        "f.yaml:1: is not valid YAML: a bracket is left open; close the bracket that opens here"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a" * (10 * 2**20), f"has 10,485,760 bytes, more than {MAX_BYTES:,}; split"),
        ("[" * 500_000, "nest"),
        ("{a: " * 200_000, "nest"),
        ("- " * 500_000, f"is nested deeper than {MAX_DEPTH} levels; flatten it"),
        (
            "".join(f"{' ' * depth}a:\n" for depth in range(MAX_DEPTH + 1)) + " " * 99 + "b: 1",
            f"is nested deeper than {MAX_DEPTH} levels; flatten it",
        ),
        ("[" + "a," * (MAX_NODES + 1) + "]", f"holds more than {MAX_NODES:,} values"),
        (
            "a: &a {" + ", ".join(f"k{n}: 1" for n in range(10_000)) + "}\n"
            "b: {<<: [" + "*a, " * 1000 + "]}",
            f"holds more than {MAX_NODES:,} values",
        ),
        ("? " * 400_000, "nest"),
        ("&a " * 300_000, "is not valid YAML"),
        ("%TAG ! x\n" * 100_000, "has more than 16 %TAG lines"),
    ],
)
def test_a_bomb_is_refused_in_time(text: str | bytes, message: str) -> None:
    began = time.process_time()
    assert message in refusal(text)
    assert time.process_time() - began < 10  # bench has the real budget; tracing is slow


def test_a_chain_of_aliases_costs_nothing() -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 50)}]" for n in range(1, 25)]
    assert isinstance(read_tree("\n".join(lines), "f.yaml").root, MapNode)


def test_text_for_messages_is_one_short_line_that_no_terminal_acts_on() -> None:
    assert shown("a\nb\x1b[31m\ud800") == r"a\nb\x1b[31m\ud800"
    assert shown("x" * 99) == "x" * 60 + "..."
