"""The text of EXCEPTION_MESSAGE."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.runner import MESSAGE_BYTES, exception_message, failure_message


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
