"""Two strategic-merge patches of a pod as one: Argo takes one for each template.

The workflow has a second place, but an administrator's defaults use that one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

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
