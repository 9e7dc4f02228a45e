"""Requests to the API as data, apart from sending them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

from bodywork_argo.cluster import Resource
from bodywork_argo.manifests import Manifest

FIELD_MANAGER = "bodywork-argo"
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_METHODS = {"create": "POST", "patch": "PATCH", "delete": "DELETE"}
_CLUSTER_WIDE = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("authentication.k8s.io", "SelfSubjectReview"),
        ("authorization.k8s.io", "SelfSubjectAccessReview"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("networking.k8s.io", "IngressClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
    }
)
"""Kinds without a namespace that the core meets. The API tells it, too, for one more request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, and in the words of a role what it is for."""

    verb: str
    """get, list, watch, create, patch or delete."""
    resource: str
    """The plural, or for what is no resource its address."""
    path: str
    namespace: str = ""
    """ "" for the whole cluster."""
    name: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Manifest | None = None
    content_type: str = JSON
    accept: str = JSON
    repeatable: bool = True
    """Whether it may be sent again when nobody knows if it arrived."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        return _METHODS.get(self.verb, "GET")

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def secret(self) -> bool:
        """Whether the server's words about it could repeat a secret's value."""
        return self.resource == "secrets"

    @property
    def words(self) -> str:
        """What it is for, as in ``get pods train-1 in namespace ml``."""
        named = f"{self.verb} {self.resource} {self.name}".rstrip()
        return f"{named} in namespace {self.namespace}" if self.namespace else named

    def asking(self, **query: str) -> Request:
        """Return the same request with further parameters."""
        return replace(self, query={**self.query, **query})


def root(resource: Resource) -> str:
    """Return the address of an API group and version."""
    return f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.api_version}"


def to_collection(verb: str, resource: Resource, namespace: str) -> Request:
    """Return a request to all objects of a kind."""
    wide = (resource.group, resource.kind) in _CLUSTER_WIDE
    place = "" if wide else f"/namespaces/{quote(namespace, safe='')}"
    return Request(
        verb=verb,
        resource=resource.plural,
        namespace="" if wide else namespace,
        path=f"{root(resource)}{place}/{resource.plural}",
    )


def to_object(verb: str, resource: Resource, namespace: str, name: str) -> Request:
    """Return a request to one object."""
    request = to_collection(verb, resource, namespace)
    return replace(request, name=name, path=f"{request.path}/{quote(name, safe='')}")


def selectors(labels: Mapping[str, str], fields: Mapping[str, str] | None) -> dict[str, str]:
    """Return the parameters that select by labels and fields, all of them."""
    chosen = {
        "labelSelector": ",".join(f"{key}={value}" for key, value in labels.items()),
        "fieldSelector": ",".join(f"{key}={_escaped(v)}" for key, v in (fields or {}).items()),
    }
    return {key: value for key, value in chosen.items() if value}


def _escaped(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)
