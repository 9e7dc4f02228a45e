"""Each right of each role is needed, and none is missing.

The tables say what the product does under each role. Every operation works with the whole role; for
every right, one operation is forbidden without it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo.access import (
    EXECUTOR_ACCOUNT,
    EXECUTOR_TOKEN,
    GROUPS_MANAGER,
    GROUPS_READER,
    RELEASE_ACCOUNT,
    SECRETS_ROLE,
    SUBMITTER,
    Role,
    access_manifests,
    roles,
    secret_roles,
)
from bodywork_argo.cluster import Resource
from bodywork_argo.errors import Forbidden
from bodywork_argo.kube import KubeCluster
from bodywork_argo.manifests import Manifest
from bodywork_argo.provision import provision
from bodywork_argo_adapters.argo.needs import API_VERSION, ARGO_NEEDS
from e2e.support.cluster import Cluster as Administration
from e2e.support.identities import as_account, as_administrator, await_right, make_account
from e2e.support.pods import container, pod
from e2e.support.spaces import Space, make_space

pytestmark = pytest.mark.smoke

WORKFLOW = Resource(api_version=API_VERSION, kind="Workflow")
CRON_WORKFLOW = Resource(api_version=API_VERSION, kind="CronWorkflow")
POD = Resource(api_version="v1", kind="Pod")
EVENT = Resource(api_version="v1", kind="Event")
SECRET = Resource(api_version="v1", kind="Secret")
ACCOUNT = Resource(api_version="v1", kind="ServiceAccount")
SERVICE = Resource(api_version="v1", kind="Service")
DEPLOYMENT = Resource(api_version="apps/v1", kind="Deployment")
CONFIG_MAP = Resource(api_version="v1", kind="ConfigMap")
INGRESS = Resource(api_version="networking.k8s.io/v1", kind="Ingress")
LEASE = Resource(api_version="coordination.k8s.io/v1", kind="Lease")
LABELS = {"app": "rights"}
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
NEVER_STARTED = {
    "suspend": True,
    "entrypoint": "main",
    "templates": [{"name": "main", "container": container(["true"])}],
}
SPECS: dict[Resource, Manifest] = {
    WORKFLOW: NEVER_STARTED,
    CRON_WORKFLOW: {
        "suspend": True,
        "schedules": ["0 3 * * *"],
        "workflowSpec": NEVER_STARTED,
    },
    DEPLOYMENT: {
        "replicas": 0,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "main", **container(["true"])}]},
        },
    },
    SERVICE: {"selector": LABELS, "ports": [{"port": 80}]},
    INGRESS: {"defaultBackend": BACKEND},
    LEASE: {"holderIdentity": "somebody", "leaseDurationSeconds": 60},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A namespace in which a pod has spoken, seen by its administrator."""

    space: Space
    administrator: KubeCluster

    def there(self, resource: Resource) -> str:
        """Make an object and return its name."""
        made = self.administrator.create(new(resource))
        return str(made["metadata"]["name"])


Act = Callable[[KubeCluster, Bench], object]
Right = tuple[str, str]
"""Resource and verb."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that the product does, and the rights that it takes."""

    name: str
    rights: tuple[Right, ...]
    act: Act


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


def new(resource: Resource) -> Manifest:
    document: Manifest = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": unique("thing"), "labels": LABELS},
    }
    return {**document, "spec": SPECS[resource]} if resource in SPECS else document


def operation(name: str, act: Act, *verbs: str, of: str) -> Operation:
    return Operation(name=name, rights=tuple((of, verb) for verb in verbs), act=act)


def making(resource: Resource) -> Operation:
    """Apply an object that is not there yet: the server asks for two rights."""
    act: Act = lambda cluster, bench: cluster.apply(new(resource))  # noqa: E731
    return operation(f"make {resource.plural}", act, "create", "patch", of=resource.plural)


def creating(resource: Resource) -> Operation:
    act: Act = lambda cluster, bench: cluster.create(new(resource))  # noqa: E731
    return operation(f"create {resource.plural}", act, "create", of=resource.plural)


def changing(resource: Resource) -> Operation:
    def act(cluster: KubeCluster, bench: Bench) -> object:
        changes = {"metadata": {"annotations": {"changed": "yes"}}}
        return cluster.patch(resource, bench.there(resource), changes)

    return operation(f"change {resource.plural}", act, "patch", of=resource.plural)


def reading(resource: Resource) -> Operation:
    act: Act = lambda cluster, bench: cluster.get(resource, bench.there(resource))  # noqa: E731
    return operation(f"read {resource.plural}", act, "get", of=resource.plural)


def listing(resource: Resource) -> Operation:
    act: Act = lambda cluster, bench: cluster.list(resource, LABELS)  # noqa: E731
    return operation(f"list {resource.plural}", act, "list", of=resource.plural)


def watching(resource: Resource) -> Operation:
    """Look for what is there, and then for a change."""

    def act(cluster: KubeCluster, bench: Bench) -> object:
        return list(cluster.watch(resource, LABELS, 0.5))

    return operation(f"watch {resource.plural}", act, "list", "watch", of=resource.plural)


def deleting(resource: Resource) -> Operation:
    act: Act = lambda cluster, bench: cluster.delete(resource, bench.there(resource))  # noqa: E731
    return operation(f"delete {resource.plural}", act, "delete", of=resource.plural)


