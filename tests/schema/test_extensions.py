"""The ``kubernetes`` blocks: what they give a stage's pods, and what they refuse."""

from __future__ import annotations

import pytest

from bodywork_argo.spec import (
    BatchStage,
    Ingress,
    Install,
    PodOptions,
    Rollback,
    RunOptions,
    ServiceOptions,
    ServiceStage,
    Stage,
    Toleration,
    Volume,
    VolumeKind,
)
from tests.schema.cases import FILE, edited, parse, refused, told

PREPARE_LINE = 12
SERVE_LINE = 31


def with_blocks(pipeline: str = "", prepare: str = "", serve: str = "") -> str:
    """Return the file with a block, in YAML's flow form, for the pipeline or for a stage."""
    text = FILE
    if pipeline:
        text = edited("stages:\n", f"  kubernetes: {{{pipeline}}}\nstages:\n", text)
    if prepare:
        text = edited("  prepare:\n", f"  prepare:\n    kubernetes: {{{prepare}}}\n", text)
    if serve:
        text = edited("  serve:\n", f"  serve:\n    kubernetes: {{{serve}}}\n", text)
    return text


def stage(name: str = "prepare", **blocks: str) -> Stage:
    return parse(with_blocks(**blocks)).project.stage(name)


def service(block: str) -> ServiceOptions:
    found = stage("serve", serve=block)
    assert isinstance(found, ServiceStage)
    return found.options


def test_a_file_without_blocks_asks_for_nothing() -> None:
    project = parse(FILE).project
    assert project.run == RunOptions()
    assert {stage.pod for stage in project.stages} == {PodOptions()}
    assert {(stage.image, stage.requirements_file) for stage in project.stages} == {(None, None)}


def test_the_pipelines_block_says_how_runs_go() -> None:
    block = "run_timeout_seconds: 3600, parallelism: 2, ttl_seconds: 60, rollback: step"
    assert parse(with_blocks(block)).project.run == RunOptions(
        run_timeout_seconds=3600, parallelism=2, ttl_seconds=60, rollback=Rollback.STEP
    )


ALL = (
    "cpu_limit: 2, memory_limit_mb: 1000, gpu: 1, gpu_resource: amd.com/gpu,"
    " node_selector: {disk: ssd}, tolerations: [{key: gpu, operator: Exists}],"
    " image_pull_secrets: [registry], image_pull_policy: Always, service_account: trainer,"
    " labels: {team: ml}, annotations: {example.org/owner: me}, env: {OMP_NUM_THREADS: '4'},"
    " volumes: [{name: data, path: /data, claim: training}],"
    " install: {timeout_seconds: 5, index_url: 'https://pypi.example.org/simple',"
    " index_secret: index, ca_bundle: ca, http_proxy: 'http://proxy:3128',"
    " https_proxy: 'http://proxy:3128', no_proxy: .example.org, tool: uv},"
    " patch: {priorityClassName: low}"
)
ALL_OPTIONS = PodOptions(
    cpu_limit=2.0,
    memory_limit_mb=1000,
    gpu=1,
    gpu_resource="amd.com/gpu",
    node_selector=(("disk", "ssd"),),
    tolerations=(Toleration(key="gpu", operator="Exists"),),
    image_pull_secrets=("registry",),
    image_pull_policy="Always",
    service_account="trainer",
    labels=(("team", "ml"),),
    annotations=(("example.org/owner", "me"),),
    env=(("OMP_NUM_THREADS", "4"),),
    volumes=(Volume(name="data", path="/data", kind=VolumeKind.CLAIM, source="training"),),
    install=Install(
        timeout_seconds=5,
        index_url="https://pypi.example.org/simple",
        index_secret="index",
        ca_bundle="ca",
        http_proxy="http://proxy:3128",
        https_proxy="http://proxy:3128",
        no_proxy=".example.org",
        tool="uv",
    ),
    patches=('{"priorityClassName":"low"}',),
)


def test_a_stages_block_is_read_whole() -> None:
    assert stage(prepare=ALL).pod == ALL_OPTIONS


def test_the_pipelines_block_goes_for_every_stage() -> None:
    project = parse(with_blocks(ALL)).project
    assert {stage.pod for stage in project.stages} == {ALL_OPTIONS}


def test_a_block_leaves_other_stages_alone() -> None:
    assert stage("train", prepare=ALL).pod == PodOptions()


