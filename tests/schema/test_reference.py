"""The reference page is what the table of keys says."""

from __future__ import annotations

from pathlib import Path

from docs._ext.bodywork_yaml_reference import BODYWORK, EXAMPLE, EXTENSIONS, page
from tests.schema.cases import told

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "bodywork-yaml.md"
FIELDS = [field for _, section in (*BODYWORK, *EXTENSIONS) for field in section.fields]


def test_the_reference_page_is_what_the_table_of_keys_says() -> None:
    remedy = "run python docs/_ext/bodywork_yaml_reference.py > docs/reference/bodywork-yaml.md"
    assert PAGE.read_text(encoding="utf-8") == page(), remedy


def test_the_pages_example_is_a_valid_file_without_a_warning() -> None:
    assert told(EXAMPLE) == []


def test_every_required_key_has_an_example_to_offer() -> None:
    assert [field.name for field in FIELDS if field.required and not field.example] == []


def test_every_key_has_a_sentence() -> None:
    assert [field.name for field in FIELDS if not field.doc.endswith(".")] == []
