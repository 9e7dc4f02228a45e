"""The page on Argo Workflows shows what is really compiled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bodywork_argo_adapters.argo.dag import MOST_FOR_ONE_TASK, MOST_TASKS
from bodywork_argo_adapters.argo.failure import MOST_BYTES, MOST_STAGES
from bodywork_argo_adapters.argo.templates import FEW_STAGES
from tests.argo.projects import GOLDEN, compiled, plan_of_feature

PAGE = (Path(__file__).parents[2] / "docs/explanation/argo-workflow.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_shown_is_in_the_file_or_in_the_document(block: str) -> None:
    folder = GOLDEN / "failure-stage"
    assert any(
        block in (folder / name).read_text("utf-8") for name in ("bodywork.yaml", "argo.yaml")
    )


@pytest.mark.parametrize(
    "sentence",
    [
        f"Argo 4 takes {MOST_TASKS} tasks in one template",
        f"a step of more than {MOST_FOR_ONE_TASK} stages",
        f"at most {MOST_STAGES} stages, each reason cut at {MOST_BYTES} bytes",
        f"more than {FEW_STAGES} stages, two are enough",
    ],
)
def test_the_numbers_are_those_of_the_code(sentence: str) -> None:
    assert sentence in PAGE


@pytest.mark.parametrize("feature", ["failure-stage", "whole-run"])
def test_every_label_and_annotation_of_ours_is_explained(feature: str) -> None:
    metadata = compiled(plan_of_feature(feature))["metadata"]
    ours = [key for key in (*metadata["labels"], *metadata["annotations"]) if "bodywork" in key]
    assert not [key for key in ours if f"`{key}`" not in PAGE]
