from __future__ import annotations

import pytest

from bodywork_argo.cluster import Resource
from bodywork_argo.errors import EngineError, Forbidden
from bodywork_argo.memory_cluster import MemoryCluster
from tests.cluster_contract import CONFIG_MAP, ClusterContract, config_map, told

NOPE = Resource(api_version="nope.io/v1", kind="Nope")


@pytest.fixture
def target() -> MemoryCluster:
    return MemoryCluster("space")


class TestMemoryCluster(ClusterContract):
    pass


def test_what_is_denied_is_forbidden_and_told(target: MemoryCluster) -> None:
    target.denied.add(("list", "", "configmaps"))

    assert not target.within("other").may("list", "", "configmaps")
    with pytest.raises(Forbidden, match="somebody may not list configmaps in namespace space"):
        target.list(CONFIG_MAP, {})


def test_only_what_is_served_can_be_created(target: MemoryCluster) -> None:
    target.served = {CONFIG_MAP}

    assert (target.serves(CONFIG_MAP), target.serves(NOPE)) == (True, False)
    with pytest.raises(EngineError, match="does not serve nopes"):
        target.create({"apiVersion": "nope.io/v1", "kind": "Nope", "metadata": {"name": "a"}})


def test_a_watch_lets_happen_what_is_upcoming(target: MemoryCluster) -> None:
    target.create(config_map("one"))
    target.upcoming.append(lambda: target.create(config_map("two")))
    target.upcoming.append(lambda: target.delete(CONFIG_MAP, "one"))

    changes = told(target.watch(CONFIG_MAP, {}, 1000), 9)

    assert changes == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "one")]


def test_dependents_go_with_their_owner(target: MemoryCluster) -> None:
    owner = target.create(config_map("owner"))
    dependent = config_map("dependent")
    dependent["metadata"]["ownerReferences"] = [{"uid": owner["metadata"]["uid"]}]
    target.create(dependent)

    target.delete(CONFIG_MAP, "owner")

    assert target.list(CONFIG_MAP, {}) == ()


def test_what_is_returned_is_a_copy(target: MemoryCluster) -> None:
    target.create(config_map("one", key="value"))["data"]["key"] = "changed"

    (found,) = target.list(CONFIG_MAP, {})

    assert found["data"] == {"key": "value"}


def test_a_log_is_what_was_written(target: MemoryCluster) -> None:
    target.written["pod", "main"] = b"\x00\r\xff"

    assert list(target.logs("pod", "main", follow=True)) == [b"\x00\r\xff"]
