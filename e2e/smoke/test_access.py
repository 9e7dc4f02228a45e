"""What `setup` makes on a cluster: accounts that are enough for a run, and nothing for stages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo.access import (
    EXECUTOR_ACCOUNT,
    STAGE_ACCOUNT,
    Subject,
    access_manifests,
)
from bodywork_argo.errors import Forbidden
from bodywork_argo.manifests import Manifest
from bodywork_argo.provision import Applied, Outcome, provision
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS, installed
from e2e.engines.places import Places
from e2e.support.cluster import Cluster, connect
from e2e.support.identities import as_account, as_administrator
from e2e.support.pods import container
from e2e.support.spaces import WORKFLOW, Space, binding, role

pytestmark = pytest.mark.smoke

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
LOOK_FOR_A_TOKEN = f"import os; print('token:', os.path.exists({TOKEN!r}))"


def workflow(name: str) -> Manifest:
    """Write a workflow of one stage, with the accounts of `setup`."""
    return {
        **WORKFLOW,
        "metadata": {"name": name},
        "spec": {
            "entrypoint": "main",
            "serviceAccountName": STAGE_ACCOUNT,
            "automountServiceAccountToken": False,
            "executor": {"serviceAccountName": EXECUTOR_ACCOUNT},
            "templates": [
                {"name": "main", "container": container(["python3", "-c", LOOK_FOR_A_TOKEN])}
            ],
        },
    }


def set_up(space: Space, documents: Sequence[Manifest] | None = None) -> list[Applied]:
    made = access_manifests(space.name, [ARGO_NEEDS]) if documents is None else documents
    return list(provision(as_administrator(space), made))


def outcomes(applied: Sequence[Applied]) -> set[Outcome]:
    return {each.outcome for each in applied}


def without(verb: str, documents: Sequence[Manifest]) -> list[Manifest]:
    """Take one verb from the executor's role."""
    changed = []
    for document in documents:
        if (document["kind"], document["metadata"]["name"]) == ("Role", EXECUTOR_ACCOUNT):
            (rule,) = document["rules"]
            kept = [each for each in rule["verbs"] if each != verb]
            changed.append({**document, "rules": [{**rule, "verbs": kept}]})
        else:
            changed.append(document)
    return changed


def test_applying_twice_creates_everything_and_then_changes_nothing(namespace: Space) -> None:
    first, second = set_up(namespace), set_up(namespace)

    assert outcomes(first) == {Outcome.CREATED}
    assert outcomes(second) == {Outcome.UNCHANGED}
    assert len(first) == len(second) == 11


def test_a_dry_run_creates_nothing(namespace: Space) -> None:
    documents = access_manifests(namespace.name, [ARGO_NEEDS])
    checked = list(provision(as_administrator(namespace), documents, dry_run=True))

    assert outcomes(checked) == {Outcome.CREATED}
    assert outcomes(set_up(namespace)) == {Outcome.CREATED}


def test_binding_somebody_changes_one_binding_and_nothing_else(namespace: Space) -> None:
    set_up(namespace)
    people = (Subject(kind="Group", name="data-science"),)
    applied = set_up(namespace, access_manifests(namespace.name, [ARGO_NEEDS], subjects=people))

    changed = [each for each in applied if each.outcome is not Outcome.UNCHANGED]

    assert [(each.kind, each.name) for each in changed] == [
        ("RoleBinding", "bodywork-argo-submitter")
    ]


def test_a_namespace_of_others_is_left_as_it_is(namespace: Space) -> None:
    documents = access_manifests(namespace.name, [ARGO_NEEDS], create_namespace=True)
    before = namespace.cluster.core.read_namespace(namespace.name).metadata.resource_version

    first = set_up(namespace, documents)[0]

    assert (first.kind, first.outcome) == ("Namespace", Outcome.UNCHANGED)
    after = namespace.cluster.core.read_namespace(namespace.name).metadata
    assert after.resource_version == before


def test_a_stage_runs_under_these_accounts_and_holds_no_token(namespace: Space) -> None:
    set_up(namespace)
    namespace.create(workflow("plain"))

    ended = namespace.finished_workflow("plain")

    assert ended["status"]["phase"] == "Succeeded"
    assert "token: False" in namespace.logs("plain", "main")
    assert mounts_of("main", namespace) == []
    assert mounts_of("wait", namespace) != []


