"""The cluster as the tests see it: the Kubernetes Python client and a few verbs on documents."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.dynamic import DynamicClient

Manifest = Mapping[str, Any]

# Kinds that the tests handle as documents, with the plural that the API's paths want.
PLURALS = {
    "ConfigMap": "configmaps",
    "CronWorkflow": "cronworkflows",
    "Deployment": "deployments",
    "Ingress": "ingresses",
    "Job": "jobs",
    "Namespace": "namespaces",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pipeline": "pipelines",
    "PipelineRun": "pipelineruns",
    "Pod": "pods",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "Task": "tasks",
    "TaskRun": "taskruns",
    "Workflow": "workflows",
    "WorkflowTemplate": "workflowtemplates",
}
POLL = 0.3
_RAW: Any = DynamicClient  # the client has no types


class Timeout(AssertionError):
    """What was awaited did not come; the message has the last state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster under one identity."""

    kubeconfig: Path
    client: Any

    @property
    def core(self) -> Any:
        """The typed client of the core API."""
        return client.CoreV1Api(self.client)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        **query: str,
    ) -> Any:
        """Send one request; `kubernetes.client.ApiException` when the server refuses."""
        # The dynamic client's raw request is the one call that old and new clients share; its
        # discovery, which costs a second, is not needed.
        raw = _RAW(self.client, discoverer=lambda *_: None)
        answer = raw.request(
            method,
            path,
            body=body,
            query_params=list(query.items()),
            content_type=content_type,
            serialize=False,
            _request_timeout=60,
        )
        return json.loads(answer.data)

    def create(self, manifest: Manifest, namespace: str = "") -> Any:
        """Create an object and give it as the server stored it."""
        return self.request("POST", collection(manifest, namespace), manifest)

    def apply(
        self,
        manifest: Manifest,
        namespace: str = "",
        *,
        manager: str = "e2e",
        dry_run: bool = False,
    ) -> Any:
        """Apply on the server's side; with `dry_run` the server only checks."""
        path = f"{collection(manifest, namespace)}/{manifest['metadata']['name']}"
        query = {"fieldManager": manager, **({"dryRun": "All"} if dry_run else {})}
        return self.request("PATCH", path, manifest, "application/apply-patch+yaml", **query)

    def get(self, manifest: Manifest, namespace: str = "", name: str | None = None) -> Any:
        """Read an object back; `manifest` tells API and kind, and the name unless it is given."""
        chosen = name or manifest["metadata"]["name"]
        return self.request("GET", f"{collection(manifest, namespace)}/{chosen}")

    def find(self, manifest: Manifest, namespace: str = "", selector: str = "") -> list[Any]:
        """List the objects of a kind that labels select."""
        listed = self.request("GET", collection(manifest, namespace), labelSelector=selector)
        return list(listed["items"])

    def logs(self, pod: str, namespace: str, container: str | None = None) -> str:
        """Give what a container wrote."""
        options = {} if container is None else {"container": container}
        return str(self.core.read_namespaced_pod_log(pod, namespace, **options))


def connect(kubeconfig: Path, *, token: str | None = None) -> Cluster:
    """Connect with a kubeconfig, or with its server and another identity's token."""
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    if token is not None:
        document["users"] = [{**user, "user": {"token": token}} for user in document["users"]]
    make: Any = config.new_client_from_config_dict
    connected = make(document)
    return Cluster(kubeconfig=kubeconfig, client=connected)


def collection(manifest: Manifest, namespace: str) -> str:
    """Give the API path of a manifest's kind."""
    version, plural = manifest["apiVersion"], PLURALS[manifest["kind"]]
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def await_state(
    read: Callable[[], Any], wanted: Callable[[Any], bool], what: str, patience: float = 120.0
) -> Any:
    """Read until the state is as wanted, and give it.

    Raises `Timeout` with the last state after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        state = read()
        if wanted(state):
            return state
        if time.monotonic() > deadline:
            raise Timeout(f"{what}: not within {patience:.0f} s; last seen: {state}")
        time.sleep(POLL)
