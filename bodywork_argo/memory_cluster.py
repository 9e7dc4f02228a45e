"""A fake Kubernetes cluster, for tests of what uses clusters."""

from __future__ import annotations

import base64
import copy
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from bodywork_argo.cluster import POD, Change, Resource
from bodywork_argo.errors import AlreadyExists, Changed, EngineError, Forbidden
from bodywork_argo.manifests import Manifest

_CLUSTER_WIDE = ("Namespace", "CustomResourceDefinition", "ClusterRole")


class MemoryCluster:
    """Keeps objects as the API does: versions, merges, label selectors, dependents.

    No time passes of itself: a watch with nothing to tell calls the next of `upcoming`, and ends
    when there is none. Nothing else acts on objects; a Deployment makes no pods.
    """

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = namespace
        self.server = "https://memory.example"
        self.user = "somebody"
        """What `who` returns."""
        self.denied: set[tuple[str, str, str]] = set()
        """Verb, group and plural of what is forbidden."""
        self.served: set[Resource] | None = None
        """The kinds that there are; None for all."""
        self.schemas: dict[Resource, Manifest] = {}
        self.written: dict[tuple[str, str], bytes] = {}
        """Pod and container -> what it wrote."""
        self.upcoming: deque[Callable[[], object]] = deque()
        self._objects: dict[tuple[Resource, str, str], Manifest] = {}
        self._changes: list[Change] = []
        self._numbers = itertools.count(1)

    def within(self, namespace: str) -> MemoryCluster:
        """Return a view of the same cluster from another namespace."""
        view = copy.copy(self)
        view.namespace = namespace
        return view

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Store an object; make its name when there is only a ``generateName``."""
        resource = _resource(manifest)
        self._check("create", resource)
        document = _plain_secret(copy.deepcopy(manifest))
        metadata = document.setdefault("metadata", {})
        if not metadata.get("name"):
            metadata["name"] = f"{metadata['generateName']}{next(self._numbers):05d}"
        key = self._key(resource, metadata["name"], metadata.get("namespace"))
        if key in self._objects:
            raise AlreadyExists(f"could not create {resource.plural} {metadata['name']}")
        if key[1]:
            metadata["namespace"] = key[1]
        metadata["uid"] = f"00000000-0000-4000-8000-{next(self._numbers):012d}"
        metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
        metadata["generation"] = 1
        return self._store(key, document, "ADDED", dry_run=dry_run)

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create the object, or merge the manifest into it; lists are replaced."""
        resource = _resource(manifest)
        self._check("patch", resource)
        metadata = manifest["metadata"]
        key = self._key(resource, metadata["name"], metadata.get("namespace"))
        if key not in self._objects:
            return self.create(manifest, dry_run=dry_run)
        return self._change(key, _plain_secret(copy.deepcopy(manifest)), dry_run=dry_run)

    def patch(self, resource: Resource, name: str, changes: Manifest) -> Manifest | None:
        """Merge changes (RFC 7386) into an object; return it, or None when there is none."""
        self._check("patch", resource)
        key = self._key(resource, name)
        return self._change(key, changes) if key in self._objects else None

    def get(self, resource: Resource, name: str, *, metadata_only: bool = False) -> Manifest | None:
        """Return the object, or None when there is none."""
        self._check("get", resource)
        found = self._objects.get(self._key(resource, name))
        return None if found is None else _read(found, metadata_only=metadata_only)

    def list(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        *,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> tuple[Manifest, ...]:
        """Return the objects that carry all these labels and have these fields, by name."""
        self._check("list", resource)
        _, space, _ = self._key(resource, "")
        return tuple(
            _read(found, metadata_only=metadata_only)
            for (kind, place, _), found in sorted(self._objects.items(), key=lambda one: one[0][2])
            if (kind, place) == (resource, space) and _selected(found, labels, fields)
        )

    def delete(self, resource: Resource, name: str, *, only: Manifest | None = None) -> bool:
        """Delete with its dependents; return whether that was done."""
        self._check("delete", resource)
        key = self._key(resource, name)
        found = self._objects.get(key)
        if found is None or (only is not None and _state(found) != _state(only)):
            return False
        gone = self._objects.pop(key)
        self._changes.append(Change(type="DELETED", object=gone))
        for (kind, space, dependent), found in list(self._objects.items()):
            owners = found["metadata"].get("ownerReferences") or []
            if gone["metadata"]["uid"] in [owner["uid"] for owner in owners]:
                self.within(space).delete(kind, dependent)
        return True

    def watch(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        timeout_seconds: float,
        *,
        fields: Mapping[str, str] | None = None,
    ) -> Iterator[Change]:
        """Yield what is there as ADDED, then each change, until nothing is `upcoming`."""
        self._check("watch", resource)
        at = len(self._changes)
        for found in self.list(resource, labels, fields=fields):
            yield Change(type="ADDED", object=found)
        _, space, _ = self._key(resource, "")
        while True:
            for change in self._changes[at:]:
                at += 1
                where = change.object["metadata"].get("namespace", "")
                if (_resource(change.object), where) == (resource, space) and _selected(
                    change.object, labels, fields
                ):
                    yield Change(type=change.type, object=_read(change.object))
            if at == len(self._changes):
                if not self.upcoming:
                    return
                self.upcoming.popleft()()

    def logs(self, pod: str, container: str, *, follow: bool = False) -> Iterator[bytes]:
        """Yield what is `written` for the container."""
        self._check("get", POD, "pods/log")
        if (pod, container) not in self.written:
            raise EngineError(f"container {container} of pod {pod} has not started")
        yield self.written[pod, container]

    def last_lines(
        self, pod: str, container: str, count: int, *, previous: bool = False
    ) -> tuple[str, ...]:
        """Return the end of what is `written` for the container, previous or not."""
        self._check("get", POD, "pods/log")
        lines = self.written.get((pod, container), b"").decode().splitlines()
        return tuple(lines[-count:])

    def serves(self, resource: Resource) -> bool:
        """Return whether the kind is among `served`."""
        return self.served is None or resource in self.served

    def schema(self, resource: Resource) -> Manifest | None:
        """Return what `schemas` has."""
        return self.schemas.get(resource)

    def may(self, verb: str, group: str, resource: str) -> bool:
        """Return whether it is not `denied`."""
        return (verb, group, resource) not in self.denied

    def who(self) -> str:
        """Return `user`."""
        return self.user

    def version(self) -> str:
        """Return a version of Kubernetes."""
        return "v1.35.4"

    def _check(self, verb: str, resource: Resource, plural: str = "") -> None:
        name = plural or resource.plural
        if not self.may(verb, resource.group, name):
            raise Forbidden(f"{self.user} may not {verb} {name} in namespace {self.namespace}")
        if verb in ("create", "list", "watch") and not self.serves(resource):
            raise EngineError(f"the cluster does not serve {resource.plural}")

    def _key(
        self, resource: Resource, name: str, namespace: str | None = None
    ) -> tuple[Resource, str, str]:
        wide = resource.kind in _CLUSTER_WIDE
        return resource, "" if wide else namespace or self.namespace, name

    def _change(
        self, key: tuple[Resource, str, str], changes: Manifest, *, dry_run: bool = False
    ) -> Manifest:
        before = self._objects[key]
        version = (changes.get("metadata") or {}).get("resourceVersion")
        if version not in (None, before["metadata"]["resourceVersion"]):
            raise Changed(f"{key[0].plural} {key[2]} has been changed meanwhile")
        after = _merged(before, changes)
        if after == before:
            return _read(before)
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] += 1
        return self._store(key, after, "MODIFIED", dry_run=dry_run)

    def _store(
        self,
        key: tuple[Resource, str, str],
        document: Manifest,
        change: Literal["ADDED", "MODIFIED"],
        *,
        dry_run: bool,
    ) -> Manifest:
        document["metadata"]["resourceVersion"] = str(next(self._numbers))
        if not dry_run:
            self._objects[key] = document
            self._changes.append(Change(type=change, object=document))
        return _read(document)


