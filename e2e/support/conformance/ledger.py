"""What modules tell of themselves, counted outside of any pod."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A module has begun or ended; `message` is its EXCEPTION_MESSAGE."""

    stage: str
    what: str
    attempt: str
    """An id that the module made up."""
    message: str


@dataclass(slots=True)
class Ledger:
    """Keeps what was told of each run, in the order in which it came."""

    address: str = ""
    _entries: dict[str, list[Entry]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, run: str) -> tuple[Entry, ...]:
        """Return what was told of a run."""
        with self._lock:
            return tuple(self._entries.get(run, ()))

    def enter(self, run: str, entry: Entry) -> int:
        """Note an entry once, and return how many attempts of its stage had told it by then."""
        with self._lock:
            entries = self._entries.setdefault(run, [])
            if entry not in entries:
                entries.append(entry)
            known = entries[: entries.index(entry) + 1]
            return sum((each.stage, each.what) == (entry.stage, entry.what) for each in known)


@contextmanager
def serve(host: str) -> Iterator[Ledger]:
    """Serve a ledger at ``http://host:port/RUN/STAGE/WHAT/ATTEMPT``; the answer is the count."""
    ledger = Ledger()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            message = self.rfile.read(length).decode()
            _, run, stage, what, attempt = self.path.split("/")
            entry = Entry(stage=stage, what=what, attempt=attempt, message=message)
            count = ledger.enter(run, entry)
            body = str(count).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Leave the tests' output alone."""

    with ThreadingHTTPServer((host, 0), Handler) as server:
        ledger.address = f"http://{host}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield ledger
        server.shutdown()
        thread.join()
