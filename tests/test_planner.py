from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.dag import Dag
from bodywork_argo.plan import (
    BatchStep,
    BatchTask,
    Pinned,
    PlainEnv,
    Plan,
    RunNameEnv,
    SecretEnv,
    ServiceTask,
    ServiceUrlEnv,
    Site,
    Source,
    exec_command,
    prepare_command,
    to_document,
)
from bodywork_argo.planner import PlanOptions, encoded_option, make_plan
from bodywork_argo.spec import BatchStage, Dialect, SecretRef
from tests.projects import COMMIT, PINNED, batch, five_stages, plan_of, project, service

SITE = Site(python="python3", runner="/r.py", workspace="/w", termination_log="/t")


def shape(plan: Plan) -> list[tuple[str, ...]]:
    return [(type(step).__name__, *(task.name for task in step.tasks)) for step in plan.steps]


def only_batch(plan: Plan) -> BatchTask:
    (step,) = plan.steps
    assert isinstance(step, BatchStep)
    (task,) = step.tasks
    return task


def test_a_mixed_step_runs_its_batch_stages_first_then_its_services() -> None:
    plan = plan_of("a, s, b >> c", batch("a"), batch("b"), batch("c"), service("s"))
    assert shape(plan) == [("BatchStep", "a", "b"), ("ServiceStep", "s"), ("BatchStep", "c")]


def test_a_stage_in_two_steps_runs_twice_under_two_names() -> None:
    plan = plan_of("a >> a-2 >> a", batch("a"), batch("a-2"))
    assert shape(plan) == [("BatchStep", "a"), ("BatchStep", "a-2"), ("BatchStep", "a-3")]


def test_a_service_in_two_steps_is_released_once() -> None:
    plan = plan_of("s >> a >> s", batch("a"), service("s"))
    assert shape(plan) == [("ServiceStep", "s"), ("BatchStep", "a")]


def test_the_failure_stage_may_also_be_in_the_dag() -> None:
    plan = plan_of("a", batch("a"), on_failure="a")
    assert plan.on_failure is not None
    assert plan.on_failure.name == "a-2"
    assert plan.on_failure.container.execute[-2:] == ("--failure-stage", "--time-limit=60")


def test_stage_names_become_host_names() -> None:
    plan = plan_of("stage_4", service("stage_4"))
    assert [task.name for task in plan.services()] == ["stage-4"]


@pytest.mark.parametrize("dialect", [Dialect.V1_0, Dialect.RELEASE_CANDIDATE])
def test_a_file_of_version_1_0_gets_the_old_host_name_as_an_alias(dialect: Dialect) -> None:
    plan = make_plan(project("stage_2", service("stage_2"), dialect=dialect), PINNED)
    assert [task.aliases for task in plan.services()] == [("shop--stage-2",)]


def test_a_file_of_version_1_1_gets_no_alias() -> None:
    assert [task.aliases for task in five_stages().services()] == [(), ()]


def test_an_alias_too_long_for_a_host_name_is_left_out() -> None:
    long = project("s", service("s"), name="p" * 63, dialect=Dialect.V1_0)
    assert [task.aliases for task in make_plan(long, PINNED).services()] == [()]


def test_every_stage_knows_the_run_and_how_to_reach_the_services() -> None:
    for task in five_stages().tasks():
        assert RunNameEnv(name="BODYWORK_RUN") in task.container.env
        assert (
            ServiceUrlEnv(name="BODYWORK_SERVICE_SCORE_B_URL", service="score-b", port=5001)
            in task.container.env
        )


def test_the_failure_stage_has_its_secrets_and_the_common_variables() -> None:
    ref = SecretRef(variable="TOKEN", secret="chat")
    plan = plan_of("a", batch("a"), batch("tell", secrets=(ref,)), on_failure="tell")
    assert plan.on_failure is not None
    env = plan.on_failure.container.env
    assert env[:4] == (
        SecretEnv(name="TOKEN", secret="chat"),
        PlainEnv(name="BODYWORK_PIPELINE", value="shop"),
        PlainEnv(name="BODYWORK_STAGE", value="tell"),
        PlainEnv(name="BODYWORK_LOG_LEVEL", value="INFO"),
    )


def test_a_stage_name_that_no_engine_may_see_travels_encoded() -> None:
    task = only_batch(plan_of("é", batch("é", module="main.py")))
    assert f"--env64=BODYWORK_STAGE={base64.b64encode('é'.encode()).decode()}" in (
        task.container.execute
    )
    assert "BODYWORK_STAGE" not in [env.name for env in task.container.env]


