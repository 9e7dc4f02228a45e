"""Why pods can't start, in words for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bodywork_argo import names

ORDINARY = frozenset({"", "ContainerCreating", "PodInitializing"})
"""That a pod is being made is no reason."""


def waits_of(pods: Iterable[Any]) -> dict[str, str]:
    """Return the reason of each task whose pod can't start, by the task's name."""
    waits: dict[str, str] = {}
    for pod in pods:
        task = pod["metadata"].get("labels", {}).get(names.STAGE_LABEL)
        reason = _reason(pod.get("status") or {})
        if task and reason:
            waits[task] = reason
    return waits


def _reason(status: dict[str, Any]) -> str:
    if status.get("phase") != "Pending":
        return ""
    for condition in status.get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}"
    containers = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason", "") not in ORDINARY:
            return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    return ""