def mounts_of(name: str, space: Space) -> list[str]:
    """List where a container of the run has a token."""
    pod = space.cluster.core.read_namespaced_pod("plain", space.name)
    (found,) = [each for each in pod.spec.containers if each.name == name]
    return [m.mount_path for m in found.volume_mounts if m.mount_path == str(Path(TOKEN).parent)]


def test_without_accounts_a_run_needs_the_executors_rights_for_the_default_account(
    namespace: Space,
) -> None:
    (rules,) = [
        document["rules"]
        for document in access_manifests(namespace.name, [ARGO_NEEDS])
        if (document["kind"], document["metadata"]["name"]) == ("Role", EXECUTOR_ACCOUNT)
    ]
    namespace.create(role("stock", rules))
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace.name}
    namespace.create(binding("stock", subject))
    spec = {key: workflow("plain")["spec"][key] for key in ("entrypoint", "templates")}
    namespace.create({**workflow("plain"), "spec": spec})

    ended = namespace.finished_workflow("plain")

    assert ended["status"]["phase"] == "Succeeded"
    assert "token: True" in namespace.logs("plain", "main")


@pytest.mark.parametrize("verb", ["create", "patch"])
def test_without_one_verb_of_the_executor_a_run_fails(namespace: Space, verb: str) -> None:
    set_up(namespace, without(verb, access_manifests(namespace.name, [ARGO_NEEDS])))
    namespace.create(workflow("poor"))

    ended = namespace.finished_workflow("poor")

    assert ended["status"]["phase"] == "Error"
    assert f"cannot {verb} resource" in ended["status"]["message"]


def test_the_stages_account_may_do_no_more_than_an_account_that_nobody_bound(
    namespace: Space,
) -> None:
    set_up(namespace)
    nobody = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}}
    namespace.create(nobody)

    rules = rules_of(namespace, STAGE_ACCOUNT)

    assert rules == rules_of(namespace, "nobody")
    resources = {each for rule in rules for each in rule["resources"]}
    assert {each for each in resources if not each.startswith("selfsubject")} == set()


def rules_of(space: Space, account: str) -> list[Any]:
    """Ask the server what an account may do to objects of the namespace."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": space.name},
    }
    identity = connect(space.cluster.kubeconfig, token=space.token(account))
    answer = identity.request(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review
    )
    return sorted(answer["status"]["resourceRules"], key=str)


def test_who_may_not_grant_is_told_every_right_that_is_missing(
    namespace: Space, developer: Cluster, own_engines: Places
) -> None:
    kinds = [
        {"apiGroups": [""], "resources": ["serviceaccounts", "secrets"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"]},
    ]
    verbs = ["get", "create", "patch"]
    namespace.create(role("halfway", [{**kind, "verbs": verbs} for kind in kinds]))
    namespace.create(binding("halfway", {"kind": "User", "name": "developer"}))
    arguments = ["setup", "--apply", "--namespace", namespace.name]

    done = call(own_engines.developer_kubeconfig, *arguments)

    assert done.returncode == Forbidden.exit_code
    assert f"ServiceAccount {namespace.name}/{STAGE_ACCOUNT}: created" in done.stdout
    assert f"Role {namespace.name}/bodywork-argo-release: forbidden" in done.stdout
    assert "is attempting to grant RBAC permissions not currently held" in done.stderr
    assert f"RoleBinding {namespace.name}/bodywork-argo-release: forbidden" in done.stdout
    assert "may not get rolebindings bodywork-argo-release" in done.stderr
    assert "give what the same command prints without --apply" in done.stderr


def call(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the command line as a user does."""
    script = Path(sys.executable).with_name("bodywork-argo")
    command = [str(script), *arguments, "--kubeconfig", str(kubeconfig)]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


def test_the_version_is_told_by_the_schema_to_who_may_see_no_controller(
    namespace: Space, tmp_path: Path
) -> None:
    set_up(namespace)
    cluster = as_account(namespace, STAGE_ACCOUNT, tmp_path)

    version = installed(cluster)

    assert version is not None
    assert (version.text, version.supported) == ("at least v3.6", True)
