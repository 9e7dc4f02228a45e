"""Each fault that a file can have, and what is said about it."""

from __future__ import annotations

import pytest

from bodywork_argo.schema.findings import MAX_FINDINGS
from tests.schema.cases import FILE, edited, parse, refused, told

SECOND = """
  prepare_2:
    executable_module_path: b.py
    cpu_request: 0
    memory_request_mb: 0
    batch: {max_completion_time_seconds: 0, retries: 0}
logging:"""


def with_stage(name: str, dag: str = "") -> str:
    """Return the file with one more stage, in the DAG where `dag` says how it's called."""
    text = edited("\nlogging:", SECOND.replace("prepare_2", name))
    return edited("train, serve", f"train, serve, {dag}", text) if dag else text


# --- whole file and sections


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", '1 : is empty; start it with version: "1.1"'),
        ("# nothing\n", '1 : is empty; start it with version: "1.1"'),
        ("~", '1 : is empty; start it with version: "1.1"'),
        ("- a", "1 : holds only a list; write the sections version, pipeline, stages and logging"),
        (
            "a",
            "1 : holds only the text 'a'; write the sections version, pipeline, stages and logging",
        ),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(text: str, message: str) -> None:
    assert refused(text) == [message]


def test_all_missing_sections_are_told() -> None:
    assert refused("a: 1") == [
        "1 version: is missing; add it, such as 'version: \"1.1\"'",
        "1 stages: is missing; add it, such as 'stages: {train: {...}}'",
        "1 logging: is missing; add it, such as 'logging: {log_level: INFO}'",
        "1 pipeline: is missing; add it as a section: 'pipeline:'",
    ]


@pytest.mark.parametrize("section", ["pipeline", "stages", "logging"])
def test_a_section_that_is_no_mapping_is_refused(section: str) -> None:
    before, after = FILE.split(f"{section}:")
    rest = "".join(line for line in after.splitlines(True)[1:] if not line.startswith(" "))
    (message,) = (m for m in refused(f"{before}{section}: bad\n{rest}") if "'bad'" in m)
    assert f"{section}: is the text 'bad'; write a mapping" in message


def test_a_file_needs_a_stage() -> None:
    text = FILE[: FILE.index("stages:")] + "stages: {}\nlogging: {log_level: INFO}\n"
    assert "10 stages: has no stage; add one" in refused(text)


# --- version and dialect


def test_a_version_that_is_a_number_needs_quotes() -> None:
    (message,) = refused(edited('"1.1"', "1.1"))
    assert message == '1 version: is the number 1.1; put it in quotes: "1.1"'


def test_an_unknown_version_is_refused() -> None:
    (message,) = refused(edited('"1.1"', '"2.0"'))
    assert message == (
        "1 version: is '2.0', a format that is not known here; write version: \"1.1\""
    )


@pytest.mark.parametrize(
    ("version", "wrong", "remedy"),
    [
        ("1.1", "project", "rename it to 'pipeline'"),
        ("1.0", "pipeline", "rename it to 'project', or write version: \"1.1\""),
    ],
)
def test_a_section_with_the_other_versions_name_is_refused(
    version: str, wrong: str, remedy: str
) -> None:
    text = edited('"1.1"', f'"{version}"', edited("pipeline:", f"{wrong}:"))
    assert refused(text) == [
        f"2 {wrong}: is not what version {version} calls this section; {remedy}"
    ]


def test_of_two_names_for_the_pipeline_the_one_that_is_not_read_is_told() -> None:
    assert told(edited("pipeline:", "project: {}\npipeline:")) == [
        "warning 2 project: is not read, since there is 'pipeline'; remove it"
    ]


def test_with_a_faulty_version_the_pipeline_is_read_under_either_name() -> None:
    text = edited("pipeline:", "project:", edited('"1.1"', "1.0"))
    assert refused(text) == ['1 version: is the number 1.0; put it in quotes: "1.0"']


