"""What runs need from a namespace: accounts, and roles with the least that serves.

There are four accounts, so that what needs no right has none:

- ``bodywork-argo-stage``, under which the code of stages and services runs: no rights, no token;
- ``bodywork-argo-executor``, for the engine's own container beside a stage;
- ``bodywork-argo-release``, for the task of a run that rolls out services;
- ``bodywork-argo-submitter``, for what starts runs without a person; its role is for people, too.

All roles are of one namespace. None has a wildcard, and none names an object of the whole cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bodywork_argo.errors import UsageError
from bodywork_argo.manifests import Manifest
from bodywork_argo.names import MANAGED_BY, MANAGED_BY_LABEL, dns_label

STAGE_ACCOUNT = "bodywork-argo-stage"
EXECUTOR_ACCOUNT = "bodywork-argo-executor"
EXECUTOR_TOKEN = f"{EXECUTOR_ACCOUNT}.service-account-token"
"""The Secret that Argo looks for when its executor has an account of its own."""
RELEASE_ACCOUNT = "bodywork-argo-release"
SUBMITTER = "bodywork-argo-submitter"
"""The account, and the Role that is bound to it and to people."""
SECRETS_ROLE = "bodywork-argo-secrets"
GROUPS_READER = "bodywork-argo-secret-groups-reader"
GROUPS_MANAGER = "bodywork-argo-secret-groups-manager"
SECRETS_NAMESPACE = "bodywork-deployment-jobs"
"""Where groups of secrets are kept, as Bodywork has it, unless somebody says otherwise."""

COMPONENT = "app.kubernetes.io/component"
"""The label that tells which part of the whole an object belongs to."""
COMPONENTS = ("stage", "executor", "release", "submitter", "secrets")
"""The parts, in the order in which they are printed."""

_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Verbs on resources of one API group, as a rule of a Role has them; never a wildcard."""

    group: str
    """ "" is the core."""
    resources: tuple[str, ...]
    """Plurals; sub-resources as ``pods/log``."""
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What an engine needs beside what every run on a cluster needs."""

    kinds: tuple[tuple[str, str], ...]
    """API version and kind of the objects that it has to serve."""
    submitter: tuple[Grant, ...]
    """For whoever submits, follows, stops and deletes runs."""
    executor: tuple[Grant, ...] = ()
    """For the engine's own part in each pod; none where it has no part there."""
    without_executor: str = ""
    """What runs lack where the executor has no account of its own, for people. "" says that its
    part takes the account of the stages, which then hold a token of the API."""
    schedules: tuple[Grant, ...] = ()
    """For whoever keeps schedules, also a submitter; none where the engine has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Somebody to whom a role is bound."""

    kind: Literal["User", "Group", "ServiceAccount"]
    name: str
    namespace: str = ""
    """Of a service account; users and groups have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A Role and the RoleBinding that goes with it."""

    name: str
    namespace: str
    component: str
    grants: tuple[Grant, ...]
    subjects: tuple[Subject, ...]
    binding: str = ""
    """Name of the RoleBinding; "" is the role's own."""


SUBMITTER_GRANTS = (
    Grant(group="", resources=("pods",), verbs=("get", "list", "watch")),
    Grant(group="", resources=("pods/log",), verbs=("get",)),
    Grant(group="", resources=("secrets", "serviceaccounts"), verbs=("get",)),
)
"""What following a run takes on every engine, and looking first whether it can start."""

RELEASE_GRANTS = (
    Grant(
        group="apps",
        resources=("deployments",),
        verbs=("get", "list", "create", "patch", "delete"),
    ),
    Grant(group="", resources=("configmaps",), verbs=("list", "create", "patch", "delete")),
    Grant(group="", resources=("services",), verbs=("get", "list", "create", "patch", "delete")),
    Grant(
        group="networking.k8s.io",
        resources=("ingresses",),
        verbs=("get", "list", "create", "patch", "delete"),
    ),
    Grant(group="", resources=("pods",), verbs=("list",)),
    Grant(group="", resources=("pods/log",), verbs=("get",)),
    Grant(group="", resources=("events",), verbs=("list",)),
    Grant(
        group="coordination.k8s.io",
        resources=("leases",),
        verbs=("get", "create", "patch", "delete"),
    ),
)
"""What rolling out services, watching them and going back takes."""

SECRETS_GRANTS = (
    Grant(group="", resources=("secrets",), verbs=("get", "list", "create", "patch", "delete")),
)
"""What keeping a group's secrets, and their copies where runs find them, takes."""

GROUPS_READER_GRANTS = (Grant(group="", resources=("secrets",), verbs=("get",)),)
"""What copying the secrets of a group takes where they are kept."""


def parse_subject(text: str) -> Subject:
    """Return the subject that ``User:NAME``, ``Group:NAME`` or ``ServiceAccount:NS:NAME`` means.

    Names of users and groups may have colons. Raises UsageError.

    >>> parse_subject("Group:data-science").name
    'data-science'
    >>> parse_subject("ServiceAccount:ci:runner").namespace
    'ci'
    """
    kind, _, name = text.partition(":")
    if kind == "User" and name:
        return Subject(kind="User", name=name)
    if kind == "Group" and name:
        return Subject(kind="Group", name=name)
    namespace, _, account = name.partition(":")
    if kind == "ServiceAccount" and namespace and account:
        return Subject(kind="ServiceAccount", name=account, namespace=namespace)
    raise UsageError(
        f"{text!r} names nobody; write User:NAME, Group:NAME or ServiceAccount:NAMESPACE:NAME"
    )


