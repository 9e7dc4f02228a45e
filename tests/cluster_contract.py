"""What holds for every `Cluster`: the fake in `tests/`, the real one in `e2e/`."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from itertools import islice

import pytest

from bodywork_argo.cluster import Change, Cluster, Resource
from bodywork_argo.errors import AlreadyExists, Changed, EngineError
from bodywork_argo.manifests import Manifest

CONFIG_MAP = Resource(api_version="v1", kind="ConfigMap")
SECRET = Resource(api_version="v1", kind="Secret")
HIDDEN = "planted-secret-of-the-contract"
"""What the end-to-end tests look for where it does not belong."""


def config_map(name: str, *, labels: dict[str, str] | None = None, **data: str) -> Manifest:
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def told(changes: Iterable[Change], count: int) -> list[tuple[str, str]]:
    return [(one.type, one.object["metadata"]["name"]) for one in islice(changes, count)]


class ClusterContract:
    """Subclasses give the fixture ``target``: a cluster whose namespace holds nothing of ours."""

    labels = {"contract": "yes"}  # noqa: RUF012 - read only

    def test_what_is_created_comes_back_as_the_server_stored_it(self, target: Cluster) -> None:
        stored = target.create(config_map("one", key="value"))

        read = target.get(CONFIG_MAP, "one")
        assert read is not None
        assert read["data"] == {"key": "value"}
        assert read["metadata"]["uid"] == stored["metadata"]["uid"]
        assert stored["metadata"]["namespace"] == target.namespace
        assert stored["metadata"]["resourceVersion"]
        assert stored["metadata"]["creationTimestamp"]

    def test_creating_a_name_twice_is_refused(self, target: Cluster) -> None:
        target.create(config_map("one"))

        with pytest.raises(AlreadyExists, match="configmaps one"):
            target.create(config_map("one", key="other"))

    def test_the_server_makes_names_that_differ(self, target: Cluster) -> None:
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"generateName": "made-"},
        }

        names = {target.create(manifest)["metadata"]["name"] for _ in range(2)}

        assert len(names) == 2
        assert all(name.startswith("made-") for name in names)

    def test_a_dry_run_stores_nothing(self, target: Cluster) -> None:
        target.create(config_map("one"), dry_run=True)
        target.apply(config_map("two"), dry_run=True)

        assert target.get(CONFIG_MAP, "one") is None
        assert target.get(CONFIG_MAP, "two") is None

    def test_apply_creates_and_then_changes(self, target: Cluster) -> None:
        target.apply(config_map("one", kept="a", changed="b"))
        stored = target.apply(config_map("one", kept="a", changed="c", added="d"))

        assert stored["data"] == {"kept": "a", "changed": "c", "added": "d"}

    def test_applying_the_same_changes_nothing(self, target: Cluster) -> None:
        first = target.apply(config_map("one", key="value"))
        second = target.apply(config_map("one", key="value"))

        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    def test_a_patch_changes_adds_and_removes(self, target: Cluster) -> None:
        target.create(config_map("one", kept="a", changed="b", gone="c"))

        patched = target.patch(CONFIG_MAP, "one", {"data": {"changed": "d", "gone": None}})

        assert patched is not None
        assert patched["data"] == {"kept": "a", "changed": "d"}

    def test_a_patch_of_one_state_leaves_others_alone(self, target: Cluster) -> None:
        first = target.create(config_map("one", key="a"))
        version = {"resourceVersion": first["metadata"]["resourceVersion"]}
        target.patch(CONFIG_MAP, "one", {"metadata": version, "data": {"key": "b"}})

        with pytest.raises(Changed):
            target.patch(CONFIG_MAP, "one", {"metadata": version, "data": {"key": "c"}})

        stored = target.get(CONFIG_MAP, "one")
        assert stored is not None
        assert stored["data"] == {"key": "b"}

    def test_what_does_not_run_has_no_last_lines(self, target: Cluster) -> None:
        assert target.last_lines("none", "main", 3) == ()

    def test_there_is_nothing_to_patch_get_or_delete(self, target: Cluster) -> None:
        assert target.patch(CONFIG_MAP, "none", {"data": {}}) is None
        assert target.get(CONFIG_MAP, "none") is None
        assert target.get(CONFIG_MAP, "none", metadata_only=True) is None
        assert target.delete(CONFIG_MAP, "none") is False

    def test_a_list_has_what_carries_all_labels(self, target: Cluster) -> None:
        target.create(config_map("one", labels={**self.labels, "side": "left"}))
        target.create(config_map("two", labels={**self.labels, "side": "right"}))
        target.create(config_map("three"))

        found = target.list(CONFIG_MAP, {**self.labels, "side": "left"})

        assert [item["metadata"]["name"] for item in found] == ["one"]
        assert (found[0]["apiVersion"], found[0]["kind"]) == ("v1", "ConfigMap")
        assert len(target.list(CONFIG_MAP, self.labels)) == 2

    def test_a_list_has_what_has_the_fields(self, target: Cluster) -> None:
        target.create(config_map("one", labels=self.labels))
        target.create(config_map("two", labels=self.labels))

        found = target.list(CONFIG_MAP, self.labels, fields={"metadata.name": "two"})

        assert [item["metadata"]["name"] for item in found] == ["two"]

    def test_metadata_tell_a_secrets_keys_but_no_values(self, target: Cluster) -> None:
        metadata = {"name": "hidden", "labels": self.labels}
        texts = {"user": "somebody", "pass.word": HIDDEN}
        target.create(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts}
        )
        stored = target.get(SECRET, "hidden")

        one = target.get(SECRET, "hidden", metadata_only=True)
        (listed,) = target.list(SECRET, self.labels, metadata_only=True)

        assert stored is not None
        encoded = base64.b64encode(HIDDEN.encode()).decode()
        assert stored["data"]["pass.word"] == encoded
        for document in (one, listed):
            assert document is not None
            assert document["kind"] == "PartialObjectMetadata"
            assert "data" not in document
            assert encoded not in str(document)
            keys = [
                key
                for entry in document["metadata"]["managedFields"]
                for key in entry["fieldsV1"].get("f:data", {})
            ]
            assert sorted(set(keys) - {"."}) == ["f:pass.word", "f:user"]

    def test_what_is_deleted_is_gone(self, target: Cluster) -> None:
        target.create(config_map("one"))

        assert target.delete(CONFIG_MAP, "one") is True
        assert target.get(CONFIG_MAP, "one") is None

    def test_an_object_that_was_read_can_be_deleted_and_no_other_of_its_name(
        self, target: Cluster
    ) -> None:
        read = target.create(config_map("one"))
        target.delete(CONFIG_MAP, "one")
        target.create(config_map("one", whose="somebody else's"))

        assert target.delete(CONFIG_MAP, "one", only=read) is False

        found = target.get(CONFIG_MAP, "one", metadata_only=True)
        assert target.delete(CONFIG_MAP, "one", only=found) is True
        assert target.delete(CONFIG_MAP, "one", only=found) is False

    def test_an_object_that_has_changed_since_it_was_read_is_not_deleted(
        self, target: Cluster
    ) -> None:
        read = target.create(config_map("one"))
        target.patch(CONFIG_MAP, "one", {"data": {"key": "value"}})

        assert target.delete(CONFIG_MAP, "one", only=read) is False
        assert target.get(CONFIG_MAP, "one") is not None

    def test_a_watch_tells_what_is_there_and_what_follows(self, target: Cluster) -> None:
        target.create(config_map("one", labels=self.labels))
        target.create(config_map("unrelated"))
        watch = target.watch(CONFIG_MAP, self.labels, 30)
        assert told(watch, 1) == [("ADDED", "one")]

        target.create(config_map("two", labels=self.labels))
        target.patch(CONFIG_MAP, "one", {"data": {"key": "value"}})
        target.delete(CONFIG_MAP, "two")

        assert told(watch, 3) == [("ADDED", "two"), ("MODIFIED", "one"), ("DELETED", "two")]

    def test_a_watch_ends_with_its_time(self, target: Cluster) -> None:
        target.create(config_map("one", labels=self.labels))

        assert told(target.watch(CONFIG_MAP, self.labels, 1.2), 5) == [("ADDED", "one")]

    def test_a_watch_can_be_for_one_object(self, target: Cluster) -> None:
        target.create(config_map("one"))
        target.create(config_map("two"))

        watch = target.watch(CONFIG_MAP, {}, 1.2, fields={"metadata.name": "two"})

        assert told(watch, 5) == [("ADDED", "two")]

    def test_another_namespace_has_objects_of_its_own(self, target: Cluster) -> None:
        target.create(config_map("one"))

        other = target.within("default")

        assert other.namespace == "default"
        assert other.get(CONFIG_MAP, "one") is None

    def test_namespaces_lie_in_no_namespace(self, target: Cluster) -> None:
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "brand-new"}}

        stored = target.create(manifest, dry_run=True)

        assert "namespace" not in stored["metadata"]

    def test_the_log_of_no_pod_is_an_error(self, target: Cluster) -> None:
        with pytest.raises(EngineError, match="none"):
            next(target.logs("none", "main"))

    def test_the_cluster_tells_who_we_are_and_its_version(self, target: Cluster) -> None:
        assert target.who()
        assert target.version().startswith("v1.")

    def test_who_may_create_things_is_told_so(self, target: Cluster) -> None:
        assert target.may("create", "", "configmaps")
        assert target.may("get", "", "pods/log")
