"""How a plan's services reach the tasks that release them, and what decides at the end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.cli import main
from bodywork_argo.plan import Plan
from bodywork_argo.plan_document import from_document
from bodywork_argo.spec import PodOptions, Rollback, ServiceStage
from bodywork_argo_adapters.releases import release_tasks, services_data
from tests.argo.projects import compiled
from tests.projects import PARAMETER, batch, five_stages, plan_of, service

AWKWARD = st.text(alphabet=st.sampled_from('{}$()"\\a\né'), max_size=12)


def templates(plan: Plan) -> dict[str, Any]:
    return {each["name"]: each for each in compiled(plan)["spec"]["templates"]}


def rolling(plan: Plan, rollback: Rollback) -> Plan:
    return replace(plan, run=replace(plan.run, rollback=rollback))


@given(AWKWARD, AWKWARD)
def test_any_text_arrives_and_no_engine_substitutes_in_it(one: str, two: str) -> None:
    stage = replace(
        service("serve"), args=(one, two), pod=PodOptions(annotations=(("a", one), ("b", two)))
    )
    plan = plan_of("serve", stage)
    text = services_data(plan)
    assert "{{" not in text
    assert "$" not in text
    assert from_document(json.loads(text)) == replace(plan, on_failure=None)


def test_one_task_releases_all_services_of_a_step() -> None:
    (task,) = release_tasks(five_stages())
    assert (task.name, task.stage, task.ends_run) == ("release-1", "score_a, score_b", False)
    (pipeline,) = [t for t in templates(five_stages()).values() if t["name"] == "pipeline"]
    tasks = {each["name"]: each.get("dependencies", []) for each in pipeline["dag"]["tasks"]}
    assert tasks["release-1"] == ["train"]
    assert tasks["check"] == ["release-1"]


def test_a_task_has_a_name_that_no_stage_has() -> None:
    stages: tuple[ServiceStage, ...] = (service("release_1"), service("serve", port=5001))
    plan = plan_of("release_1 >> serve", *stages)
    # Two steps of services follow each other here.
    assert [task.name for task in release_tasks(plan)] == ["release-1-x", "release-2"]


def test_the_data_of_a_release_has_no_batch_stage() -> None:
    plan = from_document(json.loads(services_data(five_stages())))
    assert [task.stage for task in plan.all_tasks()] == ["score_a", "score_b"]


@pytest.mark.parametrize(
    ("plan", "steps"),
    [
        (five_stages(), ["decide-services", "decide-services-good"]),
        (plan_of("train >> serve", batch("train"), service("serve")), ["decide-services"]),
        (rolling(five_stages(), Rollback.STEP), []),
        (rolling(five_stages(), Rollback.NONE), []),
        (plan_of("train", batch("train")), []),
    ],
)
def test_the_end_of_a_run_decides_where_something_is_undecided(
    plan: Plan, steps: list[str]
) -> None:
    handler = templates(plan).get("on-exit", {"steps": [[]]})
    assert [each["name"] for each in handler["steps"][0]] == steps


def test_the_failure_stage_comes_after_the_decision() -> None:
    first, second = templates(five_stages())["on-exit"]["steps"]
    assert first[0]["continueOn"] == {"error": True, "failed": True}
    assert [each["name"] for each in second] == ["tell"]


def test_a_run_with_arguments_releases_the_commit_that_it_is_given() -> None:
    plan = plan_of("serve", service("serve"), source=PARAMETER)
    command = templates(plan)["release-1"]["container"]["command"]
    assert "--commit={{workflow.parameters.commit}}" in command
    assert "--repository={{workflow.parameters.repository}}" in command


def test_a_task_outside_of_a_cluster_says_what_is_wrong_where_the_engine_reads_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    words = ["--pipeline=a", "--run=b", "--rollback=run", "--status=Failed", "--good=Succeeded"]
    log = tmp_path / "reason"
    words += [f"--termination-log={log}", "--termination-bytes=20"]
    assert main(["release-task", "end", *words]) == 4
    said = capsys.readouterr().err.removeprefix("error: ")
    assert log.read_text() == said[:20]
