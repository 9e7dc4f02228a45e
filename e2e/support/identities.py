"""The product's own connection to the cluster, under the identities that tests need."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from bodywork_argo.kube import KubeCluster, connect
from e2e.support.cluster import await_state
from e2e.support.spaces import Space, binding, role


def as_administrator(space: Space) -> KubeCluster:
    """Connect as who made the namespace."""
    return connect(kubeconfig=str(space.cluster.kubeconfig), context=None, namespace=space.name)


def as_account(space: Space, account: str, folder: Path) -> KubeCluster:
    """Connect with the token of an account of the namespace."""
    return connect(
        kubeconfig=str(kubeconfig_of(space, account, folder)), context=None, namespace=None
    )


def kubeconfig_of(space: Space, account: str, folder: Path) -> Path:
    """Write a kubeconfig with an account's token, for its namespace."""
    document = yaml.safe_load(space.cluster.kubeconfig.read_text(encoding="utf-8"))
    document["users"] = [
        {**user, "user": {"token": space.token(account)}} for user in document["users"]
    ]
    for context in document["contexts"]:
        context["context"]["namespace"] = space.name
    path = folder / f"{space.name}-{account}.kubeconfig"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    path.chmod(0o600)
    return path


def make_account(space: Space, name: str, rules: Iterable[dict[str, Any]]) -> None:
    """Make an account of the namespace with a Role of these rules."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    space.create(account)
    space.create(role(name, list(rules)))
    space.create(binding(name, {"kind": "ServiceAccount", "name": name, "namespace": space.name}))


def await_right(cluster: KubeCluster, verb: str, group: str, resource: str) -> None:
    """Wait until the server acts on a Role that was just bound."""
    await_state(
        lambda: cluster.may(verb, group, resource),
        bool,
        f"the right to {verb} {resource}",
        patience=20,
    )
