"""The page on services can be followed word for word, and no request is lost meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodywork_argo.services import DEPLOYMENT
from e2e.support.cluster import await_state
from e2e.support.identities import as_administrator
from e2e.support.pages import visitor
from e2e.support.pods import PRODUCT
from e2e.support.repositories import GitServer
from e2e.support.spaces import WORKFLOW, Space
from e2e.support.traffic import traffic

pytestmark = pytest.mark.full

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "train-and-serve.md"
BEFORE, CAPPED = "111.9\n", "100.0\n"
UPDATE, CLEAN_UP = "\n## Update it\n", "\n## Clean up\n"


def test_the_page_does_what_it_says_and_the_service_answers_all_the_time(
    namespace: Space, git_server: GitServer, tmp_path: Path
) -> None:
    first, update, rest = PAGE.read_text(encoding="utf-8").partition(UPDATE)
    changes, clean_up, end = rest.partition(CLEAN_UP)
    somebody = visitor(namespace, "admin", git_server, tmp_path)
    images = {"registry.example.org/you/bodywork-argo:0.1.0": PRODUCT}

    somebody.follow(first, images)
    # By address: what a busy machine's name server leaves unanswered is no request to the service.
    address = namespace.get({"apiVersion": "v1", "kind": "Service"}, "score")["spec"]["clusterIP"]
    with traffic(namespace, f"http://{address}:5000/10") as calls:
        calls.until(BEFORE)
        somebody.follow(update + changes, images)
        await_state(
            lambda: calls.read()[-1].body, lambda body: body == BEFORE, "the version before"
        )
    somebody.follow(clean_up + end, images)

    assert calls.failures() == []
    assert calls.bodies() == [BEFORE, CAPPED]
    assert namespace.find(WORKFLOW) == []
    assert as_administrator(namespace).list(DEPLOYMENT, {}) == ()
