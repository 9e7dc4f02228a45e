"""Keeping secrets, and copying groups of them, takes exactly the rights that `setup` prints for it.

The commands run under accounts to which one printed role is bound. With all of it they work and use
every right of it; without any one of its rights, something fails and names it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo.access import (
    GROUPS_MANAGER,
    GROUPS_READER,
    SECRETS_ROLE,
    Role,
    secret_roles,
)
from bodywork_argo.cli import main
from bodywork_argo.cluster import SECRET
from bodywork_argo.errors import Forbidden
from bodywork_argo.plan import Plan
from bodywork_argo.secret_groups import sync_group
from bodywork_argo.spec import SecretRef
from e2e.support.between import between
from e2e.support.identities import (
    as_account,
    as_administrator,
    await_right,
    kubeconfig_of,
    make_account,
)
from e2e.support.leaks import planted
from e2e.support.recording import RecordingCluster, Right
from e2e.support.spaces import Space
from tests.projects import batch, plan_of

pytestmark = pytest.mark.smoke

ROLES = {role.name: role for role in secret_roles("runs", "groups")}


def rights(role: Role) -> set[Right]:
    return {
        (grant.group, resource, verb)
        for grant in role.grants
        for resource, verb in product(grant.resources, grant.verbs)
    }


RIGHTS = sorted(rights(ROLES[GROUPS_MANAGER]))


def bind(space: Space, name: str, held: set[Right]) -> None:
    """Make an account that has these rights."""
    rules: list[dict[str, Any]] = [
        {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        for group, resource, verb in sorted(held)
    ]
    make_account(space, name, rules)


def bound(space: Space, name: str, held: set[Right], folder: Path) -> Path:
    """Return the kubeconfig of a new account, when the server knows its rights."""
    bind(space, name, held)
    account = as_account(space, name, folder)
    for group, resource, verb in held:
        await_right(account, verb, group, resource)
    return kubeconfig_of(space, name, folder)


# --- secret create, list and delete ---------------------------------------------------------------


def keep(kubeconfig: Path, space: Space, folder: Path) -> list[int]:
    """Make, change, list and delete secrets of a group; return how each command ended."""
    values = folder / "values.env"
    values.write_text(f"USER={planted()}\n")
    there = ("--group", "prod", "--secrets-namespace", space.name, "--kubeconfig", str(kubeconfig))
    make = ("secret", "create", "db", "--from-env-file", str(values), *there)
    return [
        main(make),
        main([*make, "--replace"]),
        main(["secret", "list", *there]),
        main(["secret", "delete", "db", "--yes", *there]),
        main(["secret", "delete", "--yes", *there]),
    ]


def test_keeping_a_group_takes_exactly_the_managers_rights(
    namespace: Space, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    role = ROLES[GROUPS_MANAGER]
    kubeconfig = bound(namespace, "manager", rights(role), tmp_path)
    as_administrator(namespace).create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "prod-other", "labels": {"group": "prod"}},
        }
    )

    with between(kubeconfig, tmp_path) as way:
        codes = keep(way.kubeconfig, namespace, tmp_path)

    assert codes == [0, 0, 0, 0, 0], capfd.readouterr().err
    assert way.used == rights(role)


@pytest.mark.parametrize("missing", RIGHTS, ids=lambda right: right[2])
def test_without_one_of_the_managers_rights_a_command_fails_and_names_it(
    namespace: Space, tmp_path: Path, capfd: pytest.CaptureFixture[str], missing: Right
) -> None:
    kubeconfig = bound(namespace, "poor", set(RIGHTS) - {missing}, tmp_path)

    codes = keep(kubeconfig, namespace, tmp_path)

    assert 4 in codes
    assert f"poor may not {missing[2]} secrets" in capfd.readouterr().err


# --- Copies of a group ----------------------------------------------------------------------------


@pytest.fixture
def groups(make_namespace: Callable[..., Space]) -> Space:
    """Where groups are kept."""
    return make_namespace()


def plan(*names: str) -> Plan:
    secrets = tuple(SecretRef(variable="KEY", secret=name) for name in names)
    return plan_of("load", batch("load", secrets=secrets))


def put(groups: Space, *names: str) -> None:
    """Make secrets of the group, or give them another value."""
    source = as_administrator(groups)
    for name in names:
        metadata = {"name": f"prod-{name}", "labels": {"group": "prod"}}
        document = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        source.delete(SECRET, f"prod-{name}")
        source.create({**document, "stringData": {"KEY": planted()}})


def live(groups: Space, source: RecordingCluster, target: RecordingCluster) -> None:
    """Let the copies of a group be made, refreshed, given up and removed."""
    put(groups, "one", "two")
    first = sync_group("prod", plan("one", "two"), source=source, target=target)
    put(groups, "one")
    second = sync_group("prod", plan("one"), source=source, target=target)
    as_administrator(groups).delete(SECRET, "prod-one")
    third = sync_group("prod", plan("two"), source=source, target=target)

    assert (first.created, second.updated, second.pruned) == (("one", "two"), ("one",), ("two",))
    assert (third.created, third.pruned) == (("two",), ("one",))


def test_copying_a_group_takes_exactly_the_rights_of_both_roles(
    namespace: Space, groups: Space, tmp_path: Path
) -> None:
    reader, keeper = rights(ROLES[GROUPS_READER]), rights(ROLES[SECRETS_ROLE])
    bound(groups, "reader", reader, tmp_path)
    bound(namespace, "keeper", keeper, tmp_path)
    source = RecordingCluster(as_account(groups, "reader", tmp_path))
    target = RecordingCluster(as_account(namespace, "keeper", tmp_path))

    live(groups, source, target)

    assert source.used == reader
    assert target.used == keeper


@pytest.mark.parametrize("missing", sorted(rights(ROLES[SECRETS_ROLE])), ids=lambda right: right[2])
def test_without_one_of_the_rights_where_runs_are_copying_is_forbidden(
    namespace: Space, groups: Space, tmp_path: Path, missing: Right
) -> None:
    bound(namespace, "poor", rights(ROLES[SECRETS_ROLE]) - {missing}, tmp_path)
    source = RecordingCluster(as_administrator(groups))
    target = RecordingCluster(as_account(namespace, "poor", tmp_path))

    with pytest.raises(Forbidden, match=f"may not {missing[2]} secrets"):
        live(groups, source, target)


def test_without_the_right_to_read_the_group_copying_is_forbidden(
    namespace: Space, groups: Space, tmp_path: Path
) -> None:
    bound(groups, "poor", set(), tmp_path)
    source = RecordingCluster(as_account(groups, "poor", tmp_path))
    target = RecordingCluster(as_administrator(namespace))

    with pytest.raises(Forbidden, match="may not get secrets"):
        live(groups, source, target)
