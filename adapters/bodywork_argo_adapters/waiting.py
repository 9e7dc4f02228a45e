"""Why pods of an engine can't start, in words for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from bodywork_argo import names

ORDINARY = frozenset({"", "ContainerCreating", "PodInitializing"})
"""That a pod is being made is no reason."""
SET_UP = timedelta(seconds=20)
"""What a node takes at most, as a rule, before it pulls a pod's images: for volumes and network."""

_UNPULLED = frozenset(
    """
    ErrImagePull ImagePullBackOff ErrImageNeverPull InvalidImageName ImageInspectError
    RegistryUnavailable SignatureValidationFailed
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
_UNPLACED = frozenset({"Unschedulable", "SchedulerError", "SchedulingGated"})
_UNMADE = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
OF_KUBERNETES = _UNPULLED | _UNPLACED | _UNMADE
"""Reasons of Kubernetes' own for a pod that can't start."""
_VOLUMES = {
    "configMap": ("config map", "name"),
    "secret": ("secret", "secretName"),
    "persistentVolumeClaim": ("claim", "claimName"),
}
_OF_ENGINES = frozenset({"exec-sa-token", "bodywork-token"})
"""Volumes that no author asked for."""


def waits_of(pods: Iterable[Any], now: datetime | None = None) -> dict[str, str]:
    """Return the reason of each task whose pod can't start, by the task's name.

    With `now` it is told, too, which pods their node has not set up in the usual time. What that
    lacks is known to events alone, which runs need no right to read.
    """
    waits: dict[str, str] = {}
    for pod in pods:
        task = pod["metadata"].get("labels", {}).get(names.STAGE_LABEL)
        reason = _reason(pod, now)
        if task and reason:
            waits[task] = reason
    return waits


def in_words(reason: str, message: str, image: str) -> str:
    """Return a reason and a message of Kubernetes' for people.

    >>> in_words("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.", "")
    'no node can take it: 1 Insufficient cpu'
    """
    if reason in _UNPULLED:
        return _told(f"image {image} can't be pulled", _why_unpulled(message, image))
    if reason in _UNPLACED:
        return _told("no node can take it", _why_unplaced(message))
    if reason in _UNMADE:
        return _told("its container can't be made", message)
    return _told(reason, message)


def _reason(pod: Any, now: datetime | None) -> str:
    status = pod.get("status") or {}
    if status.get("phase") != "Pending":
        return ""
    for condition in status.get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason = condition.get("reason") or "Unschedulable"
            return in_words(reason, condition.get("message", ""), "")
    containers = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason", "") not in ORDINARY:
            return in_words(
                waiting["reason"], waiting.get("message", ""), container.get("image", "")
            )
    return _not_set_up(pod) if now and _is_late(status, now) else ""


def _is_late(status: Any, now: datetime) -> bool:
    """Return whether a node has long had a pod, and not even begun with its images."""
    conditions = {each.get("type"): each for each in status.get("conditions", ())}
    if conditions.get("PodReadyToStartContainers", {}).get("status") != "False":
        return False  # Kubernetes before 1.29 does not tell
    since = conditions.get("PodScheduled", {}).get("lastTransitionTime")
    return bool(since) and now - datetime.fromisoformat(since.replace("Z", "+00:00")) > SET_UP


def _not_set_up(pod: Any) -> str:
    more = f"kubectl describe pod {pod['metadata']['name']}"
    uses = ", ".join(_mounted(pod))
    if not uses:
        return f"its node can't set it up; see {more}"
    return f"its node can't set it up: look whether it has {uses}; see {more}"


def _mounted(pod: Any) -> Iterator[str]:
    for volume in (pod.get("spec") or {}).get("volumes", ()):
        for key, (what, name) in _VOLUMES.items():
            if key in volume and volume["name"] not in _OF_ENGINES:
                yield f"{what} {volume[key][name]}"


def _told(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what


def _why_unpulled(message: str, image: str) -> str:
    """Return the last cause: the others only name the image once more."""
    quoted = re.escape(image)
    text = re.sub(rf'^Back-off pulling image "{quoted}"(?:: |$)', "", message)
    text = re.sub(r"^(?:ErrImagePull|rpc error: code = \w+ desc = )(?:: )?", "", text)
    causes = [rf'[fF]ailed to [\w ]+ "{quoted}": ', rf'couldn\'t parse image name "{quoted}": ']
    return re.sub("|".join(causes), "", text).strip()


def _why_unplaced(message: str) -> str:
    """Return what keeps a pod from the nodes, without what the scheduler could not do for it."""
    text = re.split(r"\. (?:preemption|no new claims)|,? preemption:", message, maxsplit=1)[0]
    text = re.sub(r"^0/\d+ nodes are available: ", "", text.strip().rstrip("."))
    return text.replace("not found. not found", "not found")  # as Kubernetes 1.35 has it
