"""Secrets that stages use: which are missing, and copies of those that a group keeps elsewhere.

Bodywork's convention holds: a group's secrets lie in a namespace of their own, each under the name
``GROUP-NAME`` and the label ``group``. A run gets copies of exactly those that its stages use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bodywork_argo.cluster import Cluster, Resource
from bodywork_argo.errors import EngineError, Forbidden, Problem
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan, SecretEnv, Task
from bodywork_argo.spec import VolumeKind

SECRET = Resource(api_version="v1", kind="Secret")
GROUP = "group"
"""Bodywork's own label."""
COPY_OF = "bodywork-argo/copy-of"
"""Annotation of a copy: namespace and name of its origin."""
USED_BY = "used-by.bodywork-argo/"
"""Begins the label of a copy that names a pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One place where a plan names a secret."""

    stage: str
    secret: str
    key: str | None
    """None: the secret as a whole."""
    where: str
    """The key of the file that names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What copying a group did, by the secrets' plain names."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def secrets_used(plan: Plan) -> tuple[Use, ...]:
    """Return every place where the stages of a plan need a secret; optional ones are left out."""
    return tuple(use for task in plan.all_tasks() for use in _uses(task))


def missing_secrets(plan: Plan, cluster: Cluster) -> tuple[Problem, ...]:
    """Return which secrets or keys the stages would miss, one problem each.

    Values are never read: the server sends metadata alone, and its record of who wrote which
    field (``managedFields``) has the names of the keys.
    """
    problems: list[Problem] = []
    keys: dict[str, frozenset[str] | None] = {}
    try:
        for use in secrets_used(plan):
            if use.secret not in keys:
                found = cluster.get(SECRET, use.secret, metadata_only=True)
                keys[use.secret] = None if found is None else keys_of(found)
            problems += _missing(use, keys[use.secret], cluster.namespace)
    except Forbidden as error:
        return (
            Problem(
                key="secrets",
                what=f"nobody can tell whether the stages' secrets are there: {error}",
                remedy="ask for the right to get secrets, or check them yourself",
                severity="warning",
            ),
        )
    return tuple(problems)


def keys_of(secret: Manifest) -> frozenset[str]:
    """Return the names of a secret's keys as its metadata tells them; none when it does not."""
    return frozenset(
        key.removeprefix("f:")
        for entry in secret["metadata"].get("managedFields", ())
        for part in ("f:data", "f:stringData")
        for key in entry.get("fieldsV1", {}).get(part, ())
        if key.startswith("f:")
    )


def sync_group(group: str, plan: Plan, *, source: Cluster, target: Cluster) -> Synced:
    """Copy the secrets that the stages use from a group to the run's namespace.

    A copy whose origin is gone is deleted. One that this pipeline no longer uses loses its mark,
    and is deleted when no pipeline is left. A secret that is not a copy of this group is kept, and
    the stages use it as it is, unless the group has one of that name, too.

    Raises:
        EngineError: a secret of the group would take the place of one that is not its copy.
    """
    wanted = {use.secret for use in secrets_used(plan)}
    done: dict[str, list[str]] = {}
    for name in sorted(wanted):
        outcome = _copy(group, name, plan.name, source, target)
        done.setdefault(outcome, []).append(name)
    done["pruned"] = [*done.get("pruned", ()), *_prune(group, plan.name, wanted, target)]
    return Synced(**{outcome: tuple(names) for outcome, names in done.items()})


def _uses(task: Task) -> Iterator[Use]:
    place = f"stages.{task.stage}"
    for env, where in ((task.container.env, "secrets"), (task.container.prepare_env, "install")):
        for each in env:
            if isinstance(each, SecretEnv) and not each.optional:
                key = f"{place}.secrets.{each.name}"
                if where == "install":
                    key = f"{place}.kubernetes.install.index_secret"
                yield Use(stage=task.stage, secret=each.secret, key=each.key, where=key)
    for volume in task.pod.volumes:
        if volume.kind is VolumeKind.SECRET:
            where = f"{place}.kubernetes.volumes"
            yield Use(stage=task.stage, secret=volume.source, key=None, where=where)
    for name in task.pod.image_pull_secrets:
        where = f"{place}.kubernetes.image_pull_secrets"
        yield Use(stage=task.stage, secret=name, key=None, where=where)


