"""Secrets on a real cluster: groups, what is missing, and what opens repositories to pods."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo import runner
from bodywork_argo.cli import main
from bodywork_argo.cluster import SECRET
from bodywork_argo.errors import AlreadyExists
from bodywork_argo.forges import fingerprint
from bodywork_argo.kube import KubeCluster, connect
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan
from bodywork_argo.secret_groups import Synced, sync_group
from bodywork_argo.secret_lookup import missing_secrets
from bodywork_argo.secret_uses import key_names
from bodywork_argo.spec import SecretRef
from e2e.conftest import MakeRepository
from e2e.engines.gitservers import HTTP_PASSWORD, HTTP_USER, SshFiles
from e2e.support.between import between
from e2e.support.identities import as_administrator
from e2e.support.leaks import planted
from e2e.support.pods import pod
from e2e.support.repositories import Repository
from e2e.support.spaces import Space
from tests.projects import batch, plan_of

pytestmark = pytest.mark.smoke

VALUE = planted()
ENCODED = base64.b64encode(VALUE.encode()).decode()


def plan(*refs: tuple[str, str]) -> Plan:
    """Return a plan whose one stage takes these keys of these secrets."""
    secrets = tuple(SecretRef(variable=key, secret=secret) for secret, key in refs)
    return plan_of("load", batch("load", secrets=secrets))


def secret(name: str, labels: Mapping[str, str] | None = None, **content: Any) -> Manifest:
    metadata = {"name": name, **({"labels": dict(labels)} if labels else {})}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **content}


def data(*keys: str) -> dict[str, dict[str, str]]:
    return {"data": dict.fromkeys(keys, ENCODED)}


# --- Groups ---------------------------------------------------------------------------------------


def test_copies_of_a_group_are_made_refreshed_and_removed(
    namespace: Space, make_namespace: Callable[..., Space]
) -> None:
    source, target = as_administrator(make_namespace()), as_administrator(namespace)
    group = {"group": "prod"}
    source.create(secret("prod-db", group, **data("USER", "OLD")))
    source.create(secret("prod-unused", group, **data("X")))

    def sync(*names: str) -> Synced:
        used = plan(*((name, "USER") for name in names))
        return sync_group("prod", used, source=source, target=target)

    def copies() -> dict[str, set[str]]:
        labels = {"bodywork-argo/secrets-group": "prod"}
        found = target.list(SECRET, labels)
        return {each["metadata"]["name"]: set(each["data"]) for each in found}

    assert sync("db") == Synced(created=("db",))
    assert copies() == {"db": {"USER", "OLD"}}
    assert sync("db") == Synced(unchanged=("db",))
    source.patch(SECRET, "prod-db", {"data": {"OLD": None, "NEW": ENCODED}})
    assert sync("db") == Synced(updated=("db",))
    assert copies() == {"db": {"USER", "NEW"}}
    assert missing_secrets(plan(("db", "NEW")), target) == ()
    source.delete(SECRET, "prod-db")
    assert sync("db") == Synced(pruned=("db",), missing=("db",))
    assert copies() == {}


def test_a_strangers_secret_is_not_replaced(
    namespace: Space, make_namespace: Callable[..., Space]
) -> None:
    source, target = as_administrator(make_namespace()), as_administrator(namespace)
    source.create(secret("prod-db", {"group": "prod"}, **data("USER")))
    theirs = target.create(secret("db", **data("THEIRS")))

    with pytest.raises(AlreadyExists, match="secret db"):
        sync_group("prod", plan(("db", "USER")), source=source, target=target)
    assert target.get(SECRET, "db") == theirs


# --- What is missing ------------------------------------------------------------------------------


@pytest.fixture
def recorded(namespace: Space, tmp_path: Path) -> Iterator[tuple[KubeCluster, list[bytes]]]:
    """The cluster, and every byte that it sends."""
    with between(namespace.cluster.kubeconfig, tmp_path) as way:
        yield (
            connect(kubeconfig=str(way.kubeconfig), context=None, namespace=namespace.name),
            way.answers,
        )


def test_missing_secrets_and_keys_are_told_and_no_value_is_sent(
    namespace: Space, recorded: tuple[KubeCluster, list[bytes]]
) -> None:
    cluster, answers = recorded
    namespace.create(secret("made", **data("A")))
    namespace.create(secret("texts", stringData={"A": VALUE}))
    namespace.cluster.apply(secret("applied", **data("A")), namespace.name)
    names = ("made", "texts", "applied", "absent")

    assert missing_secrets(plan(*((name, "A") for name in names[:3])), cluster) == ()
    problems = missing_secrets(plan(*((name, "B") for name in names)), cluster)

    assert [(problem.severity, problem.what.partition(";")[0]) for problem in problems] == [
        ("error", f"secret made in namespace {namespace.name} has no key B"),
        ("error", f"secret texts in namespace {namespace.name} has no key B"),
        ("error", f"secret applied in namespace {namespace.name} has no key B"),
        ("error", f"there is no secret absent in namespace {namespace.name}"),
    ]
    assert len(answers) >= len(names)
    assert b"PartialObjectMetadata" in b"".join(answers)
    assert not [body for body in answers if ENCODED.encode() in body or VALUE.encode() in body]


def test_the_keys_are_told_whatever_way_the_secret_was_written(namespace: Space) -> None:
    cluster = as_administrator(namespace)
    path = f"/api/v1/namespaces/{namespace.name}/secrets"

    def patch(name: str, body: object, form: str, **query: str) -> None:
        namespace.cluster.request("PATCH", f"{path}/{name}", body, f"application/{form}", **query)

    def put(name: str, change: Callable[[Any], None]) -> None:
        document = namespace.cluster.request("GET", f"{path}/{name}")
        change(document)
        namespace.cluster.request("PUT", f"{path}/{name}", document)

    def check(name: str, *keys: str) -> None:
        found = cluster.get(SECRET, name, metadata_only=True)
        assert found is not None
        assert key_names(found) == (frozenset(keys), True)
        assert set(namespace.get(secret(name)).get("data", {})) == set(keys)

    namespace.create(secret("one", **data("A", "tls.crt")))
    check("one", "A", "tls.crt")
    patch("one", data("B"), "merge-patch+json")
    check("one", "A", "B", "tls.crt")
    patch("one", {"data": {"A": None}}, "merge-patch+json")
    check("one", "B", "tls.crt")
    edited = {"data": {"C": ENCODED, "B": None}}
    patch("one", edited, "strategic-merge-patch+json", fieldManager="kubectl-edit")
    check("one", "C", "tls.crt")
    patch("one", {"stringData": {"D": VALUE}}, "merge-patch+json", fieldManager="kubectl-patch")
    check("one", "C", "D", "tls.crt")
    patch("one", [{"op": "remove", "path": "/data/C"}], "json-patch+json")
    check("one", "D", "tls.crt")
    put("one", lambda document: document.update(data("E")))
    check("one", "E")
    put("one", lambda document: document.pop("data"))
    check("one")
    namespace.cluster.apply(secret("two", **data("A", "B")), namespace.name, manager="first")
    namespace.cluster.apply(secret("two", **data("C")), namespace.name, manager="second")
    check("two", "A", "B", "C")
    namespace.cluster.apply(secret("two", **data("B")), namespace.name, manager="first")
    check("two", "B", "C")


def test_where_the_keys_cannot_be_told_nothing_is_said_to_be_missing(namespace: Space) -> None:
    cluster = as_administrator(namespace)
    path = f"/api/v1/namespaces/{namespace.name}/secrets/cleared"
    namespace.create(secret("cleared", **data("A")))
    document = namespace.cluster.request("GET", path)
    document["metadata"]["managedFields"] = [{}]
    namespace.cluster.request("PUT", path, document)
    for texts in ({"A": VALUE, "B": VALUE}, {"A": VALUE}):  # B stays, with nobody's name on it
        namespace.cluster.apply(secret("texts", stringData=texts), namespace.name)
    assert set(namespace.get(secret("texts"))["data"]) == {"A", "B"}

    problems = missing_secrets(plan(("cleared", "A"), ("texts", "B")), cluster)

    assert [problem.severity for problem in problems] == ["warning", "warning"]


# --- What opens repositories to pods --------------------------------------------------------------

PREPARE = """
set -e
python3 /given/runner.py prepare --workspace=/tmp/w --repository="$URL" --commit="$COMMIT"
python3 /given/runner.py exec --workspace=/tmp/w --module=stage/main.py
"""
FILES = {
    "stage/main.py": "import os; print(sorted(n for n in os.environ if n.startswith('BODYWORK_G')))"
}


def prepare_in_a_pod(
    space: Space, repository: Repository, secret_name: str, user: int | None = None
) -> str:
    """Fetch and run a stage in a pod that is given a secret; return what the pod wrote."""
    commit = repository.commit(FILES)
    url = repository.ssh_url if secret_name == "ssh-git-private-key" else repository.url
    environment = {"URL": url, "COMMIT": commit}
    document: Any = pod("fetch", ["sh", "-c", PREPARE], environment=environment)
    text = Path(runner.__file__).read_text(encoding="utf-8")
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "runner"}}
    space.create({**config_map, "data": {"runner.py": text}})
    main_container = document["spec"]["containers"][0]
    main_container["envFrom"] = [{"secretRef": {"name": secret_name}}]
    main_container["volumeMounts"] = [{"name": "given", "mountPath": "/given"}]
    document["spec"]["volumes"] = [{"name": "given", "configMap": {"name": "runner"}}]
    if user is not None:
        document["spec"]["securityContext"] = {"runAsUser": user}
    space.create(document)
    space.finished_pod("fetch")
    return space.logs("fetch")


def call(space: Space, *words: str) -> int:
    return main([*words, "--kubeconfig", str(space.cluster.kubeconfig), "-n", space.name])


def create_ssh_key(space: Space, repository: Repository, files: SshFiles) -> None:
    published = fingerprint(files.host_key.read_text(encoding="utf-8").split()[1])
    words = ("--repository", repository.ssh_url, "--fingerprint", published)
    assert call(space, "ssh-key", "create", str(files.private_key), *words) == 0


def test_a_key_that_was_created_opens_a_private_repository_to_a_pod(
    namespace: Space, make_git_repository: MakeRepository, ssh_files: SshFiles
) -> None:
    repository = make_git_repository(FILES, private=True)
    create_ssh_key(namespace, repository, ssh_files)

    said = prepare_in_a_pod(namespace, repository, "ssh-git-private-key")

    assert said == "['BODYWORK_GIT_COMMIT']\n"  # neither the key nor the hosts


def test_a_user_without_a_name_is_told_why_ssh_does_not_serve_it(
    namespace: Space, make_git_repository: MakeRepository, ssh_files: SshFiles
) -> None:
    repository = make_git_repository(FILES, private=True)
    create_ssh_key(namespace, repository, ssh_files)

    said = prepare_in_a_pod(namespace, repository, "ssh-git-private-key", user=54321)

    assert "ssh serves no user that /etc/passwd lacks: fetch by HTTPS" in said


def test_a_token_that_was_created_opens_a_private_repository_to_a_pod(
    namespace: Space, make_git_repository: MakeRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_git_repository(FILES, private=True)
    monkeypatch.setenv("E2E_TOKEN", HTTP_PASSWORD)
    words = ("--from-env", "E2E_TOKEN", "--username", HTTP_USER, "--repository", repository.url)
    assert call(namespace, "git-token", "create", *words) == 0

    assert prepare_in_a_pod(namespace, repository, "git-token") == "['BODYWORK_GIT_COMMIT']\n"
