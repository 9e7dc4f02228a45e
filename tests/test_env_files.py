"""Files of KEY=VALUE lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.env_files import parse_env_file
from bodywork_argo.errors import UsageError


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("A=b", {"A": "b"}),
        ("A=", {"A": ""}),
        ("A=b=c", {"A": "b=c"}),
        ("  export A=b", {"A": "b"}),
        ("A = b", {"A": " b"}),
        ("A=b # c", {"A": "b # c"}),
        ("A='b # $C'", {"A": "b # $C"}),
        ('A="b\\nc\\"d\\\\e\\f"', {"A": 'b\nc"d\\e\\f'}),
        ("A=b'c", {"A": "b'c"}),
        ("tls.crt=x\nB_2-c=y", {"tls.crt": "x", "B_2-c": "y"}),
        ("\ufeffA=b\r\nC=d\r\n", {"A": "b", "C": "d"}),
        ("\n  \n# A=b\n  # c\n", {}),
    ],
)
def test_what_a_line_stands_for(line: str, values: dict[str, str]) -> None:
    assert parse_env_file(line, "x.env") == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# one\nhunter2", "x.env:2: is not KEY=VALUE"),
        ("hunter2 x=1", "x.env:1: a key has letters"),
        ("=hunter2", "x.env:1: a key has"),
        ("..=hunter2", "x.env:1: a key has"),
        ("A=1\nA=hunter2", "x.env:2: repeats"),
        ("A='hunter2", "x.env:1: has a quote that is not closed"),
        ('A="hunter2" b', "x.env:1: has a quote that is not closed"),
        ('A="hunter2\\"', "x.env:1: has a quote that is not closed"),
    ],
)
def test_what_is_wrong_is_told_by_its_line_and_never_repeated(text: str, message: str) -> None:
    with pytest.raises(UsageError, match="^" + message.replace(".", r"\.")) as caught:
        parse_env_file(text, "x.env")
    assert "hunter2" not in str(caught.value)


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_.-]{0,20}", fullmatch=True), st.text()))
def test_any_values_come_back_when_they_are_quoted(values: dict[str, str]) -> None:
    def quoted(value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + escaped.replace("\n", "\\n") + '"'

    readable = {key: value for key, value in values.items() if "\r" not in value}
    text = "".join(f"{key}={quoted(value)}\n" for key, value in readable.items())
    assert parse_env_file(text, "x.env") == readable
