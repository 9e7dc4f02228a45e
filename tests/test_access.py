from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
import yaml

from bodywork_argo.access import (
    EXECUTOR_ACCOUNT,
    GROUPS_MANAGER,
    RELEASE_ACCOUNT,
    SECRETS_NAMESPACE,
    SECRETS_ROLE,
    STAGE_ACCOUNT,
    SUBMITTER,
    Grant,
    Needs,
    Subject,
    access_manifests,
    parse_subject,
)
from bodywork_argo.errors import UsageError
from bodywork_argo.manifests import Manifest, apply_order, to_yaml
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS
from bodywork_argo_adapters.tekton.needs import TEKTON_NEEDS

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
PEOPLE = (
    Subject(kind="User", name="ana@example.com"),
    Subject(kind="Group", name="data-science"),
    Subject(kind="ServiceAccount", name="runner", namespace="ci"),
)
OTHER_NEEDS = Needs(
    kinds=(("tekton.dev/v1", "PipelineRun"),),
    submitter=(Grant(group="tekton.dev", resources=("pipelineruns",), verbs=("create",)),),
)


def everything() -> tuple[Manifest, ...]:
    return access_manifests(
        "team",
        [ARGO_NEEDS, OTHER_NEEDS],
        subjects=PEOPLE,
        secret_groups=True,
        create_namespace=True,
    )


def rules_of(documents: tuple[Manifest, ...], role: str) -> Iterator[tuple[str, str, str]]:
    """Yield (group, resource, verb) of a Role."""
    for document in documents:
        if (document["kind"], document["metadata"]["name"]) == ("Role", role):
            for rule in document["rules"]:
                yield from product(rule["apiGroups"], rule["resources"], rule["verbs"])


def one(documents: tuple[Manifest, ...], kind: str, name: str) -> Manifest:
    (found,) = [
        each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return found


def test_what_is_printed_for_argo_is_golden(check_golden: Callable[[Path, str], None]) -> None:
    documents = access_manifests("team", [ARGO_NEEDS], subjects=PEOPLE, secret_groups=True)

    check_golden(GOLDEN / "access.yaml", to_yaml(documents))


def test_no_rule_has_a_wildcard_or_a_right_to_grant_rights() -> None:
    documents = everything()
    roles = [each["metadata"]["name"] for each in documents if each["kind"] == "Role"]
    rules = [rule for role in roles for rule in rules_of(documents, role)]

    assert len(roles) == 6
    assert [rule for rule in rules if any("*" in part for part in rule)] == []
    assert {group for group, _, _ in rules} & {"rbac.authorization.k8s.io"} == set()
    assert {verb for _, _, verb in rules} & {"bind", "escalate", "impersonate"} == set()


def test_nothing_is_of_the_whole_cluster() -> None:
    kinds = {each["kind"] for each in everything()} - {"Namespace"}

    assert kinds == {"ServiceAccount", "Secret", "Role", "RoleBinding"}
    assert {
        each["metadata"]["namespace"] for each in everything() if each["kind"] != "Namespace"
    } == {"team", SECRETS_NAMESPACE}


def test_no_role_is_bound_to_the_stages_account() -> None:
    bound = [
        subject["name"]
        for each in everything()
        if each["kind"] == "RoleBinding"
        for subject in each["subjects"]
    ]

    assert STAGE_ACCOUNT not in bound
    account = one(everything(), "ServiceAccount", STAGE_ACCOUNT)
    assert account["automountServiceAccountToken"] is False


def test_every_name_is_one_that_kubernetes_takes_and_none_comes_twice() -> None:
    names = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in everything()
    ]

    assert len(set(names)) == len(names)
    for _, _, name in names:
        assert len(name) <= 63
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name)


def test_every_object_says_who_made_it() -> None:
    labels = [each["metadata"]["labels"] for each in everything()]

    assert {each["app.kubernetes.io/managed-by"] for each in labels} == {"bodywork-argo"}


def test_the_order_is_one_in_which_they_can_be_applied() -> None:
    seen: set[tuple[str, str]] = set()
    for each in everything():
        if each["kind"] == "RoleBinding":
            assert ("Role", each["roleRef"]["name"]) in seen
        if each["kind"] == "Secret":
            assert ("ServiceAccount", EXECUTOR_ACCOUNT) in seen
        seen.add((each["kind"], each["metadata"]["name"]))
    assert everything()[0]["kind"] == apply_order(everything())[0]["kind"] == "Namespace"


def test_each_binding_names_the_role_of_its_own_namespace() -> None:
    documents = everything()
    roles = {
        (each["metadata"]["namespace"], each["metadata"]["name"])
        for each in documents
        if each["kind"] == "Role"
    }

    for each in documents:
        if each["kind"] == "RoleBinding":
            assert (each["metadata"]["namespace"], each["roleRef"]["name"]) in roles


def test_the_submitter_may_only_do_what_is_listed_here() -> None:
    assert sorted(rules_of(access_manifests("team", [ARGO_NEEDS]), SUBMITTER)) == [
        ("", "pods", "get"),
        ("", "pods", "list"),
        ("", "pods", "watch"),
        ("", "pods/log", "get"),
        ("", "secrets", "get"),
        ("", "serviceaccounts", "get"),
        ("argoproj.io", "cronworkflows", "create"),
        ("argoproj.io", "cronworkflows", "delete"),
        ("argoproj.io", "cronworkflows", "get"),
        ("argoproj.io", "cronworkflows", "list"),
        ("argoproj.io", "cronworkflows", "patch"),
        ("argoproj.io", "workflows", "create"),
        ("argoproj.io", "workflows", "delete"),
        ("argoproj.io", "workflows", "get"),
        ("argoproj.io", "workflows", "list"),
        ("argoproj.io", "workflows", "patch"),
        ("argoproj.io", "workflows", "watch"),
    ]


