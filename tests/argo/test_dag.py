"""Steps are barriers, and the document grows with their number, not with its square."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodywork_argo.dag import Dag
from bodywork_argo.plan import Plan
from bodywork_argo_adapters.argo.dag import MOST_TASKS
from tests.argo.projects import compiled
from tests.argo.simulator import phases, templates_of
from tests.projects import batch, plan_of

WIDTHS = st.lists(st.sampled_from([1, 2, 3, 9, 12, 90, 101, 201]), min_size=1, max_size=5)


def plan_of_steps(*widths: int) -> Plan:
    steps = tuple(tuple(f"s{n}-{m}" for m in range(width)) for n, width in enumerate(widths))
    return plan_of(str(Dag(steps)), *(batch(name) for step in steps for name in step))


@settings(max_examples=50)
@given(WIDTHS, st.data())
def test_a_step_runs_only_if_all_of_the_step_before_ended_well(
    widths: list[int], data: st.DataObject
) -> None:
    plan = plan_of_steps(*widths)
    names = [task.name for task in plan.tasks()]
    failing = data.draw(st.sets(st.sampled_from(names), max_size=2))
    found = phases(compiled(plan), failing)
    going_on = True
    for step in plan.steps:
        ends = {found[task.name] for task in step.tasks}
        bad = {task.name for task in step.tasks} & failing
        if going_on:
            assert ends == {"Failed" if task.name in bad else "Succeeded" for task in step.tasks}
        else:
            assert ends == {"Omitted"}
        going_on = going_on and not bad
    assert set(found) == set(names)


def test_wide_steps_next_to_each_other_grow_with_their_sum() -> None:
    sizes = [len(json.dumps(compiled(plan_of_steps(n, n, n))["spec"])) for n in (50, 100, 200)]
    assert sizes[2] - sizes[1] < 2.3 * (sizes[1] - sizes[0])


def test_narrow_steps_are_plain_dependencies() -> None:
    document = compiled(plan_of_steps(3, 3, 1))
    assert [name for name, each in templates_of(document).items() if "dag" in each] == ["pipeline"]


def test_a_step_wider_than_one_expression_takes_is_one_task_to_the_next() -> None:
    document = compiled(plan_of_steps(101, 1))
    tasks = templates_of(document)["pipeline"]["dag"]["tasks"]
    assert [(task["name"], task.get("dependencies")) for task in tasks] == [
        ("step-1", None),
        ("s1-0", ["step-1"]),
    ]


@pytest.mark.parametrize("name", ["in", "not", "true", "let"])
def test_no_dependency_is_a_word_of_argos_expressions(name: str) -> None:
    document = compiled(plan_of(f"{name} >> b", batch(name), batch("b")))
    assert phases(document, [name]) == {name: "Failed", "b": "Omitted"}
    assert templates_of(document)["pipeline"]["dag"]["tasks"][1]["dependencies"] == ["step-1"]


def test_templates_of_ours_keep_clear_of_stages_names() -> None:
    names = ["pipeline", "step-1", "on-failure", "in", "stage", "tell"]
    plan = plan_of(
        "in >> pipeline, step-1, on-failure, stage", *map(batch, names), on_failure="tell"
    )
    document = compiled(plan)
    assert len(templates_of(document)) == len(document["spec"]["templates"]) == 9
    assert set(phases(document, [])) == set(names) - {"tell"}


@pytest.mark.parametrize("widths", [(401,), (90,) * 6, (1,) * 450])
def test_no_template_has_more_tasks_than_argo_takes(widths: tuple[int, ...]) -> None:
    document = compiled(plan_of_steps(*widths))
    dags = [each["dag"]["tasks"] for each in document["spec"]["templates"] if "dag" in each]
    assert max(map(len, dags)) <= MOST_TASKS
    assert set(phases(document, []).values()) == {"Succeeded"}
