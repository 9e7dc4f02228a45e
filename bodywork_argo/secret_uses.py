"""Which secrets a plan's stages use, and what a secret's metadata tell of its keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan, SecretEnv, ServiceTask, Task
from bodywork_argo.pod_patches import patched
from bodywork_argo.spec import VolumeKind

WHOLE = ""
"""In place of a key: the secret as a whole is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Who uses a key of a secret."""

    stages: tuple[str, ...]
    optional: bool
    """Whether every stage does without it where it is not there."""
    place: str
    """The first of the keys in bodywork.yaml that ask for it."""


@dataclass(frozen=True, slots=True)
class _Reference:
    secret: str
    key: str
    place: str
    optional: bool = False


def secrets_used(plan: Plan) -> dict[str, dict[str, Use]]:
    """Return which stages use which keys of which secrets, in the order of the plan."""
    used: dict[str, dict[str, Use]] = {}
    for task in plan.all_tasks():
        for each in _references(plan, task):
            keys = used.setdefault(each.secret, {})
            known = keys.get(each.key)
            keys[each.key] = Use(
                stages=tuple(dict.fromkeys((*(known.stages if known else ()), task.stage))),
                optional=each.optional and (known is None or known.optional),
                place=known.place if known else each.place,
            )
    return used


def _references(plan: Plan, task: Task) -> Iterator[_Reference]:
    stage = f"stages.{task.stage}"
    block = f"{stage}.kubernetes"
    for place, envs in (
        (f"{stage}.secrets", task.container.env),
        (f"{block}.install.index_secret", task.container.prepare_env),
        (stage, plan.git.env),
    ):
        for env in envs:
            if isinstance(env, SecretEnv):
                where = f"{place}.{env.name}" if place.endswith(".secrets") else place
                yield _Reference(env.secret, env.key, where, env.optional)
    for volume in task.pod.volumes:
        if volume.kind is VolumeKind.SECRET:
            yield _Reference(volume.source, WHOLE, f"{block}.volumes")
    for secret in task.pod.image_pull_secrets:
        yield _Reference(secret, WHOLE, f"{block}.image_pull_secrets")
    if isinstance(task, ServiceTask) and task.ingress and task.ingress.tls_secret:
        # Whoever issues certificates makes it when the ingress is there.
        yield _Reference(task.ingress.tls_secret, WHOLE, f"{block}.ingress", optional=True)
    yield from _of_spec(patched({}, task.pod.patches), f"{block}.patch")


def _of_spec(spec: Manifest, place: str) -> Iterator[_Reference]:
    """Yield what a part of a pod's spec asks for; what has not the API's form is left to it."""
    for secret in _items(spec, "imagePullSecrets"):
        yield from _named(secret, "name", place)
    for volume in _items(spec, "volumes"):
        yield from _named(_part(volume, "secret"), "secretName", place)
        for source in _items(_part(volume, "projected"), "sources"):
            yield from _named(_part(source, "secret"), "name", place)
    for container in (*_items(spec, "initContainers"), *_items(spec, "containers")):
        for source in _items(container, "envFrom"):
            yield from _named(_part(source, "secretRef"), "name", place)
        for variable in _items(container, "env"):
            yield from _named(_part(_part(variable, "valueFrom"), "secretKeyRef"), "name", place)


def _named(reference: Manifest, field: str, place: str) -> Iterator[_Reference]:
    """Yield the keys of a secret that an object of the API names, or the secret as a whole."""
    if field not in reference:
        return
    keys = [each["key"] for each in (reference, *_items(reference, "items")) if "key" in each]
    optional = reference.get("optional") is True
    for key in keys or [WHOLE]:
        yield _Reference(str(reference[field]), str(key), place, optional)


def _items(holder: Manifest, key: str) -> list[Manifest]:
    value = holder.get(key)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _part(holder: Manifest, key: str) -> Manifest:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def key_names(secret: Manifest) -> tuple[frozenset[str], bool]:
    """Return the keys of a secret of which only the metadata are at hand, and whether surely all.

    Who manages which field tells them, reliably from Kubernetes 1.22 on, with two exceptions: the
    list may have been cleared, and keys that a server-side apply of ``stringData`` no longer names
    stay in the secret with nobody's name on them.
    """
    managers = secret["metadata"].get("managedFields") or []
    fields = [manager.get("fieldsV1") or {} for manager in managers]
    names = {
        field.removeprefix("f:")
        for each in fields
        for part in ("f:data", "f:stringData")
        for field in each.get(part) or {}
        if field.startswith("f:")
    }
    return frozenset(names), bool(fields) and not any("f:stringData" in each for each in fields)


def listed(noun: str, names: list[str]) -> str:
    """Return names with what they are.

    >>> listed("key", ["a", "b"]), listed("key", ["a"])
    ('keys a, b', 'key a')
    """
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names)}"
