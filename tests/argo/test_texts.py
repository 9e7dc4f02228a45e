"""What authors write reaches their modules unchanged, also where stages share a template."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.plan import Plan, exec_command
from bodywork_argo.runner import EXEC, Options
from bodywork_argo_adapters.argo.pods import SITE
from bodywork_argo_adapters.argo.templates import MOST_PARAMETERS, SHARED_FROM
from tests.argo.projects import compiled
from tests.argo.simulator import calls, pod_template, templates_of
from tests.projects import batch, plan_of

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20
) | st.sampled_from(["{{inputs.parameters.arg}}", '"', "\\", "{{=1}}", "{", "}}", "$(A)"])


def alike(*args: tuple[str, ...]) -> Plan:
    stages = [batch(f"s{number}", args=each) for number, each in enumerate(args)]
    return plan_of(", ".join(stage.name for stage in stages), *stages)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=SHARED_FROM, max_size=SHARED_FROM))
def test_arguments_come_back_through_a_shared_template(args: list[tuple[str, str]]) -> None:
    plan = alike(*args)
    document = compiled(plan)
    assert set(templates_of(document)) == {"pipeline", "stage"}
    for task, wanted in zip(plan.tasks(), args, strict=True):
        template = pod_template(document, task.name)
        command = template["container"]["command"]
        assert tuple(command) == exec_command(task.container, SITE)
        read = Options(command[3:], EXEC).all("arg")
        assert tuple(text.encode("utf-8", "surrogateescape").decode() for text in read) == wanted
        assert template["metadata"]["labels"]["bodywork-argo/stage"] == task.name
        env = {each["name"]: each.get("value") for each in template["container"]["env"]}
        assert env["BODYWORK_STAGE"] == task.stage


def test_only_what_differs_is_a_parameter() -> None:
    document = compiled(alike(*(("--same", str(number)) for number in range(SHARED_FROM))))
    assert [each["name"] for each in calls(document)["s3"]["arguments"]["parameters"]] == [
        "stage", "module", "arg-2",
    ]  # fmt: skip


def test_few_stages_have_templates_and_pods_of_their_own_names() -> None:
    document = compiled(alike(*[()] * (SHARED_FROM - 1)))
    assert len(templates_of(document)) == SHARED_FROM
    assert "arguments" not in calls(document)["s3"]


def test_stages_that_differ_in_more_than_texts_share_nothing_with_others() -> None:
    stages = [batch(f"s{number}", limit=60 + number) for number in range(SHARED_FROM)]
    document = compiled(plan_of(", ".join(stage.name for stage in stages), *stages))
    assert set(templates_of(document)) == {"pipeline", *(stage.name for stage in stages)}


@pytest.mark.parametrize("count", [200, 1000])
def test_a_thousand_alike_stages_share_one_template(count: int) -> None:
    document = compiled(alike(*((str(number),) for number in range(count))))
    assert [name for name, each in templates_of(document).items() if "container" in each] == [
        "stage"
    ]


def test_a_template_has_no_more_parameters_than_argo_takes() -> None:
    args = (tuple(f"{number} {n}" for n in range(MOST_PARAMETERS)) for number in range(SHARED_FROM))
    document = compiled(alike(*args))
    assert not [each for each in templates_of(document).values() if "inputs" in each]