# --- unknown keys


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "secrets_group: dev",
            "secrets-group: dev",
            "8 pipeline.secrets-group: is not a known key and is ignored; "
            "did you mean 'secrets_group'?",
        ),
        (
            "    args:",
            "    port: 80\n    args:",
            "13 stages.prepare.port: is not a known key and is ignored; "
            "it belongs under 'stages.<name>.service'",
        ),
        (
            "    args:",
            "    mood: good\n    args:",
            "13 stages.prepare.mood: is not a known key and is ignored; known here: "
            "executable_module_path, args, cpu_request, memory_request_mb, requirements, secrets, "
            "batch, service, kubernetes",
        ),
        (
            "    args:",
            f"    {'x' * 41}: good\n    args:",
            f"13 stages.prepare.{'x' * 41}: is not a known key and is ignored; known here: "
            "executable_module_path, args, cpu_request, memory_request_mb, requirements, secrets, "
            "batch, service, kubernetes",
        ),
    ],
)
def test_an_unknown_key_is_a_warning_and_strictly_an_error(
    old: str, new: str, message: str
) -> None:
    text = edited(old, new)
    assert told(text) == [f"warning {message}"]
    assert told(text, strict=True) == [f"error {message.replace(' and is ignored', '')}"]


def test_a_key_for_anchors_is_the_authors_own() -> None:
    text = edited(
        "    batch:\n      max_completion_time_seconds: 60\n      retries: 2\n",
        "    batch: *quick\n",
        "x-quick: &quick {max_completion_time_seconds: 60, retries: 2}\n" + FILE,
    )
    assert told(text, strict=True) == []
    assert parse(text).project == parse(FILE).project


