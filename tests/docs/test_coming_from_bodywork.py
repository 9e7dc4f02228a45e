from __future__ import annotations

from pathlib import Path

from tests.docs.reader import new_reader

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "coming-from-bodywork.md"


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    page = PAGE.read_text(encoding="utf-8").replace("/tmp/", f"{tmp_path}/")

    new_reader(folder, tmp_path / "home").follow(page)
