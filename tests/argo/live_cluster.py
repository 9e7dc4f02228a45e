"""A cluster in memory whose watches wait, as real ones do, and that counts what it is asked."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bodywork_argo.cluster import POD, Change, Resource
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo_adapters.argo.watching import WORKFLOW, WORKFLOW_LABEL

_TICK = 0.01


class LiveCluster(MemoryCluster):
    """Threads may share it; `asked` counts requests by verb and plural."""

    def __init__(self, namespace: str = "team") -> None:
        super().__init__(namespace)
        self.asked: Counter[tuple[str, str]] = Counter()
        self._lock = threading.RLock()

    def get(self, resource: Resource, name: str, *, metadata_only: bool = False) -> Manifest | None:
        self.asked["get", resource.plural] += 1
        with self._lock:
            return super().get(resource, name, metadata_only=metadata_only)

    def list(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        *,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> tuple[Manifest, ...]:
        self.asked["list", resource.plural] += 1
        with self._lock:
            return super().list(resource, labels, fields=fields, metadata_only=metadata_only)

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        with self._lock:
            return super().create(manifest, dry_run=dry_run)

    def patch(self, resource: Resource, name: str, changes: Manifest) -> Manifest | None:
        with self._lock:
            return super().patch(resource, name, changes)

    def watch(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        timeout_seconds: float,
        *,
        fields: Mapping[str, str] | None = None,
    ) -> Iterator[Change]:
        self.asked["watch", resource.plural] += 1
        self._check("watch", resource)
        end = time.monotonic() + timeout_seconds
        told: dict[str, Manifest] = {}
        while time.monotonic() < end:
            with self._lock:
                found = MemoryCluster.list(self, resource, labels, fields=fields)
            now = {each["metadata"]["name"]: each for each in found}
            for name in told.keys() - now.keys():
                yield Change(type="DELETED", object=told.pop(name))
            for name, each in now.items():
                before = told.get(name)
                told[name] = each
                if before is None:
                    yield Change(type="ADDED", object=each)
                elif before != each:
                    yield Change(type="MODIFIED", object=each)
            time.sleep(_TICK)

    def set_status(self, name: str, **status: Any) -> None:
        """Change a run's status as Argo does."""
        self.patch(WORKFLOW, name, {"status": status})


def workflow(name: str, *tasks: str, **status: Any) -> Manifest:
    """Return a run of ours."""
    return {
        "apiVersion": WORKFLOW.api_version,
        "kind": WORKFLOW.kind,
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "bodywork-argo"},
            "annotations": {
                "bodywork-argo/pipeline": "shop",
                "bodywork-argo/tasks": json.dumps(tasks),
            },
        },
        "spec": {},
        "status": status,
    }


def node(run: str, task: str, phase: str, attempt: int = 0) -> Manifest:
    """Return a pod's node in a run's status."""
    number = sum(f"{task}{attempt}".encode())
    return {
        "id": f"{run}-{number}",
        "displayName": task if not attempt else f"{task}({attempt - 1})",
        "type": "Pod",
        "phase": phase,
    }


def pod(run: str, task: str, **status: Any) -> Manifest:
    """Return a pod of a stage."""
    return {
        "apiVersion": "v1",
        "kind": POD.kind,
        "metadata": {
            "name": f"{run}-{task}",
            "labels": {WORKFLOW_LABEL: run, "bodywork-argo/stage": task},
        },
        "status": status,
    }