# --- types


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: sales", "name: 12", '3 pipeline.name: is the number 12; put it in quotes: "12"'),
        (
            "name: sales",
            "name: no",
            "3 pipeline.name: is 'no', which YAML reads as false; put it in quotes: \"no\"",
        ),
        ("name: sales", "name: true", '3 pipeline.name: is true; put it in quotes: "true"'),
        (
            "name: sales",
            "name: 2021-01-02",
            '3 pipeline.name: is the date 2021-01-02; put it in quotes: "2021-01-02"',
        ),
        (
            "name: sales",
            "name:",
            "3 pipeline.name: is empty; write text, or remove the key where it is not required",
        ),
        ("name: sales", "name: [a]", "3 pipeline.name: is a list; write text"),
        ("name: sales", "name: {a: b}", "3 pipeline.name: is a mapping; write text"),
        (
            "run_on_failure: report",
            "run_on_failure:",
            "6 pipeline.run_on_failure: is empty; write text, or remove the key where it is not "
            "required",
        ),
        (
            "usage_stats: false",
            'usage_stats: "false"',
            "9 pipeline.usage_stats: is the text 'false'; write true or false, without quotes",
        ),
        (
            "ingress: true",
            "ingress: 1",
            "38 stages.serve.service.ingress: is the number 1; write true or false, without quotes",
        ),
        (
            '["--day", "1"]',
            '["--day", 1]',
            '13 stages.prepare.args[1]: is the number 1; put it in quotes: "1"',
        ),
        (
            '["--day", "1"]',
            "x",
            "13 stages.prepare.args: is the text 'x'; write a list: ['...', '...']",
        ),
        (
            "retries: 2",
            "retries: true",
            "22 stages.prepare.batch.retries: is true; "
            "write a whole number of 0 or more, without quotes or a unit",
        ),
        (
            "retries: 2",
            'retries: "2"',
            "22 stages.prepare.batch.retries: is the text '2'; write 2, without quotes",
        ),
        (
            "memory_request_mb: 250",
            "memory_request_mb: 250m",
            "15 stages.prepare.memory_request_mb: is the text '250m'; "
            "write a whole number of 0 or more, without quotes or a unit",
        ),
        (
            "retries: 2",
            "retries: -1",
            "22 stages.prepare.batch.retries: is the number -1; "
            "write a whole number from 0 to 2147483647",
        ),
        (
            "retries: 2",
            "retries: 2147483648",
            "22 stages.prepare.batch.retries: is the number 2147483648; "
            "write a whole number from 0 to 2147483647",
        ),
        (
            "port: 5000",
            "port: 0",
            "37 stages.serve.service.port: is the number 0; write a whole number from 1 to 65535",
        ),
        (
            "memory_request_mb: 250",
            "memory_request_mb: 250.0",
            "15 stages.prepare.memory_request_mb: is the number 250.0; "
            "write a whole number of 0 or more, without quotes or a unit",
        ),
        (
            "cpu_request: 0.5",
            "cpu_request: 500m",
            "14 stages.prepare.cpu_request: is the text '500m'; write 0.5",
        ),
        (
            "cpu_request: 0.5",
            "cpu_request: 1e3",
            "14 stages.prepare.cpu_request: is the text '1e3'; "
            "write it without an exponent, which YAML 1.1 takes for text",
        ),
        (
            "cpu_request: 0.5",
            "cpu_request: half",
            "14 stages.prepare.cpu_request: is the text 'half'; "
            "write a number of 0 or more, without quotes or a unit",
        ),
        (
            "cpu_request: 0.5",
            "cpu_request: yes",
            "14 stages.prepare.cpu_request: is 'yes', which YAML reads as true; "
            "write a number of 0 or more, without quotes or a unit",
        ),
        (
            "cpu_request: 0.5",
            "cpu_request: [1]",
            "14 stages.prepare.cpu_request: is a list; "
            "write a number of 0 or more, without quotes or a unit",
        ),
        (
            "cpu_request: 0.5",
            "cpu_request: .nan",
            "14 stages.prepare.cpu_request: is the number .nan; "
            "write a number from 0 to 2147483647",
        ),
        (
            "cpu_request: 0.5",
            "cpu_request: .inf",
            "14 stages.prepare.cpu_request: is the number .inf; "
            "write a number from 0 to 2147483647",
        ),
        (
            "cpu_request: 0.5",
            "cpu_request: -0.1",
            "14 stages.prepare.cpu_request: is the number -0.1; "
            "write a number from 0 to 2147483647",
        ),
        (
            "log_level: INFO",
            "log_level: LOUD",
            "47 logging.log_level: is the text 'LOUD'; "
            "write one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(old: str, new: str, message: str) -> None:
    assert refused(edited(old, new)) == [message]


def test_a_number_that_yaml_reads_in_another_base_is_warned_about() -> None:
    assert told(edited("port: 5000", "port: 05000")) == [
        "warning 37 stages.serve.service.port: is 05000, which YAML reads as 2560; "
        "write 2560, or the number that was meant"
    ]


def test_cores_that_yaml_reads_to_the_base_of_sixty_are_warned_about() -> None:
    assert told(edited("cpu_request: 0.5", "cpu_request: 1:30")) == [
        "warning 14 stages.prepare.cpu_request: is 1:30, which YAML reads as 90; "
        "write 90, or the number that was meant"
    ]


def test_whole_cores_become_a_float() -> None:
    assert isinstance(parse(FILE).project.stage("train").cpu_request, float)


# --- text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "name: sales",
            "name: my_sales",
            "3 pipeline.name: is the text 'my_sales'; "
            "use letters, digits, '-' and '.' only, such as 'my-sales'",
        ),
        (
            "name: sales",
            'name: ""',
            "3 pipeline.name: is the text ''; "
            "use letters, digits, '-' and '.' only, such as 'my-pipeline'",
        ),
        (
            "namespace: ml-team",
            "namespace: ML",
            "7 pipeline.namespace: is the text 'ML', which no namespace is called; use at most 63 "
            "lower-case letters, digits and '-', a letter or digit at both ends",
        ),
        (
            "docker_image: python:3.12-slim",
            "docker_image: Python",
            "4 pipeline.docker_image: is the text 'Python', which names no image; write "
            "[REGISTRY/]NAME[:TAG][@DIGEST], such as 'python:3.12-slim'; the name is lower-case",
        ),
        (
            "steps/prepare.py",
            "steps/prepare.sh",
            "12 stages.prepare.executable_module_path: is the text 'steps/prepare.sh'; "
            "name a file that ends in .py or .ipynb",
        ),
        (
            "steps/prepare.py",
            "a/../../b.py",
            "12 stages.prepare.executable_module_path: is the path 'a/../../b.py', "
            "which leads out of the repository; write a path below the folder of bodywork.yaml",
        ),
        (
            "steps/prepare.py",
            "/b.py",
            "12 stages.prepare.executable_module_path: is the path '/b.py', "
            "which leads out of the repository; write a path below the folder of bodywork.yaml",
        ),
        (
            '["--day", "1"]',
            '["a\\0b"]',
            "13 stages.prepare.args[0]: holds the character U+0000, "
            "which no process can be given; remove it",
        ),
        (
            '["--day", "1"]',
            f'["{"x" * 90_001}"]',
            "13 stages.prepare.args[0]: is longer than 90,000 bytes; "
            "read it from a file of the repository",
        ),
        (
            "- numpy==2.0.2",
            '- " "',
            "17 stages.prepare.requirements[0]: is blank; name a package or remove the line",
        ),
        (
            "- numpy==2.0.2",
            "- git+https://me:hunter2@example.org/x",
            "17 stages.prepare.requirements[0]: is an address with credentials, which all who "
            "read the repository see; take them out; credentials that were committed are best "
            "replaced",
        ),
    ],
)
def test_a_text_that_can_not_be_used_is_refused(old: str, new: str, message: str) -> None:
    assert refused(edited(old, new)) == [message]


