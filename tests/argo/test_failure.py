"""The exit handler."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bodywork_argo.plan import Plan
from bodywork_argo.spec import RunOptions
from bodywork_argo_adapters.argo.failure import MOST_BYTES, MOST_STAGES
from tests.argo.projects import compiled
from tests.argo.simulator import templates_of
from tests.projects import batch, plan_of

PLAN = plan_of("stage_1 >> b", batch("stage_1"), batch("b"), batch("tell"), on_failure="tell")


def env_of(plan: Plan) -> dict[str, Any]:
    template = templates_of(compiled(plan))["tell"]
    return {each["name"]: each.get("value") for each in template["container"]["env"]}


def test_it_runs_the_failure_stage_unless_the_run_ended_well() -> None:
    document = compiled(PLAN)
    handler = templates_of(document)[document["spec"]["onExit"]]
    assert handler["steps"] == [
        [{"name": "tell", "template": "tell", "when": "{{workflow.status}} != Succeeded"}]
    ]


def test_a_pipeline_without_failure_stage_has_none() -> None:
    assert "onExit" not in compiled(plan_of("a", batch("a")))["spec"]


def test_the_expression_ends_where_argo_looks_for_its_end() -> None:
    expression = env_of(PLAN)["BODYWORK_FAILURES"]
    assert expression.startswith("{{=")
    assert expression.index("}}") == len(expression) - 2
    assert "\n" not in expression


def test_it_leaves_out_what_is_no_stage() -> None:
    names = json.dumps(["pipeline", "on-failure", "tell"])
    assert f"not (#.templateName in {names})" in env_of(PLAN)["BODYWORK_FAILURES"]


def test_stages_are_told_by_the_names_that_authors_gave() -> None:
    assert json.loads(env_of(PLAN)["BODYWORK_STAGES"]) == [["stage-1", "stage_1"]]
    plain = plan_of("a", batch("a"), batch("tell"), on_failure="tell")
    assert "BODYWORK_STAGES" not in env_of(plain)


def test_the_runs_own_limit_is_told_along() -> None:
    assert "BODYWORK_RUN_LIMIT" not in env_of(PLAN)
    limited = replace(PLAN, run=RunOptions(run_timeout_seconds=3600))
    assert env_of(limited)["BODYWORK_RUN_LIMIT"] == "3600"


def test_the_worst_failures_fit_a_variable() -> None:
    name, each_byte_in_json = 63 + 10, 6
    worst = MOST_STAGES * (MOST_BYTES * each_byte_in_json + name) * 4 / 3
    assert worst < 128 * 1024
