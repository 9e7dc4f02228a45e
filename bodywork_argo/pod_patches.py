"""Strategic-merge patches of a pod's spec, as the schema lets them through: no directives.

An engine applies a patch itself where it can; two of them become one, since Argo takes one for
each template (its second place is for an administrator's defaults). What no engine makes, such
as a Deployment, has its patches applied here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bodywork_argo.manifests import Manifest

_MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "ports": "containerPort",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Lists of a pod's spec that are merged item by item, and by what
(``patchMergeKey`` in k8s.io/api/core/v1/types.go); other lists are replaced."""


def one_patch(patches: Sequence[str]) -> str | None:
    """Return the JSON of a patch that does what these do one after the other.

    >>> one_patch(['{"a":{"b":1,"c":2}}', '{"a":{"b":3}}'])
    '{"a":{"b":3,"c":2}}'
    """
    if len(patches) < 2:
        return patches[0] if patches else None
    merged: dict[str, Any] = {}
    for patch in patches:
        merged = _merged(merged, json.loads(patch))
    return json.dumps(merged, sort_keys=True, separators=(",", ":"))


def patched(spec: Manifest, patches: Iterable[str]) -> Manifest:
    """Return a pod's spec after these patches, one after the other.

    >>> patched({"a": {"b": 1, "c": 2}}, ['{"a":{"b":null,"d":3}}'])
    {'a': {'c': 2, 'd': 3}}
    """
    for patch in patches:
        spec = _merged(spec, json.loads(patch))
    cleaned: Manifest = _without_removed(spec)
    return cleaned


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return both mappings; None stands for a key to be removed, and stays."""
    both = dict(first)
    for key, value in second.items():
        both[key] = _value(key, first[key], value) if key in first else value
    return both


def _value(key: str, first: Any, second: Any) -> Any:
    if first is None and isinstance(second, dict):
        return {"$patch": "replace", **second}
    if isinstance(first, dict) and isinstance(second, dict):
        return _merged(first, second)
    if isinstance(first, list) and isinstance(second, list) and key in _MERGE_KEYS:
        return _items(_MERGE_KEYS[key], first, second)
    return second


def _items(merge_key: str, first: list[Any], second: list[Any]) -> list[Any]:
    by_key = {item.get(merge_key): item for item in first}
    for item in second:
        name = item.get(merge_key)
        by_key[name] = _merged(by_key[name], item) if name in by_key else item
    return list(by_key.values())


def _without_removed(value: Any) -> Any:
    """Return the same data without keys of the value None, and without what stood in for them."""
    if isinstance(value, list):
        return [_without_removed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_removed(item)
        for key, item in value.items()
        if item is not None and key != "$patch"
    }
