from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.dag import Dag
from bodywork_argo.plan import (
    BatchStep,
    BatchTask,
    GitAccess,
    Parameter,
    Pinned,
    PlainEnv,
    Plan,
    Pod,
    Probes,
    Resources,
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
from bodywork_argo.spec import (
    BatchStage,
    Dialect,
    Ingress,
    Install,
    PodOptions,
    RunOptions,
    SecretRef,
    ServiceOptions,
    ServiceStage,
    Toleration,
    Volume,
    VolumeKind,
)
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


def test_a_stage_may_run_very_many_times() -> None:
    plan = plan_of(" >> ".join(["a", "b"] * 600), batch("a"), batch("b"))
    assert len({task.name for task in plan.tasks()}) == 1200


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
        SecretEnv(name="TOKEN", secret="chat", key="TOKEN"),
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


POD = PodOptions(
    cpu_limit=2.0,
    memory_limit_mb=512,
    gpu=1,
    node_selector=(("pool", "gpu"),),
    tolerations=(Toleration(key="gpu", operator="Exists"),),
    image_pull_secrets=("registry",),
    image_pull_policy="Always",
    service_account="trainer",
    labels=(("team", "ml"),),
    annotations=(("example.org/owner", "ml"),),
    env=(("PLAIN", "1"), ("AWKWARD", "$(PATH)"), ("BODYWORK_STAGE", "mine")),
    volumes=(Volume(name="v", path="/data", kind=VolumeKind.CLAIM, source="claim"),),
    install=Install(
        timeout_seconds=60,
        index_url="https://i.example/{{x}}",
        index_secret="index",
        ca_bundle="authorities",
        https_proxy="http://p.example:1",
        tool="uv",
    ),
    patches=('{"hostNetwork":false}',),
)


def with_pod(stage: BatchStage | ServiceStage) -> BatchStage | ServiceStage:
    return replace(stage, pod=POD, image="own:1", requirements_file="needs.txt")


def test_what_a_stages_block_says_reaches_its_task() -> None:
    task = only_batch(plan_of("a", with_pod(batch("a"))))
    container = task.container
    assert container.image == "own:1"
    assert container.resources == Resources(
        cpu_request=0.5, memory_request_mb=100, cpu_limit=2.0, memory_limit_mb=512, gpu=1,
        gpu_resource="nvidia.com/gpu",
    )  # fmt: skip
    assert task.pod == Pod(
        node_selector=POD.node_selector,
        tolerations=POD.tolerations,
        image_pull_secrets=("registry",),
        image_pull_policy="Always",
        service_account="trainer",
        labels=POD.labels,
        annotations=POD.annotations,
        volumes=POD.volumes,
        patches=POD.patches,
    )


def test_only_prepare_is_told_how_to_install() -> None:
    task = only_batch(plan_of("a", with_pod(batch("a"))))
    assert task.install_timeout_seconds == 60
    assert task.container.prepare == (
        "--requirements-file=needs.txt",
        "--installer=uv",
        f"--index-url64={base64.b64encode(b'https://i.example/{{x}}').decode()}",
        "--https-proxy=http://p.example:1",
        "--time-limit=60",
    )
    assert task.container.prepare_env == (
        SecretEnv(name="BODYWORK_INDEX_USERNAME", secret="index", key="username"),
        SecretEnv(name="BODYWORK_INDEX_PASSWORD", secret="index", key="password"),
    )
    command = prepare_command(
        task.container, replace(SITE, ca_bundle="/ca/ca.crt"), repository="R", commit="C"
    )
    assert "--ca-bundle=/ca/ca.crt" in command
    assert not [option for option in task.container.execute if "i.example" in option]


def test_plain_variables_travel_safely_and_never_hide_our_own() -> None:
    container = only_batch(plan_of("a", with_pod(batch("a")))).container
    assert PlainEnv(name="PLAIN", value="1") in container.env
    assert PlainEnv(name="BODYWORK_STAGE", value="a") in container.env
    assert f"--env64=AWKWARD={base64.b64encode(b'$(PATH)').decode()}" in container.execute
    assert len({env.name for env in container.env}) == len(container.env)


def test_a_service_has_its_probes_and_the_ingress_that_was_asked_for() -> None:
    options = ServiceOptions(
        startup_path="/up", readiness_path="/ready", ingress=Ingress(host="h.example")
    )
    closed = replace(service("s"), options=options)
    for stage, ingress in ((closed, None), (replace(closed, ingress=True), options.ingress)):
        (task,) = plan_of("s", stage).services()
        assert task.probes == Probes(startup_path="/up", readiness_path="/ready")
        assert task.ingress == ingress


def test_what_is_said_of_the_run_reaches_the_plan() -> None:
    run = RunOptions(run_timeout_seconds=1, parallelism=2, ttl_seconds=3)
    assert make_plan(replace(project("a", batch("a")), run=run), PINNED).run == run


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


def git_of(repository: str | None, **options: str) -> GitAccess:
    revision = PINNED.revision if repository else Parameter()
    source = Source(revision=revision, repository=repository)
    chosen = PlanOptions(git_image=options.get("image"), git_secret=options.get("secret"))
    return make_plan(project("a", batch("a")), source, chosen).git


@pytest.mark.parametrize(
    ("repository", "secret", "keys"),
    [
        ("https://h/r.git", "git-token", ["BODYWORK_GIT_TOKEN", "BODYWORK_GIT_USERNAME"]),
        ("http://h/r.git", "git-token", ["BODYWORK_GIT_TOKEN", "BODYWORK_GIT_USERNAME"]),
        (
            "git@h:r.git",
            "ssh-git-private-key",
            ["BODYWORK_GIT_SSH_PRIVATE_KEY", "BODYWORK_GIT_KNOWN_HOSTS"],
        ),
        (
            "ssh://git@h:22/r.git",
            "ssh-git-private-key",
            ["BODYWORK_GIT_SSH_PRIVATE_KEY", "BODYWORK_GIT_KNOWN_HOSTS"],
        ),
    ],
)
def test_the_address_tells_which_secret_opens_the_repository(
    repository: str, secret: str, keys: list[str]
) -> None:
    expected = tuple(SecretEnv(name=k, secret=secret, key=k, optional=True) for k in keys)
    assert git_of(repository).env == expected
    assert {env.secret for env in git_of(repository, secret="mine").env} == {"mine"}


def test_prepare_is_told_the_host_keys_of_public_forges() -> None:
    assert git_of("git@github.com:team/models.git").host_keys[0].startswith("github.com ssh-")
    assert git_of("git@git.example.org:team/models.git").host_keys == ()
    assert git_of("https://github.com/team/models.git").host_keys == ()


@pytest.mark.parametrize("repository", ["/srv/repository", "file:///srv/repository", None])
def test_a_repository_that_pods_open_by_themselves_needs_no_secret(repository: str | None) -> None:
    assert git_of(repository, image="git:1") == GitAccess(image="git:1")


def test_runs_of_a_pipeline_with_services_exclude_each_other_unless_told_otherwise() -> None:
    with_service = project("a >> s", batch("a"), service("s"))
    without = project("a", batch("a"))
    allowed = PlanOptions(exclusive=False)
    assert make_plan(with_service, PINNED).exclusive
    assert not make_plan(with_service, PINNED, allowed).exclusive
    assert not make_plan(without, PINNED).exclusive
    assert make_plan(without, PINNED, PlanOptions(exclusive=True)).exclusive


def test_all_tasks_are_those_of_the_steps_and_the_failure_task_last() -> None:
    stages = (batch("a"), batch("b"), batch("tell"))
    plan = plan_of("a >> b", *stages, on_failure="tell")
    assert [task.name for task in plan.all_tasks()] == ["a", "b", "tell"]
    assert [task.name for task in plan_of("a", *stages).all_tasks()] == ["a"]


def test_the_engine_chooses_the_host_keys_that_prepare_is_told() -> None:
    container = only_batch(plan_of("a", batch("a"))).container
    words = prepare_command(container, SITE, repository="r", commit="c", host_keys=("h k v",))
    assert "--host-key=h k v" in words
