"""Whoever reads a page for the first time: an own home, git, and the commands on the PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.docs.snippets import Reader


def new_reader(folder: Path, home: Path, patience_seconds: float = 120) -> Reader:
    """Return a reader who has nothing yet but a name to commit with.

    `patience_seconds` is for each command.
    """
    home.mkdir()
    name, address = "A Reader", "reader@example.org"
    return Reader(
        folder,
        {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": address,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": address,
        },
        patience_seconds,
    )
