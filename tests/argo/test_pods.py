"""What the containers of a stage hold, and what they must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bodywork_argo.plan import BatchStep, BatchTask, GitAccess, Plan, SecretEnv, ServiceUrlEnv
from bodywork_argo.spec import Install, PodOptions
from tests.argo.projects import FEATURES, compiled, plan_of_feature
from tests.argo.simulator import templates_of
from tests.projects import batch, plan_of

KEY = SecretEnv(name="BODYWORK_GIT_SSH_PRIVATE_KEY", secret="git-key", key="key", optional=True)
PRIVATE = replace(
    plan_of("a", replace(batch("a"), pod=PodOptions(install=Install(index_secret="index")))),
    git=GitAccess(env=(KEY,)),
)
INDEX = ["BODYWORK_INDEX_USERNAME", "BODYWORK_INDEX_PASSWORD"]


def containers(plan: Plan) -> dict[str, Any]:
    template = templates_of(compiled(plan))["a"]
    init = {each["name"]: each for each in template["initContainers"]}
    return {**init, "main": template["container"]}


def names_of(container: Any) -> list[str]:
    return [each["name"] for each in container.get("env", [])]


def test_prepare_alone_holds_what_opens_repository_and_index() -> None:
    found = containers(PRIVATE)
    assert names_of(found["prepare"]) == [KEY.name, *INDEX]
    assert not set(names_of(found["main"])) & {KEY.name, *INDEX}


def test_an_image_with_git_fetches_and_the_stages_own_installs() -> None:
    found = containers(replace(PRIVATE, git=replace(PRIVATE.git, image="git:1")))
    assert {name: each["image"] for name, each in found.items()} == {
        "fetch": "git:1",
        "prepare": "python:3.12",
        "main": "python:3.12",
    }
    assert names_of(found["fetch"]) == [KEY.name]
    assert names_of(found["prepare"]) == INDEX
    assert found["fetch"]["command"][-1] == "--only=repository"
    assert found["prepare"]["command"][-1] == "--only=packages"


def test_only_the_module_holds_a_gpu() -> None:
    greedy = replace(batch("a"), pod=PodOptions(gpu=2, memory_limit_mb=100))
    found = containers(replace(plan_of("a", greedy), git=GitAccess(image="git:1")))
    limits = {name: dict(each["resources"]["limits"]) for name, each in found.items()}
    assert limits == {
        "fetch": {"memory": "100M"},
        "prepare": {"memory": "100M"},
        "main": {"memory": "100M", "nvidia.com/gpu": "2"},
    }


@pytest.mark.parametrize("feature", FEATURES)
def test_every_container_has_a_command_so_argo_asks_no_registry(feature: str) -> None:
    templates = compiled(plan_of_feature(feature))["spec"]["templates"]
    stages = [each for each in templates if "container" in each]
    assert stages
    for template in stages:
        for container in (*template["initContainers"], template["container"]):
            assert container["command"][0] in ("python3", "/bodywork/work/venv/bin/python")


def test_a_stage_without_limit_has_no_deadline() -> None:
    template = templates_of(compiled(plan_of("a", batch("a", limit=0))))["a"]
    assert "activeDeadlineSeconds" not in template


def test_a_deadline_is_beyond_the_limits_of_both_commands() -> None:
    template = templates_of(compiled(plan_of("a", batch("a", limit=60))))["a"]
    assert template["activeDeadlineSeconds"] > 900 + 60


def test_a_service_is_reached_by_its_name() -> None:
    (task,) = plan_of("a", batch("a")).tasks()
    assert isinstance(task, BatchTask)
    env = (ServiceUrlEnv(name="BODYWORK_SERVICE_S_URL", service="s", port=80),)
    task = replace(task, container=replace(task.container, env=env))
    plan = replace(PRIVATE, steps=(BatchStep(tasks=(task,)),))
    assert containers(plan)["main"]["env"] == [
        {"name": "BODYWORK_SERVICE_S_URL", "value": "http://s:80"}
    ]
