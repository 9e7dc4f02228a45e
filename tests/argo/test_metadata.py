"""Names, labels and annotations of a run."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.names import LABEL_LIMIT
from bodywork_argo.plan import BatchStep, BatchTask, Source
from bodywork_argo_adapters.argo.links import commit_page
from bodywork_argo_adapters.argo.metadata import read_tasks
from tests.argo.projects import compiled
from tests.projects import COMMIT, PARAMETER, PINNED, batch, plan_of

PLAN = plan_of("stage_1 >> b", batch("stage_1"), batch("b"), batch("tell"), on_failure="tell")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


@pytest.mark.parametrize("length", [1, 57, 58, 63])
def test_a_generated_name_fits_the_label_that_holds_it(length: int) -> None:
    document = compiled(replace(PLAN, name="p" * length), None)
    name = document["metadata"]["generateName"]
    assert "name" not in document["metadata"]
    assert name.endswith("-")
    assert len(name) + 5 <= LABEL_LIMIT


@given(st.text(min_size=1), st.text(min_size=1))
def test_labels_are_legal_whatever_branch_and_user_are_called(ref: str, user: str) -> None:
    plan = replace(PLAN, source=replace(PINNED, ref=ref), submitted_by=user)
    labels = compiled(plan)["metadata"]["labels"]
    assert all(len(text) <= 63 and LABEL_VALUE.fullmatch(text) for text in labels.values())
    assert {"bodywork-argo/branch", "bodywork-argo/submitted-by"} <= set(labels)


@given(st.text())
def test_what_people_read_is_plain_text(ref: str) -> None:
    plan = replace(PLAN, source=replace(PINNED, ref=ref))
    text = compiled(plan)["metadata"]["annotations"]["workflows.argoproj.io/description"]
    assert not set(text) & set("<>[](){}*_`|\\\n")


def test_a_commit_on_a_known_forge_is_a_link() -> None:
    source = replace(PINNED, repository="git@github.com:team/shop.git")
    annotations = compiled(replace(PLAN, source=source))["metadata"]["annotations"]
    assert annotations["workflows.argoproj.io/description"] == (
        f"Commit [0123456](https://github.com/team/shop/commit/{COMMIT}) of main"
        " in git@github.com:team/shop.git"
    )


@pytest.mark.parametrize(
    ("repository", "page"),
    [
        ("https://github.com/team/shop", "https://github.com/team/shop/commit/C"),
        ("ssh://git@github.com:22/team/shop.git", "https://github.com/team/shop/commit/C"),
        ("https://gitlab.com/a/b/shop.git/", "https://gitlab.com/a/b/shop/-/commit/C"),
        ("git@gitlab.example.org:a/shop.git", "https://gitlab.example.org/a/shop/-/commit/C"),
        ("https://bitbucket.org/a/shop", "https://bitbucket.org/a/shop/commits/C"),
        ("https://git.example.org/a/shop", None),
        ("https://github.com.evil.example/a/)[x](b", None),
        ("/srv/github/shop", None),
        ("file:///github.com/a/b", None),
    ],
)
def test_pages_of_commits_are_known_for_known_forges(repository: str, page: str | None) -> None:
    assert commit_page(repository, "C") == page


def test_tasks_come_back_with_the_names_that_authors_gave() -> None:
    annotations = compiled(PLAN)["metadata"]["annotations"]
    assert read_tasks(annotations) == (("stage-1", "stage_1"), ("b", "b"), ("tell", "tell"))
    assert annotations["bodywork-argo/failure-task"] == "tell"
    assert read_tasks({}) == ()


@given(st.text(min_size=1))
def test_any_name_of_a_stage_comes_back_and_none_meets_argo(name: str) -> None:
    (task,) = plan_of("a", batch("a")).tasks()
    assert isinstance(task, BatchTask)
    plan = replace(PLAN, steps=(BatchStep(tasks=(replace(task, stage=name),)),), on_failure=None)
    text = compiled(plan)["metadata"]["annotations"]["bodywork-argo/tasks"]
    assert not any(mark in text for mark in ("{{", "$("))
    assert read_tasks({"bodywork-argo/tasks": text}) == (("a", name),)


def test_the_digest_tells_documents_apart() -> None:
    def digest(source: Source) -> str:
        document = compiled(replace(PLAN, source=source))
        return str(document["metadata"]["annotations"]["bodywork-argo/digest"])

    assert digest(PINNED) == digest(replace(PINNED))
    assert digest(PINNED) != digest(replace(PINNED, ref="other"))


def test_a_commit_that_is_an_argument_is_a_label_of_the_pods() -> None:
    document = compiled(plan_of("a", batch("a"), source=PARAMETER))
    assert "bodywork-argo/commit" not in document["metadata"]["labels"]
    labels = document["spec"]["podMetadata"]["labels"]
    assert labels["bodywork-argo/commit"] == "{{workflow.parameters.commit}}"
    assert "description" not in json.dumps(document["metadata"])
