"""Schedules on a real Argo, as submitters keep them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodywork_argo.names import COMMIT_LABEL
from e2e.conftest import MakeRepository
from e2e.support.program import set_up
from e2e.support.schedules import Kept, says
from e2e.support.spaces import Space


@pytest.fixture
def kept(namespace: Space, make_git_repository: MakeRepository, tmp_path: Path) -> Kept:
    return Kept(
        program=set_up(namespace, tmp_path), space=namespace, repository=make_git_repository({})
    )


@pytest.mark.smoke
def test_a_schedule_fires_and_its_stages_run_the_head_of_that_moment(kept: Kept) -> None:
    kept.repository.commit(says("old"))
    kept.apply("* * * * *")
    commit = kept.repository.commit(says("new"))

    run = kept.fired()

    kept.program("watch", run)
    assert kept.program("logs", run, "one").lines[0] == f"new {commit}"
    scheduled = kept.program("logs", run, "two").lines[0]
    assert scheduled.endswith(":00Z")
    status = kept.program("status", run, "-o", "json").data
    assert [each["stage"] for each in status["stages"]] == ["find-commit", "one", "two", "tell"]
    assert status["commit"] == commit
    assert kept.labels_of(run, "one")[COMMIT_LABEL] == commit
