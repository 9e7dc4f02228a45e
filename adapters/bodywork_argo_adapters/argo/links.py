"""Pages of commits on the forges that everybody knows."""

from __future__ import annotations

import re

_ADDRESS = re.compile(
    r"(?:(?:https?|ssh)://(?:[^@/]+@)?(?P<host>[A-Za-z0-9.-]+)(?::\d+)?/"
    r"|(?:[^@/:]+@)?(?P<scp_host>[A-Za-z0-9.-]+):)"
    r"(?P<path>[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)+)"
)
_SHAPES = {"github": "/commit/", "gitlab": "/-/commit/", "bitbucket": "/commits/"}


def commit_page(repository: str, commit: str) -> str | None:
    """Return the address of a commit's page, None unless the host is a forge that is known.

    >>> commit_page("git@github.com:team/shop.git", "abc")
    'https://github.com/team/shop/commit/abc'
    """
    found = _ADDRESS.fullmatch(repository.rstrip("/").removesuffix(".git"))
    if found is None:
        return None
    host = found["host"] or found["scp_host"]
    forges = [shape for forge, shape in _SHAPES.items() if forge in host.split(".")]
    return f"https://{host}/{found['path']}{forges[0]}{commit}" if forges else None
