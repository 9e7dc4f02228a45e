"""Which secrets a plan's stages use, and which of them a namespace lacks."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from bodywork_argo.cluster import Resource
from bodywork_argo.errors import Forbidden, Problem
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.plan import Plan
from bodywork_argo.secret_uses import WHOLE, Use, key_names, missing_secrets, secrets_used
from bodywork_argo.spec import Ingress, PodOptions, SecretRef, ServiceOptions, Volume, VolumeKind
from tests.projects import batch, plan_of, service

GIT = {"git-token": {"BODYWORK_GIT_TOKEN", "BODYWORK_GIT_USERNAME"}}


def ref(variable: str, secret: str) -> SecretRef:
    return SecretRef(variable=variable, secret=secret)


def secret(name: str, *keys: str) -> Manifest:
    data = {key: base64.b64encode(b"a-value").decode() for key in keys}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def two_stages() -> Plan:
    return plan_of(
        "load >> train",
        batch("load", secrets=(ref("USER", "db"), ref("PASSWORD", "db"))),
        batch("train", secrets=(ref("USER", "db"), ref("TOKEN", "store"))),
    )


def told(problems: tuple[Problem, ...]) -> list[tuple[str, str]]:
    return [(problem.severity, problem.key) for problem in problems]


def test_the_keys_of_secrets_are_told_with_the_stages_that_use_them() -> None:
    used = secrets_used(two_stages())

    assert {name: set(keys) for name, keys in used.items() if name != "git-token"} == {
        "db": {"USER", "PASSWORD"},
        "store": {"TOKEN"},
    }
    assert used["db"]["USER"] == Use(
        stages=("load", "train"), optional=False, place="stages.load.secrets.USER"
    )
    assert used["store"]["TOKEN"].place == "stages.train.secrets.TOKEN"


def test_what_opens_the_repository_is_used_by_all_and_optional() -> None:
    used = secrets_used(two_stages())

    assert {name: set(keys) for name, keys in used.items() if name in GIT} == GIT
    assert used["git-token"]["BODYWORK_GIT_TOKEN"].optional
    assert used["git-token"]["BODYWORK_GIT_TOKEN"].stages == ("load", "train")


def test_the_failure_stage_uses_its_secrets_too() -> None:
    plan = plan_of(
        "load", batch("load"), batch("tell", secrets=(ref("HOOK", "chat"),)), on_failure="tell"
    )

    assert secrets_used(plan)["chat"]["HOOK"].stages == ("tell",)


def test_secrets_in_volumes_images_and_ingresses_are_used_as_a_whole() -> None:
    volumes = (
        Volume(name="v", path="/v", kind=VolumeKind.SECRET, source="files"),
        Volume(name="c", path="/c", kind=VolumeKind.CONFIG_MAP, source="no-secret"),
    )
    pod = PodOptions(volumes=volumes, image_pull_secrets=("registry",))
    scoring = replace(
        service("score"),
        pod=pod,
        ingress=True,
        options=ServiceOptions(ingress=Ingress(host="x", tls_secret="certificate")),
    )
    used = secrets_used(plan_of("score", scoring))

    assert {name: set(keys) for name, keys in used.items() if name != "git-token"} == {
        "files": {WHOLE},
        "registry": {WHOLE},
        "certificate": {WHOLE},
    }
    assert [used[name][WHOLE].optional for name in ("files", "registry", "certificate")] == [
        False,
        False,
        True,  # whoever issues certificates makes it when the ingress is there
    ]


def test_nothing_is_missing_where_all_is_there() -> None:
    cluster = MemoryCluster("team")
    cluster.create(secret("db", "USER", "PASSWORD", "MORE"))
    cluster.create(secret("store", "TOKEN"))

    assert missing_secrets(two_stages(), cluster) == ()


def test_a_missing_secret_is_told_once_with_its_keys_and_stages() -> None:
    cluster = MemoryCluster("team")
    cluster.create(secret("store", "TOKEN"))
    (problem,) = missing_secrets(two_stages(), cluster)

    assert problem.key == "stages.load.secrets.USER"
    assert problem.severity == "error"
    assert "no secret db in namespace team" in problem.what
    assert "stages load, train" in problem.what
    assert "keys USER, PASSWORD" in problem.remedy
    assert "bodywork-argo secret create db -n team" in problem.remedy


def test_missing_keys_are_told_one_by_one_with_the_stages_that_use_them() -> None:
    cluster = MemoryCluster("team")
    cluster.create(secret("db", "MORE"))
    cluster.create(secret("store", "TOKEN"))
    problems = missing_secrets(two_stages(), cluster)

    assert told(problems) == [
        ("error", "stages.load.secrets.USER"),
        ("error", "stages.load.secrets.PASSWORD"),
    ]
    assert "secret db in namespace team has no key USER; stages load, train" in problems[0].what
    assert "stage load can't start" in problems[1].what


class MetadataOnly(MemoryCluster):
    """Fails the test when a value is asked for."""

    def get(self, resource: Resource, name: str, *, metadata_only: bool = False) -> Manifest | None:
        """Return the object's metadata."""
        assert metadata_only
        return super().get(resource, name, metadata_only=True)


