"""Bodywork's own verdict on files that people published, where they are at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bodywork_argo.errors import SpecError
from bodywork_argo.schema import parse_project

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
OLDER_FORMAT = "missing sections: pipeline"
INVALID_IN_THE_OLDER_FORMAT_TOO = {"no-logging-v1-0.yaml", "underscored-name.yaml"}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no published files at {CORPUS}")


def verdicts() -> list[tuple[str, bool]]:
    if not CORPUS.is_dir():
        return []
    with (CORPUS / "expected.tsv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    return [(name, _is_valid(name, verdict)) for name, verdict in rows]


def _is_valid(name: str, verdict: str) -> bool:
    if verdict.endswith((OLDER_FORMAT, f"{OLDER_FORMAT}, logging")):
        return name not in INVALID_IN_THE_OLDER_FORMAT_TOO
    return verdict == "VALID"


def faults(name: str) -> str:
    try:
        parse_project((CORPUS / name).read_bytes(), name)
    except SpecError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("name", "valid"), verdicts())
def test_a_published_file_gets_the_verdict_that_bodywork_gives(name: str, valid: bool) -> None:
    assert (faults(name) == "") == valid, faults(name)


@pytest.mark.parametrize("name", [name for name, valid in verdicts() if valid])
def test_a_valid_published_file_is_not_warned_about(name: str) -> None:
    notes = parse_project((CORPUS / name).read_bytes(), name).notes
    assert [note for note in notes if note.severity == "warning"] == []
