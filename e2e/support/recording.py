"""A cluster that notes which rights are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bodywork_argo.cluster import Change, Cluster, Resource
from bodywork_argo.manifests import Manifest

Right = tuple[str, str, str]
"""API group, resource and verb."""


class RecordingCluster:
    """Passes every call on; `used` has the rights that they took."""

    def __init__(self, cluster: Cluster, used: set[Right] | None = None) -> None:
        self.namespace = cluster.namespace
        self.server = cluster.server
        self.used: set[Right] = set() if used is None else used
        self._cluster = cluster

    def within(self, namespace: str) -> RecordingCluster:
        return RecordingCluster(self._cluster.within(namespace), self.used)

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        self._note(_resource(manifest), "create")
        return self._cluster.create(manifest, dry_run=dry_run)

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        self._note(_resource(manifest), "create", "patch")
        return self._cluster.apply(manifest, dry_run=dry_run)

    def patch(self, resource: Resource, name: str, changes: Manifest) -> Manifest | None:
        self._note(resource, "patch")
        return self._cluster.patch(resource, name, changes)

    def get(self, resource: Resource, name: str, *, metadata_only: bool = False) -> Manifest | None:
        self._note(resource, "get")
        return self._cluster.get(resource, name, metadata_only=metadata_only)

    def list(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        *,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> tuple[Manifest, ...]:
        self._note(resource, "list")
        return self._cluster.list(resource, labels, fields=fields, metadata_only=metadata_only)

    def delete(self, resource: Resource, name: str, *, only: Manifest | None = None) -> bool:
        self._note(resource, "delete")
        return self._cluster.delete(resource, name, only=only)

    def watch(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        timeout_seconds: float,
        *,
        fields: Mapping[str, str] | None = None,
    ) -> Iterator[Change]:
        self._note(resource, "list", "watch")
        return self._cluster.watch(resource, labels, timeout_seconds, fields=fields)

    def logs(self, pod: str, container: str, *, follow: bool = False) -> Iterator[bytes]:
        self.used |= {("", "pods", "get"), ("", "pods/log", "get")}
        return self._cluster.logs(pod, container, follow=follow)

    def last_lines(
        self, pod: str, container: str, count: int, *, previous: bool = False
    ) -> tuple[str, ...]:
        self.used |= {("", "pods/log", "get")}
        return self._cluster.last_lines(pod, container, count, previous=previous)

    def serves(self, resource: Resource) -> bool:
        return self._cluster.serves(resource)

    def schema(self, resource: Resource) -> Manifest | None:
        return self._cluster.schema(resource)

    def may(self, verb: str, group: str, resource: str) -> bool:
        return self._cluster.may(verb, group, resource)

    def who(self) -> str:
        return self._cluster.who()

    def version(self) -> str:
        return self._cluster.version()

    def _note(self, resource: Resource, *verbs: str) -> None:
        self.used |= {(resource.group, resource.plural, verb) for verb in verbs}


def _resource(manifest: Manifest) -> Resource:
    return Resource(api_version=manifest["apiVersion"], kind=manifest["kind"])
