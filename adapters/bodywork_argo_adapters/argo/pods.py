"""What a stage's pod is made of: two containers, what they may use, and where things lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hera.workflows import models as m
from typing_extensions import assert_never

from bodywork_argo import names
from bodywork_argo.packed_runner import RUNNER_ANNOTATION
from bodywork_argo.plan import (
    BatchTask,
    Container,
    Env,
    PlainEnv,
    Plan,
    ResolvedAtRun,
    Resources,
    RunNameEnv,
    SecretEnv,
    ServiceTask,
    ServiceUrlEnv,
    Site,
    exec_command,
    prepare_command,
)
from bodywork_argo.pod_patches import one_patch
from bodywork_argo.spec import Volume, VolumeKind
from bodywork_argo_adapters.argo.metadata import commit_text, repository_text
from bodywork_argo_adapters.releases import deployer_prepare

SITE = Site(
    python="python3",
    runner="/bodywork/runner/runner.py",
    workspace="/bodywork/work",
    termination_log="/dev/termination-log",
    ca_bundle="/bodywork/ca/ca.crt",
)
START_SECONDS = 1800
"""For the pull of images before a stage: the pod's deadline is a net below the limits of the
stage's two commands, and must never be quicker than they are."""

_RUNNER, _WORK, _AUTHORITIES = "bodywork-runner", "bodywork-work", "bodywork-ca"
_RUN_LABEL = "workflows.argoproj.io/workflow"
"""Argo gives it to each pod, with the run's name."""
_COMMON_MOUNTS = (
    m.VolumeMount(name=_RUNNER, mount_path="/bodywork/runner", read_only=True),
    m.VolumeMount(name=_WORK, mount_path=SITE.workspace),
)


def run_volumes() -> list[m.Volume]:
    """Return the volumes of every pod: the runner, out of an annotation, and the workspace."""
    return [
        annotation_volume(_RUNNER, RUNNER_ANNOTATION, "runner.py"),
        m.Volume(name=_WORK, empty_dir=m.EmptyDirVolumeSource()),
    ]


def stage_template(
    plan: Plan,
    task: BatchTask,
    name: str,
    *,
    parameters: Iterable[str] = (),
    more_env: Sequence[m.EnvVar] = (),
) -> m.Template:
    """Return the template of a stage, or of stages that differ in what `parameters` hold."""
    pod = task.pod
    inputs = [m.Parameter(name=parameter) for parameter in parameters]
    labels = {**dict(pod.labels), names.STAGE_LABEL: task.name, **_commit_label(plan, task)}
    return m.Template(
        name=name,
        inputs=m.Inputs(parameters=inputs) if inputs else None,
        metadata=m.Metadata(labels=labels, annotations=dict(pod.annotations) or None),
        service_account_name=pod.service_account,
        node_selector=dict(pod.node_selector) or None,
        tolerations=_tolerations(task) or None,
        active_deadline_seconds=_deadline(task),
        retry_strategy=_retries(task),
        init_containers=_init_containers(plan, task),
        container=_main(task, [*_scheduled_time(plan), *more_env]),
        volumes=_volumes(task) or None,
        pod_spec_patch=one_patch(pod.patches),
    )


def container_env(env: Iterable[Env]) -> list[m.EnvVar]:
    """Return the variables of a container."""
    return [_variable(each) for each in env]


def container_resources(asked: Resources, *, gpu: bool = False) -> m.ResourceRequirements | None:
    """Return what a container asks for, with its GPUs only when asked to."""
    requests = _quantities(asked.cpu_request, asked.memory_request_mb)
    limits = _quantities(asked.cpu_limit, asked.memory_limit_mb)
    if gpu and asked.gpu:
        limits[asked.gpu_resource] = m.Quantity(str(asked.gpu))
    if not requests and not limits:
        return None
    return m.ResourceRequirements(requests=requests or None, limits=limits or None)


def container_mounts(container: Container | None) -> list[m.VolumeMount]:
    """Return the mounts of every container, with the certificates if `container` trusts any."""
    mounts = list(_COMMON_MOUNTS)
    if container is not None and container.ca_bundle:
        mounts.append(m.VolumeMount(name=_AUTHORITIES, mount_path="/bodywork/ca", read_only=True))
    return mounts


def authorities(container: Container) -> list[m.Volume]:
    """Return the volume of the certificates that prepare trusts, if there are any."""
    if not container.ca_bundle:
        return []
    source = m.ConfigMapVolumeSource(name=container.ca_bundle)
    return [m.Volume(name=_AUTHORITIES, config_map=source)]


def _deadline(task: BatchTask) -> m.IntOrString | None:
    if not task.time_limit_seconds:
        return None
    return m.IntOrString(task.install_timeout_seconds + task.time_limit_seconds + START_SECONDS)


def _retries(task: BatchTask) -> m.RetryStrategy | None:
    # "Always" counts lost pods, too: Argo's own word for those is "error", not "failure". No
    # backoff: what fails by itself is not mended by waiting, and a lost pod goes elsewhere.
    if not task.retries:
        return None
    return m.RetryStrategy(limit=m.IntOrString(task.retries), retry_policy="Always")


def _tolerations(task: BatchTask) -> list[m.Toleration]:
    return [
        m.Toleration(
            key=each.key,
            operator=each.operator,
            value=each.value,
            effect=each.effect,
            toleration_seconds=each.seconds,
        )
        for each in task.pod.tolerations
    ]


def _init_containers(plan: Plan, task: BatchTask) -> list[m.UserContainer]:
    """Return what comes before the module: all at once, or the code with an image of its own."""
    git = plan.git
    if git.image is None:
        return [_prepare(plan, task, "prepare", (*git.env, *task.container.prepare_env))]
    packages = task.container.prepare_env
    return [
        fetch_container(plan, task),
        _prepare(plan, task, "prepare", packages, "--only=packages"),
    ]


