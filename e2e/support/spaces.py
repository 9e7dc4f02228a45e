"""A namespace for one test, with the accounts that workflows need."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from e2e.support.cluster import Cluster, Manifest, await_state

STAGE_ACCOUNT = "stage"
EXECUTOR_ACCOUNT = "executor"
EXECUTOR_RULES = [
    # Argo's recommended minimum for its executor.
    {
        "apiGroups": ["argoproj.io"],
        "resources": ["workflowtaskresults"],
        "verbs": ["create", "patch"],
    }
]
WORKFLOW = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
PIPELINE_RUN = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun"}
RBAC = "rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A namespace of its own.

    `stage` is an account without any right, `executor` the one Argo's containers report under.
    """

    name: str
    cluster: Cluster

    def create(self, manifest: Manifest) -> Any:
        """Create an object here."""
        return self.cluster.create(manifest, self.name)

    def get(self, manifest: Manifest, name: str | None = None) -> Any:
        """Read an object of here."""
        return self.cluster.get(manifest, self.name, name)

    def find(self, manifest: Manifest, selector: str = "") -> list[Any]:
        """List objects of here."""
        return self.cluster.find(manifest, self.name, selector)

    def logs(self, pod: str, container: str | None = None) -> str:
        """Give what a pod of here wrote."""
        return self.cluster.logs(pod, self.name, container)

    def finished_workflow(self, name: str, patience: float = 180.0) -> Any:
        """Wait until a workflow has ended, well or not."""
        return await_state(
            lambda: self.get(WORKFLOW, name),
            lambda found: found.get("status", {}).get("finishedAt") is not None,
            f"the end of workflow {name}",
            patience,
        )

    def finished_pipeline_run(self, name: str, patience: float = 180.0) -> Any:
        """Wait until a PipelineRun has ended, well or not."""
        return await_state(
            lambda: self.get(PIPELINE_RUN, name),
            lambda found: found.get("status", {}).get("completionTime") is not None,
            f"the end of PipelineRun {name}",
            patience,
        )

    def finished_pod(self, name: str, patience: float = 120.0) -> Any:
        """Wait until a pod has ended, well or not."""
        return await_state(
            lambda: self.cluster.core.read_namespaced_pod(name, self.name),
            lambda pod: pod.status.phase in ("Succeeded", "Failed"),
            f"the end of pod {name}",
            patience,
        )

    def token(self, account: str) -> str:
        """Ask for a token of an account of here."""
        path = f"/api/v1/namespaces/{self.name}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return str(self.cluster.request("POST", path, body)["status"]["token"])


def make_space(cluster: Cluster, labels: Manifest | None = None) -> Space:
    """Create a namespace with a name of its own, and its accounts."""
    name = f"e2e-{uuid.uuid4().hex[:10]}"
    metadata = {"name": name, "labels": {"bodywork-argo-e2e": "test", **(labels or {})}}
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    space = Space(name=name, cluster=cluster)
    for manifest in _accounts():
        space.create(manifest)
    # Pods are refused until the controller has made this one.
    await_state(
        lambda: space.find({"apiVersion": "v1", "kind": "ServiceAccount"}),
        lambda found: any(item["metadata"]["name"] == "default" for item in found),
        f"the default account of {name}",
    )
    return space


def _accounts() -> list[Manifest]:
    token = {"kubernetes.io/service-account.name": EXECUTOR_ACCOUNT}
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": STAGE_ACCOUNT},
            "automountServiceAccountToken": False,
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": EXECUTOR_ACCOUNT}},
        {
            # Argo looks for a Secret of this name when the executor has an account of its own.
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": f"{EXECUTOR_ACCOUNT}.service-account-token",
                "annotations": token,
            },
        },
        role("executor", EXECUTOR_RULES),
        binding("executor", {"kind": "ServiceAccount", "name": EXECUTOR_ACCOUNT}),
    ]


def role(name: str, rules: list[dict[str, list[str]]]) -> Manifest:
    """Write a Role."""
    return {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": name}, "rules": rules}


def binding(name: str, subject: dict[str, str]) -> Manifest:
    """Bind the Role of this name to somebody."""
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    return {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": reference,
        "subjects": [subject],
    }


def describe(space: Space, read_log: Callable[[str], str]) -> str:
    """Tell what stands in a namespace, for the report of a failed test."""
    core = space.cluster.core
    lines = [f"namespace {space.name}:"]
    for pod in core.list_namespaced_pod(space.name).items:
        statuses = pod.status.container_statuses or []
        states = [f"{status.name}={status.state.to_dict()}" for status in statuses]
        lines.append(f"  pod {pod.metadata.name} {pod.status.phase} {' '.join(states)}")
    events = core.list_namespaced_event(space.name).items
    lines += [f"  event {e.involved_object.name}: {e.reason}: {e.message}" for e in events[-25:]]
    for part in ("argo-controller", "tekton-controller"):
        mentioned = [line for line in read_log(part).splitlines() if space.name in line]
        lines += [f"  {part}: {line}" for line in mentioned[-8:]]
    return "\n".join(lines)
