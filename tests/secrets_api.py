"""As much of the Kubernetes API as keeping secrets takes, over HTTP, in front of a cluster in
memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bodywork_argo.cluster import SECRET
from bodywork_argo.errors import AlreadyExists
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster

NOT_FOUND = {"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "not found"}
CONFLICT = {"kind": "Status", "status": "Failure", "reason": "AlreadyExists", "message": "exists"}


class SecretsHandler(BaseHTTPRequestHandler):
    """Answers for the secrets of any namespace."""

    protocol_version = "HTTP/1.1"
    cluster: MemoryCluster

    def answer(self) -> None:
        url = urlsplit(self.path)
        _, _, _, _, namespace, plural, *name = url.path.split("/")
        assert plural == "secrets", self.path
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        space = self.cluster.within(namespace)
        selector = parse_qs(url.query).get("labelSelector", [""])[0]
        code, document = self._of(space, "".join(name), body, selector)
        data = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the library's names

    def _of(
        self, space: MemoryCluster, name: str, body: Manifest | None, selector: str
    ) -> tuple[int, Manifest]:
        found: Manifest | None
        metadata_only = "PartialObjectMetadata" in self.headers.get("Accept", "")
        match self.command:
            case "POST":
                assert body is not None
                try:
                    return 201, space.create(body)
                except AlreadyExists:
                    return 409, {**CONFLICT, "code": 409}
            case "PATCH":
                found = space.patch(SECRET, name, body or {})
            case "DELETE":
                return _deletion(space, name, (body or {}).get("preconditions"))
            case _ if name:
                found = space.get(SECRET, name, metadata_only=metadata_only)
            case _:
                labels = dict(pair.split("=", 1) for pair in selector.split(",") if pair)
                items = space.list(SECRET, labels, metadata_only=metadata_only)
                return 200, {"kind": "SecretList", "metadata": {}, "items": list(items)}
        return (404, {**NOT_FOUND, "code": 404}) if found is None else (200, found)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _deletion(
    space: MemoryCluster, name: str, preconditions: Manifest | None
) -> tuple[int, Manifest]:
    if space.delete(SECRET, name, only={"metadata": preconditions} if preconditions else None):
        return 200, {"kind": "Status"}
    if space.get(SECRET, name) is None:
        return 404, {**NOT_FOUND, "code": 404}
    return 409, {**CONFLICT, "reason": "Conflict", "code": 409}


@contextmanager
def secrets_api(cluster: MemoryCluster, kubeconfig: Path) -> Iterator[None]:
    """Serve the cluster, and write the kubeconfig that leads there."""
    handler = type("Handler", (SecretsHandler,), {"cluster": cluster})
    with serving(handler, kubeconfig, cluster.namespace):
        yield


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], kubeconfig: Path, namespace: str
) -> Iterator[None]:
    """Serve an API, and write the kubeconfig that leads there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "it",
                    "clusters": [{"name": "it", "cluster": {"server": url}}],
                    "users": [{"name": "it", "user": {"token": "t"}}],
                    "contexts": [
                        {
                            "name": "it",
                            "context": {
                                "cluster": "it",
                                "user": "it",
                                "namespace": namespace,
                            },
                        }
                    ],
                }
            )
        )
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
