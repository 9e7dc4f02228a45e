"""Just enough of a Kubernetes client to install the engines, on the standard library alone."""

from __future__ import annotations

import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.engines.failure import EngineError

# Kinds that `apply` knows, with the paths of their collections.
COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The API server as the administrator sees it."""

    server: str
    certificate: Path
    token: str

    def request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> Any:
        """Send one request and give the parsed answer.

        Raises `urllib.error.URLError` when nobody answers or the answer is an error.
        """
        request = urllib.request.Request(self.server + path, data=body, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.add_header("Content-Type", kind)
        context = ssl.create_default_context(cafile=str(self.certificate))
        handler = urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)
        with opener.open(request, timeout=60) as answer:
            text = answer.read()
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text.decode(errors="replace")

    def get(self, path: str) -> Any:
        """Give what lies at a path, or None when nobody answers or nothing is there."""
        try:
            return self.request("GET", path)
        except (OSError, ssl.SSLError):
            return None

    def apply(self, text: str, namespace: str) -> None:
        """Apply one document of YAML on the server's side; the server is the one who reads it."""
        kind, name = _kind_and_name(text)
        collection = COLLECTIONS[kind].format(namespace=namespace)
        path = f"{collection}/{name}?fieldManager=e2e&force=true"
        self._change("PATCH", path, text.encode(), APPLY_PATCH, f"apply {kind} {name}")

    def put_in(self, document: Mapping[str, Any]) -> None:
        """Apply one document given as data."""
        metadata = document["metadata"]
        collection = COLLECTIONS[document["kind"]].format(namespace=metadata.get("namespace"))
        path = f"{collection}/{metadata['name']}?fieldManager=e2e&force=true"
        label = f"apply {document['kind']} {metadata['name']}"
        self._change("PATCH", path, json.dumps(document).encode(), APPLY_PATCH, label)

    def _change(self, method: str, path: str, body: bytes, kind: str, label: str) -> None:
        try:
            self.request(method, path, body, kind)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:1000]
            raise EngineError(f"the API server refused to {label}: {said}") from error
        except OSError as error:
            raise EngineError(f"no answer when asked to {label}: {error}") from error


def documents(text: str) -> list[str]:
    """Split a YAML file into its documents, leaving out those of nothing but comments."""
    parts = re.split(r"^---\s*$", text, flags=re.MULTILINE)
    return [part.lstrip("\n") for part in parts if re.search(r"^kind:", part, flags=re.MULTILINE)]


def _kind_and_name(text: str) -> tuple[str, str]:
    # The documents are the engines' own files, all of them in block style.
    kind = re.search(r"^kind:\s*(\S+)", text, flags=re.MULTILINE)
    metadata = re.search(r"^metadata:\n((?:[ #].*\n|\n)+)", text, flags=re.MULTILINE)
    name = (
        re.search(r"^  name:\s*(\S+)", metadata.group(1), flags=re.MULTILINE) if metadata else None
    )
    if kind is None or name is None:
        raise EngineError(f"a manifest without kind or name: {text[:200]}")
    return kind.group(1), name.group(1).strip("\"'")


def kubeconfig(server: str, certificate: Path, user: str, token: str, namespace: str) -> str:
    """Write a kubeconfig; JSON is YAML."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": user,
        "clusters": [
            {
                "name": "e2e",
                "cluster": {"server": server, "certificate-authority": str(certificate)},
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [
            {"name": user, "context": {"cluster": "e2e", "user": user, "namespace": namespace}}
        ],
    }
    return json.dumps(document, indent=1)