def test_commands_hold_module_arguments_requirements_and_limits() -> None:
    stage = batch("a", args=("--n=1", "{{x}}"), requirements=("flask",), limit=30)
    container = only_batch(plan_of("a", stage)).container
    assert prepare_command(container, SITE, repository="URL", commit="SHA") == (
        "python3", "/r.py", "prepare", "--workspace=/w", "--termination-log=/t",
        "--repository=URL", "--commit=SHA", "--requirement=flask", "--time-limit=900",
    )  # fmt: skip
    assert exec_command(container, SITE) == (
        "python3", "/r.py", "exec", "--workspace=/w", "--termination-log=/t",
        "--module=a/main.py", "--arg=--n=1", "--arg64=e3t4fX0=", "--time-limit=30",
    )  # fmt: skip


def test_no_time_limit_is_passed_when_there_is_none() -> None:
    container = only_batch(plan_of("a", batch("a", limit=0))).container
    assert not [option for option in container.execute if option.startswith("--time-limit")]


def test_a_notebook_asks_prepare_for_what_runs_it() -> None:
    container = only_batch(plan_of("a", batch("a", module="a.ipynb"))).container
    assert "--notebook" in container.prepare


def test_a_folder_inside_the_repository_is_told_to_both_commands() -> None:
    source = Source(revision=Pinned(commit=COMMIT), repository="/r", directory="models/churn")
    container = only_batch(plan_of("a", batch("a"), source=source)).container
    assert "--directory=models/churn" in container.prepare
    assert "--directory=models/churn" in container.execute


def test_options_override_image_namespace_and_install_timeout() -> None:
    options = PlanOptions(image="mine:1", namespace="team-a", install_timeout_seconds=5)
    plan = plan_of("a >> s", batch("a"), service("s"), options=options)
    assert plan.namespace == "team-a"
    for task in plan.tasks():
        assert task.container.image == "mine:1"
        assert task.install_timeout_seconds == 5
        assert "--time-limit=5" in task.container.prepare


def test_the_namespace_of_the_file_is_kept() -> None:
    plan = make_plan(project("a", batch("a"), namespace="from-file"), PINNED)
    assert plan.namespace == "from-file"


def test_the_revision_is_that_of_the_source() -> None:
    assert five_stages().revision == Pinned(commit=COMMIT)


def test_a_plan_as_data_tells_the_members_of_unions_apart() -> None:
    document = to_document(five_stages())
    assert document["kind"] == "Plan"
    assert [step["kind"] for step in document["steps"]] == [
        "BatchStep", "BatchStep", "ServiceStep", "BatchStep",
    ]  # fmt: skip
    assert document["source"]["revision"] == {"kind": "Pinned", "commit": COMMIT}


def test_an_enumeration_as_data_is_its_value() -> None:
    assert to_document(Dialect.V1_1) == "1.1"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00")))
def test_no_option_shows_an_engine_its_own_syntax_and_none_changes_the_text(text: str) -> None:
    option = encoded_option("arg", text)
    assert option.isascii()
    assert option.isprintable()
    assert not any(mark in option for mark in ("{{", "$(", "$$"))
    head, _, tail = option.partition("=")
    assert (base64.b64decode(tail).decode() if head == "--arg64" else tail) == text


STAGE_NAMES = st.lists(
    st.text("abcXYZ_-.0123", min_size=1, max_size=8), min_size=1, max_size=6, unique=True
)


@given(st.data())
def test_names_of_tasks_are_unique_and_barriers_hold(data: st.DataObject) -> None:
    names = data.draw(STAGE_NAMES)
    stages = [batch(name) if data.draw(st.booleans()) else service(name) for name in names]
    by_name = {stage.name: stage for stage in stages}
    steps = data.draw(
        st.lists(
            st.lists(st.sampled_from(names), min_size=1, unique=True).map(tuple), min_size=1
        ).map(tuple)
    )
    plan = plan_of(str(Dag(steps)), *stages)
    tasks = [task.name for task in plan.tasks()]
    assert len(tasks) == len(set(tasks))
    assert plan == plan_of(str(Dag(steps)), *stages)
    for step in plan.steps:
        kinds = {type(task) for task in step.tasks}
        assert kinds == ({BatchTask} if isinstance(step, BatchStep) else {ServiceTask})
    wanted = [set(step) for step in steps]
    assert [task.stage for task in plan.tasks() if isinstance(task, BatchTask)] == [
        name for step in steps for name in step if isinstance(by_name[name], BatchStage)
    ]
    assert {task.stage for task in plan.tasks()} == set().union(*wanted)
