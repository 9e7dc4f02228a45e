"""Steps are barriers, and the document grows with their number, not with its square."""

from __future__ import annotations

import json
from collections.abc import Collection

from hypothesis import given, settings
from hypothesis import strategies as st

from bodywork_argo.dag import Dag
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan
from tests.projects import batch, plan_of
from tests.tekton.projects import compiled, tasks_of

WIDTHS = st.lists(st.sampled_from([1, 2, 3, 8, 9, 12, 30]), min_size=1, max_size=5)


def plan_of_steps(*widths: int) -> Plan:
    steps = tuple(tuple(f"s{n}-{m}" for m in range(width)) for n, width in enumerate(widths))
    return plan_of(str(Dag(steps)), *(batch(name) for step in steps for name in step))


def ends(document: Manifest, failing: Collection[str]) -> dict[str, str]:
    """Return how Tekton's tasks end when these fail; it starts none after a failure."""
    found: dict[str, str] = {}
    tasks = tasks_of(document)
    while ready := [
        name
        for name, task in tasks.items()
        if name not in found and all(each in found for each in task.get("runAfter", []))
    ]:
        stopping = "Failed" in found.values()
        for name in ready:
            if stopping:
                found[name] = "Skipped"
            elif any(each["values"] == ["never"] for each in tasks[name].get("when", [])):
                found[name] = "Joined"
            else:
                found[name] = "Failed" if name in failing else "Succeeded"
    return found


@settings(max_examples=30)
@given(WIDTHS, st.data())
def test_a_step_runs_only_if_all_of_the_step_before_ended_well(
    widths: list[int], data: st.DataObject
) -> None:
    plan = plan_of_steps(*widths)
    names = [task.name for task in plan.tasks()]
    failing = data.draw(st.sets(st.sampled_from(names), max_size=2))
    found = ends(compiled(plan), failing)
    going_on = True
    for step in plan.steps:
        bad = {task.name for task in step.tasks} & failing
        for task in step.tasks:
            expected = "Failed" if task.name in bad else "Succeeded"
            assert found[task.name] == (expected if going_on else "Skipped")
        going_on = going_on and not bad


def test_wide_steps_next_to_each_other_grow_with_their_sum() -> None:
    sizes = [len(json.dumps(compiled(plan_of_steps(n, n))["spec"])) for n in (25, 50, 100)]
    assert sizes[2] - sizes[1] < 2.2 * (sizes[1] - sizes[0])


def test_narrow_steps_wait_for_each_other_without_a_join() -> None:
    tasks = tasks_of(compiled(plan_of_steps(3, 3, 1)))
    assert set(tasks) == {"s0-0", "s0-1", "s0-2", "s1-0", "s1-1", "s1-2", "s2-0"}
    assert tasks["s2-0"]["runAfter"] == ["s1-0", "s1-1", "s1-2"]


def test_a_join_takes_no_name_of_a_stage() -> None:
    first = [f"a{number}" for number in range(9)]
    second = [f"b{number}" for number in range(8)]
    dag = f"{', '.join(first)} >> {', '.join(second)}, join-1"
    tasks = tasks_of(compiled(plan_of(dag, *map(batch, [*first, *second, "join-1"]))))
    assert tasks["join-1"]["runAfter"] == ["join-1-x"]
    assert tasks["join-1-x"]["runAfter"] == first
