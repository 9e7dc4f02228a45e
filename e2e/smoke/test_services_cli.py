"""Released services are looked after from the command line, on a real cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bodywork_argo.access import RELEASE_ACCOUNT, SUBMITTER
from bodywork_argo.cluster import POD
from bodywork_argo.lease import LEASE
from bodywork_argo.names import MANAGED_BY, MANAGED_BY_LABEL, PIPELINE_LABEL
from bodywork_argo.release_records import RECORD
from bodywork_argo.services import DEPLOYMENT, INGRESS, SERVICE
from e2e.conftest import MakeRepository
from e2e.support.cluster import await_state
from e2e.support.identities import as_account, as_administrator, await_right, kubeconfig_of
from e2e.support.program import Program, pipeline, set_up
from e2e.support.repositories import Repository
from e2e.support.shop import CRASH, server
from e2e.support.spaces import Space, binding
from tests.docs.reader import new_reader

pytestmark = pytest.mark.smoke

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "look-after-services.md"


@pytest.fixture
def program(namespace: Space, tmp_path: Path) -> Program:
    """Call the program with the two roles that the page names."""
    program = set_up(namespace, tmp_path)
    account = {"kind": "ServiceAccount", "name": SUBMITTER, "namespace": namespace.name}
    bound = binding(RELEASE_ACCOUNT, account)
    bound["metadata"]["name"] = "releases"
    namespace.create(bound)
    cluster = as_account(namespace, SUBMITTER, tmp_path)
    await_right(cluster, "create", "coordination.k8s.io", "leases")
    return program


def files(says: str, code: str | None = None, **keys: Any) -> dict[str, str]:
    """Write a pipeline of one service that tells in its log that it is up."""
    given = {"max_startup_time_seconds": 60, "replicas": 1, "port": 5000, "ingress": False, **keys}
    module = code or f"print('{says} is up', flush=True)\n{server(says)}"
    stage = (module, {"cpu_request": 0, "memory_request_mb": 0, "service": given})
    return pipeline("serve", {"serve": stage})


def pods(space: Space) -> set[str]:
    """Name the pods that are not about to end."""
    found = as_administrator(space).list(POD, {MANAGED_BY_LABEL: MANAGED_BY})
    there = [each["metadata"] for each in found]
    return {each["name"] for each in there if "deletionTimestamp" not in each}


def released(program: Program, repository: Repository, **changed: dict[str, str]) -> None:
    """Release each of some commits, one after the other."""
    for made in changed.values():
        repository.commit(made)
        program("release", repository.url)


@pytest.mark.full
def test_services_are_shown_rolled_back_restarted_and_deleted(
    program: Program, namespace: Space, make_git_repository: MakeRepository
) -> None:
    cluster = as_administrator(namespace)
    theirs = {"metadata": {"name": "theirs", "labels": {PIPELINE_LABEL: "shop"}}}
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", **theirs})
    repository = make_git_repository({})
    released(program, repository, first=files("one", ingress=True))
    released(program, repository, second=files("two", replicas=2))
    (listed,) = program("service", "list", "-o", "json").data
    assert (listed["state"], listed["ready"], listed["ingress"]) == ("serves", 2, None)
    log = program("service", "logs", "serve").lines
    assert sorted(log) == sorted(f"{pod} | two is up" for pod in pods(namespace))
    program("service", "rollback", "shop", "--yes")
    assert program("service", "logs", "serve").out == "one is up\n"
    ingress = program("service", "list", "-o", "json").data[0]["ingress"]
    assert ingress.endswith("/shop/serve")
    program("service", "rollback", "shop", "--yes")
    assert {line.partition(" | ")[2] for line in program("service", "logs", "serve").lines} == {
        "two is up"
    }
    history = program("service", "history", "shop", "-o", "json").data
    assert [(each["release"], each["state"]) for each in history] == [
        (number, "good") for number in (4, 3, 2, 1)
    ]
    assert history[0]["commit"] == history[2]["commit"] == listed["commit"]
    program("delete", "none", "--yes", code=4)
    program("service", "delete", "serve", "--yes")
    program("service", "status", "serve", code=4)
    told = program("delete", "shop", "--yes").err
    assert "Lease bodywork-argo-shop is deleted" in told
    for resource in (DEPLOYMENT, SERVICE, INGRESS, RECORD):
        assert cluster.list(resource, {MANAGED_BY_LABEL: MANAGED_BY}) == ()
    assert cluster.get(RECORD, "theirs") is not None
    assert cluster.get(LEASE, "bodywork-argo-shop") is None


def test_a_restart_makes_other_pods_of_the_same_commit(
    program: Program, namespace: Space, make_git_repository: MakeRepository
) -> None:
    released(program, make_git_repository({}), first=files("one"))
    before = pods(namespace)
    said = program("service", "restart", "serve").err.splitlines()
    assert (said[0], said[-1]) == (
        "serve: its pods are started anew",
        "serve: serves with 1 pod",
    )
    assert not before & pods(namespace)
    assert program("service", "logs", "serve").out == "one is up\n"


@pytest.mark.full
def test_a_log_is_followed_into_the_pods_that_come(
    program: Program, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository({})
    released(program, repository, first=files("one"))
    with program.start("service", "logs", "serve", "-f") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "one is up\n"
        repository.commit(files("broken", CRASH))
        told = program("release", repository.url, code=1).err
        assert "no model" in told
        assert following.stdout.readline().endswith(" | no model\n")
        released(program, repository, last=files("two"))
        lines = iter(following.stdout.readline, "")
        assert next(line for line in lines if "two is up" in line).startswith("serve-")
        program("delete", "shop", "--yes")
        assert following.wait(timeout=60) == 0


@pytest.mark.full
def test_the_page_does_what_it_says(
    program: Program, namespace: Space, make_git_repository: MakeRepository, tmp_path: Path
) -> None:
    released(program, make_git_repository({}), first=files("one"), second=files("two"))
    page = PAGE.read_text(encoding="utf-8").replace("serve.team", f"serve.{namespace.name}")
    page = page.replace(f"url{' ' * 21}ingress", "url ... ingress")
    folder = tmp_path / "work"
    folder.mkdir()
    config = kubeconfig_of(namespace, SUBMITTER, folder)
    start = f"```console\n$ export KUBECONFIG={config}\n```\n"

    cluster = as_administrator(namespace)
    await_state(
        lambda: cluster.list(POD, {MANAGED_BY_LABEL: MANAGED_BY}),
        lambda found: len(found) == 1,
        "the end of the pod of the first release",
    )
    new_reader(folder, tmp_path / "home").follow(start + page)

    await_state(lambda: pods(namespace), lambda left: not left, "the end of all pods")
