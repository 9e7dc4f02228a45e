"""What can be said of the demo without running it; `.ci/run` runs it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from bodywork_argo.graph import mermaid
from bodywork_argo.plan import Parameter, Source
from bodywork_argo.planner import make_plan
from bodywork_argo.schema import Parsed, parse_project
from tests.docs.reader import new_reader
from tests.repositories import make_repository

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "train-and-serve"
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parsed() -> Parsed:
    return parse_project((EXAMPLE / "bodywork.yaml").read_bytes(), "bodywork.yaml")


def test_the_example_is_valid_without_a_note(parsed: Parsed) -> None:
    assert parsed.notes == ()


def test_the_modules_of_the_example_are_there(parsed: Parsed) -> None:
    for stage in parsed.project.stages:
        assert (EXAMPLE / stage.module).is_file()


def test_the_service_is_told_the_port_that_it_is_asked_at(parsed: Parsed) -> None:
    plan = make_plan(parsed.project, Source(revision=Parameter()))

    (service,) = plan.services()

    assert f"--arg={service.port}" in service.container.execute


def test_the_picture_in_the_readme_is_the_examples(parsed: Parsed) -> None:
    plan = make_plan(parsed.project, Source(revision=Parameter()))

    pictures = re.findall(r"^```mermaid\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)

    assert mermaid(plan) in pictures


def test_the_readme_shows_what_the_commands_print(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(EXAMPLE, checkout / "examples" / "train-and-serve")
    make_repository(checkout, {})

    new_reader(checkout, tmp_path / "home").follow(README)


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").iterdir()), ids=lambda path: path.name)
def test_scripts_can_be_executed(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env ")
