"""What stored Workflows say of runs and stages."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from dataclasses import replace
from typing import Any

import pytest

from bodywork_argo.backend import Phase, StageStatus
from bodywork_argo.errors import EngineError
from bodywork_argo.runner import OUT_OF_MEMORY
from tests.argo.recorded import CASES, Recorded, recorded

NEVER_BEGAN = "a stage before it did not end well"
REFUSED = "its pod was refused: "
NO_COMMIT = f"commit {'0' * 40} is not in https://git.example/team/repo.git (was it pushed?)"
NO_MODULE = (
    "module 'no/such.py' is not in the repository at commit "
    + recorded("no-module").workflow["metadata"]["labels"]["bodywork-argo/commit"]
)
NO_PACKAGE = (
    "installing the requirements failed: ERROR: Could not find a version that satisfies the "
    "requirement there-is-no-such-package==1 (from versions: none)\n"
    "ERROR: No matching distribution found for there-is-no-such-package==1"
)

Row = tuple[str, str, int, int | None, str]
"""Stage, phase, attempts, exit code and reason."""
OK: Row = ("tell", "succeeded", 1, 0, "")

ENDS: dict[str, tuple[str, str, list[Row]]] = {
    "succeeded": (
        "succeeded",
        "",
        [
            ("a", "succeeded", 1, 0, ""),
            ("b", "succeeded", 1, 0, ""),
            ("tell", "skipped", 0, None, "nothing failed"),
        ],
    ),
    "failed": (
        "failed",
        "1 stage failed: a",
        [
            ("a", "failed", 2, 3, "exit code 3"),
            ("good", "succeeded", 1, 0, ""),
            ("later", "skipped", 0, None, NEVER_BEGAN),
            OK,
        ],
    ),
    "failed-twice": (
        "failed",
        "2 stages failed: slow, quick",
        [
            ("slow", "failed", 1, 4, "exit code 4"),
            ("quick", "failed", 1, 5, "exit code 5"),
            OK,
        ],
    ),
    "failure-stage-failed": (
        "failed",
        "1 stage failed: a; the failure stage tell failed too: exit code 9",
        [("a", "failed", 1, 2, "exit code 2"), ("tell", "failed", 1, 9, "exit code 9")],
    ),
    "time-limit": (
        "failed",
        "1 stage failed: a",
        [("a", "failed", 1, 143, "time limit of 1 s exceeded")],
    ),
    "run-time-limit": (
        "failed",
        "run's time limit of 10 s exceeded while a ran",
        [
            ("a", "stopped", 1, None, "run's time limit of 10 s exceeded"),
            ("b", "skipped", 0, None, NEVER_BEGAN),
            OK,
        ],
    ),
    "stopped": (
        "stopped",
        "stopped while a ran",
        [("a", "stopped", 1, None, "stopped"), ("b", "skipped", 0, None, NEVER_BEGAN), OK],
    ),
    "terminated": (
        "stopped",
        "terminated while a ran",
        [
            ("a", "stopped", 1, None, "terminated"),
            ("b", "skipped", 0, None, "terminated"),
            ("tell", "skipped", 0, None, "terminated"),
        ],
    ),
    "stopped-while-pending": (
        "stopped",
        "stopped while a ran",
        [("a", "stopped", 1, None, "stopped")],
    ),
    "too-large": (
        "failed",
        "workflow is longer than maximum allowed size. compressed size 1049461 > maxSize 1048576"
        "Tried to offload but encountered error: offload node status is not supported",
        [(stage, "skipped", 0, None, "the run ended before it") for stage in ("a", "b", "tell")],
    ),
    "packed": (
        "succeeded",
        "",
        [
            ("a", "succeeded", 1, 0, ""),
            ("b", "succeeded", 1, 0, ""),
            ("tell", "skipped", 0, None, "nothing failed"),
        ],
    ),
    "waits-for-a-run": (
        "pending",
        "waits for the end of run run-0",
        [("a", "pending", 0, None, "")],
    ),
}

FAILURES: dict[str, tuple[int | None, str]] = {
    "failed-install": (None, NO_PACKAGE),
    "failed-clone": (None, NO_COMMIT),
    "no-module": (1, NO_MODULE),
    "out-of-memory": (137, OUT_OF_MEMORY),
    "killed": (137, "exit code 137"),
    "evicted": (None, 'Usage of EmptyDir volume "data" exceeds the limit "1M".'),
    "pod-deleted": (None, "its pod was deleted"),
    "no-executor-account": (None, 'its pod can\'t be made: serviceaccounts "nobody" not found'),
    "no-stage-account": (
        None,
        f'{REFUSED}service account team/nobody: serviceaccount "nobody" not found',
    ),
    "quota-of-cores": (
        None,
        f"{REFUSED}failed quota: team-quota: must specify requests.cpu for: init,wait",
    ),
}
"""Exit code and reason of the only stage of runs that fail."""

UNPULLED = (
    "image registry.example/team/missing:1 can't be pulled: failed to do request: Head "
    '"https://registry.example/v2/team/missing/manifests/1": '
    "dial tcp registry.example: connect: connection refused"
)
WAITS = {
    "wrong-image": UNPULLED,
    "wrong-image-at-first": UNPULLED,
    "bad-image-name": "image Team/Missing:1 can't be pulled: "
    "invalid reference format: repository name (Missing) must be lowercase",
    "image-not-on-node": "image team/missing:1 can't be pulled: "
    'Container image "team/missing:1" is not present with pull policy of Never',
    "too-many-cores": "no node can take it: 1 Insufficient cpu",
    "no-gpu": "no node can take it: 1 Insufficient nvidia.com/gpu",
    "no-such-node": "no node can take it: 1 node(s) didn't match Pod's node affinity/selector",
    "no-claim": 'no node can take it: persistentvolumeclaim "models" not found',
    "no-secret": 'its container can\'t be made: secret "chat" not found',
    "no-secret-key": "its container can't be made: couldn't find key TOKEN in Secret team/chat",
    "no-config-map": "its node can't set it up: look whether it has config map settings; "
    "see kubectl describe pod run-1-a-352825813",
    "over-quota": f"{REFUSED}exceeded quota: team-quota, "
    "requested: pods=1, used: pods=0, limited: pods=0",
}
"""Why the only stage of runs waits."""


def row(stage: StageStatus) -> Row:
    return (stage.stage, stage.phase.value, stage.attempt, stage.exit_code, stage.reason)


def test_every_recorded_run_is_looked_at() -> None:
    assert sorted([*ENDS, *FAILURES, *WAITS]) == CASES


@pytest.mark.parametrize("case", ENDS)
def test_phase_attempts_exit_codes_and_reasons_are_told(case: str) -> None:
    status = recorded(case).status()
    assert (status.phase.value, status.reason, [row(each) for each in status.stages]) == ENDS[case]


@pytest.mark.parametrize("case", FAILURES)
def test_a_stage_that_failed_says_why(case: str) -> None:
    status = recorded(case).status()
    assert (status.phase, status.reason) == (Phase.FAILED, "1 stage failed: a")
    assert [row(each) for each in status.stages] == [("a", "failed", 1, *FAILURES[case])]


@pytest.mark.parametrize("case", WAITS)
def test_a_stage_that_can_not_start_says_why(case: str) -> None:
    status = recorded(case).status()
    assert (status.phase, status.reason) == (Phase.RUNNING, "")
    assert [row(each) for each in status.stages] == [("a", "pending", 0, None, WAITS[case])]


@pytest.mark.parametrize("case", [*ENDS, *FAILURES])
def test_times_are_told_of_what_has_begun(case: str) -> None:
    status = recorded(case).status()
    assert (status.finished is not None) == status.phase.final
    for stage in (each for each in status.stages if each.attempt):
        assert stage.started is not None
        assert status.started is not None
        assert stage.started >= status.started
        assert stage.finished is not None
        assert stage.finished >= stage.started


def test_nodes_that_argo_has_packed_are_read() -> None:
    run = recorded("packed")
    assert "nodes" not in run.workflow["status"]
    assert [stage.attempt for stage in run.status().stages] == [1, 1, 0]


def test_any_packed_run_reads_like_itself_unpacked() -> None:
    plain = recorded("failed")
    status = dict(plain.workflow["status"])
    text = json.dumps(status.pop("nodes")).encode()
    status["compressedNodes"] = base64.b64encode(gzip.compress(text)).decode()
    packed = Recorded(workflow={**plain.workflow, "status": status}, pods=plain.pods)
    assert packed.status() == plain.status()


def test_nodes_in_argos_database_are_not_taken_for_none() -> None:
    run = changed("failed", {"nodes": {}, "offloadNodeStatusVersion": "fnv:1"})
    with pytest.raises(EngineError, match="run-1 are in the database of Argo's server"):
        run.status()


def changed(case: str, status: dict[str, Any], **spec: Any) -> Recorded:
    """Return a recorded run with other fields in its status and its spec."""
    run = recorded(case)
    workflow = copy.deepcopy(run.workflow)
    workflow["status"].update(status)
    workflow["spec"].update(spec)
    return replace(run, workflow=workflow)


def test_a_limit_or_lack_of_memory_that_came_before_a_stop_stays_a_failure() -> None:
    for case in ("time-limit", "out-of-memory"):
        (stage,) = changed(case, {}, shutdown="Stop").status().stages
        assert row(stage) == row(recorded(case).status().stages[0])


def ended_with(case: str, message: str) -> StageStatus:
    """Return the first stage of a recorded run whose pod made Argo say something else at last."""
    nodes = copy.deepcopy(recorded(case).workflow["status"]["nodes"])
    (node,) = [each for each in nodes.values() if each["displayName"] == "a"]
    node.update(phase="Error", message=message)
    return changed(case, {"nodes": nodes}).status().stages[0]


GONE_BEFORE_IT_BEGAN = "Pod failed before prepare container starts due to PodInitializing: "
CUT_SHORT = [
    GONE_BEFORE_IT_BEGAN,
    "Pod failed before main container starts due to ErrImagePull: ",
    "init: Error (exit code 143)",
    "prepare: Error (exit code 143): stopped by SIGTERM",
    "fetch: Error (exit code 137)",
]


@pytest.mark.parametrize("message", CUT_SHORT)
def test_a_stage_whose_pod_ended_after_argo_had_ended_it_was_stopped(message: str) -> None:
    stopped = ended_with("stopped-while-pending", message)
    assert (stopped.phase, stopped.reason) == (Phase.STOPPED, "stopped")
    late = ended_with("run-time-limit", message)
    assert (late.phase, late.reason) == (Phase.STOPPED, "run's time limit of 10 s exceeded")


def test_what_failed_before_its_module_began_in_a_run_that_goes_on_was_not_stopped() -> None:
    deleted = ended_with("killed", GONE_BEFORE_IT_BEGAN)
    assert (deleted.phase, deleted.reason) == (Phase.FAILED, "its pod was deleted before it began")
    own = ended_with("stopped-while-pending", "prepare: Error (exit code 1): no commit")
    assert (own.phase, own.reason) == (Phase.FAILED, "no commit")


def test_a_deadline_that_is_not_the_runs_fails_the_stage() -> None:
    for limit in (0, 3600):
        stage = changed("run-time-limit", {}, activeDeadlineSeconds=limit).status().stages[0]
        assert (stage.phase, stage.reason) == (
            Phase.FAILED,
            "time limit of the run or of its pod exceeded",
        )


def test_a_stage_that_argo_gave_up_with_its_run_does_not_run_on() -> None:
    nodes = recorded("too-many-cores").workflow["status"]["nodes"]
    for node in nodes.values():
        node["phase"] = "Running"
    end = {"phase": "Error", "message": "no more", "finishedAt": "2026-11-25T10:00:00Z"}
    status = changed("too-many-cores", {**end, "nodes": nodes}).status({})
    assert status.reason == "no more"
    assert [(each.phase, each.reason) for each in status.stages] == [
        (Phase.STOPPED, "the run ended before it")
    ]


def test_a_phase_that_is_not_known_counts_as_running() -> None:
    assert changed("failed", {"phase": "Reviving"}).status().phase is Phase.RUNNING


def test_a_run_that_argo_has_not_looked_at_yet_is_pending() -> None:
    run = recorded("failed")
    fresh = replace(run, workflow={k: v for k, v in run.workflow.items() if k != "status"})
    status = fresh.status()
    assert (status.phase, status.reason, status.started) == (Phase.PENDING, "", None)
    assert {stage.phase for stage in status.stages} == {Phase.PENDING}


# --- Runs of schedules ----------------------------------------------------------------------------


def scheduled(case: str, **found: str) -> Recorded:
    """Return a recorded run that found these by itself, in place of a commit it was given."""
    parameters = [{"name": name, "value": value} for name, value in found.items()]
    run = changed(case, {"outputs": {"parameters": parameters}})
    del run.workflow["metadata"]["labels"]["bodywork-argo/commit"]
    return run


@pytest.mark.parametrize("case", ["succeeded", "failed", "waits-for-a-run"])
def test_a_run_tells_the_commit_that_it_has_found(case: str) -> None:
    assert scheduled(case, commit="c" * 40, go="yes", replacement="").status().commit == "c" * 40


@pytest.mark.parametrize("found", [{}, {"commit": ""}], ids=["not-yet", "none"])
def test_a_run_that_has_found_no_commit_tells_none(found: dict[str, str]) -> None:
    assert scheduled("failed", **found).status().commit is None


def test_a_run_that_was_given_its_commit_tells_that_one() -> None:
    run = changed("failed", {"outputs": {"parameters": [{"name": "commit", "value": "c" * 40}]}})
    assert run.status().commit == recorded("failed").status().commit


def test_a_run_whose_place_was_taken_says_by_which() -> None:
    run = scheduled("succeeded", commit="c" * 40, go="no", replacement="run-1-again")
    run.workflow["status"]["nodes"] = {}
    status = run.status()
    assert (status.phase, status.reason) == (
        Phase.SUCCEEDED,
        "the pipeline has changed: run run-1-again took its place",
    )
    assert [row(each) for each in status.stages] == [
        ("a", "skipped", 0, None, "another run took the place of this one"),
        ("b", "skipped", 0, None, "another run took the place of this one"),
        ("tell", "skipped", 0, None, "nothing failed"),
    ]


def test_a_run_that_went_on_itself_says_nothing_of_a_place() -> None:
    assert scheduled("succeeded", commit="c" * 40, go="yes", replacement="").status().reason == ""
