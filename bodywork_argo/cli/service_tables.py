"""Services and releases as rows for people, and as documents for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from typing_extensions import assert_never

from bodywork_argo.release_records import Record
from bodywork_argo.rollout import Broken, Ready, Verdict, Waiting
from bodywork_argo.service_status import PodStatus, ServiceStatus
from bodywork_argo.terminal import age

SERVICES = ("service", "pipeline", "ready", "state", "commit", "age", "url", "ingress")
PODS = ("pod", "phase", "ready", "restarts", "commit", "age", "reason")
RELEASES = ("release", "run", "commit", "state", "services", "when", "reason")


def service_row(service: ServiceStatus, now: datetime) -> tuple[str, ...]:
    """Return the row of `SERVICES`."""
    state, reason = _state(service.verdict)
    return (
        service.name,
        service.pipeline,
        f"{service.ready}/{service.wanted}",
        f"{state}: {reason}" if reason else state,
        service.commit[:7],
        age(service.created, now),
        service.url,
        service.ingress,
    )


def pod_row(pod: PodStatus, now: datetime) -> tuple[str, ...]:
    """Return the row of `PODS`."""
    ready = "yes" if pod.ready else "no"
    about = (pod.commit[:7], age(pod.created, now), pod.reason)
    return (pod.name, pod.phase, ready, str(pod.restarts), *about)


def release_row(record: Record) -> tuple[str, ...]:
    """Return the row of `RELEASES`."""
    return (
        str(record.number),
        record.run,
        record.commit[:7],
        record.state.value,
        ", ".join(each.name for each in record.services),
        f"{record.created:%Y-%m-%d %H:%M:%S} UTC",
        record.reason,
    )


def release_words(record: Record) -> str:
    """Return one release in a line."""
    why = f": {record.reason}" if record.reason else ""
    return f"release {record.number} of {record.run} is {record.state.value}{why}"


def service_document(service: ServiceStatus) -> dict[str, Any]:
    """Return a service as plain data; times are ISO 8601 in UTC."""
    state, reason = _state(service.verdict)
    return {
        "service": service.name,
        "pipeline": service.pipeline,
        "state": state,
        "reason": reason or None,
        "ready": service.ready,
        "wanted": service.wanted,
        "commit": service.commit,
        "run": service.run,
        "created": service.created.isoformat(),
        "url": service.url or None,
        "aliases": list(service.aliases),
        "ingress": service.ingress or None,
        "pods": [_pod_document(each) for each in service.pods],
    }


def release_document(record: Record) -> dict[str, Any]:
    """Return a release as plain data."""
    return {
        "release": record.number,
        "run": record.run,
        "commit": record.commit,
        "state": record.state.value,
        "reason": record.reason or None,
        "services": [each.name for each in record.services],
        "created": record.created.isoformat(),
    }


def _pod_document(pod: PodStatus) -> dict[str, Any]:
    return {
        "pod": pod.name,
        "phase": pod.phase,
        "ready": pod.ready,
        "restarts": pod.restarts,
        "commit": pod.commit,
        "created": pod.created.isoformat(),
        "reason": pod.reason or None,
    }


def _state(verdict: Verdict) -> tuple[str, str]:
    """Return how a service stands, and why."""
    match verdict:
        case Ready(pods=pods):
            return ("serves" if pods else "has no pods"), ""
        case Waiting(reason=reason):
            return "rolls out", reason
        case Broken(reason=reason):
            return "broken", reason
        case _ as unreachable:
            assert_never(unreachable)