def test_a_stages_own_value_goes_before_the_pipelines() -> None:
    pod = stage(
        pipeline="gpu: 1, service_account: all, env: {A: a, B: b},"
        " install: {tool: uv, ca_bundle: c}",
        prepare="gpu: 0, env: {B: own}, install: {tool: pip}",
    ).pod
    assert (pod.gpu, pod.service_account) == (0, "all")
    assert pod.env == (("A", "a"), ("B", "own"))
    assert pod.install == Install(tool="pip", ca_bundle="c")


def test_lists_of_pipeline_and_stage_are_joined() -> None:
    pod = stage(
        pipeline="image_pull_secrets: [a, b], volumes: [{name: x, path: /x, empty_mb: 5}],"
        " patch: {a: 1}",
        prepare="image_pull_secrets: [b, c], volumes: [{name: x, path: /y, secret: s}],"
        " patch: {b: 2}",
    ).pod
    assert pod.image_pull_secrets == ("a", "b", "c")
    assert pod.volumes == (Volume(name="x", path="/y", kind=VolumeKind.SECRET, source="s"),)
    assert pod.patches == ('{"a":1}', '{"b":2}')


def test_a_stage_may_have_an_image_and_a_requirements_file_of_its_own() -> None:
    found = stage(prepare="image: python:3.13, requirements_file: steps/requirements.txt")
    assert (found.image, found.requirements_file) == ("python:3.13", "steps/requirements.txt")


def test_a_volume_comes_from_one_of_four_places() -> None:
    volumes = stage(
        prepare="volumes: [{name: a, path: /a, claim: x}, {name: b, path: /b, secret: x},"
        " {name: c, path: /c, config_map: x, read_only: true}, {name: d, path: /d, empty_mb: 9}]"
    ).pod.volumes
    assert [(volume.kind, volume.source, volume.read_only) for volume in volumes] == [
        (VolumeKind.CLAIM, "x", False),
        (VolumeKind.SECRET, "x", False),
        (VolumeKind.CONFIG_MAP, "x", True),
        (VolumeKind.EMPTY, "9", False),
    ]


def test_a_toleration_is_read_whole() -> None:
    block = "tolerations: [{key: k, value: v, effect: NoExecute, seconds: 5}, {operator: Exists}]"
    assert stage(prepare=block).pod.tolerations == (
        Toleration(key="k", value="v", effect="NoExecute", seconds=5),
        Toleration(operator="Exists"),
    )


def test_a_services_probes_and_ingress_are_read() -> None:
    assert service(
        "probes: {startup: /up, readiness: /ready, liveness: /live},"
        " ingress: {class: nginx, host: '*.example.org', path: /score, tls_secret: tls,"
        " rewrite: false}"
    ) == ServiceOptions(
        startup_path="/up",
        readiness_path="/ready",
        liveness_path="/live",
        ingress=Ingress(
            class_name="nginx",
            host="*.example.org",
            path="/score",
            tls_secret="tls",
            rewrite=False,
        ),
    )


def test_a_service_without_probes_or_ingress_of_its_own_has_the_defaults() -> None:
    assert service("gpu: 0") == ServiceOptions()


