"""Groups of secrets and their copies."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.cluster import SECRET, Resource
from bodywork_argo.errors import AlreadyExists
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.plan import Plan
from bodywork_argo.planner import make_plan
from bodywork_argo.secret_groups import Synced, sync_group
from bodywork_argo.spec import SecretRef
from tests.projects import PINNED, batch, project


def plan(*names: str, pipeline: str = "shop") -> Plan:
    """Return a plan whose stage uses the key KEY of these secrets."""
    refs = tuple(SecretRef(variable="KEY", secret=name) for name in names)
    return make_plan(project("load", batch("load", secrets=refs), name=pipeline), PINNED)


def encoded(data: dict[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


class World:
    """A cluster with the namespace of the groups and that of the runs."""

    def __init__(self) -> None:
        self.source = MemoryCluster("groups")
        self.target = self.source.within("runs")

    def put(self, name: str, group: str = "prod", **data: str) -> None:
        """Make or replace a secret of a group."""
        self.source.delete(SECRET, f"{group}-{name}")
        labels = {"group": group}
        self.source.create(secret(f"{group}-{name}", labels, **(data or {"KEY": "value"})))

    def sync(self, *names: str, group: str = "prod", pipeline: str = "shop") -> Synced:
        """Copy what a pipeline uses."""
        used = plan(*names, pipeline=pipeline)
        return sync_group(group, used, source=self.source, target=self.target)

    def copies(self) -> dict[str, dict[str, str]]:
        """Return what is where runs find it."""
        found = self.target.list(SECRET, {})
        return {each["metadata"]["name"]: each.get("data", {}) for each in found}

    def users(self, name: str) -> set[str]:
        """Return the pipelines that a copy names."""
        found = self.target.get(SECRET, name)
        assert found is not None
        labels = found["metadata"]["labels"]
        return {label.partition("/")[2] for label in labels if label.startswith("used-by.")}


def secret(name: str, labels: dict[str, str] | None = None, **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels or {}},
        "type": "Opaque",
        "data": encoded(data),
    }


@pytest.fixture
def world() -> World:
    return World()


def test_exactly_what_the_stages_use_is_copied_under_its_plain_name(world: World) -> None:
    world.put("db", KEY="one", MORE="two")
    world.put("unused")

    assert world.sync("db") == Synced(created=("db",))
    assert world.copies() == {"db": encoded({"KEY": "one", "MORE": "two"})}


def test_a_copy_says_what_it_is(world: World) -> None:
    world.put("db")
    world.sync("db")
    copy = world.target.get(SECRET, "db")

    assert copy is not None
    assert copy["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "bodywork-argo",
        "group": "prod",
        "bodywork-argo/secrets-group": "prod",
        "used-by.bodywork-argo/shop": "true",
    }
    assert copy["metadata"]["annotations"] == {"bodywork-argo/origin": "groups/prod-db"}


def test_the_type_is_copied_and_labels_of_the_origin_are_not(world: World) -> None:
    origin = secret("prod-registry", {"group": "prod", "other": "label"}, KEY="x")
    world.source.create({**origin, "type": "kubernetes.io/dockerconfigjson"})
    world.sync("registry")
    copy = world.target.get(SECRET, "registry")

    assert copy is not None
    assert copy["type"] == "kubernetes.io/dockerconfigjson"
    assert "other" not in copy["metadata"]["labels"]


def test_nothing_is_written_when_nothing_has_changed(world: World) -> None:
    world.put("db")
    world.sync("db")
    before = world.target.get(SECRET, "db")

    assert world.sync("db") == Synced(unchanged=("db",))
    assert world.target.get(SECRET, "db") == before


def test_a_changed_origin_refreshes_the_copy_and_takes_keys_away(world: World) -> None:
    world.put("db", KEY="one", OLD="two")
    world.sync("db")
    world.put("db", KEY="three", NEW="four")

    assert world.sync("db") == Synced(updated=("db",))
    assert world.copies() == {"db": encoded({"KEY": "three", "NEW": "four"})}


def test_a_copy_that_somebody_changed_is_put_right(world: World) -> None:
    world.put("db")
    world.sync("db")
    world.target.patch(SECRET, "db", {"data": encoded({"KEY": "theirs"})})

    assert world.sync("db").updated == ("db",)
    assert world.copies() == {"db": encoded({"KEY": "value"})}


def test_a_copy_of_another_type_is_made_anew_and_keeps_its_users(world: World) -> None:
    world.put("db")
    world.sync("db")
    world.sync("db", pipeline="other")
    world.source.delete(SECRET, "prod-db")
    origin = secret("prod-db", {"group": "prod"}, KEY="value")
    world.source.create({**origin, "type": "kubernetes.io/basic-auth"})

    assert world.sync("db").updated == ("db",)
    copy = world.target.get(SECRET, "db")
    assert copy is not None
    assert copy["type"] == "kubernetes.io/basic-auth"
    assert world.users("db") == {"shop", "other"}


def test_pipelines_share_a_copy_and_the_last_one_removes_it(world: World) -> None:
    world.put("db")
    world.put("store")
    world.sync("db")
    assert world.sync("db", pipeline="other") == Synced(unchanged=("db",))
    assert world.users("db") == {"shop", "other"}

    assert world.sync("store") == Synced(created=("store",))
    assert world.users("db") == {"other"}
    assert world.sync(pipeline="other") == Synced(pruned=("db",))
    assert set(world.copies()) == {"store"}


def test_a_copy_whose_origin_is_gone_is_removed_for_everybody(world: World) -> None:
    world.put("db")
    world.sync("db")
    world.sync("db", pipeline="other")
    world.source.delete(SECRET, "prod-db")

    assert world.sync("db") == Synced(pruned=("db",), missing=("db",))
    assert world.copies() == {}


def test_a_pipeline_that_does_not_use_it_removes_an_orphan_too(world: World) -> None:
    world.put("db")
    world.sync("db")
    world.source.delete(SECRET, "prod-db")

    assert world.sync(pipeline="other") == Synced(pruned=("db",))


def test_what_neither_the_group_nor_the_namespace_has_is_missing(world: World) -> None:
    world.target.create(secret("own", KEY="x"))

    assert world.sync("db", "own") == Synced(missing=("db",))
    assert set(world.copies()) == {"own"}


@pytest.mark.parametrize("group", [None, "staging"])
def test_a_secret_that_did_not_come_from_the_group_is_never_replaced(
    world: World, group: str | None
) -> None:
    if group:
        world.put("db", group, KEY="theirs")
        world.sync("db", group=group)
    else:
        world.target.create(secret("db", {"group": "prod"}, KEY="theirs"))
    world.put("db", KEY="ours")
    world.put("another")

    with pytest.raises(AlreadyExists, match="secret db in namespace runs") as caught:
        world.sync("another", "db")
    assert "group prod" in str(caught.value)
    assert world.copies() == {"db": encoded({"KEY": "theirs"})}


def test_pruning_leaves_what_is_not_a_copy_of_this_group_from_this_place(world: World) -> None:
    world.put("db", "staging")
    world.sync("db", group="staging")
    elsewhere = world.source.within("elsewhere")
    elsewhere.create(secret("prod-store", {"group": "prod"}, KEY="x"))
    sync_group("prod", plan("store"), source=elsewhere, target=world.target)
    world.target.create(secret("own", {"group": "prod", "used-by.bodywork-argo/shop": "true"}))

    assert world.sync() == Synced()
    assert set(world.copies()) == {"db", "store", "own"}


class Late(MemoryCluster):
    """Lets something happen just before each object is deleted."""

    def meanwhile(self, name: str) -> None:
        """Do nothing yet."""

    def delete(self, resource: Resource, name: str, *, only: Manifest | None = None) -> bool:
        """Come late."""
        self.meanwhile(name)
        return super().delete(resource, name, only=only)


def test_a_secret_that_takes_the_place_of_a_copy_meanwhile_is_left(world: World) -> None:
    class Replaced(Late):
        def meanwhile(self, name: str) -> None:
            """Put somebody else's in its place."""
            MemoryCluster.delete(self, SECRET, name)
            self.create(secret(name, KEY="theirs"))

    world.put("db")
    target = Replaced("runs")
    sync_group("prod", plan("db"), source=world.source, target=target)

    assert sync_group("prod", plan(), source=world.source, target=target) == Synced()
    found = target.get(SECRET, "db")
    assert found is not None
    assert found["data"] == encoded({"KEY": "theirs"})


