"""As much of the Kubernetes API as services and schedules take, in front of a cluster in memory.

Nothing can be watched there: who wants to is told that it is forbidden.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bodywork_argo.cluster import POD, SECRET, SERVICE_ACCOUNT, Resource
from bodywork_argo.errors import AlreadyExists, Changed, EngineError, Forbidden
from bodywork_argo.lease import LEASE
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.release_objects import KINDS
from bodywork_argo.release_records import RECORD
from bodywork_argo_adapters.argo.schedules import CRON_WORKFLOW
from bodywork_argo_adapters.argo.watching import WORKFLOW
from tests.secrets_api import serving

_EVENT = Resource(api_version="v1", kind="Event")
_ALL = (*KINDS, RECORD, POD, LEASE, _EVENT, SECRET, SERVICE_ACCOUNT, WORKFLOW, CRON_WORKFLOW)
_SERVED = {(each.api_version, each.plural): each for each in _ALL}


class ClusterHandler(BaseHTTPRequestHandler):
    """Answers for the objects of one namespace."""

    protocol_version = "HTTP/1.1"
    cluster: MemoryCluster

    def answer(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else {}
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        try:
            code, answer = self._routed(url.path, query, body)
        except Forbidden as error:
            code, answer = _refusal(403, "Forbidden", f'User "somebody" cannot do this: {error}')
        except AlreadyExists as error:
            code, answer = _refusal(409, "AlreadyExists", str(error))
        except Changed as error:
            code, answer = _refusal(409, "Conflict", str(error))
        except EngineError as error:
            code, answer = _refusal(400, "BadRequest", str(error))
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the library's names

    def _routed(
        self, path: str, query: dict[str, str], body: Manifest
    ) -> tuple[int, Manifest | bytes]:
        api, _, rest = path.strip("/").partition("/namespaces/")
        if "/" not in rest:
            return self._of_all(path.strip("/"), body)
        _, plural, *names = rest.split("/")
        resource = _SERVED[api.removeprefix("apis/").removeprefix("api/"), plural]
        return self._of(resource, names, query, body)

    def _of(
        self, resource: Resource, names: list[str], query: dict[str, str], body: Manifest
    ) -> tuple[int, Manifest | bytes]:
        rehearsed = "dryRun" in query
        if names[1:] == ["log"]:
            return 200, self._log(names[0], query["container"])
        match self.command, names:
            case "POST", _:
                return 201, self.cluster.create(body, dry_run=rehearsed)
            case "GET", []:
                return 200, self._list(resource, query)
            case "PATCH", [_] if "apply-patch" in self.headers["Content-Type"]:
                return 200, self.cluster.apply(body, dry_run=rehearsed)
            case "PATCH", [name]:
                return _found(self.cluster.patch(resource, name, body))
            case "DELETE", [name]:
                return _found({"kind": "Status"} if self.cluster.delete(resource, name) else None)
            case _, [name]:
                return _found(self.cluster.get(resource, name))
            case _:
                raise AssertionError(self.path)

    def _of_all(self, path: str, body: Manifest) -> tuple[int, Manifest]:
        """Answer what is of no kind of object in a namespace."""
        match path.split("/"):
            case ["version"]:
                return 200, {"gitVersion": self.cluster.version()}
            case [*_, "selfsubjectreviews"]:
                return 201, {"status": {"userInfo": {"username": self.cluster.user}}}
            case [*_, "selfsubjectaccessreviews"]:
                asked = body["spec"]["resourceAttributes"]
                plural = "/".join(filter(None, (asked["resource"], asked["subresource"])))
                allowed = self.cluster.may(asked["verb"], asked["group"], plural)
                return 201, {"status": {"allowed": allowed}}
            case ["api", "v1", "namespaces", name]:
                return 200, {"kind": "Namespace", "metadata": {"name": name}}
            case ["apis", *version]:
                return 200, self._discovered("/".join(version))
            case _:
                return _found(None)

    def _discovered(self, api_version: str) -> Manifest:
        kinds = [each for (version, _), each in _SERVED.items() if version == api_version]
        there = [each for each in kinds if self.cluster.serves(each)]
        return {"resources": [{"name": each.plural, "kind": each.kind} for each in there]}

    def _log(self, pod: str, container: str) -> bytes:
        stamp = b"2026-01-01T00:00:00.000000001Z "
        lines = b"".join(self.cluster.logs(pod, container)).split(b"\n")
        return b"\n".join(stamp + line if line else line for line in lines)

    def _list(self, resource: Resource, query: dict[str, str]) -> Manifest:
        if "watch" in query:
            raise Forbidden("nothing can be watched here")
        labels, fields = (
            dict(pair.split("=", 1) for pair in query.get(name, "").split(",") if pair)
            for name in ("labelSelector", "fieldSelector")
        )
        items = self.cluster.list(resource, labels, fields=fields)
        return {"kind": "List", "metadata": {}, "items": list(items)}

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _found(document: Manifest | None) -> tuple[int, Manifest]:
    return _refusal(404, "NotFound", "not found") if document is None else (200, document)


def _refusal(code: int, reason: str, message: str) -> tuple[int, Manifest]:
    status = {"kind": "Status", "status": "Failure", "reason": reason, "message": message}
    return code, {**status, "code": code}


@contextmanager
def cluster_api(cluster: MemoryCluster, kubeconfig: Path) -> Iterator[None]:
    """Serve the cluster, and write the kubeconfig that leads there."""
    handler = type("Handler", (ClusterHandler,), {"cluster": cluster})
    with serving(handler, kubeconfig, cluster.namespace):
        yield
