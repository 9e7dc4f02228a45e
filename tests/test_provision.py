from __future__ import annotations

from bodywork_argo.access import SECRETS_NAMESPACE, access_manifests
from bodywork_argo.cluster import Resource
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.provision import Outcome, missing_namespaces, provision
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS

NAMESPACE = Resource(api_version="v1", kind="Namespace")
ROLE = Resource(api_version="rbac.authorization.k8s.io/v1", kind="Role")
ACCOUNT = Resource(api_version="v1", kind="ServiceAccount")


def documents(*, create_namespace: bool = False) -> tuple[Manifest, ...]:
    return access_manifests("team", [ARGO_NEEDS], create_namespace=create_namespace)


def outcomes(
    cluster: MemoryCluster, wanted: tuple[Manifest, ...], *, dry_run: bool = False
) -> list[Outcome]:
    return [each.outcome for each in provision(cluster, wanted, dry_run=dry_run)]


def test_everything_is_created_and_then_unchanged() -> None:
    cluster = MemoryCluster()

    assert set(outcomes(cluster, documents())) == {Outcome.CREATED}
    assert set(outcomes(cluster, documents())) == {Outcome.UNCHANGED}


def test_objects_come_into_the_namespace_that_they_name_whatever_the_clusters_own_is() -> None:
    cluster = MemoryCluster("elsewhere")
    outcomes(cluster, documents())

    assert cluster.list(ROLE, {}) == ()
    assert len(cluster.within("team").list(ROLE, {})) == 3


def test_a_role_that_somebody_changed_is_told_as_changed() -> None:
    cluster = MemoryCluster()
    outcomes(cluster, documents())
    cluster.within("team").patch(ROLE, "bodywork-argo-release", {"rules": []})

    changed = [
        str(each)
        for each in provision(cluster, documents())
        if each.outcome is not Outcome.UNCHANGED
    ]

    assert changed == ["Role team/bodywork-argo-release: changed"]


def test_one_object_that_is_forbidden_ends_nothing_and_tells_why() -> None:
    cluster = MemoryCluster()
    cluster.denied.add(("patch", "rbac.authorization.k8s.io", "roles"))

    applied = list(provision(cluster, documents()))

    refused = [each for each in applied if each.outcome is Outcome.FORBIDDEN]
    assert {each.kind for each in refused} == {"Role"}
    assert all("patch roles" in each.reason for each in refused)
    assert applied[-1].outcome is Outcome.CREATED


def test_a_namespace_is_made_when_it_is_asked_for() -> None:
    cluster = MemoryCluster()

    first = next(provision(cluster, documents(create_namespace=True)))

    assert str(first) == "Namespace team: created"
    assert cluster.get(NAMESPACE, "team") is not None


def test_a_namespace_that_is_there_is_not_touched() -> None:
    cluster = MemoryCluster()
    theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    before = cluster.create(theirs)

    first = next(provision(cluster, documents(create_namespace=True)))

    assert first.outcome is Outcome.UNCHANGED
    assert cluster.get(NAMESPACE, "team") == before


def test_a_dry_run_leaves_nothing_behind() -> None:
    cluster = MemoryCluster()

    assert set(outcomes(cluster, documents(), dry_run=True)) == {Outcome.CREATED}
    assert cluster.within("team").list(ACCOUNT, {}) == ()


def test_a_dry_run_checks_nothing_in_a_namespace_that_is_not_there_yet() -> None:
    cluster = MemoryCluster()

    told = outcomes(cluster, documents(create_namespace=True), dry_run=True)

    assert told[0] is Outcome.CREATED
    assert set(told[1:]) == {Outcome.UNCHECKED}


def test_namespaces_that_are_neither_there_nor_asked_for_are_missing() -> None:
    cluster = MemoryCluster()
    wanted = access_manifests("team", [ARGO_NEEDS], secret_groups=True)

    assert missing_namespaces(cluster, wanted) == ("team", SECRETS_NAMESPACE)
    assert missing_namespaces(cluster, documents(create_namespace=True)) == ()


def test_where_namespaces_may_not_be_seen_none_is_missing() -> None:
    cluster = MemoryCluster()
    cluster.denied.add(("get", "", "namespaces"))

    assert missing_namespaces(cluster, documents()) == ()
