from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bodywork_argo.access import (
    EXECUTOR_TOKEN,
    SECRETS_NAMESPACE,
    Grant,
    access_manifests,
    roles,
    secret_roles,
)
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS

PAGE = (
    Path(__file__).parents[2] / "docs" / "how-to" / "what-your-platform-team-must-grant.md"
).read_text(encoding="utf-8")


def rights(grants: tuple[Grant, ...]) -> Iterator[tuple[str, str]]:
    """Yield (resource as kubectl names it, verb)."""
    for grant in grants:
        for resource in grant.resources:
            for verb in grant.verbs:
                yield (f"{resource}.{grant.group}" if grant.group else resource), verb


def test_the_tables_have_every_right_of_every_role_and_say_why() -> None:
    sections = re.findall(r"^### `([\w-]+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    row = re.compile(r"^\| `([^`]+)` \| `(\w+)` \| \S.* \|$", re.MULTILINE)
    told = {name: row.findall(section) for name, section in sections}

    made = (*roles("any", [ARGO_NEEDS]), *secret_roles("any", "others"))

    assert told == {each.name: list(rights(each.grants)) for each in made}


def test_the_table_of_accounts_has_all_accounts_and_the_text_the_secret() -> None:
    section = PAGE.partition("## The accounts")[2].partition("\n## ")[0]
    accounts = [
        each["metadata"]["name"]
        for each in access_manifests("any", [ARGO_NEEDS])
        if each["kind"] == "ServiceAccount"
    ]

    assert re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE) == accounts
    assert f"`{EXECUTOR_TOKEN}`" in section
    assert f"`{SECRETS_NAMESPACE}` unless" in PAGE
