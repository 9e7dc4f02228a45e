"""The objects of services in a cluster: applied, left to others where they are theirs, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bodywork_argo import names
from bodywork_argo.cluster import Cluster, Resource
from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo.services import (
    DEPLOYMENT,
    INGRESS,
    SERVICE,
    ServiceObjects,
    service_port,
)

OURS = "bodywork-argo"
"""By which name the API server notes what we own."""
KINDS = (INGRESS, SERVICE, DEPLOYMENT)
"""Of which services consist; what leads to others comes first."""


def refuse_strangers(cluster: Cluster, pipeline: str, services: Iterable[ServiceObjects]) -> None:
    """Raise EngineError when an object of ours would take the place of somebody else's."""
    for service in services:
        for document in service.documents():
            resource, name = resource_of(document), document["metadata"]["name"]
            found = cluster.get(resource, name, metadata_only=True)
            if found is not None and not _is_of(found, pipeline):
                owner = _label(found, names.PIPELINE_LABEL)
                whose = f"of pipeline {owner}" if owner else "not of bodywork-argo"
                raise EngineError(
                    f"there is a {resource.kind} {name} in namespace {cluster.namespace} that is "
                    f"{whose}: rename the stage, or use another namespace"
                )


def in_transition(service: ServiceObjects, before: ServiceObjects | None) -> ServiceObjects:
    """Return a service that answers on the ports of the version before, too.

    Both lead to pods of both versions, since they find the module's port by its name.
    """
    if before is None:
        return service
    ports = {each["metadata"]["name"]: each["spec"]["ports"][0]["port"] for each in before.services}
    return replace(service, services=tuple(_with_port(each, ports) for each in service.services))


def _with_port(document: Manifest, before: dict[str, int]) -> Manifest:
    (new,) = document["spec"]["ports"]
    old = before.get(document["metadata"]["name"], new["port"])
    if old == new["port"]:
        return document
    ports = [new, service_port(old, "http-before")]
    return {**document, "spec": {**document["spec"], "ports": ports}}


def apply_object(cluster: Cluster, document: Manifest, tell: Callable[[str], None]) -> None:
    """Create or change an object; leave the number of pods to whoever else sets it."""
    if document["kind"] == DEPLOYMENT.kind:
        name = document["metadata"]["name"]
        found = cluster.get(DEPLOYMENT, name)
        owner = None if found is None else replicas_owner(found)
        if found is not None and owner is not None:
            count = found["spec"].get("replicas")
            if count != document["spec"]["replicas"]:
                tell(f"{name}: stays at {count} pods, which {owner} asked for")
            spec = {key: value for key, value in document["spec"].items() if key != "replicas"}
            document = {**document, "spec": spec}
    cluster.apply(document)


def replicas_owner(deployment: Manifest) -> str | None:
    """Return who else sets the number of pods, such as an autoscaler; None when nobody does."""
    for entry in deployment["metadata"].get("managedFields") or ():
        owned = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        if "f:replicas" in owned and entry.get("manager") != OURS:
            return str(entry.get("manager"))
    return None


def prune(
    cluster: Cluster,
    pipeline: str,
    kept: Iterable[ServiceObjects],
    tell: Callable[[str], None],
) -> None:
    """Delete the objects of a pipeline's services that are not among those kept."""
    stay = {
        (document["kind"], document["metadata"]["name"])
        for service in kept
        for document in service.documents()
    }
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.PIPELINE_LABEL: pipeline}
    for resource in KINDS:
        for found in cluster.list(resource, labels, metadata_only=True):
            name = found["metadata"]["name"]
            if (resource.kind, name) not in stay and cluster.delete(resource, name):
                tell(f"{resource.kind} {name} is removed")


def resource_of(document: Manifest) -> Resource:
    """Return the kind of a document."""
    return Resource(api_version=document["apiVersion"], kind=document["kind"])


def _is_of(found: Manifest, pipeline: str) -> bool:
    return (
        _label(found, names.MANAGED_BY_LABEL) == names.MANAGED_BY
        and _label(found, names.PIPELINE_LABEL) == pipeline
    )


def _label(found: Manifest, name: str) -> str:
    return str((found["metadata"].get("labels") or {}).get(name, ""))
