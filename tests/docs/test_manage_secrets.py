from __future__ import annotations

import base64
from pathlib import Path

from bodywork_argo.cluster import SECRET
from bodywork_argo.memory_cluster import MemoryCluster
from tests.docs.reader import new_reader
from tests.secrets_api import secrets_api

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "manage-secrets.md"


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    folder, home = tmp_path / "work", tmp_path / "home"
    folder.mkdir()
    reader = new_reader(folder, home)
    (home / ".kube").mkdir()
    cluster = MemoryCluster("team")

    with secrets_api(cluster, home / ".kube" / "config"):
        reader.follow(PAGE.read_text(encoding="utf-8"))

    kept = cluster.get(SECRET, "database")
    assert kept is not None
    assert base64.b64decode(kept["data"]["DB_PASSWORD"]) == b"correct horse # battery"
