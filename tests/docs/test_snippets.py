from __future__ import annotations

import pytest

from tests.docs.snippets import Command, WrittenFile, check_output, snippets

PAGE = """\
Write this:

```{code-block} python
:caption: hello.py

print("hello")
```

```console
$ cd x
$ python hello.py
hello
...
```

```sh
not followed
```
"""


def test_a_page_is_a_row_of_files_and_commands() -> None:
    assert list(snippets(PAGE)) == [
        WrittenFile("hello.py", 'print("hello")\n'),
        Command("cd x", ()),
        Command("python hello.py", ("hello", "...")),
    ]


@pytest.mark.parametrize(
    ("expected", "lines"),
    [
        ((), []),
        (("a", "b"), ["a", "b  "]),
        (("took ... s",), ["took 1.5 s"]),
        (("...", "b"), ["b"]),
        (("...", "b"), ["a", "a", "b"]),
        (("* on", "s | out"), ["s | out", "* on"]),
        (("s | ...", "s | end", "..."), ["on", "s | 1", "s | 2", "s | end"]),
    ],
)
def test_output_as_expected_is_accepted(expected: tuple[str, ...], lines: list[str]) -> None:
    check_output(Command("x", expected), lines)


@pytest.mark.parametrize(
    ("expected", "lines"),
    [
        ((), ["a"]),
        (("a",), []),
        (("a", "b"), ["b", "a"]),
        (("a...",), ["a", "b"]),
        (("s | 1", "s | 2"), ["s | 2", "s | 1"]),
        (("a",), ["a", "s | 1"]),
        (("s | ...", "s | end", "..."), ["on", "s | end", "s | 1"]),
    ],
)
def test_other_output_is_refused(expected: tuple[str, ...], lines: list[str]) -> None:
    with pytest.raises(AssertionError, match="where the page has"):
        check_output(Command("x", expected), lines)
