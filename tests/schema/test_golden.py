"""The exact words for each file of ``golden/faults``, reviewed as a person would read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bodywork_argo.errors import SpecError
from bodywork_argo.schema import parse_project

GOLDEN = Path(__file__).parent / "golden"
FAULTS = sorted((GOLDEN / "faults").glob("*.yaml"))


def messages(path: Path) -> list[str]:
    """Return what is said about a file; what does not make it invalid with its severity."""
    try:
        problems = parse_project(path.read_bytes()).notes
    except SpecError as error:
        problems = error.problems
    return [f"{'' if p.severity == 'error' else f'({p.severity}) '}{p}" for p in problems]


def test_every_fault_is_told_in_its_exact_words(check_golden: Callable[[Path, str], None]) -> None:
    told = ["\n".join([f"# {path.stem}", *messages(path), ""]) for path in FAULTS]
    check_golden(GOLDEN / "messages.txt", "\n".join(told))


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_every_message_has_a_place_and_fits_on_a_line(path: Path) -> None:
    told = messages(path)
    assert told
    for line in told:
        assert "bodywork.yaml:" in line
        assert "\n" not in line
        assert len(line) < 300
