from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from bodywork_argo.backend import ENTRY_POINT_GROUP
from bodywork_argo.errors import UsageError
from bodywork_argo.registry import installed, load_backend


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=ENTRY_POINT_GROUP)


INSTANT = entry("instant", "bodywork_argo.fakes:InstantBackend")


def test_a_strangers_backend_is_loaded_like_a_built_in_one() -> None:
    entries = (*installed(), INSTANT)
    assert load_backend("instant", entries).name == "instant"
    assert load_backend("local", entries).name == "local"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no backend 'x' \(installed: instant\)"):
        load_backend("x", [INSTANT])
    with pytest.raises(UsageError, match=r"no backend 'x' \(installed: none\)"):
        load_backend("x", [])


def test_two_entries_with_one_name_are_an_error_that_names_both() -> None:
    other = entry("instant", "somewhere.else:Backend")
    with pytest.raises(
        UsageError, match=r"bodywork_argo.fakes:InstantBackend and somewhere.else:Backend"
    ):
        load_backend("instant", [INSTANT, other])


def test_the_same_entry_found_twice_is_one() -> None:
    assert load_backend("instant", [INSTANT, INSTANT]).name == "instant"


@pytest.mark.parametrize("value", ["no_such_module:X", "bodywork_argo.fakes:NoSuchClass"])
def test_a_backend_that_can_not_be_imported_is_named(value: str) -> None:
    with pytest.raises(UsageError, match=rf"backend 'x' \({value}\) can't be loaded"):
        load_backend("x", [entry("x", value)])