@pytest.mark.parametrize(
    "image",
    [
        "python",
        "ubuntu:24.04",
        "bodyworkml/bodywork-core:3.0",
        "registry.example.org:5000/team/a/b_c.d:v1",
        "localhost/x",
        "kind-registry:5000/x",
        f"python@sha256:{'0' * 64}",
        f"python:3@sha256:{'0' * 64}",
        f"python@sha512:{'0' * 128}",
    ],
)
def test_an_image_of_any_registry_is_accepted(image: str) -> None:
    assert parse(edited("python:3.12-slim", image)).project.docker_image == image


@pytest.mark.parametrize(
    "image",
    ['""', "a b", "a//b", "a:b:c", "'python:'", "UPPER/x", f"a@sha256:{'0' * 63}", "a" * 513],
)
def test_what_no_registry_can_hold_is_refused_as_an_image(image: str) -> None:
    assert "4 pipeline.docker_image: is the text" in refused(edited("python:3.12-slim", image))[0]


# --- secrets


@pytest.mark.parametrize("name", ["A B", "1A", '""', "..", "A=B", "a" * 254])
def test_a_variable_that_kubernetes_refuses_is_refused(name: str) -> None:
    (message,) = refused(edited("API_TOKEN:", f"{name}:"))
    assert "is not a name that a variable can have; use letters, digits" in message


@pytest.mark.parametrize("secret", ["hunter_2", "Hunter2", '""', "-x", "a..b", "a" * 254])
def test_a_secrets_name_that_kubernetes_refuses_is_refused_unseen(secret: str) -> None:
    (message,) = refused(edited("API_TOKEN: api", f"API_TOKEN: {secret}"))
    assert message == (
        "19 stages.prepare.secrets.API_TOKEN: is not the name of a secret; write the name of the "
        "secret that holds the value: lower-case letters, digits, '-', '.'"
    )


def test_a_number_as_a_secrets_name_is_refused_unseen() -> None:
    assert refused(edited("API_TOKEN: api", "API_TOKEN: 1234")) == [
        "19 stages.prepare.secrets.API_TOKEN: is a whole number; write the name of a secret"
    ]


CREDENTIALS = [
    "AKIA" + "Q2W3" * 4,
    "ghp_" + "a1B2" * 9,
    "glpat-" + "abcd" * 5,
    "xoxb-1234567890-abc",
    "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abc",
    "-----BEGIN RSA PRIVATE KEY-----",
    "postgresql://me:hunter2@example.org/db",
    "0123456789abcdef" * 2,
    "12345678-90ab-cdef-1234-567890abcdef",
    "k9x2m4p7q1r8t3v6w5z0",
]


