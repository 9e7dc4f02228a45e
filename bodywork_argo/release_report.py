"""Why a service could not be released, for people: what its module wrote, what probes found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from bodywork_argo.cluster import Cluster, Resource
from bodywork_argo.errors import Forbidden
from bodywork_argo.rollout import Broken

EVENT = Resource(api_version="v1", kind="Event")
_LINES = 20
_EVENTS = 3


def explain(cluster: Cluster, verdict: Broken) -> Iterator[str]:
    """Yield what the cluster tells about the pod that shows best why; may be nothing."""
    if not verdict.pod:
        return
    with suppress(Forbidden):
        yield from _events(cluster, verdict.pod)
    if verdict.container:
        with suppress(Forbidden):
            lines = cluster.last_lines(verdict.pod, verdict.container, _LINES)
            if not lines:
                lines = cluster.last_lines(verdict.pod, verdict.container, _LINES, previous=True)
            if lines:
                yield f"the last lines of {verdict.container}:"
                yield from lines


def _events(cluster: Cluster, pod: str) -> Iterator[str]:
    """Yield what went wrong, such as the answer to a probe; each once, the last of all."""
    found = cluster.list(EVENT, {}, fields={"involvedObject.name": pod, "type": "Warning"})
    ordered = sorted(found, key=lambda each: str(each.get("lastTimestamp") or ""))
    said = dict.fromkeys(
        " ".join(f"{each.get('reason', '')}: {each.get('message', '')}".split()) for each in ordered
    )
    yield from list(said)[-_EVENTS:]
