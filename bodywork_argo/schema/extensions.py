"""The ``kubernetes`` blocks: how those of pipeline and stage join, and what they may not say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from bodywork_argo.schema import keys
from bodywork_argo.schema import kubernetes_keys as more
from bodywork_argo.schema import pod_keys as pod
from bodywork_argo.schema.credentials import shown
from bodywork_argo.schema.fields import Field, Reading

if TYPE_CHECKING:
    from bodywork_argo.spec import Pairs, Volume

T = TypeVar("T")

GIT_KEY_SECRET = "ssh-git-private-key"
"""Where Bodywork keeps the key that fetches the code."""


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
    asked, allowed = stage.get(request), latest_of_all(blocks, limit)
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
    plain = dict(merged(blocks, pod.ENV))
    for name, _ in stage.need(keys.SECRETS):
        if name in plain:
            place = stage.place_of(keys.SECRETS).at(name)
            place.error("is among 'kubernetes: env' too", "keep one of the two")


def _check_paths(stage: Reading, blocks: Sequence[Reading]) -> None:
    owners: dict[str, str] = {}
    for volume in volumes(blocks):
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


def latest(blocks: Iterable[Reading], field: Field[T]) -> T | None:
    """Return the value of the last block that has one, else the default."""
    found = field.default
    for block in blocks:
        if field.name in block.values:
            found = block.get(field)
    return found


def latest_of_all(blocks: Iterable[Reading], field: Field[T]) -> T:
    """Return the same of a field that has a default."""
    return cast("T", latest(blocks, field))


def merged(blocks: Iterable[Reading], field: Field[Pairs]) -> Pairs:
    """Return the pairs of all blocks; those of a later block go before those of an earlier one."""
    return tuple(dict(pair for block in blocks for pair in block.need(field)).items())


def joined(blocks: Iterable[Reading], field: Field[tuple[T, ...]]) -> tuple[T, ...]:
    """Return the items of all blocks, each once."""
    return tuple(dict.fromkeys(item for block in blocks for item in block.need(field)))


def volumes(blocks: Iterable[Reading]) -> tuple[Volume, ...]:
    """Return the volumes of all blocks; one of a later block replaces its namesake."""
    by_name = {volume.name: volume for block in blocks for volume in block.need(pod.VOLUMES)}
    return tuple(by_name.values())
