"""The page for platform teams can be followed word for word."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.cluster import Cluster
from tests.docs.reader import new_reader

pytestmark = pytest.mark.smoke

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "what-your-platform-team-must-grant.md"


@pytest.fixture
def name(cluster: Cluster) -> Iterator[str]:
    """A name for the namespace that the page's reader makes."""
    name = f"e2e-{uuid.uuid4().hex[:10]}"
    yield name
    cluster.core.delete_namespace(name, propagation_policy="Background")


def test_the_page_does_what_it_says(name: str, cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    start = f"```console\n$ export KUBECONFIG={cluster.kubeconfig}\n```\n"
    page = PAGE.read_text(encoding="utf-8").replace("data-science", name)

    new_reader(folder, tmp_path / "home").follow(start + page)

    assert left_in(cluster, name) == ["default"]


def left_in(cluster: Cluster, namespace: str) -> list[str]:
    """Name the accounts of a namespace."""
    found = cluster.find({"apiVersion": "v1", "kind": "ServiceAccount"}, namespace)
    return [each["metadata"]["name"] for each in found]
