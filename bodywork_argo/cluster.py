"""The port to a Kubernetes cluster. `kube.py` implements it; tests use a fake that obeys it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from bodywork_argo.manifests import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of object as the API addresses it, such as ``apps/v1`` ``Deployment``."""

    api_version: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One event of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Manifest


class Cluster(Protocol):
    """What the core asks of a cluster; all calls are for one namespace.

    Raises:
        EngineError: unreachable, or refused; the message says what may be missing.
    """

    namespace: str

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create or update by server-side apply; return what the server stored."""
        ...

    def get(self, resource: Resource, name: str) -> Manifest | None:
        """Return the object, or None when there is none."""
        ...

    def list(self, resource: Resource, labels: Mapping[str, str]) -> tuple[Manifest, ...]:
        """Return the objects that carry all these labels."""
        ...

    def delete(self, resource: Resource, name: str) -> bool:
        """Delete with its dependents; return whether it was there."""
        ...

    def watch(
        self, resource: Resource, labels: Mapping[str, str], timeout_seconds: float
    ) -> Iterator[Change]:
        """Yield changes from now on, across reconnections, until the time is over."""
        ...

    def logs(self, pod: str, container: str, *, follow: bool = False) -> Iterator[bytes]:
        """Yield a container's output as it was written, in pieces of any size."""
        ...


ClusterFactory: TypeAlias = Callable[[], Cluster]
"""Connects on the first call; backends that need no cluster never call it."""
