from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodywork_argo.errors import BodyworkArgoError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    script = DOCS / "_ext" / "cli_reference.py"
    made = subprocess.run(
        [sys.executable, script], capture_output=True, check=True, encoding="utf-8"
    ).stdout

    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")

    assert page == made, "python docs/_ext/cli_reference.py > docs/reference/cli.md"


def test_the_page_of_what_backends_do_is_what_their_checks_say() -> None:
    script = DOCS / "_ext" / "parity.py"
    made = subprocess.run(
        [sys.executable, script], capture_output=True, check=True, encoding="utf-8"
    ).stdout

    page = (DOCS / "reference" / "parity.md").read_text(encoding="utf-8")

    assert page == made, "python docs/_ext/parity.py > docs/reference/parity.md"
    # An engine in a cluster leaves nothing out without a word.
    rows = re.findall(r"^\| .* \| .* \| (.*) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) > 50
    assert "not used" not in {cell for row in rows for cell in row}


def test_every_exit_code_is_explained() -> None:
    page = (DOCS / "reference" / "exit-codes.md").read_text(encoding="utf-8")

    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}

    assert explained == {0} | {error.exit_code for error in _descendants(BodyworkArgoError)}


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))

    missing = [link for link in links if not (page.parent / link).exists()]

    assert missing == []


def test_the_page_about_laptops_has_all_keys_that_count_there() -> None:
    reference = (DOCS / "reference" / "bodywork-yaml.md").read_text(encoding="utf-8")
    extensions = reference.partition("## What Bodywork has no keys for")[2]
    rows = re.findall(r"^\| `(\w+)` \|(?:[^|]*\|){4} (.*?) \|", extensions, re.MULTILINE)
    counting = {key for key, backends in rows if backends == "all" or "local" in backends}

    page = (DOCS / "how-to" / "run-on-your-laptop.md").read_text(encoding="utf-8")
    section = page.partition("## Use the keys that count here")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == counting


def _descendants(error: type[BodyworkArgoError]) -> Iterator[type[BodyworkArgoError]]:
    for child in error.__subclasses__():
        yield child
        yield from _descendants(child)
