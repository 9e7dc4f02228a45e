"""What the local backend checks and prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import to_yaml
from bodywork_argo.plan import Plan
from bodywork_argo.spec import (
    Install,
    PodOptions,
    Rollback,
    RunOptions,
    SecretRef,
    ServiceOptions,
    Volume,
    VolumeKind,
)
from bodywork_argo_adapters.local import LocalBackend
from bodywork_argo_adapters.local.document import read_document
from tests.projects import PARAMETER, RESOLVED, batch, five_stages, plan_of, service

GOLDEN = Path(__file__).parent / "golden"
VOLUME = Volume(name="v", path="/data", kind=VolumeKind.CLAIM, source="c")
PLANS = {
    "five-stages": five_stages(),
    "parameter": plan_of("a", batch("a"), source=PARAMETER),
    "awkward-text": plan_of(
        "a",
        batch(
            "a",
            args=("{{workflow.name}}", "$$HOME", "$(PATH)", "é\n'\"", "1e3"),
            secrets=(SecretRef(variable="TOKEN", secret="s"),),
        ),
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_documents_are_the_reviewed_ones(
    name: str, check_golden: Callable[[Path, str], None]
) -> None:
    for run_name, kind in (("shop-1", "named"), (None, "unnamed")):
        compiled = LocalBackend().compile(PLANS[name], run_name)
        check_golden(GOLDEN / f"{name}.{kind}.yaml", to_yaml(compiled.documents))


def problems(plan: Plan) -> list[str]:
    return [f"{problem.severity}: {problem}" for problem in LocalBackend().check(plan)]


def test_two_services_on_one_port_are_refused_by_both_names() -> None:
    plan = plan_of("s >> t", service("s", port=80), service("t", port=80))
    assert problems(plan) == [
        "error: stages.t.service.port: services 's' and 't' both listen on port 80, and this "
        "machine has each port once; give one of them another port"
    ]


def test_what_is_different_on_a_laptop_is_told() -> None:
    stage = service("s", replicas=2)
    assert problems(plan_of("s", stage)) == [
        "note: stages.s.service.replicas: is 2; the local backend starts one process"
    ]


def test_keys_without_use_on_a_laptop_are_told() -> None:
    pod = PodOptions(gpu=1, volumes=(VOLUME,), install=Install(index_secret="i"))
    one, two, failure = (replace(batch(name), pod=pod) for name in "abf")
    other = replace(service("s"), options=ServiceOptions(liveness_path="/live"))
    plan = plan_of("a, b >> s", one, two, other, failure, on_failure="f")
    plan = replace(plan, run=RunOptions(ttl_seconds=60, rollback=Rollback.STEP))
    assert problems(plan) == [
        "note: the local backend reads no secret for the package index; set "
        "BODYWORK_INDEX_USERNAME and BODYWORK_INDEX_PASSWORD, or use pip's settings",
        "note: the local backend has no use for these kubernetes keys: gpu (a, b, f); "
        "volumes (a, b, f); probes.liveness (s); ttl_seconds; rollback",
    ]


def test_what_the_run_as_a_whole_is_given_is_in_the_document() -> None:
    run = RunOptions(parallelism=3, run_timeout_seconds=60)
    (document,) = LocalBackend().compile(replace(five_stages(), run=run), "x").documents
    read = read_document(document)
    assert (read.parallelism, read.timeout_seconds) == (3, 60)


def test_a_ref_resolved_while_the_run_goes_on_is_refused() -> None:
    assert problems(plan_of("a", batch("a"), source=RESOLVED)) == [
        "error: the local backend can't resolve 'main' while a run goes on; give it a commit"
    ]


def test_a_document_compiled_without_a_repository_can_not_be_run() -> None:
    (document,) = LocalBackend().compile(PLANS["parameter"], "x").documents
    with pytest.raises(EngineError, match="names no repository"):
        read_document(document)
