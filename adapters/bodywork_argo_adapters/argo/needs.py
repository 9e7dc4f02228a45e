"""What Argo Workflows needs in a namespace, and which version of it a cluster has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from bodywork_argo.access import Grant, Needs
from bodywork_argo.backend import EngineVersion
from bodywork_argo.cluster import Cluster, Resource
from bodywork_argo.errors import Forbidden
from bodywork_argo.manifests import Manifest

API_VERSION = "argoproj.io/v1alpha1"
OLDEST = "v3.6"
"""The first version with ``schedules`` and ``mutexes``, which is what we write."""

ARGO_NEEDS = Needs(
    kinds=((API_VERSION, "Workflow"),),
    submitter=(
        Grant(
            group="argoproj.io",
            resources=("workflows",),
            verbs=("get", "list", "watch", "create", "patch", "delete"),
        ),
    ),
    schedules=(
        Grant(
            group="argoproj.io",
            resources=("cronworkflows",),
            verbs=("get", "list", "create", "patch", "delete"),
        ),
    ),
    executor=(
        # https://argo-workflows.readthedocs.io/en/latest/workflow-rbac/
        Grant(group="argoproj.io", resources=("workflowtaskresults",), verbs=("create", "patch")),
    ),
)

_DEPLOYMENT = Resource(api_version="apps/v1", kind="Deployment")
_CRON_WORKFLOW = Resource(api_version=API_VERSION, kind="CronWorkflow")
_NAME = "workflow-controller"
_HOME = "argo"
"""The namespace of Argo's own installation manifests."""
_REMEDY = f"ask whoever runs the cluster for Argo Workflows {OLDEST} or later"


def installed(cluster: Cluster) -> EngineVersion | None:
    """Return which version of Argo Workflows the cluster has; None when nothing there tells.

    Asks with the rights of an ordinary user of one namespace; what is forbidden is left. An image
    without a version as its tag, such as ``latest``, tells nothing.
    """
    for namespace in dict.fromkeys((cluster.namespace, _HOME)):
        for deployment in _controllers(cluster.within(namespace)):
            version = _version_of(deployment)
            if version is not None:
                return _told(version, f"Deployment {namespace}/{deployment['metadata']['name']}")
    return _from_schema(cluster)


def _controllers(cluster: Cluster) -> Iterator[Manifest]:
    """Yield the controller of Argo's manifests and those of its Helm chart, where we may look."""
    with suppress(Forbidden):
        found = cluster.get(_DEPLOYMENT, _NAME)
        yield from () if found is None else (found,)
    with suppress(Forbidden):
        yield from cluster.list(_DEPLOYMENT, {"app.kubernetes.io/component": _NAME})


def _version_of(deployment: Manifest) -> str | None:
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        image = str(container["image"]).partition("@")[0]
        name, _, tag = image.rpartition("/")[2].partition(":")
        if name == _NAME and re.match(r"v?\d+\.\d+", tag):
            return tag if tag.startswith("v") else f"v{tag}"
    return None


def _told(version: str, found_in: str) -> EngineVersion:
    supported = _numbers(version) >= _numbers(OLDEST)
    return EngineVersion(
        text=version,
        found_in=found_in,
        supported=supported,
        remedy="" if supported else _REMEDY,
    )


def _numbers(version: str) -> tuple[int, ...]:
    """Return major and minor; patch releases add no fields."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _from_schema(cluster: Cluster) -> EngineVersion | None:
    """Judge by a field that came with the oldest version; Argo's small CRDs publish no fields."""
    schema = cluster.schema(_CRON_WORKFLOW) or {}
    fields = schema.get("properties", {}).get("spec", {}).get("properties")
    if not fields:
        return None
    found_in = "the schema of CronWorkflow"
    if "schedules" in fields:
        return EngineVersion(text=f"at least {OLDEST}", found_in=found_in, supported=True)
    return EngineVersion(
        text=f"older than {OLDEST}", found_in=found_in, supported=False, remedy=_REMEDY
    )
