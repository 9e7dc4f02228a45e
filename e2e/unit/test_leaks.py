"""Planted secrets are recognised in whatever they are wrapped in."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.support.leaks import check_said, needles, planted, shown

VALUE = planted()
NEEDLES = needles(["another password"])


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("value", [VALUE, "another password"], ids=["planted", "given"])
def test_a_value_is_seen_in_base64_wherever_it_begins(before: str, value: str) -> None:
    text = base64.b64encode(f"{before}{value} and more".encode())

    assert shown(NEEDLES, b'{"data": "' + text + b'"}')


def test_a_value_is_seen_in_plain_in_base64_of_base64_and_in_what_argo_packs() -> None:
    once = base64.b64encode(VALUE.encode())
    packed = base64.b64encode(gzip.compress(json.dumps({"message": VALUE}).encode()))

    assert shown(NEEDLES, f"token={VALUE}".encode())
    assert shown(needles([once.decode()]), b'{"a": "' + base64.b64encode(once) + b'"}')
    assert shown(NEEDLES, b'{"compressedNodes": "' + packed + b'"}')


def test_output_with_a_planted_secret_is_refused_without_being_repeated() -> None:
    check_said(b"harmless", b"")

    with pytest.raises(AssertionError) as refused:
        check_said(b"harmless", f"token {VALUE}".encode())

    assert VALUE not in str(refused.value)


def test_nothing_is_seen_where_nothing_is() -> None:
    harmless = base64.b64encode(gzip.compress(b"nothing at all, and nothing more"))

    assert not shown(NEEDLES, b'{"planted": "secret", "packed": "' + harmless + b'"}')


@pytest.mark.parametrize(("marker", "outcome"), [("", "1 failed"), ("plants_openly", "1 passed")])
def test_a_test_that_prints_a_planted_secret_fails_unless_it_says_so(
    tmp_path: Path, marker: str, outcome: str
) -> None:
    module = tmp_path / "test_it.py"
    mark = f"@pytest.mark.{marker}\n" if marker else ""
    module.write_text(f"import pytest\n\n{mark}def test_it():\n    print({VALUE!r})\n")
    words = ["-m", "pytest", "-p", "e2e.conftest", "-p", "no:cacheprovider", "-c", "/dev/null"]

    done = subprocess.run(
        [sys.executable, *words, str(module)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert outcome in done.stdout, done.stdout + done.stderr
