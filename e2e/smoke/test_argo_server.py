"""The command line with an Argo Server and a token, and nothing of Kubernetes at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bodywork_argo.access import EXECUTOR_ACCOUNT, STAGE_ACCOUNT, SUBMITTER
from e2e.conftest import MakeRepository
from e2e.engines.network import SERVER_PORT
from e2e.engines.places import Places
from e2e.support.cluster import await_state
from e2e.support.program import (
    TELL,
    Program,
    Said,
    administrator_of,
    gate,
    open_gate,
    pipeline,
    stage,
)
from e2e.support.spaces import WORKFLOW, Space

pytestmark = pytest.mark.smoke

SLOW = "import time; print('up', flush=True); time.sleep(120)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Calls the program as somebody who has the server's address and a token."""

    program: Program
    variables: Mapping[str, str] = field(repr=False)

    def __call__(self, *words: str, code: int = 0, **variables: str) -> Said:
        return self.program(*words, code=code, variables={**self.variables, **variables})


@pytest.fixture
def caller(own_engines: Places, namespace: Space, tmp_path: Path) -> Caller:
    """A submitter of a namespace that is set up, in a home with nothing in it."""
    administrator_of(namespace, tmp_path)("setup", "-n", namespace.name, "--apply")
    home = tmp_path / "empty"
    home.mkdir()
    return Caller(
        program=Program(home=home, kubeconfig=tmp_path / "nowhere"),
        variables={
            "ARGO_SERVER": f"127.0.0.1:{SERVER_PORT}",
            "ARGO_SECURE": "false",
            "ARGO_NAMESPACE": namespace.name,
            "ARGO_TOKEN": f"Bearer {namespace.token(SUBMITTER)}",
        },
    )


def accounts_of(space: Space, run: str) -> tuple[str, str]:
    """Return under which accounts a run's code and Argo's own part of its pods go."""
    spec = space.get(WORKFLOW, run)["spec"]
    return spec["serviceAccountName"], spec["executor"]["serviceAccountName"]


def test_a_run_is_submitted_followed_and_read_without_a_kubeconfig(
    caller: Caller, namespace: Space, make_git_repository: MakeRepository
) -> None:
    stages = {"one": stage("print('said by one')"), "two": stage("print('done')")}
    repository = make_git_repository(pipeline("one >> two", stages))

    said = caller("submit", repository.url, "--require-no-token", "--watch")

    (name,) = said.lines
    page = f"http://127.0.0.1:{SERVER_PORT}/workflows/{namespace.name}/{name}"
    assert f"see it at {page}" in said.err
    (line,) = [line for line in said.err.splitlines() if "not looked at" in line]
    assert line.startswith(f"through the server http://127.0.0.1:{SERVER_PORT}: rights, accounts")
    assert said.err.splitlines()[-1].startswith(f"run {name} succeeded after ")
    assert accounts_of(namespace, name) == (STAGE_ACCOUNT, EXECUTOR_ACCOUNT)
    run = caller("status", name, "-o", "json").data
    assert (run["phase"], run["where"]) == ("succeeded", page)
    assert [each["phase"] for each in run["stages"]] == ["succeeded", "succeeded"]
    assert [each["run"] for each in caller("list", "-o", "json").data] == [name]
    assert caller("logs", name, "one").out == "said by one\n"
    assert caller("logs", name).lines[-1] == "two | done"
    caller("delete", name, "--yes")
    assert caller("list", "-o", "json").data == []


@pytest.mark.full
def test_stopping_runs_the_failure_stage(
    caller: Caller, make_git_repository: MakeRepository
) -> None:
    stages = {"slow": stage(SLOW), "tell": stage(TELL)}
    repository = make_git_repository(pipeline("slow", stages, on_failure="tell"))
    (name,) = caller("submit", repository.url, "--require-no-token").lines
    await_phase(caller, name, "slow", "running")

    caller("stop", name)
    said = caller("watch", name, code=1)

    assert f"run {name} stopped" in said.err
    run = caller("status", name, "-o", "json").data
    phases = {each["stage"]: each["phase"] for each in run["stages"]}
    assert phases == {"slow": "stopped", "tell": "succeeded"}
    caller("stop", name)  # a run that has ended is left


def await_phase(caller: Caller, run: str, stage_name: str, phase: str) -> None:
    def stand() -> str:
        stages = caller("status", run, "-o", "json").data["stages"]
        return str(next(each["phase"] for each in stages if each["stage"] == stage_name))

    await_state(stand, lambda found: found == phase, f"{stage_name} to be {phase}", patience=180)


def test_submitting_twice_is_one_run(
    caller: Caller, namespace: Space, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository(pipeline("one", {"one": stage()}))
    words = ("submit", repository.url, "--require-no-token", "--run-name", "same")

    assert caller(*words).lines == caller(*words).lines == ["same"]
    repository.commit(pipeline("one", {"one": stage("print('other')")}))
    assert "there is another run same" in caller(*words, code=4).err
    assert len(namespace.find(WORKFLOW)) == 1


@pytest.mark.parametrize(
    ("token", "told"),
    [
        (lambda space: "wrong-and-secret", "does not accept the token in ARGO_TOKEN"),
        (lambda space: space.token(STAGE_ACCOUNT), "you may not create workflows in namespace"),
    ],
    ids=["unknown", "without rights"],
)
def test_a_token_that_does_not_serve_ends_with_exit_code_4(
    caller: Caller,
    namespace: Space,
    make_git_repository: MakeRepository,
    token: Callable[[Space], str],
    told: str,
) -> None:
    repository = make_git_repository(pipeline("one", {"one": stage()}))
    secret = token(namespace)

    said = caller("submit", repository.url, code=4, ARGO_TOKEN=secret)

    assert told in said.err
    assert secret not in said.err + said.out


def test_output_is_followed_from_before_the_pod_exists(
    caller: Caller, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository({})
    commit = repository.commit(pipeline("wait", {"wait": stage(gate(repository))}))
    (name,) = caller("submit", repository.url, "--require-no-token").lines
    open_gate(repository, commit)

    assert caller("logs", "-f", name, "wait").lines == ["waiting", "through"]


def test_without_a_token_the_kubeconfig_is_used(caller: Caller) -> None:
    said = caller("list", code=4, ARGO_TOKEN="")
    assert "no cluster is configured" in said.err
