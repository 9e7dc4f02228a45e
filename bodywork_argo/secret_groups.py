"""Groups of secrets, which pipelines share.

A group is Bodywork's own way to do so. It lives in one namespace, where the secret NAME of group
GROUP is called ``GROUP-NAME`` and carries the label ``group``. Runs find copies of it in their own
namespace, called NAME as the stages have it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from bodywork_argo.cluster import SECRET, Cluster
from bodywork_argo.errors import AlreadyExists
from bodywork_argo.manifests import Manifest
from bodywork_argo.names import MANAGED_BY, MANAGED_BY_LABEL, label_value
from bodywork_argo.plan import Plan
from bodywork_argo.secret_uses import key_names, listed, secrets_used

GROUP_LABEL = "group"
"""Bodywork's own label of a secret that belongs to a group."""
COPY_LABEL = "bodywork-argo/secrets-group"
"""The group that a copy was made of; no other secret has it."""
USED_BY_PREFIX = "used-by.bodywork-argo/"
"""Before the name of each pipeline that uses a copy, as a label."""
ORIGIN_ANNOTATION = "bodywork-argo/origin"
"""Namespace and name of what a copy was made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What became of the copies; secrets by the names that stages know."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()
    """Copies that are gone, since their origin is, or since no pipeline uses them any more."""
    missing: tuple[str, ...] = ()
    """What stages can't do without and neither the group nor the target has."""


def sync_group(group: str, plan: Plan, *, source: Cluster, target: Cluster) -> Synced:
    """Bring the secrets of a group that the plan's stages use to where its runs find them.

    `source` is the namespace of the groups. Copies are refreshed, each carries the pipelines that
    use it, and one that none uses, or whose origin is gone, is removed, unless somebody changes or
    replaces it at that moment.

    Raises:
        EngineError: a secret of that name is there that is no copy of this group's; nothing is
            changed then.
    """
    sync = _Sync(group, plan, source, target)
    sync.look()
    sync.bring()
    sync.prune()
    return sync.outcome()


