"""A cluster in memory in which Deployments make pods, and somebody may be killed at any write."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from bodywork_argo import names
from bodywork_argo.cluster import POD, Resource
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.rollout import RESTART_ANNOTATION
from bodywork_argo.services import DEPLOYMENT

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
_T = TypeVar("_T")
PIPELINE = {names.PIPELINE_LABEL: "shop"}


class Killed(BaseException):
    """Stands for a process that ends at once: nothing is cleaned up."""


class Kubelet(MemoryCluster):
    """Makes pods of Deployments; those of commits in `broken` crash.

    A process that uses it dies at the write of number `dies_at`: before it, or right after.
    """

    def __init__(self) -> None:
        super().__init__("shop")
        self.broken: set[str] = set()
        self.writes = 0
        self.dies_at: int | None = None
        self.dies_after = False
        self.dead = False
        self._inside = False

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        return self._written(lambda: MemoryCluster.create(self, manifest, dry_run=dry_run))

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        return self._written(lambda: MemoryCluster.apply(self, manifest, dry_run=dry_run))

    def patch(self, resource: Resource, name: str, changes: Manifest) -> Manifest | None:
        return self._written(lambda: MemoryCluster.patch(self, resource, name, changes))

    def delete(self, resource: Resource, name: str, *, only: Manifest | None = None) -> bool:
        return self._written(lambda: MemoryCluster.delete(self, resource, name, only=only))

    def get(self, resource: Resource, name: str, *, metadata_only: bool = False) -> Manifest | None:
        self._live()
        return super().get(resource, name, metadata_only=metadata_only)

    def revive(self) -> None:
        """Let another process have its turn."""
        self.dead, self.dies_at = False, None

    def _live(self) -> None:
        if self.dead:
            raise Killed

    def _written(self, write: Callable[[], _T]) -> _T:
        self._live()
        if self._inside:  # part of a write
            return write()
        self.writes += 1
        last = self.writes == self.dies_at
        if last and not self.dies_after:
            self.dead = True
            raise Killed
        self._inside = True
        try:
            done = write()
        finally:
            self._inside = False
        if last:
            self.dead = True
            raise Killed
        return done

    def reconcile(self, now: datetime) -> None:
        """Do what the controllers and the kubelet do in a while."""
        for deployment in MemoryCluster.list(self, DEPLOYMENT, PIPELINE):
            self._roll(deployment, now)
        names_left = {d["metadata"]["name"] for d in MemoryCluster.list(self, DEPLOYMENT, {})}
        for pod in MemoryCluster.list(self, POD, {}):
            if pod["metadata"]["labels"][names.STAGE_LABEL] not in names_left:
                MemoryCluster.delete(self, POD, pod["metadata"]["name"])

    def _roll(self, deployment: Manifest, now: datetime) -> None:
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        labels = spec["template"]["metadata"]["labels"]
        restart = _restart(spec["template"])
        good = labels[names.COMMIT_LABEL] not in self.broken
        for number in range(spec["replicas"]):
            pod = f"{name}-{labels[names.RUN_LABEL]}-{number}"
            pod += f"-{names.short_hash(restart)}" if restart else ""
            if MemoryCluster.get(self, POD, pod) is None:
                document = _pod(pod, labels, now, good=good)
                if restart:
                    document["metadata"]["annotations"] = {RESTART_ANNOTATION: restart}
                MemoryCluster.create(self, document)
                self.written[pod, "main"] = b"" if good else b"no model\n"
        pods = MemoryCluster.list(self, POD, {names.STAGE_LABEL: name})
        wanted = (labels[names.RUN_LABEL], restart)
        new = [p for p in pods if (_run(p), _restart(p)) == wanted]
        old = [p for p in pods if (_run(p), _restart(p)) != wanted]
        if good:
            for pod_ in old:
                MemoryCluster.delete(self, POD, pod_["metadata"]["name"])
            old = []
        ready = [p for p in (*new, *old) if p["status"]["conditions"][0]["status"] == "True"]
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(new) + len(old),
            "updatedReplicas": len(new),
            "availableReplicas": len(ready),
            "readyReplicas": len(ready),
        }
        MemoryCluster.patch(self, DEPLOYMENT, name, {"status": status})

    def serving(self) -> dict[str, str]:
        """Return the commit of the pods that answer, by service."""
        found: dict[str, str] = {}
        for pod in MemoryCluster.list(self, POD, {}):
            if pod["status"]["conditions"][0]["status"] == "True":
                labels = pod["metadata"]["labels"]
                found[labels[names.STAGE_LABEL]] = labels[names.COMMIT_LABEL]
        return found

    def there(self, resource: Resource) -> list[str]:
        """Return the names of the objects of a kind."""
        return [each["metadata"]["name"] for each in MemoryCluster.list(self, resource, {})]


def _run(pod: Manifest) -> Any:
    return pod["metadata"]["labels"][names.RUN_LABEL]


def _restart(document: Manifest) -> str:
    annotations = document["metadata"].get("annotations") or {}
    return str(annotations.get(RESTART_ANNOTATION, ""))


def _pod(name: str, labels: dict[str, str], now: datetime, *, good: bool) -> Manifest:
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    end = {"exitCode": 3, "startedAt": at, "finishedAt": at, "containerID": "containerd://1"}
    main: Manifest = {
        "name": "main",
        "containerID": "containerd://1",
        "restartCount": 0,
        "state": {"running": {"startedAt": at}},
    }
    if not good:
        main = {
            "name": "main",
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": end},
        }
    done = {"terminated": {"exitCode": 0, "startedAt": at, "finishedAt": at}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if good else "False"}],
            "initContainerStatuses": [{"name": "prepare", "restartCount": 0, "state": done}],
            "containerStatuses": [main],
        },
    }


class Ticking:
    """A clock that moves when somebody waits, and lets the cluster work meanwhile."""

    def __init__(self, cluster: Kubelet) -> None:
        self.time = START
        self._cluster = cluster

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self._cluster.reconcile(self.time)
