from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.docs.snippets import Reader

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-run.md"


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    environment = {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "LANG": "C.UTF-8",
        "COLUMNS": "100",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A Reader",
        "GIT_AUTHOR_EMAIL": "reader@example.org",
        "GIT_COMMITTER_NAME": "A Reader",
        "GIT_COMMITTER_EMAIL": "reader@example.org",
    }
    page = TUTORIAL.read_text(encoding="utf-8").replace("/tmp/", f"{tmp_path}/")

    Reader(folder, environment).follow(page)
