"""Runs that fail, can't start, or are ended by somebody, on real engines and as people see them."""

from __future__ import annotations

import signal
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import MakeRepository
from e2e.support.backends import EACH_IN_FULL, TEKTON, Engine
from e2e.support.cluster import await_state
from e2e.support.program import (
    TELL,
    Program,
    gate,
    is_open,
    open_gate,
    phases,
    pipeline,
    reasons,
    set_up,
    stage,
)
from e2e.support.repositories import GitServer
from e2e.support.spaces import Space

pytestmark = pytest.mark.smoke

POD = {"apiVersion": "v1", "kind": "Pod"}
WHEEL_SECONDS = 120
SLOW = "import time; print('up', flush=True); time.sleep(120)"


@pytest.fixture(params=EACH_IN_FULL)
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.param
    return found


@pytest.fixture
def submitter(namespace: Space, tmp_path: Path, engine: Engine) -> Program:
    """Call the program with the submitter's role alone, in a namespace that is set up."""
    return set_up(namespace, tmp_path, engine)


@pytest.mark.full
def test_a_failed_run_tells_what_failed_and_shows_every_attempt(
    submitter: Program, make_git_repository: MakeRepository
) -> None:
    stages = {
        "bad_1": stage("import os; print('try', flush=True); raise SystemExit(3)", retries=2),
        "slow": stage(SLOW, limit=2, retries=1),
        "later": stage(),
        "tell": stage(TELL),
    }
    files = pipeline("bad_1, slow >> later", stages, on_failure="tell")
    repository = make_git_repository(files)

    said = submitter("submit", repository.url, "--wait", code=1)

    (name,) = said.lines
    summary = said.err.splitlines()[-1]
    assert summary.startswith(f"run {name} failed after ")
    assert summary.endswith(": 2 stages failed: bad_1, slow")
    run = submitter("status", name, "-o", "json").data
    assert run["reason"] == "2 stages failed: bad_1, slow"
    by_name = {each["stage"]: each for each in run["stages"]}
    assert (by_name["bad_1"]["attempt"], by_name["bad_1"]["exit_code"]) == (3, 3)
    assert by_name["slow"]["attempt"] == 2
    assert by_name["slow"]["reason"] == "time limit of 2 s exceeded"
    began, ended = (datetime.fromisoformat(by_name["slow"][at]) for at in ("started", "finished"))
    assert 4 <= (ended - began).total_seconds() < 60  # two attempts, and pods to be made
    assert (by_name["later"]["phase"], by_name["tell"]["phase"]) == ("skipped", "succeeded")
    assert submitter("logs", name, "bad_1").out == "try\n" * 3
    told = submitter("logs", name, "tell").lines
    assert sorted(told[1:]) == [
        "bad_1: exit code 3",
        "slow: time limit of 2 s exceeded" + " (exit code 143)" * submitter.engine.tells_signals,
    ]
    assert submitter("logs", name).lines.count("tell | " + told[0]) == 1
    assert name in submitter("watch", name, code=1).err


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        pytest.param(
            # Tekton does not wait where an image could be pulled, and is not there.
            {"kubernetes": {"image": "docker.io/local/nowhere:1", "image_pull_policy": "Never"}},
            "docker.io/local/nowhere:1",
            id="an image that is not there",
        ),
        pytest.param(
            {"cpu_request": 500},
            "Insufficient cpu",
            id="more cores than any node has",
            marks=pytest.mark.full,
        ),
    ],
)
def test_a_stage_that_cannot_start_has_the_run_stopped(
    submitter: Program, make_git_repository: MakeRepository, keys: dict[str, Any], why: str
) -> None:
    stages = {"stuck": stage(**keys), "tell": stage(TELL)}
    repository = make_git_repository(pipeline("stuck", stages, on_failure="tell"))

    said = submitter("submit", repository.url, "--wait", "--pending-timeout", "5", code=6)

    (name,) = said.lines
    (last,) = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert last.startswith(f"error: run {name} was stopped: stuck could not start within 5 s: ")
    assert why in last
    run = submitter("status", name, "-o", "json").data
    assert (run["phase"], phases(run)) == ("stopped", {"stuck": "stopped", "tell": "succeeded"})
    assert submitter("logs", name, "tell").lines == ["1 stage failed: stuck", "stuck: stopped"]


def test_a_stage_that_is_still_being_prepared_is_stopped(
    submitter: Program, make_git_repository: MakeRepository, git_server: GitServer
) -> None:
    with socket.create_server((git_server.address, 0)) as mute:
        mute.settimeout(WHEEL_SECONDS)
        wheel = f"http://{git_server.address}:{mute.getsockname()[1]}/mute-1.0-py3-none-any.whl"
        stages = {"slow": stage(requirements=[f"mute @ {wheel}"]), "tell": stage(TELL)}
        repository = make_git_repository(pipeline("slow", stages, on_failure="tell"))
        (name,) = submitter("submit", repository.url).lines
        connection, _ = mute.accept()  # pip asks for the wheel, and waits
        with connection:
            submitter("stop", name)
            submitter("watch", name, code=1)

    run = submitter("status", name, "-o", "json").data
    assert (run["reason"], phases(run)) == (
        "stopped while slow ran",
        {"slow": "stopped", "tell": "succeeded"},
    )
    assert submitter("logs", name, "tell").lines == ["1 stage failed: slow", "slow: stopped"]


