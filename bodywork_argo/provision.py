"""Sending documents that stay, such as accounts and roles, and what each of them changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from bodywork_argo.cluster import NAMESPACE, Cluster, Resource
from bodywork_argo.errors import Forbidden
from bodywork_argo.manifests import Manifest


class Outcome(Enum):
    """What came of applying one document."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FORBIDDEN = "forbidden"
    UNCHECKED = "not checked, since its namespace is not there yet"
    """In a dry run alone: the server looks into no namespace that does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One document and what came of it."""

    kind: str
    name: str
    namespace: str
    outcome: Outcome
    reason: str = ""
    """What is missing, when it was forbidden."""

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}: {self.outcome.value}"


def provision(
    cluster: Cluster, documents: Iterable[Manifest], *, dry_run: bool = False
) -> Iterator[Applied]:
    """Apply each document in turn and yield what came of it; one that is forbidden ends nothing.

    A namespace that exists is left as it is, since it is not ours. Nothing is ever deleted.
    """
    planned: set[str] = set()
    for document in documents:
        metadata = document["metadata"]
        namespace = metadata.get("namespace", "")
        reason = ""
        try:
            if document["kind"] == "Namespace":
                outcome = _make_namespace(cluster, document, dry_run=dry_run)
                if dry_run and outcome is Outcome.CREATED:
                    planned.add(metadata["name"])
            elif namespace in planned:
                outcome = Outcome.UNCHECKED
            else:
                outcome = _apply(cluster.within(namespace), document, dry_run=dry_run)
        except Forbidden as error:
            outcome, reason = Outcome.FORBIDDEN, str(error)
        yield Applied(
            kind=document["kind"],
            name=metadata["name"],
            namespace=namespace,
            outcome=outcome,
            reason=reason,
        )


def missing_namespaces(cluster: Cluster, documents: Iterable[Manifest]) -> tuple[str, ...]:
    """Return the namespaces that the documents name and neither bring nor find.

    Where we may not look, none is missed.
    """
    wanted: dict[str, None] = {}
    brought = set()
    for document in documents:
        if document["kind"] == "Namespace":
            brought.add(document["metadata"]["name"])
        else:
            wanted[document["metadata"]["namespace"]] = None
    return tuple(name for name in wanted if name not in brought and not _may_exist(cluster, name))


def _may_exist(cluster: Cluster, namespace: str) -> bool:
    try:
        return cluster.get(NAMESPACE, namespace, metadata_only=True) is not None
    except Forbidden:
        return True


def _make_namespace(cluster: Cluster, document: Manifest, *, dry_run: bool) -> Outcome:
    if cluster.get(NAMESPACE, document["metadata"]["name"], metadata_only=True) is not None:
        return Outcome.UNCHANGED
    cluster.create(document, dry_run=dry_run)
    return Outcome.CREATED


def _apply(cluster: Cluster, document: Manifest, *, dry_run: bool) -> Outcome:
    """Apply, and compare what the server had with what it has.

    Of a Secret the metadata alone are read: its values are none of our business.
    """
    resource = Resource(api_version=document["apiVersion"], kind=document["kind"])
    secret = document["kind"] == "Secret"
    before = cluster.get(resource, document["metadata"]["name"], metadata_only=secret)
    after = cluster.apply(document, dry_run=dry_run)
    if before is None:
        return Outcome.CREATED
    if secret:
        before, after = ({"metadata": each["metadata"]} for each in (before, after))
    return Outcome.UNCHANGED if _content(before) == _content(after) else Outcome.CHANGED


def _content(document: Manifest) -> Manifest:
    """Return an object without what changes when it is another who applies the same."""
    kept = {
        name: value
        for name, value in document["metadata"].items()
        if name not in ("managedFields", "resourceVersion")
    }
    return {**document, "metadata": kept}