def test_no_value_is_read() -> None:
    cluster = MetadataOnly("team")
    cluster.create(secret("db", "USER"))

    assert len(missing_secrets(two_stages(), cluster)) == 2


def test_when_secrets_may_not_be_read_one_warning_says_so() -> None:
    cluster = MemoryCluster("team")
    cluster.denied.add(("get", "", "secrets"))
    (problem,) = missing_secrets(two_stages(), cluster)

    assert problem.severity == "warning"
    assert "may not get secrets in namespace team" in problem.what


def metadata(*managers: dict[str, Any]) -> Manifest:
    return {"metadata": {"name": "db", "managedFields": list(managers)}}


def manager(**fields: Any) -> dict[str, Any]:
    return {
        "manager": "m",
        "operation": "Update",
        "fieldsV1": {f"f:{part}": value for part, value in fields.items()},
    }


@pytest.mark.parametrize(
    ("managers", "names", "all_known"),
    [
        ([manager(data={".": {}, "f:A": {}, "f:tls.crt": {}})], {"A", "tls.crt"}, True),
        ([manager(data={"f:A": {}}), manager(data={"f:B": {}})], {"A", "B"}, True),
        ([manager(type={})], set(), True),
        ([manager(stringData={"f:A": {}})], {"A"}, False),
        ([{"manager": "m"}], set(), True),
        ([], set(), False),
    ],
    ids=["one", "two", "no data", "stringData", "no fields", "cleared"],
)
def test_who_manages_which_field_tells_the_keys(
    managers: list[dict[str, Any]], names: set[str], all_known: bool
) -> None:
    assert key_names(metadata(*managers)) == (frozenset(names), all_known)


def test_keys_that_cannot_be_told_are_a_warning() -> None:
    class Cleared(MemoryCluster):
        def get(
            self, resource: Resource, name: str, *, metadata_only: bool = False
        ) -> Manifest | None:
            """Return an object of which nobody remembers who wrote it."""
            return metadata()

    problems = missing_secrets(two_stages(), Cleared("team"))

    assert [severity for severity, _ in told(problems)] == ["warning", "warning"]
    assert "keys USER, PASSWORD can't be told without reading its values" in problems[0].what


def test_what_was_found_before_reading_is_forbidden_is_kept() -> None:
    class Closing(MemoryCluster):
        def get(
            self, resource: Resource, name: str, *, metadata_only: bool = False
        ) -> Manifest | None:
            """Refuse all but the first secret."""
            if name != "db":
                raise Forbidden("no longer")
            return None

    assert told(missing_secrets(two_stages(), Closing("team"))) == [
        ("error", "stages.load.secrets.USER"),
        ("warning", "secrets"),
    ]