@pytest.mark.parametrize("value", CREDENTIALS)
def test_a_credential_in_the_place_of_a_secrets_name_is_refused_unseen(value: str) -> None:
    assert refused(edited("API_TOKEN: api", f'API_TOKEN: "{value}"')) == [
        "19 stages.prepare.secrets.API_TOKEN: looks like a credential, not like the name of a "
        "secret; put the value into a secret and write that secret's name; "
        "one that was committed is best replaced"
    ]


@pytest.mark.parametrize("value", CREDENTIALS[:7])
@pytest.mark.parametrize(
    "place",
    [
        "API_TOKEN: api",
        "      API_TOKEN: api",
        "name: sales",
        "python:3.12-slim",
        "namespace: ml-team",
        "steps/train.ipynb",
        "log_level: INFO",
        "prepare >> train",
        "numpy==2.0.2",
        "run_on_failure: report",
        "  prepare:",
    ],
)
def test_no_message_repeats_a_credential_wherever_it_stands(place: str, value: str) -> None:
    key, colon, _ = place.partition(": ")
    texts = [edited(place, f'{key}{colon}"{value}"' if colon else f'"{value}"')]
    if colon:
        texts.append(edited(f"{key}:", f'? "{value}"\n:'))
    for text in texts:
        assert not any(value in message for message in told(text))


@pytest.mark.parametrize(
    "name", ["aws-credentials", "db-2024-10-01", "mlflow.prod.eu-west-1", "a" * 40, "1234" * 8]
)
def test_an_ordinary_secrets_name_is_no_credential(name: str) -> None:
    assert told(edited("API_TOKEN: api", f'API_TOKEN: "{name}"')) == []


def test_secrets_that_are_one_text_are_refused_unseen() -> None:
    text = edited("    secrets:\n      API_TOKEN: api\n", "    secrets: API_TOKEN=hunter2\n")
    assert refused(text) == [
        "18 stages.prepare.secrets: is text; "
        "write a mapping, such as 'secrets: {API_TOKEN: my-secret}'"
    ]


@pytest.mark.parametrize(
    "argument", ["--db=postgresql://me:hunter2@example.org/db", "ghp_" + "a1B2" * 9]
)
def test_a_credential_among_the_arguments_is_warned_about_unseen(argument: str) -> None:
    assert told(edited('"--day"', f'"{argument}"')) == [
        "warning 13 stages.prepare.args[0]: holds what looks like a credential, which all who "
        "read the repository see; hand it to the stage by 'secrets'"
    ]


def test_a_stage_that_asks_for_the_git_key_is_warned_about() -> None:
    assert told(edited("API_TOKEN:", "BODYWORK_GIT_SSH_PRIVATE_KEY:")) == [
        "warning 19 stages.prepare.secrets.BODYWORK_GIT_SSH_PRIVATE_KEY: is for fetching and "
        "installing only, and is not given to the module; remove it, or choose another name for "
        "what the module needs"
    ]


def test_a_list_of_secrets_is_refused() -> None:
    text = edited("    secrets:\n      API_TOKEN: api\n", "    secrets: [api]\n")
    assert refused(text) == [
        "18 stages.prepare.secrets: is a list; "
        "write a mapping, such as 'secrets: {API_TOKEN: my-secret}'"
    ]


def test_a_variable_that_yaml_takes_for_a_switch_needs_quotes() -> None:
    assert refused(edited("API_TOKEN:", "NO:")) == [
        "19 stages.prepare.secrets.NO: as a key is 'NO', which YAML reads as false; "
        'put it in quotes: "NO"'
    ]


@pytest.mark.parametrize("name", ["BODYWORK_STAGE", "PATH"])
def test_a_variable_that_every_stage_has_anyway_is_warned_about(name: str) -> None:
    assert told(edited("API_TOKEN:", f"{name}:")) == [
        f"warning 19 stages.prepare.secrets.{name}: is a variable that every stage is given "
        "anyway; choose another name"
    ]


# --- stages and the DAG


