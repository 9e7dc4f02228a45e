"""A way to the API server that keeps what passes, and hides what a test names."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml

from e2e.support.recording import Right

_VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}
_PASSED_ON = ("Authorization", "Accept", "Content-Type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What went this way."""

    kubeconfig: Path
    hidden: tuple[str, ...] = ()
    """What the addresses begin with that are not found."""
    used: set[Right] = field(default_factory=set)
    answers: list[bytes] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    way: Way
    address: str
    trust: ssl.SSLContext

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith(self.way.hidden):
            self._answer(404, b'{"kind": "Status", "reason": "NotFound", "message": "hidden"}')
            return
        if right := _right(self.command, self.path):
            self.way.used.add(right)
        headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
        api = HTTPSConnection(self.address, context=self.trust, timeout=30)
        api.request(self.command, self.path, body or None, headers)
        answer = api.getresponse()
        said = answer.read()
        api.close()
        self.way.answers.append(said)
        self._answer(answer.status, said)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = pass_on  # noqa: N815 - the library's names

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def between(kubeconfig: Path, folder: Path, *, hidden: tuple[str, ...] = ()) -> Iterator[Way]:
    """Stand between a kubeconfig's users, who have tokens, and its API server."""
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    real = document["clusters"][0]["cluster"]
    way = Way(kubeconfig=folder / f"between-{kubeconfig.name}", hidden=hidden)
    trust = ssl.create_default_context(cafile=real["certificate-authority"])
    address = real["server"].removeprefix("https://")
    handler = type("Handler", (_Handler,), {"way": way, "address": address, "trust": trust})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        document["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{server.server_port}"}
        way.kubeconfig.write_text(yaml.safe_dump(document), encoding="utf-8")
        way.kubeconfig.chmod(0o600)
        yield way
        server.shutdown()
        thread.join()


def _right(method: str, target: str) -> Right | None:
    """Return the right that a request takes; None for what everybody may ask."""
    url = urlsplit(target)
    root, *parts = url.path.strip("/").split("/")
    if root not in ("api", "apis"):
        return None
    group = "" if root == "api" else parts.pop(0)
    _, *parts = parts or [""]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    if not parts or group.startswith("auth"):
        return None
    resource = "/".join([parts[0], *parts[2:]])
    if method != "GET":
        return group, resource, _VERBS[method]
    watching = "watch" in parse_qs(url.query)
    return group, resource, "watch" if watching else "get" if len(parts) > 1 else "list"
