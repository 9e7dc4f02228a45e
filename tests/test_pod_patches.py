"""Two patches as one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bodywork_argo.pod_patches import one_patch, patched

MAIN = {"name": "main"}
A = {"name": "A", "value": "1"}


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]},
         {"tolerations": [{"key": "b"}]}),
        ({"containers": [{**MAIN, "env": [A, {"name": "B", "value": "1"}]}]},
         {"containers": [{**MAIN, "env": [{"name": "B", "value": "2"}], "tty": True}]},
         {"containers": [{**MAIN, "env": [A, {"name": "B", "value": "2"}], "tty": True}]}),
        ({"volumes": [{"name": "a", "emptyDir": {}}]}, {"volumes": [{"name": "b", "emptyDir": {}}]},
         {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"$patch": "replace", "b": 1}}),
        ({"a": None}, {"a": 3}, {"a": 3}),
    ],
)  # fmt: skip
def test_the_second_has_the_last_word(
    first: dict[str, Any], second: dict[str, Any], wanted: dict[str, Any]
) -> None:
    merged = one_patch([json.dumps(first), json.dumps(second)])
    assert merged is not None
    assert json.loads(merged) == wanted


def test_one_patch_is_left_as_it_is() -> None:
    assert one_patch(['{ "b": 1, "a": 2}']) == '{ "b": 1, "a": 2}'


def test_no_patch_is_none() -> None:
    assert one_patch([]) is None


def test_a_pod_is_patched_here_as_the_api_server_would() -> None:
    pod = {
        "terminationGracePeriodSeconds": 30,
        "containers": [{**MAIN, "env": [A], "image": "i"}],
        "volumes": [{"name": "a", "emptyDir": {}}],
    }
    first = {"priorityClassName": "low", "containers": [{**MAIN, "env": [{"name": "B"}]}]}
    second = {"priorityClassName": None, "volumes": [{"name": "b", "emptyDir": {}}]}
    assert patched(pod, [json.dumps(first), json.dumps(second)]) == {
        "terminationGracePeriodSeconds": 30,
        "containers": [{**MAIN, "env": [A, {"name": "B"}], "image": "i"}],
        "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
    }


def test_a_mapping_after_a_removal_takes_its_place() -> None:
    assert patched({"a": {"b": 1}}, ['{"a": null}', '{"a": {"c": 2}}']) == {"a": {"c": 2}}
