from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def test_the_tables_name_every_module_of_the_core_and_nothing_else() -> None:
    core = ROOT / "bodywork_argo"
    modules = {path.stem for path in core.rglob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in core.glob("*/__init__.py")}

    cells = re.findall(r"^\| (`.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(cells)))

    assert named == modules | packages
