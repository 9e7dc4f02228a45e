"""The engines start, survive and go, whatever happened before. Alone on the machine only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from e2e.engines import kernel, leftovers
from e2e.engines.places import CHECKOUT, Places
from e2e.engines.processes import Processes
from e2e.support.cluster import await_state, connect
from e2e.support.pods import container, pod, workflow_spec
from e2e.support.spaces import WORKFLOW, make_space

pytestmark = pytest.mark.lifecycle


def start_command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "e2e.engines", *arguments],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def engines(*arguments: str) -> str:
    """Carry out a command that has to succeed, and give what it said."""
    with start_command(*arguments) as command:
        said, _ = command.communicate()
    assert command.returncode == 0, said
    return said


def pids(places: Places) -> dict[str, int]:
    return {name: record.pid for name, record in Processes(places).records().items()}


def run_a_pod(places: Places, name: str, *command: str) -> None:
    cluster = connect(places.kubeconfig)
    space = make_space(cluster)
    space.create(pod(name, command))
    await_state(
        lambda: cluster.core.read_namespaced_pod(name, space.name).status.phase,
        lambda phase: phase in ("Running", "Succeeded"),
        f"pod {name}",
        patience=60,
    )


@pytest.fixture(autouse=True)
def running(places: Places) -> Iterator[None]:
    """Start from engines that are up, and leave them up."""
    if os.environ.get("E2E_KUBECONFIG"):
        pytest.fail("these tests stop the engines, and E2E_KUBECONFIG names somebody's cluster")
    engines("up")
    yield
    engines("up")


def test_up_a_second_time_changes_nothing(places: Places) -> None:
    before = pids(places)

    engines("up")

    assert pids(places) == before


def test_down_leaves_nothing_even_with_pods_running(places: Places) -> None:
    run_a_pod(places, "sleeper", "sleep", "1000")
    start = time.monotonic()

    engines("down")

    assert time.monotonic() - start < 20
    left = leftovers.leftovers(places)
    assert left == {kind: [] for kind in left}


def test_down_a_second_time_is_no_error(places: Places) -> None:
    engines("down")

    assert "nothing runs" in engines("down")


def test_up_after_a_hard_kill_of_everything(places: Places) -> None:
    for name in ("one", "two", "three", "four", "five", "six"):
        run_a_pod(places, name, "sleep", "1000")
    for pid in pids(places).values():
        os.kill(pid, signal.SIGKILL)
    # With its last process a pod's link goes too, at a moment of the kernel's own choice.
    for pid in leftovers.container_processes() | leftovers.shims(places):
        os.kill(pid, signal.SIGKILL)

    engines("up")

    run_a_pod(places, "after", "true")
    assert engines("status").count(" ready\n") == len(pids(places))


def test_up_restarts_what_alone_has_died(places: Places) -> None:
    before = pids(places)
    os.kill(before["argo-controller"], signal.SIGKILL)

    engines("up")

    after = pids(places)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"argo-controller"}


def test_two_ups_at_once_do_not_fight(places: Places) -> None:
    engines("down")

    both = [start_command("up"), start_command("up")]
    said = [command.communicate()[0] for command in both]

    assert [command.returncode for command in both] == [0, 0], said
    assert sum("waiting for it" in text for text in said) == 1
    assert engines("status").count(" ready\n") == len(pids(places))


def test_up_goes_on_where_one_was_broken_off(places: Places) -> None:
    engines("down")
    with start_command("up") as command:
        await_state(
            lambda: "kube-apiserver" in Processes(places).records(),
            lambda started: started is True,
            "the API server's start",
            patience=60,
        )
        command.kill()

    engines("up")

    run_a_pod(places, "after", "true")
    assert engines("status").count(" ready\n") == len(pids(places))


def test_argo_watches_one_namespace_when_told(places: Places) -> None:
    cluster = connect(places.kubeconfig)
    watched, other = make_space(cluster), make_space(cluster)
    spec = workflow_spec({"container": container(["true"])})

    engines("up", "--argo-namespace", watched.name)
    for space in (other, watched):
        space.create({**WORKFLOW, "metadata": {"name": "one"}, "spec": spec})
    ended = watched.finished_workflow("one")

    assert ended["status"]["phase"] == "Succeeded"
    assert "status" not in other.get(WORKFLOW, "one")
    # Without the flag the controller takes up what it has not seen.
    engines("up")
    assert other.finished_workflow("one")["status"]["phase"] == "Succeeded"


def test_down_puts_the_kernel_settings_back(places: Places) -> None:
    saved = json.loads(places.kernel_settings.read_text(encoding="ascii"))

    engines("down")

    now = {name: (kernel.ROOT / name).read_text(encoding="ascii").strip() for name in saved}
    assert now == saved
