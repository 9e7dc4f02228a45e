"""The failure stage is told the same on Tekton as everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo.plan import Accounts
from bodywork_argo.runner import OUT_OF_MEMORY as RUNNERS_WORDS
from bodywork_argo.runner import exception_message
from bodywork_argo_adapters.tekton import failures
from bodywork_argo_adapters.tekton.failures import NOT_TOLD, OUT_OF_MEMORY, failure_of
from tests.projects import batch, plan_of
from tests.tekton.projects import compiled, steps_of, tasks_of

PROGRAM = Path(failures.__file__)


def status(
    message: str, *steps: tuple[str, int, str], word: str = "Failed", said: str = ""
) -> dict[str, Any]:
    """Return a TaskRun's status as Tekton writes it."""
    return {
        "conditions": [
            {"type": "Succeeded", "status": "False", "reason": word, "message": message}
        ],
        "steps": [
            {"name": name, "terminated": {"exitCode": code, "reason": reason}}
            for name, code, reason in steps
        ],
        "results": [{"name": "reason", "type": "string", "value": said}] if said else [],
    }


OK = ("prepare", 0, "Completed")
PULL = (
    'the step "prepare" in TaskRun "run-a" failed to pull the image "". The pod errored with the'
    ' message: "Back-off pulling image "no/such:1": not found."'
)
REFUSED = (
    'failed to create task run pod "run-a": pods "run-a-pod" is forbidden: error looking up service'
    ' account team/x: serviceaccount "x" not found. Maybe invalid TaskSpec'
)
CASES = {
    "code": (status('"step-exec" exited with code 3: Error', OK, ("exec", 3, "Error")), 3, ""),
    "said": (
        status('"step-exec" exited with code 1: Error', OK, ("exec", 1, "Error"), said="cell 3\n"),
        1,
        "cell 3",
    ),
    "limit": (
        status(
            '"step-exec" exited with code 255: Error',
            OK,
            ("exec", 255, "Error"),
            said="time limit of 1 s exceeded",
        ),
        None,
        "time limit of 1 s exceeded",
    ),
    "prepare": (
        status(
            '"step-prepare" exited with code 1: Error',
            ("prepare", 1, "Error"),
            ("exec", 1, "Error"),
            said="installing the requirements failed: ERROR: x",
        ),
        None,
        "installing the requirements failed: ERROR: x",
    ),
    "silent prepare": (
        status('"step-prepare" exited with code 137', ("prepare", 137, "Error"), ("exec", 1, "")),
        None,
        "prepare ended with exit code 137",
    ),
    "memory": (
        status('"step-exec" exited with code 137: OOMKilled', OK, ("exec", 137, "OOMKilled")),
        137,
        OUT_OF_MEMORY,
    ),
    "stopped": (
        status('TaskRun "x" was cancelled. TaskRun cancelled as ...', word="TaskRunCancelled"),
        None,
        "stopped",
    ),
    "run's limit": (
        status(
            'TaskRun "x" was cancelled. TaskRun cancelled as the PipelineRun it belongs to has'
            " timed out.",
            word="TaskRunCancelled",
        ),
        None,
        "time limit of the run exceeded",
    ),
    "pod's limit": (
        status('TaskRun "x" failed to finish within "46m0s"', word="TaskRunTimeout"),
        None,
        "time limit of its pod exceeded",
    ),
    "no image": (
        status(PULL, ("prepare", 1, "TaskRunImagePullFailed"), word="TaskRunImagePullFailed"),
        None,
        'no image: Back-off pulling image "no/such:1": not found',
    ),
    "refused": (
        status(REFUSED, word="PodCreationFailed"),
        None,
        "its pod was refused: error looking up service account team/x: serviceaccount"
        ' "x" not found',
    ),
    "evicted": (
        status("The node was low on resource: memory.", OK, ("exec", 137, "Error")),
        None,
        "The node was low on resource: memory.",
    ),
    "nothing": ({}, None, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_exit_code_and_reason_are_those_of_the_last_attempt(case: str) -> None:
    found, exit_code, reason = CASES[case]
    assert failure_of(found) == {"exit_code": exit_code, "reason": reason}


def test_the_words_for_memory_are_those_of_other_engines() -> None:
    assert OUT_OF_MEMORY == RUNNERS_WORDS


def run_program(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(PROGRAM), f"--output={tmp_path}/told.json", *options],
        env={"BODYWORK_RUN": "run-1", "KUBERNETES_SERVICE_HOST": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=True,
    )


def test_without_a_token_it_is_told_who_failed_in_words(tmp_path: Path) -> None:
    ends = "a-1:Failed:Failed b:Succeeded:Succeeded c:None: d:Failed:TaskRunCancelled"
    run_program(tmp_path, f"--ends={ends}", '--stages=[["a-1","a_1"]]')
    told = json.loads((tmp_path / "told.json").read_text())
    assert exception_message(told).splitlines() == [
        "2 stages failed: a_1, d",
        f"a_1: {NOT_TOLD}",
        "d: stopped",
    ]


def test_a_token_that_is_not_there_changes_no_more_than_the_details(tmp_path: Path) -> None:
    done = run_program(tmp_path, "--ends=a:Failed:Failed", f"--token={tmp_path}/none")
    assert json.loads((tmp_path / "told.json").read_text()) == [
        {"stage": "a", "exit_code": None, "reason": NOT_TOLD}
    ]
    assert "can't look up what failed" in done.stderr


PLAN = plan_of("a >> b, c", *map(batch, ("a", "b", "c", "tell")), on_failure="tell")


def test_the_failure_stage_runs_unless_all_of_the_last_step_ended_well() -> None:
    assert tasks_of(compiled(PLAN))["tell"]["when"] == [
        {
            "input": "$(tasks.b.status) $(tasks.c.status)",
            "operator": "notin",
            "values": ["Succeeded Succeeded"],
        }
    ]


def test_no_step_but_the_one_that_looks_up_sees_the_engines_token() -> None:
    plan = replace(PLAN, accounts=Accounts(stage="s", executor="engine"))
    task = tasks_of(compiled(plan))["tell"]
    (volume,) = [each for each in task["taskSpec"]["volumes"] if "secret" in each]
    assert volume["secret"]["secretName"] == "engine.service-account-token"
    holders = [
        name
        for name, step in steps_of(task).items()
        if volume["name"] in [mount["name"] for mount in step["volumeMounts"]]
    ]
    assert holders == ["failures"]


def test_without_the_engines_account_nothing_is_looked_up() -> None:
    task = tasks_of(compiled(PLAN))["tell"]
    assert not [each for each in task["taskSpec"]["volumes"] if "secret" in each]
    assert "token" not in " ".join(steps_of(task)["failures"]["command"])
