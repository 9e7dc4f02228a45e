"""From the readings of a file without errors to its `Project`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from bodywork_argo.schema import keys
from bodywork_argo.schema import kubernetes_keys as more
from bodywork_argo.schema import pod_keys as pod
from bodywork_argo.schema import pod_parts as parts
from bodywork_argo.schema.extensions import joined, latest, latest_of_all, merged, volumes
from bodywork_argo.schema.fields import Field, Reading
from bodywork_argo.schema.rules import Sections, StageReading
from bodywork_argo.spec import (
    BatchStage,
    Dialect,
    Ingress,
    Install,
    PodOptions,
    Project,
    Rollback,
    RunOptions,
    SecretRef,
    ServiceOptions,
    ServiceStage,
    Stage,
)

T = TypeVar("T")


def build_project(sections: Sections) -> Project:
    """Return what the sections mean."""
    head = sections.head
    above = head.get(keys.PIPELINE_KUBERNETES)
    return Project(
        name=head.need(keys.NAME),
        dialect=_dialect(sections.top, head),
        docker_image=head.need(keys.DOCKER_IMAGE),
        dag=sections.dag,
        stages=tuple(_stage(stage, above) for stage in sections.stages),
        log_level=sections.logging.need(keys.LOG_LEVEL),
        run_on_failure=head.get(keys.RUN_ON_FAILURE) or None,
        namespace=head.get(keys.NAMESPACE) or None,
        secrets_group=head.get(keys.SECRETS_GROUP) or None,
        run=_run_options(above),
    )


def _stage(stage: StageReading, above: Reading | None) -> Stage:
    assert stage.common is not None, "a file with a stage that can't be read has errors"
    if stage.batch is not None:
        return _batch_stage(stage.name, stage.common, stage.batch, above)
    assert stage.service is not None, "a file with a stage of no kind has errors"
    return _service_stage(stage.name, stage.common, stage.service, above)


def _batch_stage(name: str, common: Reading, batch: Reading, above: Reading | None) -> BatchStage:
    return BatchStage(
        name=name,
        module=common.need(keys.MODULE),
        args=common.need(keys.ARGS),
        requirements=common.need(keys.REQUIREMENTS),
        secrets=_secrets(common),
        cpu_request=common.need(keys.CPU_REQUEST),
        memory_request_mb=common.need(keys.MEMORY_REQUEST_MB),
        image=_extension(common, more.IMAGE),
        requirements_file=_extension(common, more.REQUIREMENTS_FILE),
        pod=_pod_options(_blocks(common, above)),
        max_completion_time_seconds=batch.need(keys.COMPLETION_SECONDS),
        retries=batch.need(keys.RETRIES),
    )


def _service_stage(
    name: str, common: Reading, service: Reading, above: Reading | None
) -> ServiceStage:
    return ServiceStage(
        name=name,
        module=common.need(keys.MODULE),
        args=common.need(keys.ARGS),
        requirements=common.need(keys.REQUIREMENTS),
        secrets=_secrets(common),
        cpu_request=common.need(keys.CPU_REQUEST),
        memory_request_mb=common.need(keys.MEMORY_REQUEST_MB),
        image=_extension(common, more.IMAGE),
        requirements_file=_extension(common, more.REQUIREMENTS_FILE),
        pod=_pod_options(_blocks(common, above)),
        max_startup_time_seconds=service.need(keys.STARTUP_SECONDS),
        replicas=service.need(keys.REPLICAS),
        port=service.need(keys.PORT),
        ingress=service.need(keys.INGRESS),
        options=_service_options(common.get(keys.STAGE_KUBERNETES)),
    )


def _blocks(common: Reading, above: Reading | None) -> list[Reading]:
    """Return the blocks that a stage's pods are made of, the stage's own last."""
    own = common.get(keys.STAGE_KUBERNETES)
    return [block for block in (above, own) if block is not None]


def _extension(common: Reading, field: Field[T]) -> T | None:
    block = common.get(keys.STAGE_KUBERNETES)
    return block.get(field) if block is not None else None


def _secrets(common: Reading) -> tuple[SecretRef, ...]:
    return tuple(
        SecretRef(variable=variable, secret=secret)
        for variable, secret in common.need(keys.SECRETS)
    )


def _dialect(top: Reading, head: Reading) -> Dialect:
    if top.get(keys.VERSION) == "1.1":
        return Dialect.V1_1
    newer = {keys.NAMESPACE.name, keys.SECRETS_GROUP.name}
    return Dialect.RELEASE_CANDIDATE if newer & head.values.keys() else Dialect.V1_0


def _run_options(block: Reading | None) -> RunOptions:
    """Return what the pipeline's block says about runs as a whole."""
    if block is None:
        return RunOptions()
    return RunOptions(
        run_timeout_seconds=block.need(more.RUN_TIMEOUT),
        parallelism=block.need(more.PARALLELISM),
        ttl_seconds=block.get(more.TTL_SECONDS),
        rollback=Rollback(block.need(more.ROLLBACK)),
    )


def _pod_options(blocks: Sequence[Reading]) -> PodOptions:
    """Return what the blocks give a stage's pods; a later block goes before an earlier one."""
    return PodOptions(
        cpu_limit=latest_of_all(blocks, pod.CPU_LIMIT),
        memory_limit_mb=latest_of_all(blocks, pod.MEMORY_LIMIT_MB),
        gpu=latest_of_all(blocks, pod.GPU),
        gpu_resource=latest_of_all(blocks, pod.GPU_RESOURCE),
        node_selector=merged(blocks, pod.NODE_SELECTOR),
        tolerations=joined(blocks, pod.TOLERATIONS),
        image_pull_secrets=joined(blocks, pod.IMAGE_PULL_SECRETS),
        image_pull_policy=latest(blocks, pod.IMAGE_PULL_POLICY),
        service_account=latest(blocks, pod.SERVICE_ACCOUNT),
        labels=merged(blocks, pod.LABELS),
        annotations=merged(blocks, pod.ANNOTATIONS),
        env=merged(blocks, pod.ENV),
        volumes=volumes(blocks),
        install=_install([part for block in blocks if (part := block.get(pod.INSTALL))]),
        patches=tuple(text for block in blocks if (text := block.get(pod.PATCH))),
    )


def _service_options(block: Reading | None) -> ServiceOptions:
    """Return what a service's block says about its probes and its ingress."""
    if block is None:
        return ServiceOptions()
    probes = [found] if (found := block.get(more.PROBES)) else []
    ingress = [found] if (found := block.get(more.INGRESS)) else []
    return ServiceOptions(
        startup_path=latest(probes, more.STARTUP),
        readiness_path=latest(probes, more.READINESS),
        liveness_path=latest(probes, more.LIVENESS),
        ingress=Ingress(
            class_name=latest(ingress, more.CLASS),
            host=latest(ingress, more.HOST),
            path=latest(ingress, more.PATH),
            tls_secret=latest(ingress, more.TLS_SECRET),
            rewrite=latest(ingress, more.REWRITE),
        ),
    )


def _install(blocks: Sequence[Reading]) -> Install:
    return Install(
        timeout_seconds=latest(blocks, parts.INSTALL_TIMEOUT),
        index_url=latest(blocks, parts.INDEX_URL),
        index_secret=latest(blocks, parts.INDEX_SECRET),
        ca_bundle=latest(blocks, parts.CA_BUNDLE),
        http_proxy=latest(blocks, parts.HTTP_PROXY),
        https_proxy=latest(blocks, parts.HTTPS_PROXY),
        no_proxy=latest(blocks, parts.NO_PROXY),
        tool=latest_of_all(blocks, parts.TOOL),
    )
