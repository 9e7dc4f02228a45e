from __future__ import annotations

import re
from pathlib import Path

from bodywork_argo import runner

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-private-repositories.md"


def test_the_page_names_variables_that_are_read_and_errors_that_occur() -> None:
    page = PAGE.read_text(encoding="utf-8")
    variables = set(re.findall(r"BODYWORK_GIT_\w+", page))
    cells = re.findall(r"^\| `(.*?)` \|", page, re.MULTILINE)
    sentences = {sentence.format("...") for _, sentence in runner.TROUBLE}

    assert variables == {name for name in runner.SECRETS if name.startswith("BODYWORK_GIT_")}
    assert set(cells) - variables <= sentences
