"""Runs the ``console`` blocks of a page as a reader would, and compares what they print.

A fenced block with a ``:caption:`` is a file to write. In a ``console`` block a line that begins
with ``$`` is a command, and the lines up to the next one are what it prints: ``...`` inside a line
stands for any text, alone on a line for any lines, and alone after a stage's ``|`` for any lines of
that stage. The shell's folder and exported variables carry over from one command to the next, as in
a terminal.
"""

from __future__ import annotations

import re
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

_FENCE = re.compile(r"^```(?P<info>\S[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_CAPTION = re.compile(r"\A(?::.*\n)*:caption: (?P<name>\S+)\n(?::.*\n)*\n")
_STAGE_OUTPUT = re.compile(r"(\S+ *\|)( |$)")
_ANY_LINES = re.compile(r"(\S+ *\| )?\.\.\.")
_MARK = "--- end of command, folder "


@dataclass(frozen=True)
class WrittenFile:
    """A file that the page tells its reader to write."""

    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command of the page and what it should print."""

    words: str
    expected: tuple[str, ...]


def snippets(page: str) -> Iterator[WrittenFile | Command]:
    """Yield what a reader of the page does, in order."""
    for fence in _FENCE.finditer(page):
        if fence["info"] == "console":
            yield from _commands(fence["body"])
        elif caption := _CAPTION.match(fence["body"]):
            yield WrittenFile(caption["name"], fence["body"][caption.end() :])


class Reader:
    """Follows a page in a folder, with nothing but the given environment."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], patience_seconds: float = 120
    ) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._patience_seconds = patience_seconds

    def follow(self, page: str) -> None:
        """Do everything that the page says; AssertionError where it prints something else."""
        for snippet in snippets(page):
            if isinstance(snippet, WrittenFile):
                (self._folder / snippet.name).write_text(snippet.text, encoding="utf-8")
            else:
                check_output(snippet, self._run(snippet.words))

    def _run(self, words: str) -> list[str]:
        script = f"exec 2>&1\n(exit ${{LAST_CODE:-0}})\n{words}\nLAST_CODE=$?\nexport LAST_CODE\n"
        script += f"printf '%s%s\\0' '{_MARK}' \"$PWD\"; env -0"
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=self._patience_seconds,
            check=False,
        )
        output, mark, after = done.stdout.rpartition(_MARK)
        assert mark, f"{words}: ended the shell\n{done.stdout}"
        folder, *variables = after.rstrip("\0").split("\0")
        self._folder = Path(folder)
        self._environment = dict(variable.split("=", 1) for variable in variables)
        return output.splitlines()


def check_output(command: Command, lines: list[str]) -> None:
    """Raise AssertionError with both texts unless the lines are those expected.

    What stages write comes from another thread than how the run goes on, so the two are compared
    apart, each in its order.
    """
    actual = [line.rstrip() for line in lines]
    wanted, found = _by_origin(command.expected), _by_origin(actual)
    anything = any("..." in lines for origin, lines in wanted.items() if origin == "")
    good = all(_matches(wanted[origin], found.get(origin, [])) for origin in wanted)
    if not good or (not anything and wanted.keys() != found.keys()):
        shown = textwrap.indent("\n".join(actual), "  ")
        expected = textwrap.indent("\n".join(command.expected), "  ")
        raise AssertionError(f"$ {command.words}\nprinted\n{shown}\nwhere the page has\n{expected}")


def _commands(body: str) -> Iterator[Command]:
    groups = groupby(body.splitlines(), key=_Counter())
    for _, lines in groups:
        first, *expected = lines
        assert first.startswith("$ "), f"a console block begins with a command, not {first!r}"
        yield Command(first[2:], tuple(line.rstrip() for line in expected))


class _Counter:
    """Numbers the commands of a block, so that lines can be grouped by them."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, line: str) -> int:
        self._count += line.startswith("$ ")
        return self._count


def _by_origin(lines: tuple[str, ...] | list[str]) -> dict[str, list[str]]:
    origins: dict[str, list[str]] = {"": []}
    for line in lines:
        stage = _STAGE_OUTPUT.match(line)
        origins.setdefault(stage[1] if stage else "", []).append(line)
    return origins


def _matches(expected: list[str], actual: list[str]) -> bool:
    parts = []
    for line in expected:
        if _ANY_LINES.fullmatch(line):
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*".join(re.escape(part) for part in line.split("...")) + r"\n")
    return bool(re.fullmatch("".join(parts), "".join(f"{line}\n" for line in actual)))