def test_a_stage_is_either_batch_or_service() -> None:
    both = edited(
        "    service:\n",
        "    batch:\n      max_completion_time_seconds: 1\n      retries: 0\n    service:\n",
    )
    assert refused(both) == ["30 stages.serve: has both 'batch' and 'service'; keep one of them"]
    neither = edited("    service:\n", "    servise:\n")
    assert refused(neither) == [
        "30 stages.serve: has neither 'batch' nor 'service'; "
        "add the one that says what kind of stage it is"
    ]


@pytest.mark.parametrize("value", ["", "x", "[1]"])
def test_a_stage_that_is_no_mapping_is_refused_and_still_known_to_the_dag(value: str) -> None:
    (message,) = refused(
        edited(
            "\nlogging:",
            f"\n  extra: {value}\nlogging:",
            edited("train, serve", "train, serve, extra"),
        )
    )
    assert "stages.extra: is" in message


def test_a_stage_whose_name_is_a_number_needs_quotes() -> None:
    (message,) = refused(with_stage("7"))
    assert message == '46 stages.7: as a key is the number 7; put it in quotes: "7"'


def test_a_stage_needs_a_name() -> None:
    assert refused(with_stage('" "')) == ["46 stages. : has no name; give the stage a name"]


def test_stages_that_meet_in_one_name_are_refused_used_or_not() -> None:
    (message,) = refused(
        edited(
            "  report:",
            "  pre-pare:",
            edited(
                "report",
                "pre-pare",
                edited("  prepare:", "  pre_pare:", edited("DAG: prepare", "DAG: pre_pare")),
            ),
        )
    )
    assert message == (
        "39 stages.pre-pare: is called 'pre-pare' on a cluster, as is stage 'pre_pare'; "
        "rename one of the two"
    )


@pytest.mark.parametrize(
    ("dag", "messages"),
    [
        ("prepare >> trian", ["names 'trian', which is no stage; did you mean 'train'?"]),
        (
            "prepare >> elsewhere",
            ["names 'elsewhere', which is no stage; add it under 'stages', or correct the name"],
        ),
        (
            "prepare -> train",
            [
                "names 'prepare->train', which is no stage; "
                "write '>>' between steps and ',' between the stages of a step"
            ],
        ),
        (
            "prepare >>",
            ["step 2 has an empty place; remove the surplus '>>' or ',' or name a stage"],
        ),
        ("prepare, prepare", ["stage 'prepare' stands 2 times in step 1; keep one"]),
        ('""', ["is empty; name at least one stage"]),
    ],
)
def test_a_faulty_dag_is_refused(dag: str, messages: list[str]) -> None:
    text = edited("prepare >> train, serve", dag)
    assert refused(text) == [f"5 pipeline.DAG: {message}" for message in messages]


def test_a_missing_dag_is_told_once() -> None:
    assert refused(edited("  DAG: prepare >> train, serve\n", "")) == [
        "2 pipeline.DAG: is missing; add it, such as 'DAG: train >> serve'"
    ]


def test_a_stage_with_a_blank_in_its_name_can_not_be_in_the_dag() -> None:
    assert refused(with_stage("clean up", "clean up")) == [
        "5 pipeline.DAG: names 'cleanup', which is no stage; "
        "rename stage 'clean up': white space in the DAG does not count"
    ]


def test_a_dag_of_several_lines_is_read() -> None:
    text = edited("prepare >> train, serve", "|\n    prepare >>\n    train,\n    serve")
    assert parse(text).project.dag == parse(FILE).project.dag


def test_the_failure_stage_is_a_batch_stage_of_the_file() -> None:
    assert refused(edited("run_on_failure: report", "run_on_failure: repotr")) == [
        "6 pipeline.run_on_failure: names 'repotr', which is no stage; did you mean 'report'?"
    ]
    assert refused(edited("run_on_failure: report", "run_on_failure: serve")) == [
        "6 pipeline.run_on_failure: names 'serve', which is a service and never ends; "
        "name a batch stage"
    ]


# --- notes