def test_a_batch_stage_is_still_a_batch_stage() -> None:
    assert isinstance(stage(prepare="gpu: 1"), BatchStage)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("cpu_limits: 1", "cpu_limits: is not a known key; did you mean 'cpu_limit'?"),
        ("retries: 1", "retries: is not a known key; it belongs under 'stages.<name>.batch'"),
        (
            "cpu_limit: 0.1",
            "cpu_limit: is 0.1, less than 'cpu_request' 0.5; "
            "raise the limit or ask for less",
        ),
        (
            "memory_limit_mb: 249",
            "memory_limit_mb: is 249, less than 'memory_request_mb' 250; "
            "raise the limit or ask for less",
        ),
        ("gpu_resource: gpu", "gpu_resource: is the text 'gpu'; write DOMAIN/NAME, such as "
         "'nvidia.com/gpu'"),
        ("node_selector: [a]", "node_selector: is a list; "
         "write a mapping, such as 'node_selector: {disk: ssd}'"),
        ("node_selector: {a b: c}", "node_selector.a b: is not a key that Kubernetes takes; write "
         "[DOMAIN/]NAME, where the name has at most 63 letters, digits, '-', '_' and '.'"),
        ("node_selector: {/b: c}", "node_selector./b: is not a key that Kubernetes takes; write "
         "[DOMAIN/]NAME, where the name has at most 63 letters, digits, '-', '_' and '.'"),
        ("node_selector: {A_/b: c}", "node_selector.A_/b: is not a key that Kubernetes takes; "
         "write [DOMAIN/]NAME, where the name has at most 63 letters, digits, '-', '_' and '.'"),
        ("labels: {team: m l}", "labels.team: is the text 'm l', which no label can hold; use at "
         "most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends"),
        ("labels: {bodywork-argo/stage: x}", "labels.bodywork-argo/stage: is a key that "
         "bodywork-argo or the engine sets; choose another key"),
        ("annotations: {app.kubernetes.io/managed-by: x}",
         "annotations.app.kubernetes.io/managed-by: is a key that "
         "bodywork-argo or the engine sets; choose another key"),
        ("annotations: {a: '{{workflow.name}}'}", "annotations.a: holds '{{' or '$(', which an "
         "engine would substitute; write it another way"),
        ("env: {PATH: /bin}", "env.PATH: is a variable that every stage is given anyway; "
         "choose another name"),
        ("env: {A: 1}", "env.A: is a whole number; write text, in quotes"),
        ("env: {A: AKIAQ2W3Q2W3Q2W3Q2W3}", "env.A: holds what looks like a credential, which all "
         "who read the repository see; hand it to the stage by 'secrets'"),
        ("image_pull_policy: never", "image_pull_policy: is the text 'never'; "
         "write one of Always, IfNotPresent, Never"),
        ("service_account: A", "service_account: is the text 'A', which no object is called; use "
         "lower-case letters, digits, '-' and '.', a letter or digit at both ends"),
        ("image_pull_secrets: x", "image_pull_secrets: is the text 'x'; write a list: "
         "['...', '...']"),
        ("tolerations: [{value: a}]", "tolerations[0]: has no key; "
         "add one, or 'operator: Exists' for any taint"),
        ("tolerations: [{key: a, operator: Exists, value: b}]", "tolerations[0].value: is not "
         "compared by operator Exists; remove it"),
        ("tolerations: [{key: a, seconds: 5}]", "tolerations[0].seconds: counts for one effect "
         "only; add 'effect: NoExecute'"),
        ("tolerations: [a]", "tolerations[0]: is the text 'a'; write a mapping of keys: "
         "key, operator, value, effect, seconds"),
        ("volumes: [{name: a, path: /a}]", "volumes[0]: comes from nowhere; "
         "write one of claim, secret, config_map, empty_mb"),
        ("volumes: [{name: a, path: /a, claim: b, secret: c}]", "volumes[0]: comes from 2 places; "
         "write one of claim, secret, config_map, empty_mb"),
        ("volumes: [{path: /a, claim: b}]", "volumes[0].name: is missing; "
         "add it, such as 'name: data'"),
        ("volumes: [{name: bodywork-x, path: /a, claim: b}]", "volumes[0].name: has a name that "
         "starts with 'bodywork'; choose another name"),
        ("volumes: [{name: A, path: /a, claim: b}]", "volumes[0].name: is the text 'A'; use at "
         "most 63 lower-case letters, digits and '-', a letter or digit at both ends"),
        ("volumes: [{name: a, path: a, claim: b}]", "volumes[0].path: is the path 'a'; "
         "write an absolute path, such as '/data'"),
        ("volumes: [{name: a, path: /a/../b, claim: b}]", "volumes[0].path: is the path "
         "'/a/../b'; write an absolute path, such as '/data'"),
        ("volumes: [{name: a, path: /bodywork/x, claim: b}]", "volumes[0].path: is the path "
         "'/bodywork/x', which is in use; choose a path such as '/data'"),
        ("volumes: [{name: a, path: /a, claim: b}, {name: a, path: /b, claim: b}]",
         "volumes[1]: is a second volume 'a'; give it another name"),
        ("install: {index_url: 'https://me:pw@example.org'}", "install.index_url: is an address "
         "with credentials, which all who read the repository see; take them out; credentials "
         "that were committed are best replaced"),
        ("install: {index_url: example.org}", "install.index_url: is the text 'example.org'; "
         "write an address that starts with https://"),
        ("install: {tool: conda}", "install.tool: is the text 'conda'; write one of pip, uv"),
        ("install: {timeout_seconds: 0}", "install.timeout_seconds: is the number 0; "
         "write a whole number from 1 to 2147483647"),
        ("requirements_file: ../r.txt", "requirements_file: is the path '../r.txt', which leads "
         "out of the repository; write a path below the folder of bodywork.yaml"),
        ("probes: {startup: /up}", "probes: is for services, and this is a batch stage; remove it"),
        ("ingress: {host: a.b}", "ingress: is for services, and this is a batch stage; remove it"),
    ],
)  # fmt: skip
def test_what_a_block_can_not_have_is_refused(block: str, message: str) -> None:
    key = f"{PREPARE_LINE} stages.prepare.kubernetes"
    assert refused(with_blocks(prepare=block)) == [f"{key}.{message}"]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("probes: {startup: up}", "probes.startup: is the text 'up'; write a path, such as "
         "'/health'"),
        ("probes: {startup: '/{{a}}'}", "probes.startup: holds '{{' or '$(', which an engine "
         "would substitute; write it another way"),
        ("ingress: {host: a_b}", "ingress.host: is the text 'a_b', which is no host; "
         "write one such as 'api.example.org'"),
        ("ingress: {tls_secret: A}", "ingress.tls_secret: is not the name of a secret; write the "
         "name of the secret that holds the value: lower-case letters, digits, '-', '.'"),
    ],
)  # fmt: skip
def test_what_a_services_block_can_not_have_is_refused(block: str, message: str) -> None:
    assert refused(with_blocks(serve=block)) == [f"{SERVE_LINE} stages.serve.kubernetes.{message}"]


