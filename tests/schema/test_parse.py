"""What a valid file means, and how several problems are told at once."""

from __future__ import annotations

import pytest

from bodywork_argo.dag import Dag
from bodywork_argo.errors import SpecError
from bodywork_argo.schema import parse_project
from bodywork_argo.spec import BatchStage, Dialect, SecretRef, ServiceStage
from tests.schema.cases import FILE, edited, meaning, parse, refused, told

OLDER = edited(
    "  namespace: ml-team\n  secrets_group: dev\n",
    "",
    edited("pipeline:", "project:", edited('"1.1"', '"1.0"')),
)


def test_the_pipelines_own_keys_are_read() -> None:
    project = parse(FILE).project
    assert (project.name, project.docker_image, project.log_level) == (
        "sales",
        "python:3.12-slim",
        "INFO",
    )
    assert project.dag == Dag((("prepare",), ("train", "serve")))
    assert (project.run_on_failure, project.namespace, project.secrets_group) == (
        "report",
        "ml-team",
        "dev",
    )


def test_a_batch_stage_is_read_whole() -> None:
    assert parse(FILE).project.stage("prepare") == BatchStage(
        name="prepare",
        module="steps/prepare.py",
        args=("--day", "1"),
        requirements=("numpy==2.0.2",),
        secrets=(SecretRef(variable="API_TOKEN", secret="api"),),
        cpu_request=0.5,
        memory_request_mb=250,
        max_completion_time_seconds=60,
        retries=2,
    )


def test_a_service_stage_is_read_whole() -> None:
    assert parse(FILE).project.stage("serve") == ServiceStage(
        name="serve",
        module="steps/serve.py",
        cpu_request=0.0,
        memory_request_mb=0,
        max_startup_time_seconds=30,
        replicas=2,
        port=5000,
        ingress=True,
    )


def test_stages_keep_the_order_of_the_file() -> None:
    names = [stage.name for stage in parse(FILE).project.stages]
    assert names == ["prepare", "train", "serve", "report"]


def test_keys_that_are_optional_may_be_absent_or_empty_text() -> None:
    text = edited("  run_on_failure: report\n", "")
    text = edited("namespace: ml-team", 'namespace: ""', text)
    text = edited("secrets_group: dev", 'secrets_group: ""', text)
    project = parse(text).project
    assert (project.run_on_failure, project.namespace, project.secrets_group) == (None, None, None)


def test_bytes_and_text_mean_the_same() -> None:
    assert parse(FILE.encode()).project == parse(FILE).project


def test_a_file_without_fault_is_told_nothing() -> None:
    assert told(FILE) == []


def test_every_key_has_its_line() -> None:
    lines = parse(FILE).lines
    assert lines["pipeline.DAG"] == 5
    assert lines["stages.prepare.batch.retries"] == 22
    assert lines["stages.prepare.requirements[0]"] == 17
    assert lines["stages.prepare.secrets.API_TOKEN"] == 19


def test_version_1_1_is_the_current_dialect() -> None:
    assert parse(FILE).project.dialect is Dialect.V1_1


def test_version_1_0_calls_the_pipeline_project() -> None:
    assert parse(OLDER).project.dialect is Dialect.V1_0


def test_version_1_0_with_a_group_of_secrets_is_the_release_candidates_dialect() -> None:
    text = edited("  name: sales\n", "  name: sales\n  secrets_group: dev\n", OLDER)
    project = parse(text).project
    assert (project.dialect, project.secrets_group) == (Dialect.RELEASE_CANDIDATE, "dev")


def test_problems_of_all_sections_and_stages_are_told_at_once_in_order() -> None:
    text = edited("name: sales", "name: sa les")
    text = edited("retries: 2", "retries: two", text)
    text = edited("port: 5000", "port: 70000", text)
    text = edited("prepare >> train", "prepare >> trian", text)
    text = edited("log_level: INFO", "log_level: info", text)
    assert [line.split(":")[0] for line in refused(text)] == [
        "3 pipeline.name",
        "5 pipeline.DAG",
        "22 stages.prepare.batch.retries",
        "37 stages.serve.service.port",
        "47 logging.log_level",
    ]


def test_a_problem_names_file_line_key_what_and_remedy() -> None:
    with pytest.raises(SpecError) as caught:
        parse_project(edited("retries: 2", "retries: two"), "a/b.yaml")
    assert str(caught.value) == (
        "a/b.yaml:22: stages.prepare.batch.retries: is the text 'two'; "
        "write a whole number of 0 or more, without quotes or a unit"
    )


def test_an_invalid_file_is_told_its_warnings_too_but_not_its_notes() -> None:
    text = edited("    args:", "    arg:", edited("retries: 2", "retries: x"))
    text = edited("numpy==2.0.2", "numpy", text)
    assert [line.split(":")[0] for line in told(text)] == [
        "warning 13 stages.prepare.arg",
        "error 22 stages.prepare.batch.retries",
    ]


def test_a_misspelt_key_that_is_required_is_one_problem() -> None:
    assert told(edited("retries: 2", "retires: 2")) == [
        "error 22 stages.prepare.batch.retires: is not a known key, and 'retries' is missing; "
        "rename it to 'retries'"
    ]


def test_parsing_twice_gives_equal_results() -> None:
    assert meaning(parse(FILE)) == meaning(parse(FILE))


def test_a_key_that_stands_twice_is_refused_beside_other_problems() -> None:
    text = edited("retries: 2", "retries: 2\n      retries: 3", edited("name: sales", "name: a b"))
    assert refused(text) == [
        "3 pipeline.name: is the text 'a b'; use letters, digits, '-' and '.' only, such as 'a-b'",
        "23 stages.prepare.batch.retries: stands twice, first on line 22; keep one of the two",
    ]


def test_a_name_that_is_missing_is_told_once() -> None:
    assert refused(edited("  name: sales\n", "")) == [
        "2 pipeline.name: is missing; add it, such as 'name: my-pipeline'"
    ]


def test_a_stage_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        parse(FILE).project.stage("elsewhere")
