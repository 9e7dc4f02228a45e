"""Which secrets a plan's stages use, and which of them a namespace lacks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan
from bodywork_argo.secret_uses import WHOLE, Use, key_names, secrets_used
from bodywork_argo.spec import Ingress, PodOptions, SecretRef, ServiceOptions, Volume, VolumeKind
from tests.projects import batch, plan_of, service

GIT = {"git-token": {"BODYWORK_GIT_TOKEN", "BODYWORK_GIT_USERNAME"}}


def ref(variable: str, secret: str) -> SecretRef:
    return SecretRef(variable=variable, secret=secret)


def two_stages() -> Plan:
    return plan_of(
        "load >> train",
        batch("load", secrets=(ref("USER", "db"), ref("PASSWORD", "db"))),
        batch("train", secrets=(ref("USER", "db"), ref("TOKEN", "store"))),
    )


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


def patched(*patches: str) -> dict[str, dict[str, Use]]:
    """Return what a stage with these patches of its pod uses beside what opens the repository."""
    stage = replace(batch("load"), pod=PodOptions(patches=patches))
    used = secrets_used(plan_of("load", stage))
    return {name: keys for name, keys in used.items() if name != "git-token"}


def container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", **fields}]}


def variable(name: str, secret: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, **more}}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (container(env=[variable("A", "db", "USER")]), {"db": {"USER"}}),
        (container(envFrom=[{"secretRef": {"name": "all"}}]), {"all": {WHOLE}}),
        ({"volumes": [{"name": "v", "secret": {"secretName": "files"}}]}, {"files": {WHOLE}}),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "secret": {"secretName": "files", "items": [{"key": "a", "path": "b"}]},
                    }
                ]
            },
            {"files": {"a"}},
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "projected": {
                            "sources": [
                                {"secret": {"name": "one"}},
                                {"configMap": {"name": "no-secret"}},
                                {"secret": {"name": "two", "items": [{"key": "k", "path": "p"}]}},
                            ]
                        },
                    }
                ]
            },
            {"one": {WHOLE}, "two": {"k"}},
        ),
        ({"imagePullSecrets": [{"name": "registry"}]}, {"registry": {WHOLE}}),
        (
            {"initContainers": [{"name": "x", "env": [variable("A", "early", "K")]}]},
            {"early": {"K"}},
        ),
    ],
    ids=["env", "envFrom", "volume", "items", "projected", "pull secrets", "init container"],
)
def test_what_a_patch_of_the_pod_asks_for_is_used(
    spec: dict[str, Any], expected: dict[str, set[str]]
) -> None:
    used = patched(json.dumps(spec))

    assert {name: set(keys) for name, keys in used.items()} == expected
    assert {use.place for keys in used.values() for use in keys.values()} == {
        "stages.load.kubernetes.patch"
    }
    assert not any(use.optional for keys in used.values() for use in keys.values())


def test_what_a_patch_says_is_optional_is_done_without() -> None:
    used = patched(json.dumps(container(env=[variable("A", "db", "USER", optional=True)])))

    assert used["db"]["USER"].optional


def test_of_patches_only_what_is_left_in_the_end_counts() -> None:
    first = container(env=[variable("A", "old", "K"), variable("B", "kept", "K")])
    second = container(env=[variable("A", "new", "K")])

    assert set(patched(json.dumps(first), json.dumps(second))) == {"new", "kept"}


@pytest.mark.parametrize(
    "spec",
    [
        {"volumes": 1},
        {"volumes": [1, {"secret": "x"}, {"projected": []}]},
        container(env={"A": 1}, envFrom=[None]),
        {"imagePullSecrets": [{}]},
    ],
)
def test_what_is_no_form_of_a_pod_is_left_to_the_api(spec: dict[str, Any]) -> None:
    assert patched(json.dumps(spec)) == {}