class _Sync:
    """One call of `sync_group`."""

    def __init__(self, group: str, plan: Plan, source: Cluster, target: Cluster) -> None:
        self._group = group
        self._source = source
        self._target = target
        self._used_by = f"{USED_BY_PREFIX}{plan.name}"
        self._wanted = secrets_used(plan)
        self._origins: dict[str, Manifest] = {}
        self._present: dict[str, Manifest | None] = {}
        self._done: dict[str, list[str]] = {}

    def look(self) -> None:
        """Read the origins and what is in their place; refuse before anything is changed."""
        for name in self._wanted:
            origin = self._source.get(SECRET, f"{self._group}-{name}")
            if self._of_group(origin):
                self._origins[name] = origin
                self._present[name] = self._target.get(SECRET, name)
        foreign = [name for name, found in self._present.items() if found and not self._ours(found)]
        if foreign:
            raise self._refusal(foreign)

    def bring(self) -> None:
        """Make and refresh the copies."""
        for name, origin in self._origins.items():
            self._told(self._copy(self._document(name, origin), self._present[name]), name)

    def prune(self) -> None:
        """Give up what this pipeline no longer uses; remove what has no user or no origin."""
        labels = {MANAGED_BY_LABEL: MANAGED_BY, COPY_LABEL: label_value(self._group)}
        for copy in self._target.list(SECRET, labels, metadata_only=True):
            name = copy["metadata"]["name"]
            annotations = copy["metadata"].get("annotations") or {}
            from_here = annotations.get(ORIGIN_ANNOTATION) == self._origin(name)
            if name in self._origins or not from_here:
                continue
            over = copy if self._orphaned(name) else self._released(copy)
            if over is not None and self._target.delete(SECRET, name, only=over):
                self._told("pruned", name)

    def outcome(self) -> Synced:
        """Return what was done; look for what neither the group nor the target has."""
        missing = tuple(
            name
            for name, keys in self._wanted.items()
            if name not in self._origins
            and not all(use.optional for use in keys.values())
            and self._target.get(SECRET, name, metadata_only=True) is None
        )
        return Synced(missing=missing, **{what: tuple(them) for what, them in self._done.items()})

    def _told(self, what: str, name: str) -> None:
        self._done.setdefault(what, []).append(name)

    def _origin(self, name: str) -> str:
        return f"{self._source.namespace}/{self._group}-{name}"

    def _of_group(self, origin: Manifest | None) -> TypeGuard[Manifest]:
        return origin is not None and in_group(origin, self._group)

    def _ours(self, found: Manifest) -> bool:
        return is_copy(found, self._group)

    def _refusal(self, foreign: list[str]) -> AlreadyExists:
        return AlreadyExists(
            f"{listed('secret', foreign)} in namespace {self._target.namespace} would be replaced "
            f"by the secrets of group {self._group}, but did not come from there: delete what is "
            f"there, give it another name in the group and in the stages, or use another namespace"
        )

    def _document(self, name: str, origin: Manifest) -> Manifest:
        group = label_value(self._group)
        labels = {GROUP_LABEL: group, COPY_LABEL: group, self._used_by: "true"}
        document = secret_manifest(name, origin.get("data") or {}, origin.get("type"), labels)
        document["metadata"]["annotations"] = {ORIGIN_ANNOTATION: self._origin(name)}
        return document

    def _copy(self, document: Manifest, present: Manifest | None) -> str:
        """Make the copy as it should be; return what that took."""
        name = document["metadata"]["name"]
        if present is None:
            try:
                self._target.create(document)
                return "created"
            except AlreadyExists:  # another run brings it at this moment, or our answer was lost
                present = self._target.get(SECRET, name)
                if present is None or not self._ours(present):
                    raise self._refusal([name]) from None
        if not same_content(present, document):
            replace_secret(self._target, present, document)
            return "updated"
        if self._used_by not in _labels(present):
            labels = document["metadata"]["labels"]
            self._target.patch(SECRET, name, {"metadata": {"labels": labels}})
        return "unchanged"

    def _orphaned(self, name: str) -> bool:
        if name in self._wanted:
            return True
        origin = self._source.get(SECRET, f"{self._group}-{name}", metadata_only=True)
        return not self._of_group(origin)

    def _released(self, copy: Manifest) -> Manifest | None:
        """Give a copy up; return it as it is then, if nobody is left who uses it."""
        if self._used_by not in _labels(copy):
            return None
        changes = {"metadata": {"labels": {self._used_by: None}}}
        left = self._target.patch(SECRET, copy["metadata"]["name"], changes)
        if left is None or any(label.startswith(USED_BY_PREFIX) for label in _labels(left)):
            return None
        return left


def in_group(found: Manifest, group: str) -> bool:
    """Return whether a secret is in the group: ``a-b-c`` may be b-c of a, or c of a-b."""
    return _labels(found).get(GROUP_LABEL) == label_value(group)


def is_copy(found: Manifest, group: str) -> bool:
    """Return whether a secret is a copy that was made of one of the group's."""
    labels = _labels(found)
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY and labels.get(COPY_LABEL) == label_value(
        group
    )


def secret_manifest(
    name: str, data: Mapping[str, str], kind: str | None, labels: Mapping[str, str]
) -> Manifest:
    """Return a Secret of ours; `data` are values in base64, `kind` is its type."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {MANAGED_BY_LABEL: MANAGED_BY, **labels}},
        "type": kind or "Opaque",
        "data": dict(data),
    }


def same_content(present: Manifest, wanted: Manifest) -> bool:
    """Return whether a Secret holds what it should."""
    return bool(
        (present.get("data") or {}) == wanted["data"] and present.get("type") == wanted["type"]
    )


def replace_secret(cluster: Cluster, present: Manifest, wanted: Manifest) -> None:
    """Give a Secret another content; labels that others gave it stay.

    Where Kubernetes allows no such change, it is made anew.
    """
    name, metadata = wanted["metadata"]["name"], dict(wanted["metadata"])
    metadata["labels"] = {**_labels(present), **metadata["labels"]}
    if present.get("immutable") or present.get("type") != wanted["type"]:
        cluster.delete(SECRET, name, only=present)
        cluster.create({**wanted, "metadata": metadata})
        return
    gone = dict.fromkeys((present.get("data") or {}).keys() - wanted["data"].keys())
    changes = {"metadata": metadata, "data": {**gone, **wanted["data"]}}
    if cluster.patch(SECRET, name, changes) is None:
        cluster.create(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A secret as its metadata tell it; its values are never read."""

    name: str
    """As stages have it."""
    object_name: str
    group: str
    """ "" for one outside of groups."""
    keys: tuple[str, ...]
    all_keys: bool
    """Whether these are surely all."""
    copy: bool
    """Whether it was made of a secret of the group."""
    created: str
    """RFC 3339."""
    read: Manifest
    """The metadata, as they were read."""


