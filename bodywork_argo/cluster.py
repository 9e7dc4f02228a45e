"""The port to a Kubernetes cluster. `kube.py` implements it, `MemoryCluster` obeys it in tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from bodywork_argo.manifests import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of object as the API addresses it, such as ``apps/v1`` ``Deployment``.

    >>> RESOURCE = Resource(api_version="networking.k8s.io/v1", kind="Ingress")
    >>> RESOURCE.group, RESOURCE.plural
    ('networking.k8s.io', 'ingresses')
    """

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        """The API group; "" is the core."""
        group, slash, _ = self.api_version.partition("/")
        return group if slash else ""

    @property
    def plural(self) -> str:
        """The name in addresses and roles, by English's own rules."""
        name = self.kind.lower()
        if name.endswith(("s", "x", "ch", "sh")):
            return f"{name}es"
        return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


NAMESPACE = Resource(api_version="v1", kind="Namespace")
POD = Resource(api_version="v1", kind="Pod")
SECRET = Resource(api_version="v1", kind="Secret")
SERVICE_ACCOUNT = Resource(api_version="v1", kind="ServiceAccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One event of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Manifest


class Cluster(Protocol):
    """What the core asks of a cluster; calls without a namespace of their own are for `namespace`.

    Reads are tried again while the failure may pass; so are writes that may be repeated.

    Raises:
        Unreachable: no answer, also after retries.
        Forbidden: the message names verb, resource and namespace.
        EngineError: refused for another reason, which the message tells.
    """

    namespace: str
    server: str
    """Address of the API, for people to read."""

    def within(self, namespace: str) -> Cluster:
        """Return the same connection for another namespace."""
        ...

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create an object and return what the server stored. Raises AlreadyExists."""
        ...

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create or update by server-side apply; return what the server stored."""
        ...

    def patch(self, resource: Resource, name: str, changes: Manifest) -> Manifest | None:
        """Merge changes (RFC 7386) into an object; return it, or None when there is none.

        With a ``metadata.resourceVersion`` among the changes only that state of it is changed.
        Raises Changed when it is in another.
        """
        ...

    def get(self, resource: Resource, name: str, *, metadata_only: bool = False) -> Manifest | None:
        """Return the object, or None when there is none.

        With `metadata_only` the server sends nothing else: no spec, no status, no secret's value.
        """
        ...

    def list(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        *,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> tuple[Manifest, ...]:
        """Return the objects that carry all these labels and have these fields, page by page."""
        ...

    def delete(self, resource: Resource, name: str, *, only: Manifest | None = None) -> bool:
        """Delete with its dependents; return whether that was done.

        With `only`, an object as it was read, nothing else of that name is deleted, nor the same
        one when it has changed meanwhile: then the answer is False, as when there is none.
        """
        ...

    def watch(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        timeout_seconds: float,
        *,
        fields: Mapping[str, str] | None = None,
    ) -> Iterator[Change]:
        """Yield what is there as ADDED and then each change, until the time is over.

        Across lost connections and restarts of the server: an object that changed meanwhile
        comes as MODIFIED, one that went as DELETED.
        """
        ...

    def logs(self, pod: str, container: str, *, follow: bool = False) -> Iterator[bytes]:
        """Yield a container's output as it was written, in pieces of any size.

        With `follow` until the container has ended, across lost connections, each byte once.
        Raises EngineError when there is no such pod or the container has not started.
        """
        ...

    def last_lines(
        self, pod: str, container: str, count: int, *, previous: bool = False
    ) -> tuple[str, ...]:
        """Return the end of a container's output, or of its `previous` start; nothing if none."""
        ...

    def serves(self, resource: Resource) -> bool:
        """Return whether the API has this kind of object."""
        ...

    def schema(self, resource: Resource) -> Manifest | None:
        """Return the OpenAPI schema of a kind's objects as the server publishes it, if it does."""
        ...

    def may(self, verb: str, group: str, resource: str) -> bool:
        """Return whether who we are may do this in `namespace`.

        `resource` is a plural, with a sub-resource after a slash, such as ``pods/log``.
        """
        ...

    def who(self) -> str:
        """Return the name by which the cluster knows us; "" when it does not tell."""
        ...

    def version(self) -> str:
        """Return the version of Kubernetes, such as ``v1.35.4``."""
        ...


ClusterFactory: TypeAlias = Callable[[], Cluster]
"""Connects on the first call; backends that need no cluster never call it."""
