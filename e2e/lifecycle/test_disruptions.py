"""Runs go on, and people see it, when parts of the engines die and come back.

Alone on the machine only.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bodywork_argo.errors import TimedOut
from e2e.conftest import MakeRepository
from e2e.engines.places import Places
from e2e.support.cluster import await_state
from e2e.support.commands import CommandLine, ending
from e2e.support.followed import followed, pods_of
from e2e.support.program import gate, open_gate, pipeline, prepare, stage
from e2e.support.restarts import killed, restart
from e2e.support.spaces import WORKFLOW, Space

pytestmark = pytest.mark.lifecycle
CONTROLLER = "argo-controller"


@pytest.fixture
def commands(own_engines: Places, namespace: Space, tmp_path: Path) -> CommandLine:
    prepare(namespace)
    return CommandLine(
        kubeconfig=namespace.cluster.kubeconfig, namespace=namespace.name, folder=tmp_path
    )


def test_onlookers_outlive_a_restart_of_the_api_server(
    places: Places,
    namespace: Space,
    commands: CommandLine,
    make_git_repository: MakeRepository,
) -> None:
    with followed(namespace, make_git_repository, commands) as run:
        restart(places, "kube-apiserver")
        run.await_shown()

        run.end()


def test_a_run_outlives_a_restart_of_argos_controller(
    places: Places,
    namespace: Space,
    commands: CommandLine,
    make_git_repository: MakeRepository,
) -> None:
    repository = make_git_repository({})
    stages = {"before": stage(gate(repository)), "after": stage("print('after')")}
    commit = repository.commit(pipeline("before >> after", stages))
    call = commands.start("submit", repository.url, "--wait")
    with ending(call):
        call.await_err("before: running")
        run = call.out.read_text().strip()
        with killed(places, CONTROLLER):
            open_gate(repository, commit)
            # The stage ends while nobody is there to see it.
            await_state(
                lambda: [pod["status"]["phase"] for pod in pods_of(run, namespace)],
                lambda phases: phases == ["Succeeded"],
                "the end of the first stage",
            )
        ended = call.end()

    assert ended.code == 0, ended.err
    assert [
        line for line in ended.err.splitlines() if line.startswith(("before: ", "after: "))
    ] == [
        "before: running",
        "before: succeeded",
        "after: running",
        "after: succeeded",
    ]
    said = b"before | waiting\nbefore | through\nafter | after\n"
    assert commands.run("logs", run).out == said


def test_a_run_that_nobody_takes_up_is_told_and_one_that_waits_is_taken_up_later(
    places: Places, commands: CommandLine, namespace: Space, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository(pipeline("only", {"only": stage("print('done')")}))
    with killed(places, CONTROLLER):
        given_up = commands.run("submit", repository.url, "--wait", "--pending-timeout", "3")
        patient = commands.start("submit", repository.url, "--wait")
        patient.await_err("follow it with")

    with ending(patient):
        ended = patient.end()
    assert given_up.code == TimedOut.exit_code
    assert "its engine did not take it up within 3 s" in given_up.err
    assert ended.code == 0, ended.err
    stopped = namespace.finished_workflow(given_up.out.decode().strip())
    assert stopped["status"]["phase"] == "Failed"
    assert namespace.get(WORKFLOW, ended.out.decode().strip())["status"]["phase"] == "Succeeded"