def access_manifests(
    namespace: str,
    needs: Sequence[Needs],
    *,
    subjects: Sequence[Subject] = (),
    secret_groups: bool = False,
    secrets_namespace: str = SECRETS_NAMESPACE,
    create_namespace: bool = False,
) -> tuple[Manifest, ...]:
    """Return accounts and roles of `namespace` for these engines, in the order to apply them.

    `subjects` may do what the submitter account may; with `secret_groups` also what groups of
    secrets in `secrets_namespace` take, and only they may change the groups there. Applying them
    for another namespace that shares `secrets_namespace` takes nothing away from this one.
    """
    needs_executor = any(need.executor for need in needs)
    bound = roles(namespace, needs, subjects=subjects)
    spaces = [namespace]
    if secret_groups:
        bound += secret_roles(namespace, secrets_namespace, subjects)
        spaces += [secrets_namespace] if secrets_namespace != namespace else []
    documents = [_namespace(name) for name in spaces] if create_namespace else []
    documents.append(_account(namespace, STAGE_ACCOUNT, "stage", automount=False))
    if needs_executor:
        documents.append(_account(namespace, EXECUTOR_ACCOUNT, "executor", automount=False))
        documents.append(_executor_token(namespace))
    documents.append(_account(namespace, RELEASE_ACCOUNT, "release"))
    documents.append(_account(namespace, SUBMITTER, "submitter"))
    for role in bound:
        documents += [_role(role), _binding(role)]
    return tuple(sorted(documents, key=_place))


def roles(
    namespace: str, needs: Sequence[Needs], *, subjects: Sequence[Subject] = ()
) -> tuple[Role, ...]:
    """Return the roles that runs of these engines need in `namespace`."""
    executor = [grant for need in needs for grant in need.executor]
    submitter = [grant for need in needs for grant in (*need.submitter, *need.schedules)]
    found = (
        _role_of(EXECUTOR_ACCOUNT, namespace, executor),
        _role_of(RELEASE_ACCOUNT, namespace, RELEASE_GRANTS),
        _role_of(SUBMITTER, namespace, (*submitter, *SUBMITTER_GRANTS), subjects),
    )
    return tuple(role for role in found if role.grants)


def _role_of(
    account: str, namespace: str, grants: Iterable[Grant], others: Sequence[Subject] = ()
) -> Role:
    """Return the role of an account, bound to `others` as well; each grant stands there once."""
    return Role(
        name=account,
        namespace=namespace,
        component=account.removeprefix("bodywork-argo-"),
        grants=tuple(dict.fromkeys(grants)),
        subjects=(Subject(kind="ServiceAccount", name=account, namespace=namespace), *others),
    )


def secret_roles(
    namespace: str, secrets_namespace: str, subjects: Sequence[Subject] = ()
) -> tuple[Role, ...]:
    """Return the roles for copying groups of secrets to `namespace`, and for keeping them."""
    submitter = Subject(kind="ServiceAccount", name=SUBMITTER, namespace=namespace)
    return (
        Role(
            name=SECRETS_ROLE,
            namespace=namespace,
            component="secrets",
            grants=SECRETS_GRANTS,
            subjects=(submitter, *subjects),
        ),
        Role(
            name=GROUPS_READER,
            namespace=secrets_namespace,
            component="secrets",
            grants=GROUPS_READER_GRANTS,
            subjects=(submitter, *subjects),
            binding=_binding_name(GROUPS_READER, namespace),
        ),
        Role(
            name=GROUPS_MANAGER,
            namespace=secrets_namespace,
            component="secrets",
            grants=SECRETS_GRANTS,
            subjects=tuple(subjects),
            binding=_binding_name(GROUPS_MANAGER, namespace),
        ),
    )


def _binding_name(role: str, namespace: str) -> str:
    """Return a name of its own for each namespace: a binding has one list of subjects."""
    return dns_label(f"{role}-{namespace}", limit=253)


def _place(document: Manifest) -> int:
    """Keep together what belongs together; namespaces, which belong to no component, come first."""
    component = document["metadata"]["labels"].get(COMPONENT)
    return COMPONENTS.index(component) if component else -1


def _metadata(name: str, component: str, namespace: str) -> Manifest:
    labels = {MANAGED_BY_LABEL: MANAGED_BY, COMPONENT: component}
    return {"name": name, "namespace": namespace, "labels": labels}


def _namespace(name: str) -> Manifest:
    labels = {MANAGED_BY_LABEL: MANAGED_BY}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _account(
    namespace: str, name: str, component: str, *, automount: bool | None = None
) -> Manifest:
    document: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(name, component, namespace),
    }
    return (
        document if automount is None else {**document, "automountServiceAccountToken": automount}
    )


def _executor_token(namespace: str) -> Manifest:
    """Return the Secret that Kubernetes fills with a token; nothing secret is in the document."""
    metadata = _metadata(EXECUTOR_TOKEN, "executor", namespace)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            **metadata,
            "annotations": {"kubernetes.io/service-account.name": EXECUTOR_ACCOUNT},
        },
        "type": "kubernetes.io/service-account-token",
    }


def _role(role: Role) -> Manifest:
    rules = [
        {
            "apiGroups": [grant.group],
            "resources": list(grant.resources),
            "verbs": list(grant.verbs),
        }
        for grant in role.grants
    ]
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": _metadata(role.name, role.component, role.namespace),
        "rules": rules,
    }


def _binding(role: Role) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(role.binding or role.name, role.component, role.namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": role.name},
        "subjects": [_subject(subject) for subject in role.subjects],
    }


def _subject(subject: Subject) -> Manifest:
    if subject.kind == "ServiceAccount":
        return {"kind": subject.kind, "name": subject.name, "namespace": subject.namespace}
    return {"apiGroup": _RBAC, "kind": subject.kind, "name": subject.name}
