"""What a stage's steps hold and what its pod is made of, in Kubernetes' own words."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import assert_never

from bodywork_argo.manifests import Manifest
from bodywork_argo.packed_runner import RUNNER_ANNOTATION
from bodywork_argo.plan import (
    BatchTask,
    Container,
    Env,
    PlainEnv,
    Resources,
    RunNameEnv,
    SecretEnv,
    ServiceUrlEnv,
    Site,
)
from bodywork_argo.spec import Toleration, Volume, VolumeKind

RUN_LABEL = "tekton.dev/pipelineRun"
"""Tekton gives it to TaskRuns and pods, with the run's name."""
REASON = "reason"
"""The result in which the runner says why a stage failed. Tekton keeps the file for itself from
which the kubelet takes a container's last words."""
MOST_REASON_BYTES = 560
"""Each byte may become six in JSON, and Tekton fails a step that leaves more than 4 KiB."""
SITE = Site(
    python="python3",
    runner="/bodywork/runner/runner.py",
    workspace="/bodywork/work",
    termination_log=f"/tekton/results/{REASON}",
    ca_bundle="/bodywork/ca/ca.crt",
)
AUTHORITIES_MOUNT: Manifest = {
    "name": "bodywork-ca",
    "mountPath": "/bodywork/ca",
    "readOnly": True,
}

_RUNNER, _WORK = "bodywork-runner", "bodywork-work"


def common_mounts() -> list[Manifest]:
    """Return the mounts of all steps: the programs out of annotations, and the workspace."""
    return [
        {"name": _RUNNER, "mountPath": "/bodywork/runner", "readOnly": True},
        {"name": _WORK, "mountPath": SITE.workspace},
    ]


def volumes(task: BatchTask, programs: Iterable[tuple[str, str]] = ()) -> list[Manifest]:
    """Return the volumes of a stage's pod; `programs` are further (file, annotation)."""
    return [
        *common_volumes(programs),
        *(_volume(each) for each in task.pod.volumes),
        *authorities(task.container),
    ]


def common_volumes(programs: Iterable[tuple[str, str]] = ()) -> list[Manifest]:
    """Return the volumes of all pods: the runner and `programs`, and the workspace."""
    files = [("runner.py", RUNNER_ANNOTATION), *programs]
    items = [
        {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
        for path, annotation in files
    ]
    return [
        {"name": _RUNNER, "downwardAPI": {"items": items}},
        {"name": _WORK, "emptyDir": {}},
    ]


def authorities(container: Container) -> list[Manifest]:
    """Return the volume of the certificates that prepare trusts, if there is one."""
    if container.ca_bundle is None:
        return []
    return [{"name": AUTHORITIES_MOUNT["name"], "configMap": {"name": container.ca_bundle}}]


def own_mounts(task: BatchTask) -> list[Manifest]:
    """Return the mounts of the volumes that the author gave a stage."""
    return [
        {
            "name": each.name,
            "mountPath": each.path,
            **({"readOnly": True} if each.read_only else {}),
        }
        for each in task.pod.volumes
    ]


def environment(env: Iterable[Env]) -> list[Manifest]:
    """Return variables of a step."""
    return [_variable(each) for each in env]


def module_resources(asked: Resources) -> Manifest:
    """Return what the module's step asks for and may use at most."""
    limits = _quantities(asked.cpu_limit, asked.memory_limit_mb)
    if asked.gpu:
        limits[asked.gpu_resource] = str(asked.gpu)
    return _given(requests=_quantities(asked.cpu_request, asked.memory_request_mb), limits=limits)


def earlier_resources(asked: Resources) -> Manifest:
    """Return what a step before the module's asks for: nothing, in so many words.

    A pod of Tekton asks for the sum of its steps, though they run one after the other. A quota
    wants every container to say something, and a limit alone would count as a request.
    """
    limits = _quantities(asked.cpu_limit, asked.memory_limit_mb)
    requests = _quantities(asked.cpu_request, asked.memory_request_mb)
    return _given(requests=dict.fromkeys({**requests, **limits}, "0"), limits=limits)


def placement(task: BatchTask) -> Manifest:
    """Return the pod template of a stage: where its pods run, and how their images are pulled."""
    pod = task.pod
    fields: Manifest = {
        "nodeSelector": dict(pod.node_selector),
        "tolerations": [_toleration(each) for each in pod.tolerations],
        "imagePullSecrets": [{"name": name} for name in pod.image_pull_secrets],
    }
    return {key: value for key, value in fields.items() if value}


def _given(**fields: dict[str, str]) -> Manifest:
    return {key: value for key, value in fields.items() if value}


def _quantities(cores: float, megabytes: int) -> dict[str, str]:
    cpu = f"{cores:g}" if cores == int(cores) else f"{max(round(cores * 1000), 1)}m"
    return {
        **({"cpu": cpu} if cores else {}),
        **({"memory": f"{megabytes}M"} if megabytes else {}),
    }


def _variable(env: Env) -> Manifest:
    match env:
        case PlainEnv(name=name, value=value):
            return {"name": name, "value": value}
        case SecretEnv(name=name, secret=secret, key=key, optional=optional):
            reference = {"name": secret, "key": key, **({"optional": True} if optional else {})}
            return {"name": name, "valueFrom": {"secretKeyRef": reference}}
        case RunNameEnv(name=name):
            field = {"fieldPath": f"metadata.labels['{RUN_LABEL}']"}
            return {"name": name, "valueFrom": {"fieldRef": field}}
        case ServiceUrlEnv(name=name, service=service, port=port):
            return {"name": name, "value": f"http://{service}:{port}"}
        case _ as unreachable:
            assert_never(unreachable)


def _toleration(toleration: Toleration) -> Manifest:
    fields = {
        "key": toleration.key,
        "operator": toleration.operator,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.seconds,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _volume(volume: Volume) -> Manifest:
    name, source = volume.name, volume.source
    match volume.kind:
        case VolumeKind.CLAIM:
            only = {"readOnly": True} if volume.read_only else {}
            return {"name": name, "persistentVolumeClaim": {"claimName": source, **only}}
        case VolumeKind.SECRET:
            return {"name": name, "secret": {"secretName": source}}
        case VolumeKind.CONFIG_MAP:
            return {"name": name, "configMap": {"name": source}}
        case VolumeKind.EMPTY:
            return {"name": name, "emptyDir": {"sizeLimit": f"{source}M"}}
        case _ as unreachable:
            assert_never(unreachable)
