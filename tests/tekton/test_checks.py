"""What Tekton can't express is refused before anything is sent, and nothing is dropped silently."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bodywork_argo.plan import Accounts, Plan
from bodywork_argo.spec import PodOptions, RunOptions, Volume, VolumeKind
from bodywork_argo_adapters.tekton import TektonBackend
from tests.projects import PARAMETER, PINNED, RESOLVED, batch, five_stages, plan_of, service

PLAIN = plan_of("a", batch("a"))


def problems(plan: Plan) -> list[str]:
    return [f"{problem.severity}: {problem}" for problem in TektonBackend().check(plan)]


def test_services_are_released_but_runs_do_not_wait_for_each_other() -> None:
    assert problems(five_stages()) == [
        "note: Tekton can't keep runs of a pipeline from going on at the same time: the one that"
        " releases its services last decides which of them stay"
    ]
    assert problems(replace(five_stages(), exclusive=False)) == []


def test_a_run_that_takes_too_long_keeps_its_services_and_a_note_says_so() -> None:
    plan = replace(five_stages(), exclusive=False, run=RunOptions(run_timeout_seconds=60))
    assert problems(plan) == [
        "note: pipeline.kubernetes.run_timeout_seconds: Tekton ends a run that takes too long"
        " without its failure stage and taking its services back",
    ]


def test_texts_of_services_travel_as_data() -> None:
    pod = PodOptions(annotations=(("a", TAG),), patches=('{"hostname":"x"}',))
    plan = plan_of("serve", replace(service("serve"), pod=pod))
    assert problems(replace(plan, exclusive=False)) == []


def test_a_failure_stage_that_can_not_wait_for_the_services_is_noted() -> None:
    plan = replace(five_stages(), exclusive=False)
    asked_for = replace(plan, accounts=Accounts(stage="mine", release="r"))
    assert problems(asked_for) == [
        "note: pipeline.run_on_failure: may start before services are back at their last good"
        " version, as `bodywork-argo setup` has not prepared the namespace"
    ]
    assert problems(replace(plan, accounts=Accounts(stage="s", executor="e", release="r"))) == []


@pytest.mark.parametrize("source", [PARAMETER, RESOLVED])
def test_a_commit_that_is_not_known_before_is_refused(source: object) -> None:
    plan = replace(PLAIN, source=source)  # type: ignore[arg-type]
    assert problems(plan) == [
        "error: runs on Tekton are of one commit, which has to be known before; give it a commit"
    ]


def test_a_repository_on_this_machine_is_refused() -> None:
    (problem,) = TektonBackend().check(replace(PLAIN, source=replace(PINNED, repository="/srv/x")))
    assert "pods can't reach '/srv/x' on this machine" in str(problem)


def test_an_address_that_would_change_on_the_way_is_refused() -> None:
    source = replace(PINNED, repository="https://git.example/$(params.x)")
    (problem,) = TektonBackend().check(replace(PLAIN, source=source))
    assert problem.what.startswith("Tekton or Kubernetes would change the repository's address")


def test_what_tekton_has_no_word_for_in_a_run_is_refused() -> None:
    run = RunOptions(parallelism=2)
    assert problems(replace(PLAIN, run=run, exclusive=True)) == [
        "error: pipeline.kubernetes.parallelism: Tekton starts all stages of a step at once; leave"
        " it out, or run the pipeline with '--backend argo'",
        "error: Tekton can't keep runs of a pipeline from going on at the same time; run the"
        " pipeline with '--backend argo'",
    ]


def test_patches_of_pods_are_refused_where_they_stand() -> None:
    plan = plan_of("a", replace(batch("a"), pod=PodOptions(patches=('{"hostname":"x"}',))))
    assert problems(plan) == [
        "error: stages.a.kubernetes.patch: Tekton takes no patches of pods; leave it out, or run"
        " the pipeline with '--backend argo'"
    ]


def test_what_tekton_does_otherwise_is_told() -> None:
    plan = plan_of("a", batch("a"), batch("tell"), on_failure="tell")
    assert problems(replace(plan, run=RunOptions(run_timeout_seconds=60, ttl_seconds=60))) == [
        "note: pipeline.kubernetes.ttl_seconds: Tekton keeps no time: of each pipeline, the newest"
        " runs are kept",
        "note: pipeline.kubernetes.run_timeout_seconds: Tekton ends a run that takes too long"
        " without its failure stage",
    ]


TAG = "$(params.x)"


@pytest.mark.parametrize(
    ("key", "pod"),
    [
        ("node_selector", PodOptions(node_selector=(("a", TAG),))),
        ("image_pull_secrets", PodOptions(image_pull_secrets=(TAG,))),
        ("service_account", PodOptions(service_account=TAG)),
        ("labels", PodOptions(labels=(("a", TAG),))),
        ("annotations", PodOptions(annotations=((TAG, "a"),))),
        ("volumes", PodOptions(volumes=(
            Volume(name="v", path=f"/{TAG}", kind=VolumeKind.EMPTY, source="1"),))),
    ],
)  # fmt: skip
def test_text_that_tekton_would_take_for_a_reference_is_refused(key: str, pod: PodOptions) -> None:
    assert problems(plan_of("a", replace(batch("a"), pod=pod))) == [
        f"error: stages.a.kubernetes.{key}: contains '$(', which Tekton would take for a"
        " reference; write it without"
    ]


def test_arguments_and_variables_are_made_safe_by_the_planner() -> None:
    stage = replace(batch("a", args=(TAG,)), pod=PodOptions(env=(("A", TAG),)))
    assert problems(plan_of("a", stage)) == []


def test_more_services_than_a_pod_can_be_told_of_are_refused() -> None:
    long = PodOptions(annotations=(("why", "x" * 250_000),))
    plan = replace(plan_of("a", replace(service("a"), pod=long)), exclusive=False)
    (problem,) = TektonBackend().check(plan)
    assert problem.severity == "error"
    assert problem.what.startswith("what a pod has to be told of the services of a step takes ")


def test_a_run_that_is_larger_than_what_kubernetes_stores_is_refused() -> None:
    names = [f"s{number}" for number in range(400)]
    (problem,) = TektonBackend().check(plan_of(", ".join(names), *map(batch, names)))
    assert problem.severity == "error"
    assert problem.what.startswith("a run of 400 stages needs ")