def fetch_container(plan: Plan, task: BatchTask | ServiceTask, head: str = "") -> m.UserContainer:
    """Return what fetches the code alone, with the Git image if there is one.

    `head` is the option that names a ref whose last commit is fetched in place of the run's.
    """
    git = plan.git
    return _prepare(plan, task, "fetch", git.env, "--only=repository", image=git.image, head=head)


def install_container(container: Container) -> m.UserContainer:
    """Return what installs bodywork-argo before a task of its own."""
    return m.UserContainer(
        name="prepare",
        image=container.image,
        command=list(deployer_prepare(container, SITE)),
        env=container_env(container.prepare_env) or None,
        resources=container_resources(container.resources),
        volume_mounts=container_mounts(container),
    )


def annotation_volume(name: str, annotation: str, path: str) -> m.Volume:
    """Return a volume in which an annotation of the pod is a file."""
    field = m.ObjectFieldSelector(field_path=f"metadata.annotations['{annotation}']")
    item = m.DownwardAPIVolumeFile(path=path, field_ref=field)
    return m.Volume(name=name, downward_api=m.DownwardAPIVolumeSource(items=[item]))


def _known_commit(plan: Plan) -> str:
    return plan.revision.known if isinstance(plan.revision, ResolvedAtRun) else ""


def _commit_label(plan: Plan, task: BatchTask) -> dict[str, str]:
    """Return what pods of stages have where those of the run can't: the first finds the commit.

    Without one the failure stage is run nevertheless, and no label may be a placeholder.
    """
    if not isinstance(plan.revision, ResolvedAtRun) or task is plan.on_failure:
        return {}
    return {names.COMMIT_LABEL: commit_text(plan.source)}


def _scheduled_time(plan: Plan) -> list[m.EnvVar]:
    if not plan.scheduled:
        return []
    return [m.EnvVar(name="BODYWORK_SCHEDULED_TIME", value="{{workflow.scheduledTime}}")]


def _prepare(
    plan: Plan,
    task: BatchTask | ServiceTask,
    name: str,
    env: Sequence[Env],
    *only: str,
    image: str | None = None,
    head: str = "",
) -> m.UserContainer:
    container = task.container
    command = prepare_command(
        container,
        SITE,
        repository=repository_text(plan),
        commit=commit_text(plan.source),
        head=head,
        known_commit=_known_commit(plan) if head or task is plan.on_failure else "",
        host_keys=plan.git.host_keys,
    )
    return m.UserContainer(
        name=name,
        image=image or container.image,
        image_pull_policy=task.pod.image_pull_policy,
        command=[*command, *only],
        env=container_env(env) or None,
        resources=container_resources(container.resources),
        volume_mounts=container_mounts(container),
    )


def _main(task: BatchTask, more_env: Sequence[m.EnvVar]) -> m.Container:
    container = task.container
    mounts = [
        m.VolumeMount(name=each.name, mount_path=each.path, read_only=each.read_only or None)
        for each in task.pod.volumes
    ]
    return m.Container(
        image=container.image,
        image_pull_policy=task.pod.image_pull_policy,
        command=list(exec_command(container, SITE)),
        env=[*container_env(container.env), *more_env] or None,
        resources=container_resources(container.resources, gpu=True),
        volume_mounts=[*_COMMON_MOUNTS, *mounts],
    )


def _variable(env: Env) -> m.EnvVar:
    match env:
        case PlainEnv(name=name, value=value):
            return m.EnvVar(name=name, value=value)
        case SecretEnv(name=name, secret=secret, key=key, optional=optional):
            reference = m.SecretKeySelector(name=secret, key=key, optional=optional or None)
            return m.EnvVar(name=name, value_from=m.EnvVarSource(secret_key_ref=reference))
        case RunNameEnv(name=name):
            field = m.ObjectFieldSelector(field_path=f"metadata.labels['{_RUN_LABEL}']")
            return m.EnvVar(name=name, value_from=m.EnvVarSource(field_ref=field))
        case ServiceUrlEnv(name=name, service=service, port=port):
            return m.EnvVar(name=name, value=f"http://{service}:{port}")
        case _ as unreachable:
            assert_never(unreachable)


def _quantities(cores: float, megabytes: int) -> dict[str, m.Quantity]:
    cpu = f"{cores:g}" if cores == int(cores) else f"{max(round(cores * 1000), 1)}m"
    return {
        **({"cpu": m.Quantity(cpu)} if cores else {}),
        **({"memory": m.Quantity(f"{megabytes}M")} if megabytes else {}),
    }


def _volumes(task: BatchTask) -> list[m.Volume]:
    return [*(_volume(each) for each in task.pod.volumes), *authorities(task.container)]


def _volume(volume: Volume) -> m.Volume:
    name, source = volume.name, volume.source
    match volume.kind:
        case VolumeKind.CLAIM:
            claim = m.PersistentVolumeClaimVolumeSource(
                claim_name=source, read_only=volume.read_only or None
            )
            return m.Volume(name=name, persistent_volume_claim=claim)
        case VolumeKind.SECRET:
            return m.Volume(name=name, secret=m.SecretVolumeSource(secret_name=source))
        case VolumeKind.CONFIG_MAP:
            return m.Volume(name=name, config_map=m.ConfigMapVolumeSource(name=source))
        case VolumeKind.EMPTY:
            empty = m.EmptyDirVolumeSource(size_limit=m.Quantity(f"{source}M"))
            return m.Volume(name=name, empty_dir=empty)
        case _ as unreachable:
            assert_never(unreachable)
