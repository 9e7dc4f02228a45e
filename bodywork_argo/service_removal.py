"""Services, and all that a pipeline has in a namespace: found by our labels, and deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bodywork_argo import names
from bodywork_argo.cluster import Cluster, Resource
from bodywork_argo.errors import EngineError, Forbidden
from bodywork_argo.lease import LEASE, Claim, Clock, held
from bodywork_argo.release_objects import KINDS
from bodywork_argo.release_records import RECORD
from bodywork_argo.service_status import own_deployment, pipeline_of

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object of ours."""

    resource: Resource
    name: str

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.name}"


def objects_of_service(cluster: Cluster, name: str) -> tuple[str, tuple[Found, ...]]:
    """Return a service's pipeline, and what it consists of. Raises EngineError when unknown.

    Also of one whose Deployment is gone already.
    """
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.STAGE_LABEL: name}
    found = [
        (pipeline_of(each), Found(resource=resource, name=each["metadata"]["name"]))
        for resource in KINDS
        for each in cluster.list(resource, labels, metadata_only=True)
    ]
    if not found:
        own_deployment(cluster, name)  # tells whose it is, or that there is none
        raise EngineError(f"Deployment {name} does not carry its name as a label any more")
    pipeline, _ = found[-1]
    return pipeline, tuple(each for owner, each in found if owner == pipeline)


def objects_of_pipeline(cluster: Cluster, pipeline: str) -> tuple[Found, ...]:
    """Return the objects of a pipeline's services, and the records of its releases, in order."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.PIPELINE_LABEL: pipeline}
    return tuple(
        Found(resource=resource, name=each["metadata"]["name"])
        for resource in (*KINDS, RECORD)
        for each in cluster.list(resource, labels, metadata_only=True)
    )


def remove(cluster: Cluster, find: Callable[[], tuple[Found, ...]], tell: Tell) -> None:
    """Delete what is found now; the caller holds the pipeline's lease."""
    for each in find():
        if cluster.delete(each.resource, each.name):
            tell(f"{each} is deleted")


def remove_service(cluster: Cluster, name: str, claim: Claim, clock: Clock, tell: Tell) -> None:
    """Delete a service when no release of its pipeline goes on. Raises TimedOut."""
    with held(cluster, claim, clock, tell):
        remove(cluster, lambda: objects_of_service(cluster, name)[1], tell)


def remove_pipeline(cluster: Cluster, claim: Claim, clock: Clock, tell: Tell) -> None:
    """Delete services and records of a pipeline when none of its releases goes on, and its lease.

    Runs are the engine's. Raises TimedOut.
    """
    with held(cluster, claim, clock, tell):
        remove(cluster, lambda: objects_of_pipeline(cluster, claim.pipeline), tell)
    found = cluster.get(LEASE, claim.name, metadata_only=True)
    if found is None or pipeline_of(found) != claim.pipeline:
        return
    try:
        if cluster.delete(LEASE, claim.name):
            tell(f"Lease {claim.name} is deleted")
    except Forbidden as error:
        tell(f"Lease {claim.name} stays, and holds nothing: {error}")
