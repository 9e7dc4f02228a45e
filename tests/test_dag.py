"""The language of the DAG line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.dag import Dag, DagError, parse_dag

stages = st.text(min_size=1).filter(
    lambda name: not set(name) & set(",>") and "".join(name.split()) == name
)
steps = st.lists(stages, min_size=1, unique=True).map(tuple)
dags = st.builds(Dag, st.lists(steps, min_size=1).map(tuple))
blanks = st.text(" \t\n\r\u2003", max_size=3)


@given(dags)
def test_the_text_of_a_dag_parses_back(dag: Dag) -> None:
    assert parse_dag(str(dag)) == dag


@given(dags, blanks)
def test_white_space_of_any_kind_changes_nothing(dag: Dag, blank: str) -> None:
    spaced = str(dag).replace(" >> ", f"{blank}>>{blank}").replace(", ", f"{blank},{blank}")
    assert parse_dag(f"{blank}{spaced}{blank}") == dag


@given(st.text(">, ab\n"))
def test_any_text_is_a_dag_or_a_dag_error(text: str) -> None:
    assert all("" not in step for step in steps_or_faults(text))


def steps_or_faults(text: str) -> tuple[tuple[str, ...], ...]:
    try:
        return parse_dag(text).steps
    except DagError as error:
        return error.problems


def test_stages_come_once_in_the_order_of_first_use() -> None:
    assert parse_dag("a >> c, b >> a").stages == ("a", "c", "b")


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_a_dag_without_a_stage_is_refused(text: str) -> None:
    with pytest.raises(DagError, match="is empty"):
        parse_dag(text)


@pytest.mark.parametrize(
    ("text", "step"), [("a >>", 2), (">> a", 1), ("a,,b", 1), ("a >> >> b", 2), ("a,", 1)]
)
def test_an_empty_place_is_told_with_its_step(text: str, step: int) -> None:
    with pytest.raises(DagError, match=f"step {step} has an empty place"):
        parse_dag(text)


def test_all_faults_of_a_dag_are_told_at_once() -> None:
    with pytest.raises(DagError) as caught:
        parse_dag("a, a >> >> b, b, b")
    assert [what for what, _ in caught.value.problems] == [
        "stage 'a' stands 2 times in step 1",
        "step 2 has an empty place",
        "stage 'b' stands 3 times in step 3",
    ]


def test_a_stage_may_stand_in_several_steps() -> None:
    assert parse_dag("a >> b >> a").steps == (("a",), ("b",), ("a",))


def test_a_single_greater_sign_belongs_to_the_name() -> None:
    assert parse_dag("a > b").steps == (("a>b",),)
