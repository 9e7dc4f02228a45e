"""The page on schedules can be followed word for word in a namespace that was set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.support.pages import URL, visitor
from e2e.support.pods import PRODUCT
from e2e.support.program import prepare
from e2e.support.repositories import GitServer
from e2e.support.spaces import WORKFLOW, Space

pytestmark = pytest.mark.full

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "retrain-every-night.md"
BEGIN = f"""
```console
$ kubectl config set-context --current --namespace team
Context ... modified.
$ git clone --quiet {URL} grades
warning: You appear to have cloned an empty repository.
$ cd grades
```
"""


def test_the_page_does_what_it_says(
    namespace: Space, git_server: GitServer, tmp_path: Path
) -> None:
    prepare(namespace)
    somebody = visitor(namespace, "edit", git_server, tmp_path)
    apply = f"cron apply nightly {somebody.repository.url}"
    # The cluster of the tests has no registry to install bodywork-argo from.
    image = {apply: f"{apply} --deployer-image {PRODUCT}"}

    somebody.follow(BEGIN)
    somebody.follow(PAGE.read_text(encoding="utf-8"), image)

    assert namespace.find(WORKFLOW) == []