def test_a_copy_that_another_pipeline_takes_up_meanwhile_is_left(world: World) -> None:
    class TakenUp(Late):
        def meanwhile(self, name: str) -> None:
            """Use it, too."""
            self.patch(SECRET, name, {"metadata": {"labels": {"used-by.bodywork-argo/it": "true"}}})

    world.put("db")
    target = TakenUp("runs")
    sync_group("prod", plan("db"), source=world.source, target=target)

    assert sync_group("prod", plan(), source=world.source, target=target) == Synced()
    assert target.get(SECRET, "db") is not None


def test_a_secret_that_takes_the_place_of_one_to_be_made_anew_is_not_replaced(
    world: World,
) -> None:
    class Replaced(Late):
        def meanwhile(self, name: str) -> None:
            """Put somebody else's in its place."""
            MemoryCluster.delete(self, SECRET, name)
            self.create(secret(name, KEY="theirs"))

    world.put("db")
    target = Replaced("runs")
    sync_group("prod", plan("db"), source=world.source, target=target)
    world.source.delete(SECRET, "prod-db")
    origin = secret("prod-db", {"group": "prod"}, KEY="value")
    world.source.create({**origin, "type": "kubernetes.io/basic-auth"})

    with pytest.raises(AlreadyExists):
        sync_group("prod", plan("db"), source=world.source, target=target)
    found = target.get(SECRET, "db")
    assert found is not None
    assert found["data"] == encoded({"KEY": "theirs"})


