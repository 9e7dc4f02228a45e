"""What Argo can't express is refused before anything is sent, and nothing is dropped silently."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bodywork_argo.backend import errors_of
from bodywork_argo.plan import Plan, Source
from bodywork_argo.spec import PodOptions, Volume, VolumeKind
from bodywork_argo_adapters.argo import ArgoBackend
from tests.projects import PARAMETER, PINNED, RESOLVED, batch, five_stages, plan_of, service


def problems(plan: Plan) -> list[str]:
    return [f"{problem.severity}: {problem}" for problem in ArgoBackend().check(plan)]


def test_services_are_fine_with_whatever_text() -> None:
    awkward = replace(service("serve"), pod=PodOptions(labels=(("a", "{{workflow.name}}"),)))
    assert problems(five_stages()) == []
    assert problems(plan_of("serve", awkward)) == []


def test_a_ref_that_runs_resolve_themselves_is_taken() -> None:
    assert problems(plan_of("a", batch("a"), source=RESOLVED)) == []


def test_arguments_of_a_run_are_fine() -> None:
    assert problems(plan_of("a", batch("a"), source=PARAMETER)) == []


@pytest.mark.parametrize("repository", ["/srv/shop", "file:///srv/shop"])
def test_a_repository_on_this_machine_is_refused(repository: str) -> None:
    source: Source = replace(PINNED, repository=repository)
    assert problems(plan_of("a", batch("a"), source=source)) == [
        f"error: pods can't reach '{repository}' on this machine; push the commit and give the"
        " address of the repository"
    ]


@pytest.mark.parametrize("part", ["{{x}}", "$(PATH)", "$$", "é", " "])
def test_an_address_that_would_change_on_the_way_is_refused(part: str) -> None:
    source = replace(PINNED, repository=f"https://git.example/{part}")
    (problem,) = ArgoBackend().check(plan_of("a", batch("a"), source=source))
    assert problem.what == (
        f"Argo or Kubernetes would change the repository's address 'https://git.example/{part}'"
    )


TAG = "{{workflow.uid}}"


@pytest.mark.parametrize(
    ("key", "pod"),
    [
        ("node_selector", PodOptions(node_selector=(("a", TAG),))),
        ("image_pull_secrets", PodOptions(image_pull_secrets=(TAG,))),
        ("service_account", PodOptions(service_account=TAG)),
        ("labels", PodOptions(labels=(("a", TAG),))),
        ("annotations", PodOptions(annotations=((TAG, "a"),))),
        ("patch", PodOptions(patches=('{"hostname":"' + TAG + '"}',))),
        ("volumes", PodOptions(volumes=(
            Volume(name="v", path=f"/{TAG}", kind=VolumeKind.EMPTY, source="1"),))),
    ],
)  # fmt: skip
def test_text_that_argo_would_take_for_a_reference_is_refused(key: str, pod: PodOptions) -> None:
    plan = plan_of("a", replace(batch("a"), pod=pod))
    assert problems(plan) == [
        f"error: stages.a.kubernetes.{key}: contains '{{{{', which Argo would take for a"
        " reference; write it without"
    ]


def test_arguments_and_variables_are_made_safe_by_the_planner() -> None:
    stage = replace(batch("a", args=(TAG,)), pod=PodOptions(env=(("A", TAG),)))
    assert errors_of(ArgoBackend().check(plan_of("a", stage))) == ()
