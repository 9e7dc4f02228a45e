from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bodywork_argo.manifests import apply_order, to_yaml

YAML_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
TRICKY = [
    "1e3", "1E5", "1e-3", "0o17", "685e1", "6e10", "1234e56", "0e00000", "12e9999", "true", "yes",
    "on", "null", "~", "1", "1.0", "0x10", "012", "1_000", "12:30:45", ".5", "2026-01-01", "=",
    "<<", "y", "n", "", " ", "a ", "\n", "a\n", "a\n\n", " a\nb", "a \nb", "- a", "# a", "a: b",
    "{{x}}", "%a", "@a", "`a`", "a\tb\nc", "\ta\nb", "\u2028", "a\x85b\nc", "\ufeff", "é\nü",
    "---\na",
]  # fmt: skip


def read_as_yaml_1_2(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(StringIO(text))


@pytest.mark.parametrize("text", TRICKY)
def test_tricky_text_comes_back_the_same_from_both_yaml_versions(text: str) -> None:
    document = {"env": [{"name": "X", "value": text}], "labels": {text or "empty": text}}
    written = to_yaml([document])
    assert yaml.safe_load(written) == document
    assert read_as_yaml_1_2(written) == document


@given(YAML_TEXT)
def test_any_text_comes_back_the_same_from_both_yaml_versions(text: str) -> None:
    document = {"args": [text], "labels": {"key": text}}
    written = to_yaml([document])
    assert yaml.safe_load(written) == document
    assert read_as_yaml_1_2(written) == document


def test_strings_are_quoted_and_other_scalars_are_not() -> None:
    document = {"a": "1e3", "b": 1, "c": 0.5, "d": True, "e": [], "f": {}, "g": ("x",)}
    assert to_yaml([document]) == 'a: "1e3"\nb: 1\nc: 0.5\nd: true\ne: []\nf: {}\ng:\n- "x"\n'


def test_keys_that_look_like_values_are_quoted() -> None:
    assert to_yaml([{"on": 1, "1e3": 2, "apps/v1": 3}]) == '"on": 1\n"1e3": 2\napps/v1: 3\n'


def test_text_of_several_lines_is_readable() -> None:
    assert to_yaml([{"script": "import sys\nprint(1)\n"}]) == (
        "script: |\n  import sys\n  print(1)\n"
    )


def test_an_object_that_occurs_twice_is_written_twice() -> None:
    shared = {"a": "b"}
    assert "&" not in to_yaml([{"x": shared, "y": shared}])


def test_several_documents_are_separated() -> None:
    assert to_yaml([{"a": 1}, {"b": 2}]) == "---\na: 1\n---\nb: 2\n"


def test_accounts_come_before_what_uses_them_and_the_rest_keeps_its_order() -> None:
    kinds = ["Workflow", "Deployment", "ServiceAccount", "Ingress", "Namespace"]
    ordered = apply_order({"kind": kind} for kind in kinds)
    assert [document["kind"] for document in ordered] == [
        "Namespace", "ServiceAccount", "Deployment", "Workflow", "Ingress",
    ]  # fmt: skip
