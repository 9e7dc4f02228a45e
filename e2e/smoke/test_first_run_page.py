"""The page for a first run can be followed word for word with the role that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.support.identities import as_account
from e2e.support.pages import ACCOUNT, visitor
from e2e.support.repositories import GitServer
from e2e.support.spaces import EXECUTOR_RULES, WORKFLOW, Space, binding, role

pytestmark = pytest.mark.smoke

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "five-minutes.md"


@pytest.mark.full
def test_the_page_does_what_it_says(
    namespace: Space, git_server: GitServer, tmp_path: Path
) -> None:
    let_the_default_account_report(namespace)
    somebody = visitor(namespace, "edit", git_server, tmp_path)
    reader = as_account(namespace, ACCOUNT, tmp_path)
    assert not reader.may("create", "rbac.authorization.k8s.io", "rolebindings")

    somebody.follow(PAGE.read_text(encoding="utf-8"))

    assert namespace.find(WORKFLOW) == []


def let_the_default_account_report(space: Space) -> None:
    """Grant what every Argo grants whose Workflows name no account."""
    space.create(role("default-executor", EXECUTOR_RULES))
    account = {"kind": "ServiceAccount", "name": "default", "namespace": space.name}
    space.create(binding("default-executor", account))