def test_the_executor_may_report_results_and_nothing_else() -> None:
    assert sorted(rules_of(everything(), EXECUTOR_ACCOUNT)) == [
        ("argoproj.io", "workflowtaskresults", "create"),
        ("argoproj.io", "workflowtaskresults", "patch"),
    ]


def test_an_engine_without_a_part_in_pods_gets_no_executor() -> None:
    documents = access_manifests("team", [OTHER_NEEDS])

    assert [each["metadata"]["name"] for each in documents] == [
        STAGE_ACCOUNT,
        RELEASE_ACCOUNT,
        RELEASE_ACCOUNT,
        RELEASE_ACCOUNT,
        SUBMITTER,
        SUBMITTER,
        SUBMITTER,
    ]


def test_several_engines_share_the_accounts() -> None:
    rules = list(rules_of(everything(), SUBMITTER))

    assert ("argoproj.io", "workflows", "create") in rules
    assert ("tekton.dev", "pipelineruns", "create") in rules
    assert len(rules) == len(set(rules))


def test_people_are_bound_to_the_submitter_and_to_no_other_account() -> None:
    documents = access_manifests("team", [ARGO_NEEDS], subjects=PEOPLE)
    bound = {
        each["metadata"]["name"]: [subject["name"] for subject in each["subjects"]]
        for each in documents
        if each["kind"] == "RoleBinding"
    }

    assert bound == {
        EXECUTOR_ACCOUNT: [EXECUTOR_ACCOUNT],
        RELEASE_ACCOUNT: [RELEASE_ACCOUNT],
        SUBMITTER: [SUBMITTER, "ana@example.com", "data-science", "runner"],
    }


def test_rights_on_groups_of_secrets_come_on_request_only() -> None:
    asked = {each["metadata"]["name"] for each in everything()}
    plain = {each["metadata"]["name"] for each in access_manifests("team", [ARGO_NEEDS])}

    assert SECRETS_ROLE in asked
    assert [name for name in plain if "secret" in name.replace(EXECUTOR_ACCOUNT, "")] == []


def test_only_people_may_change_the_groups_themselves() -> None:
    binding = one(everything(), "RoleBinding", f"{GROUPS_MANAGER}-team")

    assert [subject["name"] for subject in binding["subjects"]] == [
        "ana@example.com",
        "data-science",
        "runner",
    ]


def test_namespaces_that_share_groups_have_bindings_of_their_own() -> None:
    bindings = [
        {
            each["metadata"]["name"]
            for each in access_manifests(namespace, [ARGO_NEEDS], secret_groups=True)
            if each["kind"] == "RoleBinding" and each["metadata"]["namespace"] == SECRETS_NAMESPACE
        }
        for namespace in ("team", "other")
    ]

    assert len(bindings[0]) == 2
    assert bindings[0] & bindings[1] == set()


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("User:ana@example.com", PEOPLE[0]),
        ("Group:data-science", PEOPLE[1]),
        ("ServiceAccount:ci:runner", PEOPLE[2]),
        ("Group:system:authenticated", Subject(kind="Group", name="system:authenticated")),
    ],
)
def test_a_subject_is_read(text: str, subject: Subject) -> None:
    assert parse_subject(text) == subject


@pytest.mark.parametrize(
    "text", ["", "ana", "User:", "user:ana", "ServiceAccount:runner", "ServiceAccount::runner"]
)
def test_a_subject_that_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write User:NAME"):
        parse_subject(text)


def test_the_files_in_manifests_are_what_the_code_makes(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "write-manifests"
    subprocess.run([sys.executable, script, tmp_path], check=True)

    def texts(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): path.read_text(encoding="utf-8")
            for path in folder.rglob("*.yaml")
        }

    assert texts(ROOT / "manifests") == texts(tmp_path), "scripts/write-manifests"


@pytest.mark.parametrize(
    ("folder", "needs"), [("manifests", ARGO_NEEDS), ("manifests/tekton", TEKTON_NEEDS)]
)
def test_the_files_in_manifests_hold_what_setup_prints(folder: str, needs: Needs) -> None:
    kustomization = yaml.safe_load((ROOT / folder / "kustomization.yaml").read_text("utf-8"))
    documents = [
        document
        for name in kustomization["resources"]
        for document in yaml.safe_load_all((ROOT / folder / name).read_text("utf-8"))
    ]

    assert tuple(documents) == access_manifests(kustomization["namespace"], [needs])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl makes the kustomization")
def test_an_overlay_moves_accounts_and_bindings_to_another_namespace(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    overlay = {"namespace": "team", "resources": ["manifests"]}
    (tmp_path / "kustomization.yaml").write_text(to_yaml([overlay]), encoding="utf-8")

    made = subprocess.run(
        ["kubectl", "kustomize", tmp_path], check=True, capture_output=True, encoding="utf-8"
    ).stdout

    def key(document: Manifest) -> tuple[str, str]:
        return document["kind"], document["metadata"]["name"]

    expected = access_manifests("team", [ARGO_NEEDS])
    assert sorted(yaml.safe_load_all(made), key=key) == sorted(expected, key=key)