READ_A_LOG = Operation(
    name="read a log",
    rights=(("pods", "get"), ("pods/log", "get")),
    act=lambda cluster, bench: list(cluster.logs("speaker", "main")),
)
OPERATIONS = {
    SUBMITTER: (
        creating(WORKFLOW),
        reading(WORKFLOW),
        listing(WORKFLOW),
        watching(WORKFLOW),
        changing(WORKFLOW),
        deleting(WORKFLOW),
        making(CRON_WORKFLOW),
        changing(CRON_WORKFLOW),
        reading(CRON_WORKFLOW),
        listing(CRON_WORKFLOW),
        deleting(CRON_WORKFLOW),
        listing(POD),
        watching(POD),
        READ_A_LOG,
        operation(
            "look for the executor's account",
            lambda cluster, bench: cluster.get(ACCOUNT, EXECUTOR_ACCOUNT, metadata_only=True),
            "get",
            of="serviceaccounts",
        ),
        operation(
            "look for the executor's token",
            lambda cluster, bench: cluster.get(SECRET, EXECUTOR_TOKEN, metadata_only=True),
            "get",
            of="secrets",
        ),
    ),
    RELEASE_ACCOUNT: (
        making(DEPLOYMENT),
        changing(DEPLOYMENT),
        reading(DEPLOYMENT),
        listing(DEPLOYMENT),
        deleting(DEPLOYMENT),
        creating(CONFIG_MAP),
        listing(CONFIG_MAP),
        changing(CONFIG_MAP),
        deleting(CONFIG_MAP),
        *(
            make(resource)
            for resource in (SERVICE, INGRESS)
            for make in (making, changing, reading, listing, deleting)
        ),
        creating(LEASE),
        reading(LEASE),
        changing(LEASE),
        deleting(LEASE),
        listing(POD),
        listing(EVENT),
        operation(
            "read the end of a log",
            lambda cluster, bench: cluster.last_lines("speaker", "main", 1),
            "get",
            of="pods/log",
        ),
    ),
    SECRETS_ROLE: (
        creating(SECRET),
        reading(SECRET),
        listing(SECRET),
        changing(SECRET),
        deleting(SECRET),
    ),
    GROUPS_READER: (reading(SECRET),),
    GROUPS_MANAGER: (
        creating(SECRET),
        reading(SECRET),
        listing(SECRET),
        changing(SECRET),
        deleting(SECRET),
    ),
}
ROLES = {
    each.name: each for each in (*roles("rights", [ARGO_NEEDS]), *secret_roles("rights", "rights"))
}
RIGHTS = [
    (name, resource, verb)
    for name in OPERATIONS
    for grant in ROLES[name].grants
    for resource, verb in product(grant.resources, grant.verbs)
]


@pytest.fixture(scope="module")
def bench(cluster: Administration) -> Iterator[Bench]:
    """One namespace for all; each test has objects and accounts of its own in it."""
    space = make_space(cluster)
    administrator = as_administrator(space)
    list(provision(administrator, access_manifests(space.name, [ARGO_NEEDS])))
    space.create(pod("speaker", ["echo", "spoken"]))
    space.finished_pod("speaker")
    yield Bench(space=space, administrator=administrator)
    cluster.core.delete_namespace(space.name, propagation_policy="Background")


@pytest.mark.parametrize(
    ("name", "operation"),
    [(name, each) for name, table in OPERATIONS.items() for each in table],
    ids=lambda value: value.name if isinstance(value, Operation) else value,
)
def test_every_operation_works_with_the_role_as_it_is(
    bench: Bench, tmp_path: Path, name: str, operation: Operation
) -> None:
    account = name if name in (SUBMITTER, RELEASE_ACCOUNT) else bound_alone(bench, ROLES[name])
    cluster = as_account(bench.space, account, tmp_path)
    grant = ROLES[name].grants[0]
    await_right(cluster, grant.verbs[0], grant.group, grant.resources[0])

    assert operation.act(cluster, bench) is not None


@pytest.mark.parametrize(("name", "resource", "verb"), RIGHTS)
def test_without_a_right_an_operation_is_forbidden(
    bench: Bench, tmp_path: Path, name: str, resource: str, verb: str
) -> None:
    needing = [each for each in OPERATIONS[name] if (resource, verb) in each.rights]
    assert needing, "no operation needs this right: take it from the role"
    account = unique("poor")
    rules = rules_without(ROLES[name], resource, verb)
    make_account(bench.space, account, rules)
    cluster = as_account(bench.space, account, tmp_path)
    for kept in rules[:1]:
        await_right(cluster, kept["verbs"][0], kept["apiGroups"][0], kept["resources"][0])

    for each in needing:
        with pytest.raises(Forbidden):
            each.act(cluster, bench)


def bound_alone(bench: Bench, role: Role) -> str:
    """Make an account with a role that the product binds beside another one."""
    account = unique("alone")
    make_account(bench.space, account, rules_without(role, "", ""))
    return account


def rules_without(role: Role, resource: str, verb: str) -> list[dict[str, Any]]:
    """Write a role's rules but for one right."""
    return [
        {"apiGroups": [grant.group], "resources": [each], "verbs": [kept]}
        for grant in role.grants
        for each, kept in product(grant.resources, grant.verbs)
        if (each, kept) != (resource, verb)
    ]