def stored_secrets(cluster: Cluster, group: str | None = None) -> tuple[Stored, ...]:
    """Return the secrets of a group, or all that are ours or belong to any, by name."""
    labels = {} if group is None else {GROUP_LABEL: label_value(group)}
    found = cluster.list(SECRET, labels, metadata_only=True)
    ours = [each for each in found if group is not None or _of_interest(each)]
    return tuple(sorted(map(_stored, ours), key=lambda one: (one.group, one.name)))


def stored_secret(cluster: Cluster, name: str, group: str | None = None) -> Stored | None:
    """Return one secret; None when there is none of ours or of the group."""
    found = cluster.get(SECRET, object_name(name, group), metadata_only=True)
    if found is None or not _of_interest(found):
        return None
    stored = _stored(found)
    return stored if group is None or stored.group == label_value(group) else None


def store_secret(
    cluster: Cluster,
    name: str,
    values: Mapping[str, bytes],
    *,
    group: str | None = None,
    replace: bool = False,
) -> bool:
    """Create a secret, or with `replace` give it another content; return whether it was there.

    Raises:
        AlreadyExists: it is there, and is not to be replaced; or it is a copy of a group's.
    """
    labels = {} if group is None else {GROUP_LABEL: label_value(group)}
    full_name = object_name(name, group)
    data = {key: base64.b64encode(value).decode() for key, value in values.items()}
    wanted = secret_manifest(full_name, data, None, labels)
    present = cluster.get(SECRET, full_name) if replace else None
    if present is None:
        try:
            cluster.create(wanted)
        except AlreadyExists as error:
            raise AlreadyExists(
                f"there is a secret {full_name} in namespace {cluster.namespace}: "
                f"give --replace to replace all that it holds"
            ) from error
        return False
    if COPY_LABEL in _labels(present):
        raise AlreadyExists(
            f"secret {full_name} in namespace {cluster.namespace} is a copy, which the next run "
            f"refreshes: change it in its group with --group {_labels(present)[COPY_LABEL]}"
        )
    replace_secret(cluster, present, {**wanted, "type": present.get("type") or "Opaque"})
    return True


def object_name(name: str, group: str | None) -> str:
    """Return what a secret of a group is called where groups are kept.

    >>> object_name("db", "prod")
    'prod-db'
    """
    return name if group is None else f"{group}-{name}"


def _of_interest(found: Manifest) -> bool:
    labels = _labels(found)
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY or GROUP_LABEL in labels


def _stored(found: Manifest) -> Stored:
    metadata, labels = found["metadata"], _labels(found)
    group, copy = labels.get(GROUP_LABEL, ""), COPY_LABEL in labels
    name: str = metadata["name"]
    names, all_known = key_names(found)
    return Stored(
        name=name if copy else name.removeprefix(f"{group}-"),
        object_name=name,
        group=group,
        keys=tuple(sorted(names)),
        all_keys=all_known,
        copy=copy,
        created=metadata.get("creationTimestamp") or "",
        read=found,
    )


def _labels(found: Manifest) -> Mapping[str, str]:
    labels: Mapping[str, str] = found["metadata"].get("labels") or {}
    return labels
