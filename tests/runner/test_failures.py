"""The text of EXCEPTION_MESSAGE."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.runner import (
    MESSAGE_BYTES,
    NOT_TOLD,
    OUT_OF_MEMORY,
    OVER_DEADLINE,
    argo_failure,
    exception_message,
    failure_message,
)


def failure(stage: str, code: int | None = None, reason: str | None = None) -> dict[str, Any]:
    return {"stage": stage, "exit_code": code, "reason": reason}


def test_each_failed_stage_has_a_line_below_a_summary() -> None:
    failures = [
        failure("stage_1", 3),
        failure("stage_2", 143, "time limit of 30 s exceeded"),
        failure("stage_3", None, "commit abc is not in /srv/project (was it pushed?)"),
    ]
    assert exception_message(failures).splitlines() == [
        "3 stages failed: stage_1, stage_2, stage_3",
        "stage_1: exit code 3",
        "stage_2: time limit of 30 s exceeded (exit code 143)",
        "stage_3: commit abc is not in /srv/project (was it pushed?)",
    ]


def test_one_failed_stage_is_singular() -> None:
    assert exception_message([failure("train", 1)]).startswith("1 stage failed: train\n")


def test_a_failure_that_says_nothing_says_so() -> None:
    assert exception_message([failure("train")]).endswith("train: no reason is known")


def test_only_the_last_attempt_of_a_stage_counts() -> None:
    text = exception_message([failure("train", 1), failure("train", 2)])
    assert text == "1 stage failed: train\ntrain: exit code 2"


def test_a_reason_of_several_lines_becomes_one_line() -> None:
    text = exception_message([failure("train", 1, "ERROR: a\n  ERROR: b\n")])
    assert text.splitlines()[1:] == ["train: ERROR: a ERROR: b (exit code 1)"]


def test_a_long_list_of_names_is_cut_in_the_summary() -> None:
    text = exception_message([failure(f"s{number}", 1) for number in range(25)])
    assert text.splitlines()[0].endswith("s19 ... and 5 more")


def test_too_many_failures_are_cut_at_a_line_that_says_how_many_are_left() -> None:
    text = exception_message([failure(f"stage-{number}", 1, "é" * 200) for number in range(200)])
    lines = text.splitlines()
    assert len(text.encode()) <= MESSAGE_BYTES
    assert lines[-1] == f"... and {200 - (len(lines) - 2)} more"


def test_a_summary_of_long_names_fits_too() -> None:
    text = exception_message([failure("x" * 5000 + str(number), 1) for number in range(19)])
    assert len(text.encode()) <= MESSAGE_BYTES


def test_what_is_not_json_is_passed_on_up_to_the_limit() -> None:
    assert failure_message("{broken") == "{broken"
    assert len(failure_message("é" * MESSAGE_BYTES).encode()) <= MESSAGE_BYTES


def test_json_of_another_shape_is_passed_on() -> None:
    for text in ('{"a": 1}', "[1]", '[{"name": "x"}]', "3", "null"):
        assert failure_message(text) == text


def argo(total: int, *nodes: tuple[str, str]) -> str:
    """Write failures as the exit handler of an Argo Workflow does."""
    told = {"total": total, "nodes": nodes}
    return base64.b64encode(json.dumps(told, ensure_ascii=False).encode()).decode()


def test_nodes_of_argo_are_told_in_the_same_words() -> None:
    text = argo(
        2,
        ("bad", "main: Error (exit code 3)"),
        ("slow(1)", "main: Error (exit code 143): time limit of 1 s exceeded"),
    )
    assert failure_message(text).splitlines() == [
        "2 stages failed: bad, slow",
        "bad: exit code 3",
        "slow: time limit of 1 s exceeded (exit code 143)",
    ]


def test_a_stage_of_argo_is_called_as_its_author_calls_it() -> None:
    text = argo(1, ("stage-1", "main: Error (exit code 3)"))
    assert failure_message(text, '[["stage-1","stage_1"]]').startswith("1 stage failed: stage_1\n")


def test_a_deadline_that_argo_tells_is_the_runs_where_it_has_one() -> None:
    text = argo(1, ("a", "Pod was active on the node longer than the specified deadline"))
    assert failure_message(text).endswith("a: time limit of the run or of its pod exceeded")
    told = failure_message(text, limit="3600000")
    assert told.endswith("a: run's time limit of 3600000 s exceeded")


def test_failures_that_argo_left_out_are_counted() -> None:
    text = argo(300, *((f"s{number}", "main: Error (exit code 3)") for number in range(100)))
    lines = failure_message(text).splitlines()
    assert lines[0].startswith("300 stages failed: s0, s1,")
    assert lines[0].endswith("s19 ... and 280 more")
    assert (len(lines), lines[-1]) == (102, "... and 200 more")


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("main: Error (exit code 3)", 3, ""),
        ("Error (exit code 3)", 3, ""),
        ("main: OOMKilled (exit code 137)", 137, OUT_OF_MEMORY),
        ("main: Error (exit code 137)", 137, ""),
        ("main: Error (exit code 1): a: b\nc", 1, "a: b\nc"),
        ("prepare: Error (exit code 1): no git", None, "no git"),
        ("fetch: OOMKilled (exit code 137): no git", None, f"{OUT_OF_MEMORY}: no git"),
        ("wait: Error (exit code 64): killed", None, "wait: Error (exit code 64): killed"),
        ("workflow shutdown with strategy:  Stop", None, "stopped"),
        ("Stopped with strategy 'Stop'", None, "stopped"),
        ("Stopped with strategy 'Terminate'", None, "stopped"),
        ("pod deleted", None, "its pod was deleted"),
        (
            "Pod failed before prepare container starts due to PodInitializing: ",
            None,
            "its pod was deleted before it began",
        ),
        (
            "Pod failed before main container starts due to CreateContainerError: no device",
            None,
            "Pod failed before main container starts due to CreateContainerError: no device",
        ),
        ("Step exceeded its deadline", None, OVER_DEADLINE),
        ("Pod was active on the node longer than the specified deadline", None, OVER_DEADLINE),
        ("task 'r.a' errored: no account x", None, "its pod can't be made: no account x"),
        (
            "task 'r.a' errored: pods \"r-a-1\" is forbidden: no room",
            None,
            "its pod was refused: no room",
        ),
        ("cut in a charact\ufffd", None, "cut in a charact"),
        ("", None, ""),
    ],
)
def test_what_argo_says_of_a_node_is_read(message: str, code: int | None, reason: str) -> None:
    found = argo_failure("a", message, {})
    assert found == {"stage": "a", "exit_code": code, "reason": reason}


def test_an_expression_that_argo_left_as_it_was_is_not_shown() -> None:
    assert failure_message("{{=toBase64(x)}}") == NOT_TOLD


@pytest.mark.parametrize("text", [argo(1)[:-3], base64.b64encode(b"{}").decode(), "AAAA"])
def test_what_is_no_list_of_nodes_is_passed_on(text: str) -> None:
    assert failure_message(text) == text


failures = st.lists(
    st.builds(
        failure,
        st.text(min_size=1, max_size=80),
        st.none() | st.integers(0, 255),
        st.none() | st.text(max_size=9000),
    ),
    max_size=40,
)


@given(failures)
def test_any_failures_make_a_text_that_fits_an_environment_variable(
    given: list[dict[str, Any]],
) -> None:
    text = exception_message(given)
    assert len(text.encode("utf-8", "replace")) <= MESSAGE_BYTES
    assert "\0" not in text
