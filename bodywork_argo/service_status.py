"""How the services stand that pipelines have released into a namespace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bodywork_argo import names
from bodywork_argo.cluster import POD, Cluster
from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo.pods import MAIN
from bodywork_argo.rollout import (
    Limits,
    Ready,
    Verdict,
    end_of_pod,
    judge,
    judge_pod,
    limits_of,
    of_new_version,
    time_of,
)
from bodywork_argo.services import DEPLOYMENT, INGRESS, SERVICE, ingress_url, url_of

PENDING_SECONDS = 600.0
"""For which a pod may want for a node or an image before that counts as broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStatus:
    """One pod of a service."""

    name: str
    phase: str
    """Kubernetes' own word."""
    ready: bool
    restarts: int
    """Of the module."""
    commit: str
    created: datetime
    reason: str = ""
    """Why it is not ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One service."""

    name: str
    pipeline: str
    """`Plan.name`."""
    wanted: int
    """How many pods are asked for."""
    ready: int
    """How many answer, those of the version before included."""
    verdict: Verdict
    commit: str
    run: str
    """The run, or the release by hand, that it comes from."""
    created: datetime
    """When it was first released."""
    url: str
    """For callers anywhere in the cluster; "" when its Service is gone."""
    aliases: tuple[str, ...]
    """Further such addresses."""
    ingress: str
    """For callers outside of the cluster; "" when it has no Ingress."""
    pods: tuple[PodStatus, ...]


def read_services(
    cluster: Cluster, now: datetime, pipeline: str | None = None
) -> tuple[ServiceStatus, ...]:
    """Return the services of a pipeline, or of all, by pipeline and name."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
    if pipeline is not None:
        labels[names.PIPELINE_LABEL] = names.dns_label(pipeline)
    ways = _Ways.read(cluster, labels)
    found = [_status(cluster, each, ways, now) for each in cluster.list(DEPLOYMENT, labels)]
    return tuple(sorted(found, key=lambda each: (each.pipeline, each.name)))


def read_service(cluster: Cluster, name: str, now: datetime) -> ServiceStatus:
    """Return how one service stands. Raises EngineError when there is none of ours."""
    deployment = own_deployment(cluster, name)
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PIPELINE_LABEL: pipeline_of(deployment),
    }
    return _status(cluster, deployment, _Ways.read(cluster, labels), now)


def own_deployment(cluster: Cluster, name: str) -> Manifest:
    """Return the Deployment of a service. Raises EngineError when there is none of ours."""
    found = cluster.get(DEPLOYMENT, name)
    if found is None:
        raise EngineError(
            f"there is no service {name} in namespace {cluster.namespace}: "
            "`service list` tells which there are"
        )
    if _label(found, names.MANAGED_BY_LABEL) != names.MANAGED_BY:
        raise EngineError(
            f"Deployment {name} in namespace {cluster.namespace} was not made by bodywork-argo, "
            "which leaves it alone"
        )
    return found


def pipeline_of(found: Manifest) -> str:
    """Return the `Plan.name` that an object of ours belongs to."""
    return _label(found, names.PIPELINE_LABEL)


def selector_of(deployment: Manifest) -> dict[str, str]:
    """Return the labels of a service's pods."""
    return dict(deployment["spec"]["selector"]["matchLabels"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ways:
    """What leads to services."""

    services: tuple[Manifest, ...]
    ingresses: tuple[Manifest, ...]

    @classmethod
    def read(cls, cluster: Cluster, labels: dict[str, str]) -> _Ways:
        return cls(services=cluster.list(SERVICE, labels), ingresses=cluster.list(INGRESS, labels))

    def urls(self, service: str, namespace: str) -> dict[str, str]:
        """Return the addresses of a service by the names of its Services."""
        return {
            each["metadata"]["name"]: url_of(
                f"{each['metadata']['name']}.{namespace}", each["spec"]["ports"][0]["port"]
            )
            for each in _of_stage(self.services, service)
        }

    def ingress(self, service: str) -> str:
        return next((ingress_url(each) for each in _of_stage(self.ingresses, service)), "")


def _of_stage(found: Iterable[Manifest], service: str) -> list[Manifest]:
    return [each for each in found if _label(each, names.STAGE_LABEL) == service]


def _status(cluster: Cluster, deployment: Manifest, ways: _Ways, now: datetime) -> ServiceStatus:
    metadata, status = deployment["metadata"], deployment.get("status") or {}
    name, limits = metadata["name"], limits_of(deployment, PENDING_SECONDS)
    pods = cluster.list(POD, selector_of(deployment))
    urls = ways.urls(name, cluster.namespace)
    return ServiceStatus(
        name=name,
        pipeline=pipeline_of(deployment),
        wanted=deployment["spec"].get("replicas", 1),
        ready=status.get("readyReplicas", 0),
        verdict=judge(deployment, of_new_version(deployment, pods), limits, now),
        commit=_label(deployment, names.COMMIT_LABEL),
        run=_label(deployment, names.RUN_LABEL),
        created=time_of(metadata["creationTimestamp"]),
        url=urls.pop(name, ""),
        aliases=tuple(urls.values()),
        ingress=ways.ingress(name),
        pods=tuple(sorted((_pod(each, limits, now) for each in pods), key=_place)),
    )


def _pod(pod: Manifest, limits: Limits, now: datetime) -> PodStatus:
    metadata, status = pod["metadata"], pod.get("status") or {}
    mains = [each for each in status.get("containerStatuses", ()) if each["name"] == MAIN]
    ready, reason = _judged(pod, limits, now)
    return PodStatus(
        name=metadata["name"],
        phase=str(status.get("phase", "")),
        ready=ready,
        restarts=sum(each.get("restartCount", 0) for each in mains),
        commit=_label(pod, names.COMMIT_LABEL),
        created=time_of(metadata["creationTimestamp"]),
        reason=reason,
    )


def _judged(pod: Manifest, limits: Limits, now: datetime) -> tuple[bool, str]:
    """Return whether a pod answers, and why it does not."""
    if "deletionTimestamp" in pod["metadata"]:
        return False, "is being ended"
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return False, end_of_pod(pod)
    verdict = judge_pod(pod, limits, now)
    return (True, "") if isinstance(verdict, Ready) else (False, verdict.reason)


def _place(pod: PodStatus) -> tuple[datetime, str]:
    return pod.created, pod.name


def _label(found: Manifest, name: str) -> str:
    return str((found["metadata"].get("labels") or {}).get(name, ""))
