"""The page on Tekton shows what is really compiled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bodywork_argo.access import EXECUTOR_ACCOUNT, SUBMITTER
from bodywork_argo_adapters.tekton.needs import OLDEST, TEKTON_NEEDS
from bodywork_argo_adapters.tekton.order import MOST_DEPENDENCIES
from bodywork_argo_adapters.tekton.pods import MOST_REASON_BYTES
from bodywork_argo_adapters.tekton.runtime import TektonRuntime
from bodywork_argo_adapters.tekton.status import STOP, TERMINATE
from tests.tekton.projects import GOLDEN, compiled, plan_of_feature

PAGE = (Path(__file__).parents[2] / "docs/explanation/tekton-pipelinerun.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_shown_is_in_the_file_or_in_the_document(block: str) -> None:
    folder = GOLDEN / "failure-stage"
    assert any(
        block in (folder / name).read_text("utf-8") for name in ("bodywork.yaml", "tekton.yaml")
    )


@pytest.mark.parametrize(
    "sentence",
    [
        f"Tekton Pipelines {OLDEST.removeprefix('v')} and later",
        f"more than {MOST_DEPENDENCIES}, stands a task",
        f"cut at {MOST_REASON_BYTES} bytes",
        f"its newest {TektonRuntime.kept_runs}.",
        f"`stop` sets `{STOP}`",
        f"`terminate` sets `{TERMINATE}`",
    ],
)
def test_the_words_and_numbers_are_those_of_the_code(sentence: str) -> None:
    assert sentence in PAGE.replace("\n", " ").replace("  ", " ")


@pytest.mark.parametrize("feature", ["failure-stage", "whole-run"])
def test_every_label_and_annotation_of_ours_is_explained(feature: str) -> None:
    metadata = compiled(plan_of_feature(feature))["metadata"]
    ours = [key for key in (*metadata["labels"], *metadata["annotations"]) if "bodywork" in key]
    assert not [key for key in ours if f"`{key}`" not in PAGE]


def test_the_table_has_every_right_and_says_why() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w.]+)` \| `(\w+)` \| \S.* \|$", PAGE, re.MULTILINE)
    assert rows == [
        (account, f"{resource}.{grant.group}", verb)
        for account, grants in (
            (SUBMITTER, TEKTON_NEEDS.submitter),
            (EXECUTOR_ACCOUNT, TEKTON_NEEDS.executor),
        )
        for grant in grants
        for resource in grant.resources
        for verb in grant.verbs
    ]
