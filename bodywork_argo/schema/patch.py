"""A strategic-merge patch of the stage's pod: read, and held to what it must not undo.

A patch reaches the pod after everything else, so it could give the module what the design keeps
from it: the API token, Git keys (mounted where only ``prepare`` sees them), other secrets. What
would do so is refused; what reaches into the node is warned about.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

from bodywork_argo.schema import checks
from bodywork_argo.schema.credentials import shown
from bodywork_argo.schema.fields import Complaint
from bodywork_argo.schema.findings import Place
from bodywork_argo.schema.yamltree import ListNode, MapNode, Node, Scalar

MAX_NODES = 2_000
MAIN_CONTAINER = "main"
"""What a patch calls the container that runs the module, on every engine."""

Data: TypeAlias = "str | int | float | bool | list[Data] | dict[str, Data] | None"

_OURS = frozenset(
    {"activeDeadlineSeconds", "ephemeralContainers", "initContainers", "restartPolicy"}
)
_OURS_IN_CONTAINER = {
    "args": "use the stage's 'args'",
    "command": "use 'executable_module_path'",
    "image": "use 'docker_image', or 'image' of the stage's block",
}
_INTO_THE_NODE = frozenset({"hostIPC", "hostNetwork", "hostPID", "hostPath", "privileged"})


class _TooLarge(Exception):
    """Aliases make a small text a large patch."""


def read_patch(node: Node, place: Place) -> str | None:
    """Return the patch as JSON, or None after reporting all that is wrong with it."""
    if not isinstance(node, MapNode):
        place.error("is no mapping", "write keys of a pod's spec, such as 'priorityClassName: low'")
        return None
    try:
        faults = list(_faults(node, place, _Budget()))
    except _TooLarge:
        faults = [(place, f"holds more than {MAX_NODES:,} values", "write a shorter patch")]
    else:
        faults += _pod_faults(node, place)
    for where, what, remedy in faults:
        where.error(what, remedy)
    if faults:
        return None
    import json  # few files have a patch

    return json.dumps(_data(node), sort_keys=True, separators=(",", ":"))


Fault: TypeAlias = tuple[Place, str, str]


class _Budget:
    def __init__(self) -> None:
        self._left = MAX_NODES

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooLarge


def _faults(node: Node, place: Place, budget: _Budget) -> Iterator[Fault]:
    """Yield what is wrong wherever it stands in the patch."""
    budget.spend()
    if isinstance(node, MapNode):
        for name, entry in node.entries.items():
            below = place.under(entry)
            yield from _key_faults(name, entry.value, below)
            yield from _faults(entry.value, below, budget)
    elif isinstance(node, ListNode):
        for number, item in enumerate(node.items):
            yield from _faults(item, place.item(number, item), budget)
    elif complaint := _scalar_complaint(node):
        yield (place, *complaint)


def _key_faults(name: str, value: Node, place: Place) -> Iterator[Fault]:
    complaint = checks.no_engine_syntax(name)
    if complaint:
        yield (place, *complaint)
    if name.startswith("$"):
        yield place, "is a directive, which could undo what protects the stage", "remove it"
    if name == "automountServiceAccountToken" and not _is(value, False):
        yield place, "would give the stage a token of the cluster", "remove it"
    elif name in ("serviceAccount", "serviceAccountName"):
        yield place, "is not for a patch", "use 'service_account' beside 'patch'"
    elif name == "serviceAccountToken":
        yield place, "would give the stage a token of the cluster", "remove it"
    elif "secret" in name.lower() and name != "imagePullSecrets":
        yield place, "would give the stage a secret unnoticed", "use 'secrets' or 'volumes'"
    elif name in _INTO_THE_NODE and not _is(value, False):
        place.warn("lets the stage reach into the node it runs on", "remove it if you can")


def _scalar_complaint(node: Scalar) -> Complaint | None:
    if isinstance(node.value, float) and not math.isfinite(node.value):
        return f"is the number {shown(node.text)}", "write a finite number"
    if isinstance(node.value, str):
        return checks.no_credential(node.value) or checks.no_engine_syntax(node.value)
    return None


def _pod_faults(node: MapNode, place: Place) -> Iterator[Fault]:
    """Yield what is wrong with the parts of the pod that this project makes."""
    for name in ("spec", "metadata"):
        if name in node.entries:
            yield place.at(name), "is no key of a pod's spec", "write the keys of the spec itself"
    for name in sorted(_OURS & node.entries.keys()):
        yield place.at(name), "is set by bodywork-argo itself", "remove it"
    for volume, where in _named(node, "volumes", place):
        if volume.startswith("bodywork"):
            yield where, "has a name that starts with 'bodywork'", "choose another name"
    containers = node.entries.get("containers")
    if containers is not None:
        own = {volume for volume, _ in _named(node, "volumes", place)}
        yield from _containers_faults(containers.value, place.at("containers"), own)


def _containers_faults(node: Node, place: Place, volumes: set[str]) -> Iterator[Fault]:
    if not isinstance(node, ListNode):
        yield place, "is no list", f"write 'containers: [{{name: {MAIN_CONTAINER}, ...}}]'"
        return
    for number, container in enumerate(node.items):
        yield from _container_faults(container, place.at_item(number), volumes)


def _container_faults(node: Node, place: Place, volumes: set[str]) -> Iterator[Fault]:
    if not isinstance(node, MapNode) or _text(node, "name") != MAIN_CONTAINER:
        yield (
            place,
            "is not the stage's own container",
            f"write 'name: {MAIN_CONTAINER}', the only one",
        )
        return
    for name in sorted(_OURS_IN_CONTAINER.keys() & node.entries.keys()):
        yield place.at(name), "is not for a patch", _OURS_IN_CONTAINER[name]
    for volume, where in _named(node, "volumeMounts", place):
        if volume not in volumes:
            yield (
                where,
                f"mounts volume '{shown(volume)}', which this patch does not define",
                "define it under the patch's 'volumes'",
            )
    for variable, where in _named(node, "env", place):
        complaint = checks.free_variable(variable)
        if complaint:
            yield (where, *complaint)


def _named(node: MapNode, key: str, place: Place) -> Iterator[tuple[str, Place]]:
    """Yield the names in a list of named things; what has no name gets the empty one."""
    entry = node.entries.get(key)
    if entry is None or not isinstance(entry.value, ListNode):
        return
    for number, item in enumerate(entry.value.items):
        name = _text(item, "name") if isinstance(item, MapNode) else ""
        yield name, place.at(key).at_item(number)


def _text(node: MapNode, key: str) -> str:
    entry = node.entries.get(key)
    return entry.value.text if entry and isinstance(entry.value, Scalar) else ""


def _is(node: Node, value: bool) -> bool:
    return isinstance(node, Scalar) and node.value is value


def _data(node: Node) -> Data:
    if isinstance(node, MapNode):
        return {name: _data(entry.value) for name, entry in node.entries.items()}
    if isinstance(node, ListNode):
        return [_data(item) for item in node.items]
    return node.value
