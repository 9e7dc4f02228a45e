"""How the pods of services end, and how they are replaced, on a real cluster."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from e2e.conftest import MakeRepository
from e2e.support.cluster import await_state
from e2e.support.services import POD, SERVE, await_ready, pods_of, release
from e2e.support.spaces import Space
from e2e.support.traffic import traffic

pytestmark = pytest.mark.smoke

ENDS = f"""
import signal, sys

def end(*_):
    print("asked to end", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
print("up", flush=True)
{SERVE}"""
FAR_BELOW_THE_GRACE_PERIOD = 10
"""Seconds; a module that TERM does not reach takes 30."""
OF_EIGHT_SECONDS = 160
"""Requests; in that time the last pod of the old version has gone."""


def test_the_module_is_told_to_end_and_its_pod_ends_soon(
    namespace: Space, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository({"score.py": ENDS})
    release(namespace, repository.url, repository.commit({"score.py": ENDS}), "run-1")
    name = await_ready(namespace, "run-1")["metadata"]["name"]
    heard = Followed(namespace, name)

    began = time.monotonic()
    namespace.cluster.core.delete_namespaced_pod(name, namespace.name)
    await_state(lambda: [each["metadata"]["name"] for each in namespace.find(POD)],
                lambda names: name not in names, "the pod's end")  # fmt: skip

    assert time.monotonic() - began < FAR_BELOW_THE_GRACE_PERIOD
    assert heard.lines() == ["up", "asked to end"]


def test_no_request_fails_while_a_new_version_takes_over(
    namespace: Space, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository({})
    old = repository.commit({"score.py": SERVE})
    new = repository.commit({"score.py": SERVE}, "The next version")
    release(namespace, repository.url, old, "run-1")
    await_ready(namespace, "run-1")
    with traffic(namespace, "http://score:8000") as caller:
        caller.until(old)
        release(namespace, repository.url, new, "run-2")
        await_ready(namespace, "run-2")
        await_state(
            caller.read,
            lambda found: {each.body for each in found[-OF_EIGHT_SECONDS:]} == {new},
            "answers of the new version alone",
        )
    assert caller.failures() == []
    assert caller.bodies() == [old, new]


def test_a_pod_that_is_lost_comes_back_with_the_same_commit(
    namespace: Space, make_git_repository: MakeRepository
) -> None:
    code = f"print('version 1', flush=True)\n{SERVE}"
    repository = make_git_repository({})
    release(namespace, repository.url, repository.commit({"score.py": code}), "run-1")
    lost = await_ready(namespace, "run-1")["metadata"]["name"]
    repository.commit({"score.py": code.replace("version 1", "version 2")})

    namespace.cluster.core.delete_namespaced_pod(lost, namespace.name)

    await_state(
        lambda: [each["metadata"]["name"] for each in pods_of(namespace, "run-1")],
        lambda names: names and lost not in names,
        "another pod",
    )
    found = await_ready(namespace, "run-1")["metadata"]["name"]
    assert namespace.logs(found, "main") == "version 1\n"


class Followed:
    """Reads what a module writes from now on until its end."""

    def __init__(self, space: Space, name: str) -> None:
        self._stream: Any = space.cluster.core.read_namespaced_pod_log(
            name, space.name, container="main", follow=True, _preload_content=False
        )
        self._text = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for chunk in self._stream.stream():
            self._text += chunk

    def lines(self) -> list[str]:
        """Return all lines, once the module has ended."""
        self._reader.join(30)
        assert not self._reader.is_alive()
        return self._text.decode().splitlines()
