"""Callers in the cluster that ask a service twenty times a second, and what they got."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from e2e.support.cluster import await_state
from e2e.support.pods import pod
from e2e.support.spaces import Space

# Each request in a thread and on a connection of its own: a slow answer delays no other. Names are
# looked up once, since a name server on a busy machine is another matter.
_CALLER = """\
import json, socket, sys, threading, time, urllib.request

def address(url):
    host = url.split("/")[2].split(":")[0]
    while True:
        try:
            return url.replace(host, socket.gethostbyname(host), 1)
        except OSError:
            time.sleep(0.5)

def ask(url, at):
    try:
        with urllib.request.urlopen(where[url], timeout=5) as answer:
            told = {"code": answer.status, "body": answer.read().decode()}
    except Exception as error:
        told = {"error": f"{type(error).__name__}: {error}"}
    told.update(url=url, at=at)
    sys.stdout.write(json.dumps(told) + "\\n")
    sys.stdout.flush()

urls = sys.argv[1:]
where = {url: address(url) for url in urls}
start, count = time.time(), 0
while True:
    at = start + count / 20
    time.sleep(max(0, at - time.time()))
    for url in urls:
        threading.Thread(target=ask, args=(url, at), daemon=True).start()
    count += 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one request came to."""

    url: str
    at: float
    body: str
    error: str


@dataclass(slots=True, kw_only=True)
class Traffic:
    """A caller that is up; its answers are complete when the block has ended."""

    space: Space
    name: str
    answers: list[Answer] = field(default_factory=list)

    def read(self) -> list[Answer]:
        """Return the answers so far, in the order of their requests."""
        lines = self.space.logs(self.name).splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        found = [
            Answer(
                url=each["url"],
                at=each["at"],
                body=each.get("body", ""),
                error=each.get("error", ""),
            )
            for each in told
        ]
        return sorted(found, key=lambda each: each.at)

    def failures(self, url: str = "", since: float = 0.0, until: float = 2e9) -> list[Answer]:
        """Return the requests that went wrong."""
        return [
            each
            for each in self.answers or self.read()
            if each.error and url in each.url and since <= each.at <= until
        ]

    def bodies(self) -> list[str]:
        """Return the different answers in the order in which they first came."""
        return list(dict.fromkeys(each.body for each in self.answers or self.read() if each.body))

    def until(self, body: str) -> None:
        """Wait for an answer."""
        await_state(self.read, lambda found: any(e.body == body for e in found), f"answer {body}")


@contextmanager
def traffic(space: Space, *urls: str) -> Iterator[Traffic]:
    """Let a pod of the namespace ask; from the first good answer of all URLs on."""
    name = f"caller-{uuid.uuid4().hex[:6]}"
    space.create(pod(name, ["python3", "-u", "-c", _CALLER, *urls]))
    found = Traffic(space=space, name=name)
    await_state(
        lambda: space.get({"apiVersion": "v1", "kind": "Pod"}, name),
        lambda it: it["status"].get("phase") == "Running",
        f"caller {name}",
    )
    try:
        yield found
    finally:
        time.sleep(1)  # requests under way are told, too
        found.answers = found.read()
        space.cluster.core.delete_namespaced_pod(name, space.name)
