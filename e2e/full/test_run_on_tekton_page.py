"""The page on Tekton can be followed word for word, by whoever may make roles in a namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.support.pages import NAMESPACE, visitor
from e2e.support.repositories import GitServer
from e2e.support.spaces import PIPELINE_RUN, Space

pytestmark = pytest.mark.full

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "run-on-tekton.md"


def test_the_page_does_what_it_says(
    namespace: Space, git_server: GitServer, tmp_path: Path
) -> None:
    somebody = visitor(namespace, "admin", git_server, tmp_path)

    somebody.follow(PAGE.read_text(encoding="utf-8"), {f"-n {NAMESPACE}`": f"-n {namespace.name}`"})

    assert namespace.find(PIPELINE_RUN) == []