def test_a_stage_that_never_runs_is_noted() -> None:
    assert told(with_stage("extra")) == ["note 46 stages.extra: is not in the DAG and never runs"]


def test_a_stage_that_the_dag_can_not_name_is_noted_with_the_reason() -> None:
    assert told(with_stage('"a,b"')) == [
        "note 46 stages.a,b: is not in the DAG and never runs; "
        "the DAG can't name it, since white space, ',' and '>>' mean something there"
    ]


@pytest.mark.parametrize(("name", "label"), [("1_x", "s-1-x"), ("Extra", "extra")])
def test_a_name_that_changes_by_more_than_dashes_is_noted(name: str, label: str) -> None:
    assert told(with_stage(name, name)) == [
        f"note 46 stages.{name}: is called '{label}' on a cluster; "
        "names there start with a letter and hold lower-case letters, digits and '-'"
    ]


def test_a_service_in_several_steps_is_noted() -> None:
    assert told(edited("train, serve", "serve >> train, serve")) == [
        "note 30 stages.serve: stands in several steps and is released in the first of them only"
    ]


def test_a_batch_stage_in_several_steps_is_not_noted() -> None:
    assert told(edited("train, serve", "train >> prepare, serve")) == []


def test_the_host_name_of_a_service_is_noted_when_it_changes() -> None:
    text = edited("  serve:", "  Serve:", edited("train, serve", "train, Serve"))
    assert told(text) == [
        "note 30 stages.Serve: is reached as 'serve' on a cluster; "
        "names there start with a letter and hold lower-case letters, digits and '-'"
    ]


def test_an_everyday_name_is_not_noted() -> None:
    assert told(with_stage("stage_1", "stage_1")) == []


def test_what_a_pipelines_name_becomes_is_noted() -> None:
    (message,) = told(edited("name: sales", "name: My.Sales"))
    assert message.startswith("note 3 pipeline.name: is called 'my-sales-")


def test_requirements_that_move_are_noted_once_a_stage() -> None:
    text = edited(
        "- numpy==2.0.2",
        "\n".join(f"      - {name}" for name in ["a", "b>=1", "c==1.0", "d==1.*", "e~=2"]).strip(),
    )
    assert told(text) == [
        "note 16 stages.prepare.requirements: holds 'a', 'b>=1', 'd==1.*' and 1 more without a "
        "fixed version, so runs of one commit can differ; pin with NAME==VERSION"
    ]


@pytest.mark.parametrize(
    "requirement",
    [
        "numpy==2.0.2",
        "numpy [x] == 2.0.2",
        "numpy===2.0.2",
        "numpy==2.0.2; python_version > '3.8'",
        "git+https://example.org/x@v0.1.5",
        "git+https://example.org/x@0123abc#egg=x",
        "https://example.org/x-1.0-py3-none-any.whl",
        "./libs/own",
        "-rrequirements.txt",
        "a" * 501,
    ],
)
def test_a_requirement_that_stays_the_same_is_not_noted(requirement: str) -> None:
    assert told(edited("numpy==2.0.2", f'"{requirement}"')) == []


# --- amounts


def test_more_problems_than_anyone_reads_are_counted() -> None:
    args = ", ".join(["1"] * (MAX_FINDINGS * 3))
    messages = refused(edited('["--day", "1"]', f"[{args}]"))
    assert len(messages) == MAX_FINDINGS * 2 + 1
    assert messages[-1] == (
        f"0 : has {MAX_FINDINGS} further problems that are not listed; mend these first"
    )


def test_guesses_end_when_they_would_take_too_long() -> None:
    names = ", ".join(f"stag{number}" for number in range(9_000))
    messages = refused(edited("prepare >> train, serve", f"prepar, {names}"))
    assert "did you mean 'prepare'?" in messages[0]
    assert "did you mean" not in messages[-2]


def test_more_warnings_than_anyone_reads_are_dropped() -> None:
    unknown = "".join(f"x{number}: 1\n" for number in range(MAX_FINDINGS * 2))
    assert len(told(FILE + unknown)) == MAX_FINDINGS