def test_a_limit_of_the_pipeline_is_held_against_each_stage() -> None:
    assert refused(with_blocks("cpu_limit: 0.7")) == [
        "26 stages.train.cpu_request: is 1, more than the pipeline's 'cpu_limit' 0.7; "
        "raise the limit or ask for less"
    ]


def test_a_limit_of_the_pipeline_that_a_stage_raises_is_not_held_against_it() -> None:
    assert stage(pipeline="cpu_limit: 1", prepare="cpu_limit: 3").pod.cpu_limit == 3


def test_a_variable_is_either_plain_or_secret() -> None:
    assert refused(with_blocks(pipeline="env: {API_TOKEN: x}")) == [
        "20 stages.prepare.secrets.API_TOKEN: is among 'kubernetes: env' too; keep one of the two"
    ]


def test_two_volumes_have_two_paths() -> None:
    text = with_blocks(
        "volumes: [{name: a, path: /a, claim: x}]", "volumes: [{name: b, path: /a/, claim: x}]"
    )
    assert refused(text) == [
        "12 stages.prepare: has volumes 'a' and 'b' at '/a'; give one of them another path"
    ]


def test_a_volume_with_the_git_key_is_warned_about() -> None:
    block = "volumes: [{name: a, path: /a, secret: ssh-git-private-key}]"
    assert told(with_blocks(prepare=block)) == [
        "warning 12 stages.prepare.kubernetes.volumes[0]: gives the Git key to the module too; "
        "remove it: the code is fetched without it"
    ]


def test_ingress_settings_of_a_service_without_ingress_are_warned_about() -> None:
    text = edited("ingress: true", "ingress: false", with_blocks(serve="ingress: {class: nginx}"))
    assert told(text) == [
        "warning 31 stages.serve.kubernetes.ingress: changes nothing, "
        "since 'service: ingress' is false; set that to true"
    ]


def test_ingress_settings_of_a_service_with_ingress_are_fine() -> None:
    assert told(with_blocks(serve="ingress: {class: nginx}")) == []


def test_a_stage_that_can_not_be_read_leaves_the_blocks_of_others_checked() -> None:
    text = edited("  report:\n", "  broken: 1\n  report:\n", with_blocks(prepare="cpu_limit: 0.1"))
    assert [line.split(":")[0] for line in refused(text)] == [
        "12 stages.prepare.kubernetes.cpu_limit",
        "40 stages.broken",
    ]


def test_blocks_are_checked_when_the_pipelines_section_is_missing() -> None:
    text = with_blocks(prepare="cpu_limit: 0.1").split("stages:")[1]
    assert "4 stages.prepare.kubernetes.cpu_limit" in [
        line.split(":")[0] for line in refused('version: "1.1"\nstages:' + text)
    ]