def _resource(manifest: Manifest) -> Resource:
    return Resource(api_version=manifest["apiVersion"], kind=manifest["kind"])


def _state(found: Manifest) -> tuple[str, str]:
    return found["metadata"]["uid"], found["metadata"]["resourceVersion"]


def _read(found: Manifest, *, metadata_only: bool = False) -> Manifest:
    document = copy.deepcopy(found)
    if not metadata_only:
        return document
    metadata = document["metadata"]
    if document.get("data"):
        # Where the API server keeps, among others, the names of a Secret's keys.
        owned: Manifest = {"f:data": {".": {}, **{f"f:{key}": {} for key in document["data"]}}}
        metadata["managedFields"] = [
            {
                "manager": "bodywork-argo",
                "operation": "Update",
                "apiVersion": document["apiVersion"],
                "fieldsType": "FieldsV1",
                "fieldsV1": owned,
            }
        ]
    return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}


def _selected(found: Manifest, labels: Mapping[str, str], fields: Mapping[str, str] | None) -> bool:
    carried = found["metadata"].get("labels") or {}
    return all(carried.get(key) == value for key, value in labels.items()) and all(
        _field(found, path) == value for path, value in (fields or {}).items()
    )


def _field(found: Manifest, path: str) -> str:
    value: object = found
    for step in path.split("."):
        value = value.get(step, "") if isinstance(value, dict) else ""
    return str(value)


def _merged(document: Manifest, changes: Manifest) -> Manifest:
    """Return the document after a merge patch (RFC 7386)."""
    merged = copy.deepcopy(document)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _plain_secret(document: Manifest) -> Manifest:
    """Move a Secret's ``stringData`` into ``data``, as the API server does."""
    texts = document.pop("stringData", None) if document["kind"] == "Secret" else None
    if texts:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        document["data"] = {**(document.get("data") or {}), **encoded}
    return document
