"""Every finding of a first look at the API, the engine, rights and accounts, on a real cluster.

Each is told by `doctor` as text and as JSON, with what to do about it. Where that is a command, it
is carried out, and the finding is gone.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bodywork_argo.access import (
    EXECUTOR_ACCOUNT,
    EXECUTOR_TOKEN,
    RELEASE_ACCOUNT,
)
from e2e.conftest import MakeRepository
from e2e.support.between import between
from e2e.support.cluster import Cluster
from e2e.support.identities import (
    as_account,
    await_right,
    kubeconfig_of,
    make_account,
)
from e2e.support.looks import SUBMITTERS_RULES, Commands
from e2e.support.pods import container
from e2e.support.shop_runs import files
from e2e.support.spaces import Space

pytestmark = pytest.mark.smoke

ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount"}
SECRET = {"apiVersion": "v1", "kind": "Secret"}


def changed(kubeconfig: Path, folder: Path, change: Callable[[Any], None]) -> Path:
    """Write a kubeconfig with other content."""
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    change(document)
    path = folder / "changed.kubeconfig"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


# --- API and engine -------------------------------------------------------------------------------


@pytest.mark.full
def test_an_api_that_cannot_be_reached(
    administrator: Commands,
    commands_of: Callable[[Path], Commands],
    clone: Callable[..., str],
    closed_port: int,
    tmp_path: Path,
) -> None:
    address = f"http://127.0.0.1:{closed_port}"
    away = changed(
        administrator.kubeconfig,
        tmp_path,
        lambda document: document["clusters"][0].update(cluster={"server": address}),
    )

    problem = commands_of(away).finding("cluster")
    _, err = commands_of(away)("submit", clone(), code=4)

    assert problem["what"].startswith(f"{address} can't be reached")
    assert problem["where"] == address
    assert "--kubeconfig and --context" in problem["remedy"]
    assert f"error: {address}: cluster: {address} can't be reached" in err
    assert "nothing was submitted: cluster must be mended first" in err


def test_credentials_that_are_not_accepted(
    administrator: Commands, commands_of: Callable[[Path], Commands], tmp_path: Path
) -> None:
    wrong = changed(
        administrator.kubeconfig,
        tmp_path,
        lambda document: document["users"][0].update(user={"token": "wrong"}),
    )

    problem = commands_of(wrong).finding("cluster")

    assert "does not accept the kubeconfig's credentials" in problem["what"]


def test_a_namespace_that_is_not_there_is_made_by_what_the_remedy_says(
    administrator: Commands, cluster: Cluster
) -> None:
    name = f"e2e-{uuid.uuid4().hex[:10]}"
    elsewhere = Commands(
        kubeconfig=administrator.kubeconfig,
        namespace=name,
        capfd=administrator.capfd,
        leaks=administrator.leaks,
    )
    problem = elsewhere.finding("cluster")
    assert problem["what"] == f"there is no namespace {name}"
    try:
        elsewhere.mend(problem["remedy"])
        elsewhere.nothing("cluster")
        elsewhere.nothing("accounts")
    finally:
        cluster.core.delete_namespace(name, propagation_policy="Background")


def test_a_cluster_that_does_not_have_the_engines_objects(
    submitter: Commands,
    commands_of: Callable[[Path], Commands],
    clone: Callable[..., str],
    tmp_path: Path,
) -> None:
    with between(submitter.kubeconfig, tmp_path, hidden=("/apis/argoproj.io",)) as way:
        problem = commands_of(way.kubeconfig).finding("engine")
        _, err = commands_of(way.kubeconfig)("submit", clone(), "-n", submitter.namespace, code=4)

    assert "does not know Workflow (argoproj.io/v1alpha1)" in problem["what"]
    assert problem["remedy"].startswith("install Argo Workflows v3.6 or later")
    assert "nothing was submitted: engine must be mended first" in err


def test_an_engine_whose_version_cannot_be_told_is_a_warning(
    submitter: Commands, commands_of: Callable[[Path], Commands], tmp_path: Path
) -> None:
    with between(submitter.kubeconfig, tmp_path, hidden=("/openapi",)) as way:
        problem = commands_of(way.kubeconfig).finding("engine", code=0)

    assert problem["what"] == "the version of Argo Workflows can't be told from here"
    assert problem["remedy"] == "ask who runs the cluster; needed is v3.6 or later"


def test_an_engine_that_is_too_old(administrator: Commands, namespace: Space) -> None:
    labels = {"app.kubernetes.io/component": "workflow-controller"}
    old = {"name": "controller", **container(["true"], image="argo/workflow-controller:v3.4.9")}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [old]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "argo-workflows-workflow-controller", "labels": labels}
    namespace.create(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    )

    problem = administrator.finding("engine")

    found_in = f"Deployment {namespace.name}/argo-workflows-workflow-controller"
    assert problem["what"] == f"Argo Workflows v3.4.9 ({found_in}) is too old"
    assert problem["remedy"] == "upgrade to v3.6 or later"


# --- Rights and accounts --------------------------------------------------------------------------


def test_whoever_may_not_start_runs_may_after_what_the_remedy_says(
    administrator: Commands,
    commands_of: Callable[[Path], Commands],
    clone: Callable[..., str],
    namespace: Space,
    tmp_path: Path,
) -> None:
    rules = [dict(rule) for rule in SUBMITTERS_RULES]
    rules[0]["verbs"] = [verb for verb in rules[0]["verbs"] if verb != "create"]
    make_account(namespace, "poor", rules)
    await_right(as_account(namespace, "poor", tmp_path), "list", "argoproj.io", "workflows")
    poor = commands_of(kubeconfig_of(namespace, "poor", tmp_path))
    who = f"system:serviceaccount:{namespace.name}:poor"

    problem = poor.finding("rights")
    _, err = poor("submit", clone(), code=4)

    what = f"{who} may not create workflows.argoproj.io in namespace {namespace.name}"
    assert problem["what"] == what
    assert f": rights: {what}" in err
    assert namespace.find({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}) == []
    administrator.mend(problem["remedy"])
    await_right(as_account(namespace, "poor", tmp_path), "create", "argoproj.io", "workflows")
    poor.nothing("rights")


def test_a_right_that_is_missed_later_is_a_warning(
    commands_of: Callable[[Path], Commands], namespace: Space, tmp_path: Path
) -> None:
    rules = [rule for rule in SUBMITTERS_RULES if rule["resources"] != ["pods/log"]]
    make_account(namespace, "poor", rules)
    await_right(as_account(namespace, "poor", tmp_path), "create", "argoproj.io", "workflows")

    problem = commands_of(kubeconfig_of(namespace, "poor", tmp_path)).finding("rights", code=0)

    assert f"may not get pods/log in namespace {namespace.name}" in problem["what"]
    assert f"--namespace {namespace.name} --bind User:system:" in problem["remedy"]


@pytest.mark.parametrize(
    ("document", "name"), [(ACCOUNT, EXECUTOR_ACCOUNT), (SECRET, EXECUTOR_TOKEN)]
)
def test_an_executor_without_account_or_token_is_a_warning_until_setup_is_applied(
    submitter: Commands,
    administrator: Commands,
    namespace: Space,
    document: Mapping[str, str],
    name: str,
) -> None:
    plural = {"ServiceAccount": "serviceaccounts", "Secret": "secrets"}[document["kind"]]
    path = f"/api/v1/namespaces/{namespace.name}/{plural}/{name}"
    namespace.cluster.request("DELETE", path)

    problem = submitter.finding("accounts", code=0)

    assert "stages run as the namespace's default account and hold its token" in problem["what"]
    administrator.mend(problem["remedy"])
    submitter.nothing("accounts")


def test_services_are_not_released_without_their_account_until_setup_is_applied(
    submitter: Commands,
    administrator: Commands,
    namespace: Space,
    make_git_repository: MakeRepository,
) -> None:
    path = f"/api/v1/namespaces/{namespace.name}/serviceaccounts/{RELEASE_ACCOUNT}"
    namespace.cluster.request("DELETE", path)
    url = make_git_repository(files("one")).url

    problem = submitter.finding("accounts", url, code=4)

    assert f"account {RELEASE_ACCOUNT} is missing" in problem["what"]
    administrator.mend(problem["remedy"])
    submitter.nothing("accounts", url)
