"""Whether a Deployment's new version serves: pure judgements of what the API server shows.

Nothing here is remembered from one look to the next, so whoever judges can be killed and started
again: since when something lasts is read off the objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from bodywork_argo import names
from bodywork_argo.manifests import Manifest
from bodywork_argo.pods import MAIN

MOST_STARTS = 3
"""Of a container that fails: what failed that often in a row is not mended by a further start."""
GRACE_SECONDS = 5.0
"""Between the clocks of two machines, and for a probe that is under way."""
RESTART_ANNOTATION = "kubectl.kubernetes.io/restartedAt"
"""Of a pod template: when its pods were last started anew, as `kubectl rollout restart` has it."""
_STOP_SECONDS = 30.0
"""What the runner may take to end an installation beyond its limit."""
_BACK_OFF_SECONDS = 300.0
"""How long the kubelet waits at most before it starts a container again."""
_HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_ORDINARY = frozenset({"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """All pods that were asked for are of the new version and answer."""

    pods: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """It may still get ready."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """It will not get ready."""

    reason: str
    pod: str = ""
    """Name of the pod that shows it best; "" when there is none."""
    container: str = ""
    """The container of it that failed."""


Verdict: TypeAlias = Ready | Waiting | Broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a service may take, in seconds."""

    startup: int
    """From the start of the module to the first answer on its port."""
    install: int
    """For fetching the code and installing the requirements."""
    pending: float
    """Until a pod has a node, or a container its image, volumes and secrets; 0 means for ever."""


def limits_of(deployment: Manifest, pending: float) -> Limits:
    """Return the limits that a Deployment of ours was made with."""
    annotations = deployment["metadata"].get("annotations") or {}
    return Limits(
        startup=int(annotations.get(names.STARTUP_ANNOTATION, 0)),
        install=int(annotations.get(names.INSTALL_ANNOTATION, 0)),
        pending=pending,
    )


