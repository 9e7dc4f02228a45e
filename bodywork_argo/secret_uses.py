"""Which secrets a plan's stages use, and which of them a namespace lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bodywork_argo.cluster import SECRET, Cluster
from bodywork_argo.errors import Forbidden, Problem
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan, SecretEnv, ServiceTask, Task
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
    """Return which stages use which keys of which secrets, in the order of the plan.

    What a patch of a pod asks for is not among them.
    """
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


def missing_secrets(plan: Plan, cluster: Cluster) -> tuple[Problem, ...]:
    """Return which secrets and keys that the stages can't do without are not there.

    No value is read: a secret's metadata tell its keys, by who manages which field. Where they
    don't, that is a warning; so is it when secrets may not be read at all.
    """
    problems: list[Problem] = []
    for secret, keys in secrets_used(plan).items():
        needed = {key: use for key, use in keys.items() if not use.optional}
        if not needed:
            continue
        try:
            found = cluster.get(SECRET, secret, metadata_only=True)
        except Forbidden as error:
            return (*problems, _unknown("secrets", f"the stages' secrets are not known: {error}"))
        if found is None:
            problems.append(_absent(secret, needed, cluster.namespace))
        else:
            problems += _missing_keys(secret, needed, found, cluster.namespace)
    return tuple(problems)


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


def _absent(secret: str, needed: Mapping[str, Use], namespace: str) -> Problem:
    first = next(iter(needed.values()))
    stages = dict.fromkeys(stage for use in needed.values() for stage in use.stages)
    keys = [key for key in needed if key != WHOLE]
    with_keys = f" with {listed('key', keys)}" if keys else ""
    return Problem(
        key=first.place,
        what=f"there is no secret {secret} in namespace {namespace}; "
        f"{listed('stage', list(stages))} can't start without it",
        remedy=f"create it{with_keys}: `bodywork-argo secret create {secret} -n {namespace}`",
    )


def _missing_keys(
    secret: str, needed: Mapping[str, Use], found: Manifest, namespace: str
) -> list[Problem]:
    names, all_known = key_names(found)
    lacking = {key: use for key, use in needed.items() if key not in names and key != WHOLE}
    if lacking and not all_known:
        place = next(iter(lacking.values())).place
        what = f"whether secret {secret} in namespace {namespace} has {listed('key', [*lacking])}"
        return [_unknown(place, f"{what} can't be told without reading its values")]
    return [
        Problem(
            key=use.place,
            what=f"secret {secret} in namespace {namespace} has no key {key}; "
            f"{listed('stage', list(use.stages))} can't start without it",
            remedy=f"add it, or create the secret anew: `bodywork-argo secret create {secret} "
            f"--replace -n {namespace}`",
        )
        for key, use in lacking.items()
    ]


def _unknown(key: str, what: str) -> Problem:
    return Problem(key=key, what=what, severity="warning")


def listed(noun: str, names: list[str]) -> str:
    """Return names with what they are.

    >>> listed("key", ["a", "b"]), listed("key", ["a"])
    ('keys a, b', 'key a')
    """
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names)}"