def test_names_with_dashes_are_not_taken_for_another_groups_secret(world: World) -> None:
    world.put("b-c", "a")

    assert world.sync("c", group="a-b") == Synced(missing=("c",))


def test_a_copy_that_another_run_brings_meanwhile_is_taken(world: World) -> None:
    world.put("db")

    class Slow(MemoryCluster):
        def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
            """Come second."""
            super().create(manifest)
            raise AlreadyExists("could not create secrets db")

    slow = Slow("runs")
    done = sync_group("prod", plan("db"), source=world.source, target=slow)

    assert done == Synced(unchanged=("db",))


def test_a_strange_secret_that_appears_meanwhile_is_left(world: World) -> None:
    world.put("db")

    class Taken(MemoryCluster):
        def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
            """Come after somebody else."""
            super().create(secret("db", KEY="theirs"))
            return super().create(manifest)

    with pytest.raises(AlreadyExists, match="did not come from there"):
        sync_group("prod", plan("db"), source=world.source, target=Taken("runs"))


def test_the_right_to_list_secrets_is_needed_where_runs_are_only(world: World) -> None:
    world.put("db")

    class Reader(MemoryCluster):
        def list(self, resource: Resource, labels: Any, **more: Any) -> tuple[Manifest, ...]:
            """Refuse."""
            raise AssertionError("listed where the groups are")

    source = Reader("groups")
    source.create(secret("prod-db", {"group": "prod"}, KEY="x"))

    assert sync_group("prod", plan("db"), source=source, target=world.target).created == ("db",)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["shop", "other"]),
            st.sets(st.sampled_from(["a", "b", "c"])),
            st.sets(st.sampled_from(["a", "b", "c"])),
        ),
        max_size=6,
    )
)
def test_copies_are_always_what_the_pipelines_last_used_of_what_was_there(
    steps: list[tuple[str, set[str], set[str]]],
) -> None:
    world = World()
    last: dict[str, set[str]] = {}
    for pipeline, used, there in steps:
        for name in ("a", "b", "c"):
            world.source.delete(SECRET, f"prod-{name}")
        for name in there:
            world.put(name, KEY=name)
        world.sync(*used, pipeline=pipeline)
        last = {other: names & there for other, names in last.items()}
        last[pipeline] = used & there
        assert set(world.copies()) == set().union(*last.values())
        for name in world.copies():
            assert world.users(name) == {each for each, names in last.items() if name in names}
