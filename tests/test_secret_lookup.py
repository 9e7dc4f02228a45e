"""Whether the secrets that stages use are there, or in their group."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from bodywork_argo.access import SECRETS_NAMESPACE
from bodywork_argo.cluster import SECRET, Resource
from bodywork_argo.errors import Forbidden, Problem
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.plan import Plan
from bodywork_argo.secret_groups import sync_group
from bodywork_argo.secret_lookup import Group, Looked, look_for_secrets, missing_secrets
from bodywork_argo.spec import PodOptions, SecretRef
from tests.projects import batch, plan_of


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


# --- Groups ---------------------------------------------------------------------------------------


class World:
    """A cluster with the namespace of the groups and that of the runs."""

    def __init__(self) -> None:
        self.target = MemoryCluster("team")
        self.source = self.target.within(SECRETS_NAMESPACE)

    def look(self, plan: Plan) -> Looked:
        """Look as a first look does."""
        return look_for_secrets(plan, self.target, Group(name="prod", source=self.source))

    def put(self, name: str, *keys: str, **labels: str) -> None:
        """Make a secret of the group, or with other labels."""
        document = secret(f"prod-{name}", *keys)
        document["metadata"]["labels"] = labels or {"group": "prod"}
        self.source.create(document)


@pytest.fixture
def world() -> World:
    return World()


def one_stage(*refs: tuple[str, str]) -> Plan:
    secrets = tuple(ref(variable, secret) for variable, secret in refs)
    return plan_of("load", batch("load", secrets=secrets))


def test_what_the_group_has_is_not_missing_and_is_told_as_what_will_be_copied(
    world: World,
) -> None:
    world.put("db", "USER")
    world.put("unused", "USER")

    assert world.look(one_stage(("USER", "db"))) == Looked(problems=(), copies=("db",))


def test_no_value_of_a_group_is_read() -> None:
    target = MetadataOnly("team")
    made = secret("prod-db", "USER")
    made["metadata"]["labels"] = {"group": "prod"}
    source = target.within(SECRETS_NAMESPACE)
    source.create(made)

    looked = look_for_secrets(two_stages(), target, Group(name="prod", source=source))

    assert [problem.key for problem in looked.problems] == [
        "stages.load.secrets.PASSWORD",
        "stages.train.secrets.TOKEN",
    ]


def test_what_opens_the_repository_is_copied_from_the_group_too(world: World) -> None:
    world.put("git-token", "BODYWORK_GIT_TOKEN")

    assert world.look(one_stage()).copies == ("git-token",)


def test_what_the_group_has_not_is_taken_as_it_is_in_the_namespace(world: World) -> None:
    world.target.create(secret("db", "USER"))

    assert world.look(one_stage(("USER", "db"))) == Looked(problems=())


def test_what_neither_has_is_told_with_how_to_put_it_into_the_group(world: World) -> None:
    (problem,) = world.look(one_stage(("USER", "db"))).problems

    assert (problem.severity, problem.key) == ("error", "stages.load.secrets.USER")
    assert problem.what == (
        "group prod has no secret db, and namespace team has none of its own; "
        "stage load can't start without it"
    )
    assert problem.remedy == (
        "create it with key USER: "
        "`bodywork-argo secret create db --group prod --from-env-file FILE`"
    )


def test_a_missing_key_is_looked_for_in_the_group_even_if_an_old_copy_has_it(world: World) -> None:
    world.put("db", "USER")
    sync_group("prod", one_stage(("USER", "db")), source=world.source, target=world.target)
    world.source.patch(SECRET, "prod-db", {"data": {"USER": None, "OTHER": "eA=="}})

    looked = world.look(one_stage(("USER", "db")))

    assert looked.copies == ("db",)
    (problem,) = looked.problems
    assert "secret prod-db in namespace bodywork-deployment-jobs has no key USER" in problem.what
    assert "secret create db --group prod --replace" in problem.remedy


def test_a_copy_that_the_next_run_would_remove_does_not_count(world: World) -> None:
    world.put("db", "USER")
    sync_group("prod", one_stage(("USER", "db")), source=world.source, target=world.target)
    world.source.delete(SECRET, "prod-db")

    (problem,) = world.look(one_stage(("USER", "db"))).problems

    assert "group prod has no secret db" in problem.what


def test_a_copy_from_elsewhere_counts_since_no_run_removes_it(world: World) -> None:
    elsewhere = world.target.within("elsewhere")
    made = secret("prod-db", "USER")
    made["metadata"]["labels"] = {"group": "prod"}
    elsewhere.create(made)
    sync_group("prod", one_stage(("USER", "db")), source=elsewhere, target=world.target)

    assert world.look(one_stage(("USER", "db"))) == Looked(problems=())


def test_what_is_in_the_way_of_a_copy_is_told(world: World) -> None:
    world.put("db", "USER")
    world.target.create(secret("db", "USER"))

    (problem,) = world.look(one_stage(("USER", "db"))).problems

    assert (problem.severity, problem.key) == ("error", "stages.load.secrets.USER")
    assert "secret db in namespace team is in the way of the one of group prod" in problem.what


def test_a_secret_with_the_groups_name_but_not_its_label_is_told(world: World) -> None:
    world.put("db", "USER", group="another")

    (problem,) = world.look(one_stage(("USER", "db"))).problems

    assert "kubectl label secret prod-db -n bodywork-deployment-jobs group=prod" in problem.remedy


def test_where_groups_are_kept_elsewhere_the_remedy_says_so(world: World) -> None:
    group = Group(name="prod", source=world.target.within("vault"))

    (problem,) = look_for_secrets(one_stage(("USER", "db")), world.target, group).problems

    assert "--group prod --secrets-namespace vault" in problem.remedy


def test_whoever_may_not_read_the_group_is_told_that_no_run_can_start(world: World) -> None:
    class Closed(MemoryCluster):
        def get(
            self, resource: Resource, name: str, *, metadata_only: bool = False
        ) -> Manifest | None:
            """Refuse."""
            raise Forbidden(f"somebody may not get secrets in namespace {self.namespace}")

    group = Group(name="prod", source=Closed(SECRETS_NAMESPACE))

    (problem,) = look_for_secrets(one_stage(("USER", "db")), world.target, group).problems

    assert (problem.severity, problem.key) == ("error", "secrets")
    assert "namespace bodywork-deployment-jobs" in problem.what
    assert problem.remedy == (
        "`bodywork-argo setup --namespace team --secret-groups --bind User:somebody --apply`, "
        "or give its output to who may apply it"
    )


@pytest.mark.parametrize(
    ("verb", "severity"),
    [("list", "error"), ("create", "error"), ("patch", "warning"), ("delete", "warning")],
)
def test_a_right_that_copying_takes_and_is_not_there_is_told(
    world: World, verb: str, severity: str
) -> None:
    world.put("db", "USER")
    world.target.denied.add((verb, "", "secrets"))

    (problem,) = world.look(one_stage(("USER", "db"))).problems

    assert (problem.severity, problem.key) == (severity, "secrets")
    assert f"somebody may not {verb} secrets in namespace team" in problem.what


def test_where_nothing_is_to_be_copied_the_right_to_create_is_a_warning(world: World) -> None:
    world.target.denied.add(("create", "", "secrets"))

    (problem,) = world.look(one_stage()).problems

    assert problem.severity == "warning"


def test_a_secret_for_images_is_made_with_kubectl() -> None:
    stage = replace(batch("load"), pod=PodOptions(image_pull_secrets=("registry",)))

    (problem,) = missing_secrets(plan_of("load", stage), MemoryCluster("team"))

    assert "`kubectl create secret docker-registry registry -n team" in problem.remedy
