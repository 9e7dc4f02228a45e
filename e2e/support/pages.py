"""Following a page against a cluster, with a repository that its reader pushes to."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.support.identities import as_account, await_right, kubeconfig_of
from e2e.support.pods import RUNNER
from e2e.support.repositories import GitServer, Repository, make_empty_repository
from e2e.support.spaces import Space, binding
from tests.docs.reader import new_reader
from tests.docs.snippets import Reader

ACCOUNT = "reader"
NAMESPACE = "team"
"""What pages call their reader's namespace."""
URL = "https://git.example.org/you/grades.git"
IMAGE = "docker_image: python:3.12\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody with a namespace, an empty repository, and a page to follow there."""

    space: Space
    repository: Repository
    reader: Reader

    def follow(self, page: str, instead: Mapping[str, str] | None = None) -> None:
        """Do what a page says, with their own names in place of those that the page has."""
        names = {
            f"namespace {NAMESPACE}": f"namespace {self.space.name}",
            f" {NAMESPACE}/": f" {self.space.name}/",
            f"/{NAMESPACE}/": f"/{self.space.name}/",
            f".{NAMESPACE}:": f".{self.space.name}:",
            URL: self.repository.url,
            IMAGE: f"docker_image: {RUNNER}\n",
            **(instead or {}),
        }
        for written, meant in names.items():
            page = page.replace(written, meant)
        self.reader.follow(page)


def visitor(space: Space, role: str, server: GitServer, folder: Path) -> Visitor:
    """Make a reader with one of Kubernetes' own roles in the namespace, and nothing else."""
    space.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}})
    bound = binding(role, {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": space.name})
    bound["roleRef"]["kind"] = "ClusterRole"
    space.create(bound)
    await_right(as_account(space, ACCOUNT, folder), "create", "argoproj.io", "workflows")
    repository = make_empty_repository(server, f"repository-{uuid.uuid4().hex[:10]}")
    work, home = folder / "work", folder / "home"
    work.mkdir()
    reader = new_reader(work, home, patience_seconds=300)
    # The tests' server takes no pushes.
    pushes = f'[url "{repository.folder}"]\n\tpushInsteadOf = {repository.url}\n'
    (home / ".gitconfig").write_text(pushes, encoding="utf-8")
    reader.follow(f"```console\n$ export KUBECONFIG={kubeconfig_of(space, ACCOUNT, folder)}\n```\n")
    return Visitor(space=space, repository=repository, reader=reader)