def of_new_version(deployment: Manifest, pods: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Return those pods that a Deployment wants: of its last release and its last restart."""
    wanted = _version(deployment["spec"]["template"]["metadata"])
    return tuple(pod for pod in pods if _version(pod["metadata"]) == wanted)


def _version(metadata: Manifest) -> tuple[str | None, str | None]:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return labels.get(names.RUN_LABEL), annotations.get(RESTART_ANNOTATION)


def judge(deployment: Manifest, pods: Iterable[Manifest], limits: Limits, now: datetime) -> Verdict:
    """Return how a Deployment's roll-out stands; `pods` are those of the new version.

    What the controller has not looked at yet is no verdict: its counts are of the version before.
    """
    spec, status = deployment["spec"], deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return Waiting(reason="waits for Kubernetes to take it up")
    wanted = spec.get("replicas", 1)
    if wanted == 0:
        return Ready(pods=0)
    if spec.get("paused"):
        return Broken(reason="its Deployment is paused; `kubectl rollout resume` ends that")
    return _of_pods(pods, wanted, status, limits, now)


def _of_pods(
    pods: Iterable[Manifest], wanted: int, status: Manifest, limits: Limits, now: datetime
) -> Verdict:
    """Judge the new version by its pods, and by what Kubernetes counts."""
    pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    gone = [pod for pod in pods if _phase(pod) in ("Succeeded", "Failed")]
    verdicts = [judge_pod(pod, limits, now) for pod in pods if pod not in gone]
    for verdict in verdicts:
        if isinstance(verdict, Broken):
            return verdict
    reasons = [each.reason for each in verdicts if isinstance(each, Waiting)]
    ready = len(verdicts) - len(reasons)
    if ready >= wanted and _counted(status, wanted):
        return Ready(pods=wanted)
    if len(gone) >= MOST_STARTS * wanted:
        return Broken(reason=end_of_pod(gone[-1]), pod=gone[-1]["metadata"]["name"])
    if not reasons and len(verdicts) < wanted and (refusal := _refusal(status, limits, now)):
        return refusal
    reasons += [end_of_pod(each) for each in gone]
    return Waiting(reason=reasons[0] if reasons else f"{ready} of {wanted} pods are ready")


def _phase(pod: Manifest) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def end_of_pod(pod: Manifest) -> str:
    """Return why a pod is gone as a whole, such as for the want of disk space."""
    status = pod["status"]
    return _words(status.get("reason", "the pod has ended"), status.get("message", ""))


def _counted(status: Manifest, wanted: int) -> bool:
    """Return whether Kubernetes counts enough new pods that are available, and no old ones."""
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    return bool(min(updated, available) >= wanted and status.get("replicas", 0) <= updated)


def _refusal(status: Manifest, limits: Limits, now: datetime) -> Verdict | None:
    """Return why no pods can be made, such as for want of a quota.

    Kubernetes leaves the time as it was if the version before was refused as well, but notes
    when it made this one.
    """
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    refused = conditions.get("ReplicaFailure")
    if refused is None or refused["status"] != "True":
        return None
    made = conditions.get("Progressing", {}).get("lastUpdateTime")
    times = _times(refused.get("lastTransitionTime"), made)
    reason = f"no pod can be made: {refused.get('message', '')}"
    return _within(limits.pending, max(times, default=now), now, reason)


def judge_pod(pod: Manifest, limits: Limits, now: datetime) -> Verdict:
    """Return how one pod stands that has not ended; `Ready` is for that pod alone."""
    status = pod.get("status") or {}
    name, created = pod["metadata"]["name"], time_of(pod["metadata"]["creationTimestamp"])
    if any(_true(condition, "Ready") for condition in status.get("conditions", ())):
        return Ready(pods=1)
    if reason := _unscheduled(status):
        return _within(limits.pending, created, now, reason, name)
    since = max([created, *_steps(status)])
    for container in _containers(status):
        waiting = (container.get("state") or {}).get("waiting") or {}
        word = waiting.get("reason", "")
        if word not in _ORDINARY:
            reason = _words(word, waiting.get("message", ""))
            if word in _HOPELESS:
                return Broken(reason=reason, pod=name)
            return _within(limits.pending, since, now, reason, name)
    for container in status.get("initContainerStatuses", ()):
        if not _succeeded(container):
            return _before(container, name, limits, now, since)
    return _module(status, name, limits, now, since)


def _steps(status: Manifest) -> Iterator[datetime]:
    """Yield when a pod got on: it was given a node, or a container of it ended."""
    for condition in status.get("conditions", ()):
        if _true(condition, "PodScheduled"):
            yield from _times(condition.get("lastTransitionTime"))
    for container in _containers(status):
        yield from _times((_last_end(container) or {}).get("finishedAt"))


def _unscheduled(status: Manifest) -> str:
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _words(condition.get("reason", ""), condition.get("message", ""))
    return ""


def _before(
    container: Manifest, pod: str, limits: Limits, now: datetime, since: datetime
) -> Verdict:
    """Judge a container before the module's that has not done its work yet."""
    name, failed = container["name"], _last_end(container)
    if failed is None and _current(container) is None:
        return _within(limits.pending, since, now, "waits for its volumes or its image", pod)
    first = failed if container.get("restartCount", 0) else _current(container)
    started = max(_times((first or {}).get("startedAt")), default=now)
    late = bool(limits.install) and _over(started, limits.install + _STOP_SECONDS, now)
    if failed is None:
        limit = f"{limits.install} s"
        if late:
            reason = f"{name} did not end within {limit}"
            return Broken(reason=reason, pod=pod, container=name)
        return Waiting(reason=f"fetches the code and installs, for {limit} at most")
    reason = f"{name} failed: {_end_words(failed)}"
    if late or _failures(container) >= MOST_STARTS:
        times = f" ({_failures(container)} times)" if _failures(container) > 1 else ""
        return Broken(reason=f"{reason}{times}", pod=pod, container=name)
    return Waiting(reason=f"{reason}; it is tried again")


def _module(status: Manifest, pod: str, limits: Limits, now: datetime, since: datetime) -> Verdict:
    """Judge the module: it has been started, or is about to be, and the pod is not ready."""
    main = next(_mains(status), None)
    first = None if main is None else _first_start(status, main)
    if main is None or first is None:
        return _within(limits.pending, since, now, "is about to start", pod)
    end, count = _last_end(main), _failures(main)
    told = "" if end is None else f"; it ended {_number(count)}, at last with {_end_words(end)}"
    what = "get ready" if main.get("started") else "answer"
    if _over(_counted_from(status, main, first), limits.startup + GRACE_SECONDS, now):
        reason = f"did not {what} within {limits.startup} s{_but(main)}{told}"
        return Broken(reason=reason, pod=pod, container=MAIN)
    ended = max(_times((end or {}).get("finishedAt")), default=first)
    if count >= MOST_STARTS and ended > first and not _was_ready(status, first):
        return Broken(reason=f"does not stay up{told}", pod=pod, container=MAIN)
    return Waiting(reason=f"does not {what} yet{_but(main)}{told}")


def _but(main: Manifest) -> str:
    return ": its readiness probe fails" if main.get("started") else ""


def _first_start(status: Manifest, main: Manifest) -> datetime | None:
    """Return when the module was first started: the kubelet keeps the last two starts only."""
    if main.get("restartCount", 0) == 0:
        return max(_times((_current(main) or {}).get("startedAt")), default=None)
    befores = (_terminated(each) or {} for each in status.get("initContainerStatuses", ()))
    times = _times(*(each.get("finishedAt") for each in befores))
    return max(times or _times((_last_end(main) or {}).get("startedAt")), default=None)


def _was_ready(status: Manifest, first: datetime) -> datetime | None:
    """Return when a pod ceased to be ready, if it ever was.

    The condition is False from before the first start, and changes only by getting ready.
    """
    for condition in status.get("conditions", ()):
        if condition["type"] == "Ready":
            return next(
                (each for each in _times(condition.get("lastTransitionTime")) if each > first), None
            )
    return None


def _counted_from(status: Manifest, main: Manifest, first: datetime) -> datetime:
    """Return since when the module should answer.

    One that was ready before it ended has all its time again at its next start, but not at each
    further one.
    """
    lost = _was_ready(status, first)
    if lost is None:
        return first
    end = _last_end(main)
    if end is None or any(each > lost for each in _times(end.get("startedAt"))):
        return lost
    running = (main.get("state") or {}).get("running") or {}
    if not running:
        return lost + timedelta(seconds=_BACK_OFF_SECONDS)
    return max([lost, *_times(running.get("startedAt"))])


def _within(limit: float, since: datetime, now: datetime, reason: str, pod: str = "") -> Verdict:
    if limit and _over(since, limit, now):
        return Broken(reason=f"could not start within {limit:g} s: {reason}", pod=pod)
    return Waiting(reason=reason)


def _containers(status: Manifest) -> Iterator[Manifest]:
    yield from status.get("initContainerStatuses", ())
    yield from status.get("containerStatuses", ())


def _mains(status: Manifest) -> Iterator[Manifest]:
    yield from (each for each in status.get("containerStatuses", ()) if each["name"] == MAIN)


def _terminated(container: Manifest) -> Any:
    return (container.get("state") or {}).get("terminated")


def _current(container: Manifest) -> Any:
    """Return the start that is the last one, whether it goes on or has ended."""
    state = container.get("state") or {}
    return state.get("running") or state.get("terminated")


def _last_end(container: Manifest) -> Any:
    return _terminated(container) or (container.get("lastState") or {}).get("terminated")


def _failures(container: Manifest) -> int:
    """Return how often a container has ended: the count of restarts goes up with the start."""
    running = "running" in (container.get("state") or {})
    return int(container.get("restartCount", 0)) + (not running)


def _succeeded(container: Manifest) -> bool:
    end = _terminated(container)
    return end is not None and end.get("exitCode") == 0


def _end_words(end: Manifest) -> str:
    if end.get("reason") == "OOMKilled":
        return "out of memory: it used more than its limit"
    message = " ".join(str(end.get("message", "")).split())
    code = f"exit code {end.get('exitCode')}"
    return f"{code}: {message}" if message else code


def _words(reason: str, message: str) -> str:
    return f"{reason}: {message}".strip(": ")


def _number(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _over(since: datetime, seconds: float, now: datetime) -> bool:
    return now > since + timedelta(seconds=seconds)


def _times(*texts: str | None) -> list[datetime]:
    """Return the times of those texts that are there: the kubelet leaves out what it forgot."""
    return [time_of(text) for text in texts if text]


def _true(condition: Manifest, kind: str) -> bool:
    return bool(condition["type"] == kind and condition["status"] == "True")


def time_of(text: str) -> datetime:
    """Return the time that Kubernetes writes as text."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
