r"""Files of ``KEY=VALUE`` lines to a mapping: what dotenv files have in common.

Blank lines and lines that begin with ``#`` are left, so is ``export`` before a key. A value goes up
to the end of the line, a ``#`` included, and nothing is filled in from other variables. Quotes
around a whole value are taken off (kubectl keeps them); in double quotes ``\n``, ``\"`` and ``\\``
stand for a newline, a quote and a backslash.
"""

from __future__ import annotations

import re

from bodywork_argo.errors import UsageError

_KEY = r"[A-Za-z0-9._-]{1,253}"
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


def check_key(key: str, place: str) -> None:
    """Raise UsageError unless this may be a key of a Secret; `place` says where it was written."""
    if not re.fullmatch(_KEY, key) or key in (".", ".."):
        raise UsageError(
            f"{place}: a key has letters, digits, '.', '_' and '-' only, at most 253 of them"
        )


def parse_env_file(text: str, label: str) -> dict[str, str]:
    r"""Return the values by their keys, in the order of the file.

    Raises UsageError with the line's number for what is no ``KEY=VALUE``, a repeated key, or a
    quote that is not closed. No message repeats what the line holds, since it may be a secret.

    >>> parse_env_file('# ours\nexport USER=me\nPASSWORD="a#b"\n', "secrets.env")
    {'USER': 'me', 'PASSWORD': 'a#b'}
    """
    values: dict[str, str] = {}
    for number, line in enumerate(re.split(r"\r?\n", text.removeprefix("\ufeff")), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place = f"{label}:{number}"
        before, equals, value = line.partition("=")
        if not equals:
            raise UsageError(f"{place}: is not KEY=VALUE")
        key = re.sub(r"^export\s+", "", before.strip())
        check_key(key, place)
        if key in values:
            raise UsageError(f"{place}: repeats the key of an earlier line")
        values[key] = _unquoted(value, place)
    return values


def _unquoted(value: str, place: str) -> str:
    stripped = value.strip()
    quote = stripped[:1]
    if quote not in ("'", '"'):
        return value
    if quote == "'":
        match = re.fullmatch(r"'([^']*)'", stripped)
        inner = match[1] if match else None
    else:
        match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', stripped)
        inner = re.sub(r"\\(.)", _escaped, match[1]) if match else None
    if inner is None:
        raise UsageError(f"{place}: has a quote that is not closed, or text after it")
    return inner


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])
