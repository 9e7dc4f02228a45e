"""Runs of one pipeline that exclude each other go one after the other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from e2e.conftest import MakeRepository
from e2e.support.cluster import await_state
from e2e.support.program import gate, open_gate, pipeline, set_up, stage
from e2e.support.spaces import WORKFLOW, Space

pytestmark = pytest.mark.smoke

PENDING_SECONDS = 3


@pytest.mark.full
def test_the_second_run_waits_names_the_first_and_starts_after_it(
    namespace: Space, make_git_repository: MakeRepository, tmp_path: Path
) -> None:
    submitter = set_up(namespace, tmp_path)
    repository = make_git_repository({})
    commit = repository.commit(pipeline("wait", {"wait": stage(gate(repository))}))
    submit = ("submit", repository.url, "--exclusive", "--run-name")
    submitter(*submit, "first")

    def stand(run: str) -> tuple[str, str]:
        found = submitter("status", run, "-o", "json").data
        return found["phase"], found["reason"] or ""

    await_state(lambda: stand("first"), lambda found: found[0] == "running", "the first run", 180)
    second = submitter.start(
        *submit, "second", "--watch", "--pending-timeout", str(PENDING_SECONDS)
    )
    with second:
        await_state(
            lambda: {each["metadata"]["name"] for each in namespace.find(WORKFLOW)},
            lambda found: "second" in found,
            "the second run",
            180,
        )
        phase, reason = await_state(
            lambda: stand("second"), lambda found: bool(found[1]), "why the second waits", 180
        )
        assert phase == "pending"
        assert "first" in reason
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=3 * PENDING_SECONDS)  # it is not given up
        assert stand("second")[0] == "pending"

        open_gate(repository, commit)
        out, err = second.communicate(timeout=300)

    assert (second.returncode, out) == (0, "second\n"), err
    assert "first" in err
    ends = {run: submitter("status", run, "-o", "json").data for run in ("first", "second")}
    assert ends["first"]["phase"] == ends["second"]["phase"] == "succeeded"
    assert ends["second"]["stages"][0]["started"] >= ends["first"]["finished"]
