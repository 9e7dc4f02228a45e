"""What the steps of a stage hold, and what they must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Accounts, GitAccess, Plan, Resources, SecretEnv
from bodywork_argo.spec import Install, PodOptions
from bodywork_argo_adapters.tekton.pods import (
    MOST_REASON_BYTES,
    earlier_resources,
    module_resources,
)
from tests.projects import batch, plan_of
from tests.tekton.projects import FEATURES, compiled, plan_of_feature, steps_of, tasks_of

KEY = SecretEnv(name="BODYWORK_GIT_SSH_PRIVATE_KEY", secret="git-key", key="key", optional=True)
PRIVATE = replace(
    plan_of("a", replace(batch("a"), pod=PodOptions(install=Install(index_secret="index")))),
    git=GitAccess(env=(KEY,)),
)
INDEX = ["BODYWORK_INDEX_USERNAME", "BODYWORK_INDEX_PASSWORD"]


def steps(plan: Plan) -> dict[str, Any]:
    return steps_of(tasks_of(compiled(plan))["a"])


def names_of(step: Any) -> list[str]:
    return [each["name"] for each in step.get("env", [])]


def test_prepare_alone_holds_what_opens_repository_and_index() -> None:
    found = steps(PRIVATE)
    assert names_of(found["prepare"]) == [KEY.name, *INDEX]
    assert not set(names_of(found["exec"])) & {KEY.name, *INDEX}


def test_an_image_with_git_fetches_and_the_stages_own_installs() -> None:
    found = steps(replace(PRIVATE, git=replace(PRIVATE.git, image="git:1")))
    assert {name: each["image"] for name, each in found.items()} == {
        "fetch": "git:1",
        "prepare": "python:3.12",
        "exec": "python:3.12",
    }
    assert names_of(found["fetch"]) == [KEY.name]
    assert names_of(found["prepare"]) == INDEX
    assert found["fetch"]["command"][-1] == "--only=repository"
    assert found["prepare"]["command"][-1] == "--only=packages"


@pytest.mark.parametrize("feature", FEATURES)
def test_every_step_has_a_command_so_tekton_asks_no_registry(feature: str) -> None:
    for task in tasks_of(compiled(plan_of_feature(feature))).values():
        assert all(step["command"] for step in steps_of(task).values())


@pytest.mark.parametrize("feature", FEATURES)
def test_no_default_of_an_hour_applies(feature: str) -> None:
    document = compiled(plan_of_feature(feature))
    assert document["spec"]["timeouts"]["pipeline"] == "0s"
    stages = [task for task in tasks_of(document).values() if "results" in task["taskSpec"]]
    assert stages
    assert all("timeout" in task for task in stages)


def test_a_stage_without_limit_has_no_timeout() -> None:
    assert tasks_of(compiled(plan_of("a", batch("a", limit=0))))["a"]["timeout"] == "0s"


def test_a_timeout_is_beyond_the_limits_of_both_commands() -> None:
    text = tasks_of(compiled(plan_of("a", batch("a", limit=60))))["a"]["timeout"]
    assert int(text.removesuffix("s")) > 900 + 60


def test_a_reason_fits_into_what_tekton_takes_though_each_byte_becomes_six() -> None:
    assert 6 * MOST_REASON_BYTES + 512 < 4096
    for step in steps(PRIVATE).values():
        assert f"--termination-bytes={MOST_REASON_BYTES}" in step["command"]


def test_a_pod_asks_once_for_what_the_stage_needs() -> None:
    asked = Resources(cpu_request=0.5, memory_request_mb=100, cpu_limit=1, gpu=1, gpu_resource="x")
    assert module_resources(asked) == {
        "requests": {"cpu": "500m", "memory": "100M"},
        "limits": {"cpu": "1", "x": "1"},
    }
    assert earlier_resources(asked) == {
        "requests": {"cpu": "0", "memory": "0"},
        "limits": {"cpu": "1"},
    }
    assert earlier_resources(Resources()) == module_resources(Resources()) == {}


def spec_with(accounts: Accounts, own: str | None = None) -> Manifest:
    plan = plan_of("a", replace(batch("a"), pod=PodOptions(service_account=own)))
    spec: Manifest = compiled(replace(plan, accounts=accounts))["spec"]
    return spec


def test_stages_hold_no_token_that_nobody_asked_for() -> None:
    without = {"podTemplate": {"automountServiceAccountToken": False}}
    assert spec_with(Accounts())["taskRunTemplate"] == without
    set_up = spec_with(Accounts(stage="s", executor="e"))
    assert set_up["taskRunTemplate"] == {"serviceAccountName": "s", **without}


def test_an_account_that_was_asked_for_brings_its_token() -> None:
    assert spec_with(Accounts(stage="s"))["taskRunTemplate"] == {"serviceAccountName": "s"}
    (own,) = spec_with(Accounts(), own="trainer")["taskRunSpecs"]
    assert own["podTemplate"] == {"automountServiceAccountToken": True}
    (own,) = spec_with(Accounts(stage="s", executor="e"), own="trainer")["taskRunSpecs"]
    assert own == {"pipelineTaskName": "a", "serviceAccountName": "trainer"}
