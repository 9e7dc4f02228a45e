"""The way to the API server, which breaks when a test says so."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

_CHUNK = 65536


class ApiProxy:
    """Plain HTTP on loopback before a cluster's API server.

    Whatever state it is brought into, `passing` brings it back, at the same address.
    """

    def __init__(self, server: str, certificate: str) -> None:
        split = urlsplit(server)
        self._target = (split.hostname or "", split.port or 443)
        self._context = ssl.create_default_context(cafile=certificate)
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._answer: bytes | None = None
        self._refused = 0
        self._era = 0
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()

    @property
    def open_connections(self) -> int:
        """How many connections go through now."""
        with self._lock:
            return len(self._pairs)

    @property
    def refused(self) -> int:
        """How many requests were answered by the proxy itself."""
        with self._lock:
            return self._refused

    def passing(self) -> None:
        """Let everything through again; connections that hung stay as dead as they are."""
        with self._lock:
            self._answer = None
        if self._listener is None:
            self._listen()

    def cut(self) -> None:
        """End all connections in the middle of whatever they carry, and refuse new ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._end_all()

    def hang(self) -> None:
        """Let no further byte through on the connections there are, and close none of them."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.hang()

    def answer(self, status: str, **headers: str) -> None:
        """End all connections, and answer each request like this."""
        lines = [f"HTTP/1.1 {status}", "Content-Length: 0", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        with self._lock:
            self._answer = "\r\n".join([*lines, "", ""]).encode()
        self._end_all()

    def close(self) -> None:
        """End everything."""
        self.cut()

    def kubeconfig(self, original: Path, folder: Path) -> Path:
        """Write a kubeconfig that goes this way."""
        document = yaml.safe_load(original.read_text(encoding="utf-8"))
        for cluster in document["clusters"]:
            cluster["cluster"] = {"server": f"http://127.0.0.1:{self.port}"}
        path = folder / f"proxy-{self.port}.kubeconfig"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        path.chmod(0o600)
        return path

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            answer, era = self._answer, self._era
        if answer is None:
            self._pass_on(client, era)
            return
        with closing(client):
            if client.recv(_CHUNK):
                with self._lock:
                    self._refused += 1
                client.sendall(answer)

    def _pass_on(self, client: socket.socket, era: int) -> None:
        with closing(client):
            try:
                plain = socket.create_connection(self._target)
                server = self._context.wrap_socket(plain, server_hostname=self._target[0])
            except OSError:  # the server is away: so are we
                return
            pair = _Pair(client, server)
            with self._lock:
                self._pairs.add(pair)
                outdated = era != self._era  # all were ended while this one was being made
            if outdated:
                pair.end()
            pair.carry()
            with self._lock:
                self._pairs.discard(pair)

    def _end_all(self) -> None:
        with self._lock:
            self._era += 1
            pairs = list(self._pairs)
        for pair in pairs:
            pair.end()


class _Pair:
    """A client's connection and the one that is made for it."""

    def __init__(self, client: socket.socket, server: ssl.SSLSocket) -> None:
        self._client = client
        self._server = server
        self._hanging = threading.Event()
        self._ended = threading.Event()

    def hang(self) -> None:
        self._hanging.set()

    def end(self) -> None:
        self._ended.set()
        for each in (self._client, self._server):
            _shut(each)

    def carry(self) -> None:
        """Carry bytes both ways until one side has ended, or until `end` when it hangs."""
        try:
            while self._carry_once():
                pass
        except OSError:  # ended by a side, or by a test
            pass
        if self._hanging.is_set():
            self._ended.wait()
        self._server.close()

    def _carry_once(self) -> bool:
        # One thread for both ways, since TLS takes no reading and writing at once.
        pending = [self._server] if self._server.pending() else []
        for source in pending or select.select([self._client, self._server], [], [])[0]:
            data = source.recv(_CHUNK)
            if not data:
                return False
            sink = self._server if source is self._client else self._client
            if not self._hanging.is_set():
                sink.sendall(data)
        return True


def _shut(each: socket.socket) -> None:
    try:
        socket.socket.shutdown(each, socket.SHUT_RDWR)
    except OSError:  # was shut before
        return


@contextmanager
def api_proxy(kubeconfig: Path) -> Iterator[ApiProxy]:
    """Stand before the API server of a kubeconfig."""
    document: Any = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster = document["clusters"][0]["cluster"]
    with closing(ApiProxy(cluster["server"], cluster["certificate-authority"])) as proxy:
        yield proxy
