"""The page on secrets can be followed word for word on a real cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from e2e.support.leaks import planted
from e2e.support.spaces import Space
from tests.docs.reader import new_reader

pytestmark = pytest.mark.smoke

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "manage-secrets.md"
GROUPS = "bodywork-deployment-jobs"
SECRET = {"apiVersion": "v1", "kind": "Secret"}


def test_the_page_does_what_it_says(
    namespace: Space, make_namespace: Callable[..., Space], tmp_path: Path
) -> None:
    groups, folder = make_namespace(), tmp_path / "work"
    folder.mkdir()
    config = yaml.safe_load(namespace.cluster.kubeconfig.read_text(encoding="utf-8"))
    for each in config["contexts"]:
        each["context"]["namespace"] = namespace.name
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8").replace("namespace team", f"namespace {namespace.name}")
    page = page.replace(f"in namespace {GROUPS}", f"in namespace {groups.name}")
    page = page.replace("reader\n", f"{planted()}\n").replace("horse", planted())
    start = f"$ export KUBECONFIG={kubeconfig} BODYWORK_SECRETS_NAMESPACE={groups.name}"

    new_reader(folder, tmp_path / "home").follow(f"```console\n{start}\n```\n{page}")

    assert names(namespace) == {"database", "store"}
    assert names(groups) == {"prod-database"}


def names(space: Space) -> set[str]:
    """Name the secrets that the reader has made."""
    found = space.find(SECRET, "app.kubernetes.io/managed-by=bodywork-argo")
    return {each["metadata"]["name"] for each in found}
