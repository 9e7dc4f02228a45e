"""What Tekton needs in a namespace, and which version of it a cluster has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from bodywork_argo.access import Grant, Needs
from bodywork_argo.backend import EngineVersion
from bodywork_argo.cluster import Cluster, Resource
from bodywork_argo.errors import Forbidden

API_VERSION = "tekton.dev/v1"
PIPELINE_RUN = Resource(api_version=API_VERSION, kind="PipelineRun")
TASK_RUN = Resource(api_version=API_VERSION, kind="TaskRun")
OLDEST = "v1.0"
"""The first version of the API's stable line that tells tasks in ``finally`` a task's reason."""

TEKTON_NEEDS = Needs(
    kinds=((API_VERSION, "PipelineRun"), (API_VERSION, "TaskRun")),
    submitter=(
        Grant(
            group="tekton.dev",
            resources=("pipelineruns",),
            verbs=("get", "list", "watch", "create", "patch", "delete"),
        ),
        Grant(group="tekton.dev", resources=("taskruns",), verbs=("list", "watch")),
    ),
    # For the step that tells a failure stage what failed.
    executor=(Grant(group="tekton.dev", resources=("taskruns",), verbs=("list",)),),
    without_executor="failure stages are told which stages failed, but no exit codes",
)

_CONFIG_MAP = Resource(api_version="v1", kind="ConfigMap")
_DEPLOYMENT = Resource(api_version="apps/v1", kind="Deployment")
_HOME = "tekton-pipelines"
"""The namespace of Tekton's own installation manifests."""
_INFO = "pipelines-info"
"""What any user may read there, by Tekton's own roles."""
_VERSION_LABEL = "app.kubernetes.io/version"
_REMEDY = f"ask whoever runs the cluster for Tekton Pipelines {OLDEST} or later"


def installed(cluster: Cluster) -> EngineVersion | None:
    """Return which version of Tekton the cluster has; None when nothing there tells.

    Asks with the rights of an ordinary user of one namespace; what is forbidden is left.
    """
    for found_in, text in _told(cluster.within(_HOME)):
        if re.match(r"v?\d+\.\d+", text):
            version = text if text.startswith("v") else f"v{text}"
            supported = _numbers(version) >= _numbers(OLDEST)
            remedy = "" if supported else _REMEDY
            return EngineVersion(
                text=version, found_in=found_in, supported=supported, remedy=remedy
            )
    return None


def _told(cluster: Cluster) -> Iterator[tuple[str, str]]:
    with suppress(Forbidden):
        found = cluster.get(_CONFIG_MAP, _INFO)
        if found is not None:
            yield f"ConfigMap {_HOME}/{_INFO}", str((found.get("data") or {}).get("version", ""))
    with suppress(Forbidden):
        name = "tekton-pipelines-controller"
        deployment = cluster.get(_DEPLOYMENT, name, metadata_only=True)
        if deployment is not None:
            labels = deployment["metadata"].get("labels") or {}
            yield f"Deployment {_HOME}/{name}", str(labels.get(_VERSION_LABEL, ""))


def _numbers(version: str) -> tuple[int, ...]:
    """Return major and minor; patch releases add no fields."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
