"""What looks like a credential, so that no message repeats it and no file keeps it."""

from __future__ import annotations

import re
from itertools import pairwise

# Patterns are text: `re` compiles the few that a file needs, and import stays cheap.
_KNOWN = (
    r"(?a:(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|gh[opsur]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
    r"|xox[abeprs]-[\w-]{10,}|sk-[\w-]{16,}|hf_\w{16,}|AIza[\w-]{30,}|npm_\w{16,}|pypi-[\w-]{16,}"
    r"|(?<![\w-])eyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----)"
)
_SIGNS = (
    "AKIA", "ASIA", "gh", "glpat-", "xox", "sk-", "hf_", "AIza", "npm_", "pypi-", "eyJ",
    "-----BEGIN", "://",
)  # fmt: skip
"""Without one of these no pattern matches; asking first saves most files the patterns."""
_IN_ADDRESS = r"(?<=://)(?:[^/\s:@]*:[^/\s@]+|[^/\s@]{20,})(?=@)"
_UUID = r"(?i:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_UUID_LENGTH = 36
_HEXADECIMAL = r"[0-9a-fA-F]{32,}"
_RANDOM_LENGTH = 20
_RANDOM_CHANGES = 6
"""Words and dates change between letters and digits less often than random text does."""


def in_address(text: str) -> bool:
    """Tell whether an address has a password or a token before its host.

    >>> in_address("https://me:hunter2@example.org"), in_address("ssh://git@example.org")
    (True, False)
    """
    return "://" in text and bool(re.search(_IN_ADDRESS, text))


def is_likely(text: str) -> bool:
    """Tell whether text holds a credential, or is one as a whole.

    >>> is_likely("AKIA" + "A1B2" * 4), is_likely("aws-credentials-2024")
    (True, False)
    """
    if hidden(text) != text or (len(text) == _UUID_LENGTH and re.fullmatch(_UUID, text)):
        return True
    if len(text) < _RANDOM_LENGTH:
        return False
    return any(_is_random(part) for part in re.split(r"[^A-Za-z0-9]+", text))


def hidden(text: str) -> str:
    """Return text with every credential of a known form replaced by three stars.

    >>> hidden("https://me:hunter2@example.org")
    'https://***@example.org'
    """
    if not any(sign in text for sign in _SIGNS):
        return text
    return re.sub(_KNOWN, "***", re.sub(_IN_ADDRESS, "***", text))


def shown(text: str, limit: int = 60) -> str:
    r"""Return text fit for a message: one short line, no credential, nothing a terminal acts on.

    >>> shown("tab" + chr(9)), shown("long" * 3, limit=4)
    ('tab\\t', 'long...')
    """
    clean = hidden(text)
    cut = clean if len(clean) <= limit else f"{clean[:limit]}..."
    if cut.isprintable():
        return cut
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in cut
    )


def _is_random(word: str) -> bool:
    if len(word) < _RANDOM_LENGTH or word.isdigit() or word.isalpha():
        return False
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(word))
    return bool(re.fullmatch(_HEXADECIMAL, word)) or changes >= _RANDOM_CHANGES
