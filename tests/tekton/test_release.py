"""What releases services in a run of Tekton, what decides at its end, and who waits for that."""

from __future__ import annotations

import email.message
import itertools
import urllib.error
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bodywork_argo.plan import Accounts, Plan
from bodywork_argo.spec import PodOptions, Rollback
from bodywork_argo_adapters.tekton.failures import (
    MOST_DECISION_SECONDS,
    PAUSE_SECONDS,
    await_end,
)
from bodywork_argo_adapters.tekton.release import DECISION_RETRIES, LOST_PODS
from tests.projects import batch, five_stages, plan_of, service
from tests.tekton.projects import compiled, steps_of, tasks_of

ALL = Accounts(stage="s", executor="e", release="r")
TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


def rolling(plan: Plan, rollback: Rollback) -> Plan:
    return replace(plan, run=replace(plan.run, rollback=rollback))


def last_tasks(plan: Plan) -> dict[str, Any]:
    pipeline = compiled(plan)["spec"]["pipelineSpec"]
    return {each["name"]: each for each in pipeline.get("finally", ())}


def specs_of(plan: Plan) -> dict[str, Any]:
    return {each["pipelineTaskName"]: each for each in compiled(plan)["spec"]["taskRunSpecs"]}


def test_one_task_releases_all_services_of_a_step_in_its_place() -> None:
    tasks = tasks_of(compiled(five_stages()))
    assert tasks["release-1"]["runAfter"] == ["train"]
    assert tasks["check"]["runAfter"] == ["release-1"]


def test_the_pipeline_may_begin_with_services() -> None:
    tasks = tasks_of(compiled(plan_of("serve >> check", service("serve"), batch("check"))))
    assert "runAfter" not in tasks["release-1"]
    assert tasks["check"]["runAfter"] == ["release-1"]


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (five_stages(), ["decide-services", "tell"]),
        (plan_of("train >> serve", batch("train"), service("serve")), ["decide-services"]),
        (rolling(five_stages(), Rollback.STEP), ["tell"]),
        (rolling(five_stages(), Rollback.NONE), ["tell"]),
        (plan_of("train", batch("train")), []),
    ],
)
def test_the_end_of_a_run_decides_where_something_is_undecided(
    plan: Plan, names: list[str]
) -> None:
    assert list(last_tasks(plan)) == names


def test_a_good_run_decides_only_if_something_follows_its_services() -> None:
    assert "when" not in last_tasks(five_stages())["decide-services"]
    plan = plan_of("train >> serve", batch("train"), service("serve"))
    assert last_tasks(plan)["decide-services"]["when"] == [
        {"input": "$(tasks.release-1.status)", "operator": "notin", "values": ["Succeeded"]}
    ]


def test_a_run_is_good_when_all_of_its_last_step_ended_well() -> None:
    plan = plan_of("serve >> a, b", service("serve"), batch("a"), batch("b"))
    task = last_tasks(plan)["decide-services"]
    assert {"name": "ends", "value": "$(tasks.a.status) $(tasks.b.status)"} in task["params"]
    command = steps_of(task)["exec"]["command"]
    assert "--status=$(params.ends)" in command
    assert "--good=Succeeded Succeeded" in command


def test_the_token_of_the_release_account_is_in_the_step_that_releases_alone() -> None:
    plan = replace(five_stages(), accounts=ALL)
    assert specs_of(plan)["release-1"]["serviceAccountName"] == "r"
    assert specs_of(plan)["decide-services"]["serviceAccountName"] == "r"
    holders = {
        (task, step)
        for task, found in tasks_of(compiled(plan)).items()
        for step, each in steps_of(found).items()
        if TOKENS in [mount["mountPath"] for mount in each["volumeMounts"]]
    }
    assert holders == {("release-1", "exec"), ("decide-services", "exec")}


@pytest.mark.parametrize("accounts", [Accounts(), ALL, Accounts(stage="mine", release="r")])
def test_no_pod_that_releases_has_its_token_in_other_steps(accounts: Accounts) -> None:
    specs = specs_of(replace(five_stages(), accounts=accounts))
    for name in ("release-1", "decide-services"):
        assert specs[name]["podTemplate"]["automountServiceAccountToken"] is False


def test_images_of_releases_are_pulled_with_what_pulls_those_of_stages() -> None:
    pod = PodOptions(image_pull_secrets=("registry",))
    plan = plan_of("serve", replace(service("serve"), pod=pod))
    secrets = specs_of(plan)["release-1"]["podTemplate"]["imagePullSecrets"]
    assert secrets == [{"name": "registry"}]


def test_pods_that_are_lost_are_made_up_for() -> None:
    tasks = tasks_of(compiled(five_stages()))
    assert tasks["release-1"]["retries"] == LOST_PODS
    assert tasks["decide-services"]["retries"] == DECISION_RETRIES


def test_the_failure_stage_waits_for_the_decision() -> None:
    task = last_tasks(replace(five_stages(), accounts=ALL))["tell"]
    assert "--after=decide-services" in steps_of(task)["failures"]["command"]
    without = last_tasks(replace(five_stages(), accounts=Accounts(stage="mine")))["tell"]
    assert "decide-services" not in str(without)
    seconds = [int(each["timeout"].removesuffix("s")) for each in (task, without)]
    assert seconds[0] - seconds[1] == MOST_DECISION_SECONDS


def ended(status: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": "Succeeded", "status": status}]}}


def refused(code: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("https://x", code, "no", email.message.Message(), None)


class Looks:
    """Answers in turn, the last one for ever, and counts the time that passes between them."""

    def __init__(self, *answers: Iterable[Any] | Exception) -> None:
        self.seconds = 0.0
        self.count = 0
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))

    def __call__(self) -> Iterable[Any]:
        self.count += 1
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def wait(self) -> str:
        return await_end(self, lambda: self.seconds, self.sleep)


@pytest.mark.parametrize("status", ["True", "False"])
def test_a_decision_is_waited_for_until_it_has_ended_well_or_not(status: str) -> None:
    looks = Looks([], [{}], [ended("Unknown")], [ended(status)])
    assert looks.wait() == ""
    assert looks.count == 4


@pytest.mark.parametrize("failure", [refused(503), TimeoutError(), ConnectionResetError()])
def test_a_server_that_is_away_is_asked_again(failure: Exception) -> None:
    assert Looks(failure, [ended("True")]).wait() == ""


@pytest.mark.parametrize("failure", [refused(403), FileNotFoundError("no token"), ValueError("x")])
def test_nobody_waits_for_what_is_never_told(failure: Exception) -> None:
    looks = Looks(failure)
    assert looks.wait() == str(failure)
    assert looks.count == 1


def test_the_failure_stage_does_not_wait_for_ever() -> None:
    looks = Looks([ended("Unknown")])
    assert looks.wait() == f"it has not ended after {MOST_DECISION_SECONDS} s"
    assert looks.seconds < MOST_DECISION_SECONDS + PAUSE_SECONDS
