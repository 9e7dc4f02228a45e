"""Whether the secrets that stages use are where runs find them, or in the group they come from.

No value is read: a secret's metadata tell its keys, by who manages which field. Where they don't,
that is a warning; so is it when secrets may not be read at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bodywork_argo.access import SECRETS_GRANTS, SECRETS_NAMESPACE
from bodywork_argo.cluster import SECRET, Cluster
from bodywork_argo.errors import Forbidden, Problem
from bodywork_argo.manifests import Manifest
from bodywork_argo.names import label_value
from bodywork_argo.plan import Plan
from bodywork_argo.secret_groups import (
    GROUP_LABEL,
    ORIGIN_ANNOTATION,
    in_group,
    is_copy,
    object_name,
)
from bodywork_argo.secret_uses import WHOLE, Use, key_names, listed, secrets_used


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of secrets, of which runs take copies."""

    name: str
    source: Cluster
    """Seen from the namespace in which groups are kept."""

    def origin(self, secret: str) -> str:
        """Return what a secret is called in the group."""
        return object_name(secret, self.name)

    def find(self, secret: str, *, metadata_only: bool = False) -> Manifest | None:
        """Return a secret, if the group has it."""
        found = self.source.get(SECRET, self.origin(secret), metadata_only=metadata_only)
        return found if found and in_group(found, self.name) else None

    @property
    def options(self) -> str:
        """The options by which commands find it."""
        space = self.source.namespace
        kept = "" if space == SECRETS_NAMESPACE else f" --secrets-namespace {space}"
        return f"--group {self.name}{kept}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look for secrets found."""

    problems: tuple[Problem, ...]
    copies: tuple[str, ...] = ()
    """What a run would copy first, or refresh, from the group; by the names that stages know."""


def look_for_secrets(plan: Plan, cluster: Cluster, group: Group | None = None) -> Looked:
    """Look for what the stages can't do without; with a group, also for what is in the way of it.

    What the group has counts as it is there, since it will be copied; what it has not, as it is in
    the namespace of the runs.
    """
    look = _Look(cluster, group)
    try:
        for secret, keys in secrets_used(plan).items():
            look.at(secret, {key: use for key, use in keys.items() if not use.optional})
    except Forbidden as error:
        look.forbidden(error)
    if group is not None:
        look.at_rights()
    return Looked(problems=tuple(look.problems), copies=tuple(look.copies))


def missing_secrets(plan: Plan, cluster: Cluster) -> tuple[Problem, ...]:
    """Return which secrets and keys that the stages can't do without a namespace lacks."""
    return look_for_secrets(plan, cluster).problems


class _Look:
    """One call of `look_for_secrets`."""

    def __init__(self, cluster: Cluster, group: Group | None) -> None:
        self.problems: list[Problem] = []
        self.copies: list[str] = []
        self._cluster = cluster
        self._group = group
        self._asking = cluster
        """Of which cluster and namespace an answer is awaited."""
        self._creates = False

    def at(self, secret: str, needed: Mapping[str, Use]) -> None:
        """Look for one secret, and for the keys that are needed of it."""
        group = self._group
        if group is None:
            if needed:
                found = self._get(self._cluster, secret)
                self._judge(secret, needed, found, self._cluster)
            return
        origin = self._get(group.source, group.origin(secret))
        there = origin is not None and in_group(origin, group.name)
        if not (there or needed):
            return
        found = self._get(self._cluster, secret)
        if there:
            self._copied(group, secret, needed, found)
            self._judge(group.origin(secret), needed, origin, group.source)
        elif found is None or _goes(found, group, secret):
            self.problems.append(_in_neither(secret, needed, self._cluster, group, origin))
        else:
            self._judge(secret, needed, found, self._cluster)

    def forbidden(self, error: Forbidden) -> None:
        """Tell that nothing more can be seen; a group that may not be read keeps runs away."""
        what = f"the stages' secrets are not known: {error}"
        if self._group is not None and self._asking is self._group.source:
            remedy = _remedy_of_rights(self._cluster, self._group)
            self.problems.append(Problem(key="secrets", what=what, remedy=remedy))
        else:
            self.problems.append(Problem(key="secrets", what=what, severity="warning"))

    def at_rights(self) -> None:
        """Look for the rights that copying takes; only what will surely be needed is an error."""
        assert self._group is not None
        (grant,) = SECRETS_GRANTS
        for verb in grant.verbs:
            if self._cluster.may(verb, grant.group, "secrets"):
                continue
            needed = verb in ("get", "list") or (verb == "create" and self._creates)
            self.problems.append(
                Problem(
                    key="secrets",
                    what=f"{self._cluster.who() or 'you'} may not {verb} secrets in namespace "
                    f"{self._cluster.namespace}, as copying those of group {self._group.name} "
                    f"{'takes' if needed else 'can take'}",
                    remedy=_remedy_of_rights(self._cluster, self._group),
                    severity="error" if needed else "warning",
                )
            )

    def _get(self, cluster: Cluster, name: str) -> Manifest | None:
        self._asking = cluster
        return cluster.get(SECRET, name, metadata_only=True)

    def _copied(
        self, group: Group, secret: str, needed: Mapping[str, Use], found: Manifest | None
    ) -> None:
        self.copies.append(secret)
        self._creates |= found is None
        if found is not None and not is_copy(found, group.name):
            self.problems.append(
                Problem(
                    key=next(iter(needed.values())).place if needed else "secrets",
                    what=f"secret {secret} in namespace {self._cluster.namespace} is in the way of "
                    f"the one of group {group.name}, but did not come from there",
                    remedy="delete what is there, give it another name in the group and in the "
                    "stages, or use another namespace",
                )
            )

    def _judge(
        self, secret: str, needed: Mapping[str, Use], found: Manifest | None, cluster: Cluster
    ) -> None:
        if found is None:
            self.problems.append(_absent(secret, needed, cluster.namespace))
        else:
            self.problems += _missing_keys(secret, needed, found, cluster, self._group)


