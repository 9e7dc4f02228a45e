"""Names, labels and variables: legal, short, distinct, and the author's own where possible."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.names import (
    LABEL_LIMIT,
    dns_label,
    label_value,
    short_hash,
    stage_label,
    variable_part,
)

DNS_1123 = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
DNS_1035 = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")
any_text = st.text() | st.text("aB1-_.", max_size=80) | st.from_regex(DNS_1123, fullmatch=True)
limits = st.integers(min_value=10, max_value=LABEL_LIMIT)


@given(any_text, limits)
def test_a_dns_label_is_legal_and_short(text: str, limit: int) -> None:
    label = dns_label(text, limit)
    assert DNS_1123.fullmatch(label)
    assert len(label) <= limit


@given(any_text, any_text)
def test_two_texts_have_two_dns_labels(one: str, other: str) -> None:
    assert (dns_label(one) == dns_label(other)) == (one == other)


@given(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True).filter(lambda t: len(t) < 64))
def test_a_legal_text_is_its_own_dns_label(text: str) -> None:
    assert dns_label(text) == text


@given(any_text)
def test_a_stage_label_can_name_a_service(stage: str) -> None:
    label = stage_label(stage)
    assert DNS_1035.fullmatch(label)
    assert len(label) <= LABEL_LIMIT


@pytest.mark.parametrize(
    ("stage", "label"),
    [
        ("stage_4", "stage-4"),
        ("train-model", "train-model"),
        ("1_x", "s-1-x"),
        ("My_Stage", "my-stage"),
        ("_x_", "x"),
        ("a  b", "a-b"),
        ("a.b", "a-b"),
    ],
)
def test_a_stage_label_is_what_people_expect(stage: str, label: str) -> None:
    assert stage_label(stage) == label


def test_stages_without_a_usable_letter_get_distinct_labels() -> None:
    assert stage_label("日") == f"stage-{short_hash('日')}"
    assert stage_label("日") != stage_label("本")


def test_long_stages_that_differ_at_the_end_get_distinct_labels() -> None:
    assert stage_label("a" * 70 + "1") != stage_label("a" * 70 + "2")


@given(any_text)
def test_a_label_value_is_legal_and_short(text: str) -> None:
    value = label_value(text)
    assert LABEL_VALUE.fullmatch(value)
    assert len(value) <= LABEL_LIMIT


@given(any_text, any_text)
def test_two_texts_have_two_label_values(one: str, other: str) -> None:
    assert (label_value(one) == label_value(other)) == (one == other)


@given(any_text)
def test_a_variable_part_is_made_of_capitals_digits_and_underscores(stage: str) -> None:
    assert re.fullmatch(r"[A-Z0-9_]+", variable_part(stage))


def test_text_that_is_no_unicode_has_a_hash_too() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}", short_hash("\ud800"))
