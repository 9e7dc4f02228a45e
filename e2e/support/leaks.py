"""Secrets that tests plant, and where they must never be: outside of Secrets.

Every value that a test puts into a Secret comes from `planted`, so that one search finds them all:
in what the API server has stored in a namespace, in what its pods wrote and in what we print.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from kubernetes.client import ApiException
from kubernetes.dynamic import DynamicClient

from e2e.engines.gitservers import HTTP_PASSWORD
from e2e.support.cluster import Cluster

PLANTED = "planted-secret-"
_AT_ONCE = 8
_LEFT = ("api/v1 secrets", "api/v1 endpoints", "apis/events.k8s.io/v1 events")
"""Where secrets belong, and what only shows again what other kinds hold."""
_GROUPS = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PACKED = re.compile(rb'"(H4sI[A-Za-z0-9+/]{20,}=*)"')
"""gzip in base64, as Argo stores the nodes of large workflows."""
_RAW: Any = DynamicClient  # the client has no types


def planted() -> str:
    """Return a value for a Secret, each time another one."""
    return f"{PLANTED}{uuid.uuid4().hex}"


def encodings(text: str) -> tuple[bytes, ...]:
    """Return how a text looks inside of others: plain, and in base64 from any of three places."""
    data = text.encode()
    shifted = [
        base64.b64encode(b"\0" * offset + data)[start : (offset + len(data)) // 3 * 4]
        for offset, start in ((0, 0), (1, 2), (2, 3))
    ]
    return (data, *shifted)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakScan:
    """Looks for planted secrets in everything that a namespace keeps, but for its Secrets."""

    cluster: Cluster
    collections: tuple[str, ...]
    """Roots and plurals of the kinds that lie in namespaces, as ``api/v1 pods``."""
    needles: frozenset[bytes]

    def namespace(self, name: str) -> list[str]:
        """Return the places in a namespace where one is, best before it is deleted."""
        with ThreadPoolExecutor(_AT_ONCE) as side_by_side:
            objects = side_by_side.map(lambda each: self._objects(name, each), self.collections)
            logs = side_by_side.map(self._log, self._containers(name))
            return [place for places in (*objects, *logs) for place in places]

    def shows(self, text: bytes) -> bool:
        """Return whether a planted secret is in it."""
        return shown(self.needles, text)

    def _objects(self, namespace: str, kind: str) -> list[str]:
        root, plural = kind.split()
        text = self._read(f"/{root}/namespaces/{namespace}/{plural}")
        if not self.shows(text):
            return []
        items = {item["metadata"]["name"]: item for item in json.loads(text)["items"]}
        return [f"{plural} {name}" for name, item in items.items() if self._tells(item)]

    def _tells(self, item: object) -> bool:
        return self.shows(json.dumps(item).encode())

    def _containers(self, namespace: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the address of each log that there is, and the parameters."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        for pod in json.loads(self._read(path))["items"]:
            log = f"{path}/{pod['metadata']['name']}/log"
            for kind in ("initContainerStatuses", "containerStatuses"):
                for status in pod.get("status", {}).get(kind, ()):
                    if "waiting" not in status["state"]:
                        yield log, {"container": status["name"]}
                    if status["restartCount"]:
                        yield log, {"container": status["name"], "previous": "true"}

    def _log(self, asked: tuple[str, dict[str, str]]) -> list[str]:
        path, query = asked
        *_, pod, _ = path.split("/")
        text = self._read(path, **query)
        return [f"log of {pod}/{query['container']}"] if self.shows(text) else []

    def _read(self, path: str, **query: str) -> bytes:
        try:
            return read(self.cluster, path, **query)
        except ApiException as error:
            if error.status in (400, 404, 405):  # nothing to be read: a log that is gone, say
                return b'{"items": []}'
            raise


def leak_scan(cluster: Cluster, more: Iterable[str] = ()) -> LeakScan:
    """Return what looks for planted secrets, and for `more` texts, in all kinds that are served."""
    collections = [
        f"{root}/{version['version']} {kind['resource']}"
        for root, group in _groups(cluster)
        for version in group["versions"][:1]
        for kind in version.get("resources", ())
        if kind["scope"] == "Namespaced" and "list" in kind["verbs"]
    ]
    return LeakScan(
        cluster=cluster,
        collections=tuple(each for each in collections if each not in _LEFT),
        needles=needles(more),
    )


def needles(more: Iterable[str] = ()) -> frozenset[bytes]:
    """Return what planted secrets, and `more` texts, are recognised by."""
    return frozenset(form for text in (PLANTED, *more) for form in encodings(text))


def shown(needles: Iterable[bytes], text: bytes) -> bool:
    """Return whether one of the needles is in a text, or in what is packed there."""
    packed = [gzip.decompress(base64.b64decode(each)) for each in _PACKED.findall(text)]
    return any(needle in each for needle in needles for each in (text, *packed))


def check_said(*texts: bytes) -> None:
    """Raise AssertionError, without the text, when a planted secret is in what was written."""
    searched = needles([HTTP_PASSWORD])
    if any(shown(searched, text) for text in texts):
        raise AssertionError("a planted secret, or the Git server's password, was printed")


def of_key(private_key: str) -> str:
    """Return a line of a private key that no other key has."""
    return private_key.splitlines()[2]


def read(cluster: Cluster, path: str, **query: str) -> bytes:
    """Return an answer of the API as it came."""
    raw = _RAW(cluster.client, discoverer=lambda *_: None)
    options = {"query_params": list(query.items()), "serialize": False, "_request_timeout": 60}
    return bytes(raw.request("GET", path, **options).data)


def _groups(cluster: Cluster) -> Iterator[tuple[str, Any]]:
    """Yield the API's groups with the roots of their addresses."""
    raw = _RAW(cluster.client, discoverer=lambda *_: None)
    for root in ("api", "apis"):
        answer = raw.request("GET", f"/{root}", serialize=False, header_params={"Accept": _GROUPS})
        for group in json.loads(answer.data)["items"]:
            name = group.get("metadata", {}).get("name", "")
            yield (f"{root}/{name}" if name else root), group
