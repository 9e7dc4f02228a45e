"""Plans that travel as data arrive as they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bodywork_argo.errors import EngineError
from bodywork_argo.plan import Plan, to_document
from bodywork_argo.plan_document import from_document
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.schema import parse_project
from tests.projects import PINNED

FILE = """\
version: "1.1"
pipeline:
  name: shop
  docker_image: python:3.12
  DAG: prepare >> serve
  run_on_failure: tell
  kubernetes: {rollback: step}
stages:
  prepare: &batch
    executable_module_path: prepare.py
    args: ["{{x}}", "$(y)"]
    cpu_request: 0.5
    memory_request_mb: 100
    secrets: {TOKEN: tokens}
    kubernetes:
      volumes: [{name: data, path: /data, empty_mb: 10}]
      tolerations: [{key: gpu, operator: Exists}]
      patch: {priorityClassName: low}
    batch: {max_completion_time_seconds: 30, retries: 1}
  tell: *batch
  serve:
    executable_module_path: serve.py
    cpu_request: 0.5
    memory_request_mb: 100
    kubernetes: {ingress: {host: a.example, rewrite: true}, probes: {startup: /up}}
    service: {max_startup_time_seconds: 30, replicas: 2, port: 5000, ingress: true}
logging: {log_level: INFO}
"""


@pytest.fixture
def plan() -> Plan:
    return make_plan(parse_project(FILE).project, PINNED, PlanOptions(namespace="ml"))


def test_a_plan_comes_back_through_json(plan: Plan) -> None:
    assert from_document(json.loads(json.dumps(to_document(plan)))) == plan


@pytest.mark.parametrize(
    "broken", [{}, {"kind": "Plan"}, {"kind": "Pinned", "commit": "a"}, {"kind": "Nothing"}]
)
def test_what_is_no_plan_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="this is no plan"):
        from_document(broken)