def _missing(use: Use, keys: frozenset[str] | None, namespace: str) -> Iterator[Problem]:
    key = f" with the key {use.key}" if use.key else ""
    option = f"--from-literal={use.key}=VALUE" if use.key else "..."
    if keys is None:
        yield Problem(
            key=use.where,
            what=f"there is no secret {use.secret} in namespace {namespace}",
            remedy=f"create it{key}: `kubectl -n {namespace} create secret generic {use.secret} "
            f"{option}`",
        )
    elif use.key and keys and use.key not in keys:
        yield Problem(
            key=use.where,
            what=f"secret {use.secret} in namespace {namespace} has no key {use.key}",
            remedy=f"add the key {use.key} to it",
        )
    elif use.key and not keys:
        yield Problem(
            key=use.where,
            what=f"the keys of secret {use.secret} can't be told without reading its values",
            remedy=f"make sure that it has the key {use.key}",
            severity="warning",
        )


def _copy(group: str, name: str, pipeline: str, source: Cluster, target: Cluster) -> str:
    """Make, refresh or remove one copy; return which."""
    origin = source.get(SECRET, f"{group}-{name}")
    there = target.get(SECRET, name)
    if origin is None or _labels(origin).get(GROUP) != group:
        if there is None or not _is_copy(there, group):
            return "missing" if there is None else "unchanged"
        target.delete(SECRET, name)
        return "pruned"
    if there is not None and not _is_copy(there, group):
        raise EngineError(
            f"secret {name} in namespace {target.namespace} is not a copy from group {group}, so "
            f"it is left as it is: delete or rename it, or take {name} out of the group"
        )
    copy = _document(group, name, pipeline, origin, there)
    copy["metadata"]["annotations"] = {COPY_OF: f"{source.namespace}/{group}-{name}"}
    if there is not None and _same(there, copy):
        return "unchanged"
    if there is None:
        target.create(copy)
        return "created"
    gone = {key: None for key in there.get("data", {}) if key not in copy["data"]}
    target.patch(SECRET, name, {**copy, "data": {**copy["data"], **gone}})
    return "updated"


def _document(
    group: str, name: str, pipeline: str, origin: Manifest, there: Manifest | None
) -> Manifest:
    users = {key: "true" for key in _labels(there) if key.startswith(USED_BY)}
    labels = {
        "app.kubernetes.io/managed-by": "bodywork-argo",
        GROUP: group,
        **users,
        f"{USED_BY}{pipeline}": "true",
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels},
        "type": origin.get("type", "Opaque"),
        "data": dict(origin.get("data", {})),
    }


def _prune(group: str, pipeline: str, wanted: set[str], target: Cluster) -> Iterator[str]:
    """Take this pipeline's mark from copies that it no longer uses; yield those that went."""
    mark = f"{USED_BY}{pipeline}"
    for copy in target.list(SECRET, {GROUP: group, mark: "true"}, metadata_only=True):
        name = copy["metadata"]["name"]
        if name in wanted or not _is_copy(copy, group):
            continue
        if any(key.startswith(USED_BY) and key != mark for key in _labels(copy)):
            target.patch(SECRET, name, {"metadata": {"labels": {mark: None}}})
        else:
            target.delete(SECRET, name)
            yield name


def _is_copy(secret: Manifest, group: str) -> bool:
    labels = _labels(secret)
    ours = labels.get("app.kubernetes.io/managed-by") == "bodywork-argo"
    return ours and labels.get(GROUP) == group and COPY_OF in _annotations(secret)


def _same(there: Manifest, copy: Manifest) -> bool:
    labels = copy["metadata"]["labels"]
    return bool(
        there.get("data", {}) == copy["data"]
        and {key: _labels(there).get(key) for key in labels} == labels
        and _annotations(there).get(COPY_OF) == copy["metadata"]["annotations"][COPY_OF]
    )


def _labels(secret: Manifest | None) -> Mapping[str, str]:
    return (secret or {}).get("metadata", {}).get("labels") or {}


def _annotations(secret: Manifest) -> Mapping[str, str]:
    return secret["metadata"].get("annotations") or {}