def _goes(found: Manifest, group: Group, secret: str) -> bool:
    """Return whether a run would remove a copy, since the group no longer has its origin."""
    origin = f"{group.source.namespace}/{group.origin(secret)}"
    annotations = found["metadata"].get("annotations") or {}
    return is_copy(found, group.name) and annotations.get(ORIGIN_ANNOTATION) == origin


def _remedy_of_rights(cluster: Cluster, group: Group) -> str:
    who = cluster.who()
    bind = f" --bind User:{who}" if who else ""
    kept = group.options.removeprefix(f"--group {group.name}")
    return (
        f"`bodywork-argo setup --namespace {cluster.namespace} --secret-groups{kept}{bind} "
        f"--apply`, or give its output to who may apply it"
    )


def _absent(secret: str, needed: Mapping[str, Use], namespace: str) -> Problem:
    return Problem(
        key=next(iter(needed.values())).place,
        what=f"there is no secret {secret} in namespace {namespace}; {_without(needed)}",
        remedy=_creation(secret, f"-n {namespace}", namespace, needed),
    )


def _in_neither(
    secret: str, needed: Mapping[str, Use], cluster: Cluster, group: Group, origin: Manifest | None
) -> Problem:
    """Tell of a secret that is neither in the group nor where runs find it."""
    full, space = group.origin(secret), group.source.namespace
    label = f"{GROUP_LABEL}={label_value(group.name)}"
    what = (
        f"group {group.name} has no secret {secret}, and namespace {cluster.namespace} has none "
        f"of its own; {_without(needed)}"
    )
    remedy = _creation(secret, group.options, cluster.namespace, needed)
    if origin is not None:
        remedy = (
            f"secret {full} in namespace {space} belongs to the group when it has the label "
            f"{label}: `kubectl label secret {full} -n {space} {label}`"
        )
    return Problem(key=next(iter(needed.values())).place, what=what, remedy=remedy)


def _missing_keys(
    secret: str,
    needed: Mapping[str, Use],
    found: Manifest,
    cluster: Cluster,
    group: Group | None,
) -> list[Problem]:
    names, all_known = key_names(found)
    lacking = {key: use for key, use in needed.items() if key not in names and key != WHOLE}
    where = f"secret {secret} in namespace {cluster.namespace}"
    if lacking and not all_known:
        place = next(iter(lacking.values())).place
        what = f"whether {where} has {listed('key', [*lacking])} can't be told without reading "
        return [Problem(key=place, what=f"{what}its values", severity="warning")]
    anew = f"{secret} -n {cluster.namespace}"
    if group is not None and cluster is group.source:
        anew = f"{secret.removeprefix(f'{group.name}-')} {group.options}"
    return [
        Problem(
            key=use.place,
            what=f"{where} has no key {key}; {_without({key: use})}",
            remedy="add it, or create the secret anew with all its keys: "
            f"`bodywork-argo secret create {anew} --replace --from-env-file FILE`",
        )
        for key, use in lacking.items()
    ]


def _without(needed: Mapping[str, Use]) -> str:
    stages = dict.fromkeys(stage for use in needed.values() for stage in use.stages)
    return f"{listed('stage', list(stages))} can't start without it"


def _creation(secret: str, where: str, namespace: str, needed: Mapping[str, Use]) -> str:
    """Return how to create a secret with what is needed of it."""
    if all(use.place.endswith(".image_pull_secrets") for use in needed.values()):
        make = f"kubectl create secret docker-registry {secret} -n {namespace}"
        return f"create it: `{make} --docker-server SERVER --docker-username USER`"
    keys = [key for key in needed if key != WHOLE]
    with_keys = f" with {listed('key', keys)}" if keys else ""
    source = "--from-env-file FILE" if keys else "--from-file KEY=PATH"
    return f"create it{with_keys}: `bodywork-argo secret create {secret} {where} {source}`"