def test_a_pod_that_somebody_deletes_is_made_again_if_the_stage_has_retries(
    submitter: Program, namespace: Space, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository({})
    stages = {"again": stage(gate(repository), retries=1), "once": stage(gate(repository))}
    commit = repository.commit(pipeline("again, once", stages))
    (name,) = submitter("submit", repository.url).lines
    pods = [running_pod(namespace, task, submitter.engine) for task in stages]
    await_state(  # one that goes before the engine has seen it run is made again in any case
        lambda: set(phases(submitter("status", name, "-o", "json").data).values()),
        lambda seen: seen == {"running"},
        "the engine to see both pods run",
    )
    for pod in pods:
        namespace.cluster.core.delete_namespaced_pod(pod, namespace.name)
    await_state(  # a module that finds the gate open before its node stops it ends well
        lambda: phases(submitter("status", name, "-o", "json").data)["once"],
        lambda seen: seen == "failed",
        "the end of the stage whose pod is gone",
    )
    open_gate(repository, commit)

    submitter("watch", name, code=1)

    run = submitter("status", name, "-o", "json").data
    assert phases(run) == {"again": "succeeded", "once": "failed"}
    assert [each["attempt"] for each in run["stages"]] == [2, 1]
    assert run["reason"] == "1 stage failed: once"
    # Whichever Argo sees first; Tekton tells no signal.
    assert reasons(run)["once"] in ("exit code 143", "its pod was deleted", "exit code 255")


@pytest.mark.full
def test_a_stage_that_ended_well_after_all_is_not_among_those_that_failed(
    submitter: Program, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository({})
    once_open = f"from urllib.request import urlopen\nraise SystemExit(not {is_open(repository)})"
    stages = {
        "again": stage(once_open, retries=20),
        "bad": stage("raise SystemExit(3)", retries=1),
        "tell": stage(TELL),
    }
    commit = repository.commit(pipeline("again >> bad", stages, on_failure="tell"))
    (name,) = submitter("submit", repository.url).lines
    await_state(
        lambda: submitter("status", name, "-o", "json").data["stages"][0]["attempt"],
        lambda attempt: attempt > 1,
        "a second attempt",
    )
    open_gate(repository, commit)

    submitter("watch", name, code=1)

    assert submitter("logs", name, "tell").lines == ["1 stage failed: bad", "bad: exit code 3"]


def running_pod(space: Space, task: str, engine: Engine) -> str:
    """Wait until the module of a task runs, and return its pod."""

    def there() -> list[str]:
        pods = space.find(POD, f"bodywork-argo/stage={task}")
        running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        return [
            pod["metadata"]["name"]
            for pod in running
            if "waiting" in space.logs(pod["metadata"]["name"], engine.module)
        ]

    return str(await_state(there, bool, f"the pod of {task}")[0])


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("stop", "succeeded"),
        pytest.param("terminate", "skipped", marks=pytest.mark.full),
    ],
)
def test_a_run_is_ended_and_removed(
    submitter: Program, namespace: Space, make_git_repository: MakeRepository, how: str, told: str
) -> None:
    repository = make_git_repository({})
    stages = {"slow": stage(gate(repository)), "later": stage(), "tell": stage(TELL)}
    repository.commit(pipeline("slow >> later", stages, on_failure="tell"))
    (name,) = submitter("submit", repository.url).lines
    running_pod(namespace, "slow", submitter.engine)

    submitter(how, name)
    submitter(how, name)
    ended = submitter("watch", name, code=1)
    submitter(how, name)

    run = submitter("status", name, "-o", "json").data
    assert (run["phase"], phases(run)) == (
        "stopped",
        {"slow": "stopped", "later": "skipped", "tell": told},
    )
    assert f"run {name} stopped after " in ended.err
    if how == "stop":
        assert submitter("logs", name, "tell").lines == ["1 stage failed: slow", "slow: stopped"]
    submitter("delete", name, "--yes")
    assert namespace.find(submitter.engine.run) == []
    await_state(lambda: namespace.find(POD), lambda pods: not pods, "the end of the pods")


def test_ctrl_c_ends_the_watching_and_not_the_run(
    submitter: Program, namespace: Space, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository({})
    commit = repository.commit(pipeline("a", {"a": stage(gate(repository))}))
    with submitter.start("submit", repository.url, "--watch") as watching:
        running_pod(namespace, "a", submitter.engine)
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=20)
    assert watching.returncode == 130, err
    open_gate(repository, commit)
    (name,) = out.split()
    last = err.splitlines()[-1]
    chosen = " --backend tekton" if submitter.engine is TEKTON else ""
    back = f"`bodywork-argo watch {name}{chosen} -n {namespace.name}`"
    assert last == f"error: run {name} goes on: {back}"

    submitter("watch", name, "-n", namespace.name)


def test_a_run_that_is_not_there_is_told(submitter: Program, namespace: Space) -> None:
    told = f"error: there is no run no-such-run of ours in namespace {namespace.name}"
    for command in ("status", "logs", "stop"):
        assert submitter(command, "no-such-run", code=4).err == f"{told}\n"
    # A pipeline may be meant as well, whose services a submitter may not look for.
    said = submitter("delete", "no-such-run", code=4).err
    assert said.startswith(f"{told}; whether there is a pipeline no-such-run can't be told: ")
