"""An API server on loopback that does what real ones do on a bad day."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bodywork_argo.kube.connection import Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the next of the answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: Api

    def setup(self) -> None:
        super().setup()
        self.api.connections.add(self.connection)

    def finish(self) -> None:
        self.api.connections.discard(self.connection)
        if not self.wfile.closed:
            super().finish()

    def answer(self) -> None:
        split = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        asked = Asked(
            method=self.command,
            path=split.path,
            query=dict(parse_qsl(split.query)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=json.loads(body) if body else None,
        )
        self.api.asked.append(asked)
        self.api.next_answer()(self, asked)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the names are the library's

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Answer = Callable[[Handler, Asked], None]


class Server(ThreadingHTTPServer):
    """Keeps still about connections that break, since they are meant to."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing; what is wrong shows at the client."""


class Api:
    """Answers in the order of `answers`; the last one is given again and again."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[Asked] = []
        self.answers: deque[Answer] = deque()
        self.connections: set[socket.socket] = set()
        handler = type("ApiHandler", (Handler,), {"api": self})
        self._server = Server(("127.0.0.1", port), handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Api:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all connections and refuse others from now on."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in list(self.connections):
            connection.shutdown(socket.SHUT_RDWR)

    def will(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    def next_answer(self) -> Answer:
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]


def document(body: object, status: int = 200, **headers: str) -> Answer:
    """Answer with a document."""
    return text(json.dumps(body).encode(), status, **headers)


def text(body: bytes, status: int = 200, **headers: str) -> Answer:
    """Answer with these bytes."""

    def answer(handler: Handler, asked: Asked) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def refusal(status: int, reason: str, message: str = "", **headers: str) -> Answer:
    """Answer as the API refuses."""
    said = {"kind": "Status", "status": "Failure", "reason": reason, "message": message}
    return document({**said, "code": status}, status, **headers)


def chunks(*pieces: bytes, end: Callable[[Handler], None] | None = None) -> Answer:
    """Stream pieces, then end as it should be, or in the given way."""

    def answer(handler: Handler, asked: Asked) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.flush()
        (end or _finish)(handler)

    return answer


def _finish(handler: Handler) -> None:
    handler.wfile.write(b"0\r\n\r\n")


def cut(handler: Handler) -> None:
    """End the connection in the middle."""
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def reset(handler: Handler, asked: Asked | None = None) -> None:
    """Reset the connection (RST)."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True
    handler.rfile.close()
    handler.wfile.close()
    handler.connection.close()


def silence(seconds: float) -> Callable[[Handler], None]:
    """Say nothing for a while, then end as it should be."""

    def end(handler: Handler) -> None:
        time.sleep(seconds)
        _finish(handler)

    return end


@dataclass(slots=True)
class SkippedTime:
    """A clock that jumps instead of waiting."""

    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return time.monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def time(self) -> Time:
        return Time(now=self.now, sleep=self.sleep)


def lines(events: Iterable[object]) -> bytes:
    """Write the events of a watch."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)
