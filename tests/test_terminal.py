"""What reaches the terminal."""

from __future__ import annotations

import io

import pytest

from bodywork_argo.backend import LogPiece
from bodywork_argo.errors import Problem
from bodywork_argo.run_views import RunPrinter
from bodywork_argo.terminal import Terminal
from tests.projects import batch, plan_of


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(pieces: list[bytes]) -> str:
    out = io.StringIO()
    printer = RunPrinter(Terminal(out, io.StringIO()), plan_of("a", batch("a")))
    for piece in pieces:
        printer.log(LogPiece(stage="a", attempt=1, data=piece))
    return out.getvalue()


def test_a_line_is_printed_when_it_is_whole_and_once() -> None:
    assert printed([b"one", b" line\ntwo", b"\n", b"no end"]) == "a | one line\na | two\n"


def test_of_a_progress_bar_the_last_state_is_printed() -> None:
    assert printed([b"10%\r50%", b"\r100%\r\n"]) == "a | 100%\n"


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert printed([b"\xff\n"]) == "a | \ufffd\n"


@pytest.mark.parametrize(
    ("name", "value", "coloured"),
    [("NO_COLOR", "", True), ("NO_COLOR", "1", False), ("TERM", "dumb", False)],
)
def test_colours_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv(name, value)
    screen = Screen()
    Terminal(screen, screen).problems([Problem(key="k", what="is wrong")])
    assert ("\x1b[" in screen.getvalue()) is coloured
    assert "k: is wrong" in screen.getvalue()


def test_text_that_a_locale_lacks_is_replaced() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    Terminal(out, io.StringIO()).result("50 \u20ac")
    out.flush()
    assert raw.getvalue() == b"50 ?\n"
