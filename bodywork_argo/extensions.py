"""The ``kubernetes`` blocks: from readings of pipeline and stage to what a stage's pods get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

from bodywork_argo import keys
from bodywork_argo import kubernetes_keys as more
from bodywork_argo import pod_keys as pod
from bodywork_argo import pod_parts as parts
from bodywork_argo.credentials import shown
from bodywork_argo.fields import Field, Reading
from bodywork_argo.spec import (
    Ingress,
    Install,
    Pairs,
    PodOptions,
    RunOptions,
    ServiceOptions,
    Volume,
)

T = TypeVar("T")

GIT_KEY_SECRET = "ssh-git-private-key"
"""Where Bodywork keeps the key that fetches the code."""


def run_options(block: Reading | None) -> RunOptions:
    """Return what the pipeline's block says about runs as a whole."""
    if block is None:
        return RunOptions()
    return RunOptions(
        run_timeout_seconds=block.need(more.RUN_TIMEOUT),
        parallelism=block.need(more.PARALLELISM),
        ttl_seconds=block.get(more.TTL_SECONDS),
    )


def pod_options(blocks: Sequence[Reading]) -> PodOptions:
    """Return what the blocks give a stage's pods; a later block goes before an earlier one."""
    return PodOptions(
        cpu_limit=_need(blocks, pod.CPU_LIMIT),
        memory_limit_mb=_need(blocks, pod.MEMORY_LIMIT_MB),
        gpu=_need(blocks, pod.GPU),
        gpu_resource=_need(blocks, pod.GPU_RESOURCE),
        node_selector=_merged(blocks, pod.NODE_SELECTOR),
        tolerations=_joined(blocks, pod.TOLERATIONS),
        image_pull_secrets=_joined(blocks, pod.IMAGE_PULL_SECRETS),
        image_pull_policy=_get(blocks, pod.IMAGE_PULL_POLICY),
        service_account=_get(blocks, pod.SERVICE_ACCOUNT),
        labels=_merged(blocks, pod.LABELS),
        annotations=_merged(blocks, pod.ANNOTATIONS),
        env=_merged(blocks, pod.ENV),
        volumes=_volumes(blocks),
        install=_install([part for block in blocks if (part := block.get(pod.INSTALL))]),
        patches=tuple(text for block in blocks if (text := block.get(pod.PATCH))),
    )


def service_options(block: Reading | None) -> ServiceOptions:
    """Return what a service's block says about its probes and its ingress."""
    if block is None:
        return ServiceOptions()
    probes = [found] if (found := block.get(more.PROBES)) else []
    ingress = [found] if (found := block.get(more.INGRESS)) else []
    return ServiceOptions(
        startup_path=_get(probes, more.STARTUP),
        readiness_path=_get(probes, more.READINESS),
        liveness_path=_get(probes, more.LIVENESS),
        ingress=Ingress(
            class_name=_get(ingress, more.CLASS),
            host=_get(ingress, more.HOST),
            path=_get(ingress, more.PATH),
            tls_secret=_get(ingress, more.TLS_SECRET),
        ),
    )


def check_stage(
    stage: Reading, block: Reading | None, service: Reading | None, above: Reading | None
) -> None:
    """Hold a stage's block, and the pipeline's `above`, against the stage's other keys."""
    blocks = [found for found in (above, block) if found is not None]
    _check_limit(stage, block, blocks, keys.CPU_REQUEST, pod.CPU_LIMIT)
    _check_limit(stage, block, blocks, keys.MEMORY_REQUEST_MB, pod.MEMORY_LIMIT_MB)
    _check_variables(stage, blocks)
    _check_paths(stage, blocks)
    if block is not None:
        _check_kind(block, service)


def check_block(block: Reading) -> None:
    """Hold the keys of one block against each other."""
    place = block.place_of(pod.VOLUMES)
    names: set[str] = set()
    for number, volume in enumerate(block.need(pod.VOLUMES)):
        if volume.name in names:
            what = f"is a second volume '{volume.name}'"
            place.at_item(number).error(what, "give it another name")
        names.add(volume.name)
        if volume.source == GIT_KEY_SECRET:
            place.at_item(number).warn(
                "gives the Git key to the module too", "remove it: the code is fetched without it"
            )


def _check_limit(
    stage: Reading,
    block: Reading | None,
    blocks: Sequence[Reading],
    request: Field[float],
    limit: Field[float],
) -> None:
    """Kubernetes refuses a pod that asks for more than it may use."""
    asked, allowed = stage.get(request), _need(blocks, limit)
    if not asked or not allowed or asked <= allowed:
        return
    remedy = "raise the limit or ask for less"
    if block is not None and limit.name in block.values:
        what = f"is {allowed:g}, less than '{request.name}' {asked:g}"
        block.place_of(limit).error(what, remedy)
    else:
        what = f"is {asked:g}, more than the pipeline's '{limit.name}' {allowed:g}"
        stage.place_of(request).error(what, remedy)


def _check_variables(stage: Reading, blocks: Sequence[Reading]) -> None:
    plain = dict(_merged(blocks, pod.ENV))
    for name, _ in stage.need(keys.SECRETS):
        if name in plain:
            place = stage.place_of(keys.SECRETS).at(name)
            place.error("is among 'kubernetes: env' too", "keep one of the two")


def _check_paths(stage: Reading, blocks: Sequence[Reading]) -> None:
    owners: dict[str, str] = {}
    for volume in _volumes(blocks):
        path = volume.path.rstrip("/")
        if path in owners:
            what = f"has volumes '{owners[path]}' and '{volume.name}' at '{shown(path)}'"
            stage.place.error(what, "give one of them another path")
        owners[path] = volume.name


def _check_kind(block: Reading, service: Reading | None) -> None:
    if service is None:
        for field in (more.PROBES, more.INGRESS):
            if block.get(field) is not None:
                place = block.place_of(field)
                place.error("is for services, and this is a batch stage", "remove it")
    elif block.get(more.INGRESS) is not None and service.get(keys.INGRESS) is False:
        place = block.place_of(more.INGRESS)
        place.warn("changes nothing, since 'service: ingress' is false", "set that to true")


def _get(blocks: Iterable[Reading], field: Field[T]) -> T | None:
    """Return the value of the last block that has one, else the default."""
    found = field.default
    for block in blocks:
        if field.name in block.values:
            found = block.get(field)
    return found


def _need(blocks: Iterable[Reading], field: Field[T]) -> T:
    return cast("T", _get(blocks, field))


def _merged(blocks: Iterable[Reading], field: Field[Pairs]) -> Pairs:
    return tuple(dict(pair for block in blocks for pair in block.need(field)).items())


def _joined(blocks: Iterable[Reading], field: Field[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(item for block in blocks for item in block.need(field)))


def _volumes(blocks: Iterable[Reading]) -> tuple[Volume, ...]:
    by_name = {volume.name: volume for block in blocks for volume in block.need(pod.VOLUMES)}
    return tuple(by_name.values())


def _install(blocks: Sequence[Reading]) -> Install:
    return Install(
        timeout_seconds=_get(blocks, parts.INSTALL_TIMEOUT),
        index_url=_get(blocks, parts.INDEX_URL),
        index_secret=_get(blocks, parts.INDEX_SECRET),
        ca_bundle=_get(blocks, parts.CA_BUNDLE),
        http_proxy=_get(blocks, parts.HTTP_PROXY),
        https_proxy=_get(blocks, parts.HTTPS_PROXY),
        no_proxy=_get(blocks, parts.NO_PROXY),
        tool=_need(blocks, parts.TOOL),
    )
