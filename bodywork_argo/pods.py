"""Pods that no engine makes: a stage's containers as Kubernetes' own documents.

Two containers share a workspace: ``prepare`` fetches the code and installs the requirements,
``main`` becomes the module. The runner comes out of an annotation of the pod itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import assert_never

from bodywork_argo.manifests import Manifest
from bodywork_argo.packed_runner import RUNNER_ANNOTATION
from bodywork_argo.plan import (
    Env,
    PlainEnv,
    Plan,
    Resources,
    RunNameEnv,
    SecretEnv,
    ServiceTask,
    ServiceUrlEnv,
    Site,
    exec_command,
    prepare_command,
)
from bodywork_argo.pod_patches import patched
from bodywork_argo.spec import Toleration, Volume, VolumeKind

SITE = Site(
    python="python3",
    runner="/bodywork/runner/runner.py",
    workspace="/bodywork/work",
    termination_log="/dev/termination-log",
    ca_bundle="/bodywork/ca/ca.crt",
)
MAIN, PREPARE, FETCH = "main", "prepare", "fetch"
"""What the containers are called: the module's, and those before it."""
PORT_NAME = "http"

_RUNNER, _WORK, _AUTHORITIES = "bodywork-runner", "bodywork-work", "bodywork-ca"
_MOUNTS: tuple[Manifest, ...] = (
    {"name": _RUNNER, "mountPath": "/bodywork/runner", "readOnly": True},
    {"name": _WORK, "mountPath": SITE.workspace},
)


def service_pod(
    plan: Plan, task: ServiceTask, *, commit: str, run: str, probes: Manifest
) -> Manifest:
    """Return the spec of a service's pods; `probes` are fields of the module's container."""
    pod, account = task.pod, task.pod.service_account or plan.accounts.stage
    spec: Manifest = {
        **({"serviceAccountName": account} if account else {}),
        "automountServiceAccountToken": False,
        # Else the module is process 1, which TERM does not end unless it has a handler.
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        **({"nodeSelector": dict(pod.node_selector)} if pod.node_selector else {}),
        "tolerations": [_toleration(each) for each in pod.tolerations],
        "imagePullSecrets": [{"name": name} for name in pod.image_pull_secrets],
        "initContainers": _before(plan, task, commit),
        "containers": [_main(task, run, probes)],
        "volumes": _volumes(task),
    }
    return patched({key: value for key, value in spec.items() if value != []}, pod.patches)


def _before(plan: Plan, task: ServiceTask, commit: str) -> list[Manifest]:
    """Return what comes before the module: all at once, or the code with an image of its own."""
    git, packages = plan.git, task.container.prepare_env
    if git.image is None:
        return [_prepare(plan, task, commit, PREPARE, (*git.env, *packages))]
    fetch = _prepare(plan, task, commit, FETCH, git.env, "--only=repository", image=git.image)
    return [fetch, _prepare(plan, task, commit, PREPARE, packages, "--only=packages")]


def _prepare(
    plan: Plan,
    task: ServiceTask,
    commit: str,
    name: str,
    env: Iterable[Env],
    *only: str,
    image: str | None = None,
) -> Manifest:
    container = task.container
    command = prepare_command(
        container,
        SITE,
        repository=plan.source.repository or "",
        commit=commit,
        host_keys=plan.git.host_keys,
    )
    mounts: list[Manifest] = list(_MOUNTS)
    if container.ca_bundle:
        mounts.append({"name": _AUTHORITIES, "mountPath": "/bodywork/ca", "readOnly": True})
    return _container(
        task,
        name=name,
        image=image or container.image,
        command=[*command, *only],
        env=[_variable(each, "") for each in env],
        resources=_resources(container.resources, gpu=False),
        mounts=mounts,
    )


def _main(task: ServiceTask, run: str, probes: Manifest) -> Manifest:
    container = task.container
    mounts = [
        {
            "name": each.name,
            "mountPath": each.path,
            **({"readOnly": True} if each.read_only else {}),
        }
        for each in task.pod.volumes
    ]
    main = _container(
        task,
        name=MAIN,
        image=container.image,
        command=list(exec_command(container, SITE)),
        env=[_variable(each, run) for each in container.env],
        resources=_resources(container.resources, gpu=True),
        mounts=[*_MOUNTS, *mounts],
    )
    return {**main, "ports": [{"name": PORT_NAME, "containerPort": task.port}], **probes}


def _container(
    task: ServiceTask,
    *,
    name: str,
    image: str,
    command: list[str],
    env: list[Manifest],
    resources: Manifest,
    mounts: list[Manifest],
) -> Manifest:
    policy = task.pod.image_pull_policy
    return {
        "name": name,
        "image": image,
        **({"imagePullPolicy": policy} if policy else {}),
        "command": command,
        # The last of a name counts, as in any pod; but applied ones must be the only ones.
        **({"env": list({each["name"]: each for each in env}.values())} if env else {}),
        **({"resources": resources} if resources else {}),
        "volumeMounts": mounts,
        "securityContext": {"allowPrivilegeEscalation": False},
        # The runner's last words, else nothing: the kubelet would take the module's output.
        "terminationMessagePolicy": "File",
    }


def _variable(env: Env, run: str) -> Manifest:
    match env:
        case PlainEnv(name=name, value=value):
            return {"name": name, "value": value}
        case SecretEnv(name=name, secret=secret, key=key, optional=optional):
            reference = {"name": secret, "key": key, **({"optional": True} if optional else {})}
            return {"name": name, "valueFrom": {"secretKeyRef": reference}}
        case RunNameEnv(name=name):
            return {"name": name, "value": run}
        case ServiceUrlEnv(name=name, service=service, port=port):
            return {"name": name, "value": f"http://{service}:{port}"}
        case _ as unreachable:
            assert_never(unreachable)


def _resources(asked: Resources, *, gpu: bool) -> Manifest:
    limits = _quantities(asked.cpu_limit, asked.memory_limit_mb)
    if gpu and asked.gpu:
        limits[asked.gpu_resource] = str(asked.gpu)
    found = {
        "requests": _quantities(asked.cpu_request, asked.memory_request_mb),
        "limits": limits,
    }
    return {key: value for key, value in found.items() if value}


def _quantities(cores: float, megabytes: int) -> dict[str, str]:
    cpu = f"{cores:g}" if cores == int(cores) else f"{max(round(cores * 1000), 1)}m"
    return {
        **({"cpu": cpu} if cores else {}),
        **({"memory": f"{megabytes}M"} if megabytes else {}),
    }


def _toleration(toleration: Toleration) -> Manifest:
    fields = {
        "key": toleration.key,
        "operator": toleration.operator,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.seconds,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _volumes(task: ServiceTask) -> list[Manifest]:
    field = {"fieldPath": f"metadata.annotations['{RUNNER_ANNOTATION}']"}
    volumes: list[Manifest] = [
        {"name": _RUNNER, "downwardAPI": {"items": [{"path": "runner.py", "fieldRef": field}]}},
        {"name": _WORK, "emptyDir": {}},
    ]
    volumes += [_volume(each) for each in task.pod.volumes]
    if task.container.ca_bundle:
        volumes.append({"name": _AUTHORITIES, "configMap": {"name": task.container.ca_bundle}})
    return volumes


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
