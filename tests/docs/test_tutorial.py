from __future__ import annotations

from pathlib import Path

from tests.docs.reader import new_reader

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-run.md"


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    page = TUTORIAL.read_text(encoding="utf-8").replace("/tmp/", f"{tmp_path}/")

    new_reader(folder, tmp_path / "home").follow(page)
