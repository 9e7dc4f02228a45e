"""What a run will take is known before it is sent."""

from __future__ import annotations

import json

import pytest

from bodywork_argo.plan import Plan
from bodywork_argo_adapters.argo import ArgoBackend
from bodywork_argo_adapters.argo.size import forecast
from tests.argo.projects import compiled
from tests.projects import batch, plan_of


def plan_of_size(count: int, length: int, width: int = 50) -> Plan:
    stages = [batch(f"s{n}", args=(f"{n}" + "x" * length,)) for n in range(count)]
    steps = [stages[start : start + width] for start in range(0, count, width)]
    return plan_of(" >> ".join(", ".join(s.name for s in step) for step in steps), *stages)


@pytest.mark.parametrize(("count", "length"), [(1, 0), (100, 10), (1000, 10)])
def test_the_document_is_measured_to_within_2_percent(count: int, length: int) -> None:
    document = compiled(plan_of_size(count, length))
    sent = json.dumps(document, separators=(",", ":"))
    assert forecast(document).document == pytest.approx(len(sent), rel=0.02)


def test_the_status_grows_with_the_number_of_stages() -> None:
    sizes = [forecast(compiled(plan_of_size(count, 10))).status for count in (100, 200, 400)]
    assert sizes[2] - sizes[1] == pytest.approx(2 * (sizes[1] - sizes[0]), rel=0.1)


def test_packing_makes_the_status_of_many_stages_small() -> None:
    size = forecast(compiled(plan_of_size(1000, 10)))
    assert size.packed < size.status / 5


def test_a_thousand_alike_stages_fit() -> None:
    assert ArgoBackend().check(plan_of_size(1000, 10)) == ()


def test_a_run_that_is_close_to_the_limit_is_told() -> None:
    (problem,) = ArgoBackend().check(plan_of_size(1000, 450))
    assert problem.severity == "warning"
    assert problem.what.endswith(" of the 1,048,576 bytes that Argo stores")


def test_a_run_that_argo_can_not_store_is_refused() -> None:
    (problem,) = ArgoBackend().check(plan_of_size(1000, 1500))
    assert problem.severity == "error"
    assert "which stores 1,048,576 at most" in problem.what
    assert problem.remedy.startswith("split the pipeline or make its stages alike")


def test_more_unlike_stages_than_argo_takes_are_refused() -> None:
    stages = [batch(f"s{n}", limit=60 + n) for n in range(210)]
    (problem,) = ArgoBackend().check(plan_of(" >> ".join(s.name for s in stages), *stages))
    assert problem.what == "213 stages and steps are unlike, and Argo takes 200 of them"


def test_two_alike_stages_share_when_there_are_many() -> None:
    stages = [batch(f"s{n}", limit=60 + n // 2) for n in range(200)]
    plan = plan_of(" >> ".join(s.name for s in stages), *stages)
    assert ArgoBackend().check(plan) == ()
    assert len(compiled(plan)["spec"]["templates"]) == 101
