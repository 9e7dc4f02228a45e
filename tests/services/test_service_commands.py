"""`service` and `delete` as a user gives them, against an API of a namespace."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bodywork_argo import names
from bodywork_argo.cli import main
from bodywork_argo.cluster import POD, Resource
from bodywork_argo.lease import LEASE
from bodywork_argo.manifests import Manifest
from bodywork_argo.release_records import RECORD
from bodywork_argo.services import DEPLOYMENT, INGRESS, SERVICE
from bodywork_argo_adapters.argo.schedules import CRON_WORKFLOW
from bodywork_argo_adapters.argo.watching import WORKFLOW
from tests.cluster_api import cluster_api
from tests.release.kubelet import START, Kubelet
from tests.release.shop import A, B, C, Shop, stage

Call = Callable[..., tuple[int, str, str]]
Check = Callable[[Path, str], None]
GOLDEN = Path(__file__).parent / "golden"


class Living(Kubelet):
    """A cluster whose controllers do their work at each write."""

    def patch(self, resource: Resource, name: str, changes: Manifest) -> Manifest | None:
        done = super().patch(resource, name, changes)
        self.reconcile(START)
        return done

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        done = super().apply(manifest, dry_run=dry_run)
        self.reconcile(START)
        return done

    def delete(self, resource: Resource, name: str, *, only: Manifest | None = None) -> bool:
        done = super().delete(resource, name, only=only)
        self.reconcile(START)
        return done

    def add(self, resource: Resource, name: str, labels: dict[str, str]) -> None:
        """Create an object that has no more than labels."""
        metadata = {"name": name, "labels": labels}
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        status = {"phase": "Succeeded"}
        self.create({**kind, "metadata": metadata, "spec": {}, "status": status})


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Give a pipeline that was released once, at commit A, with one service of two pods."""
    cluster = Living()
    kubeconfig = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    shop = Shop(cluster)
    shop.run("shop-1", A, stage("serve", replicas=2, ingress=True))
    with cluster_api(cluster, kubeconfig):
        yield shop


@pytest.fixture
def cluster(shop: Shop) -> Living:
    assert isinstance(shop.cluster, Living)
    return shop.cluster


@pytest.fixture
def call(shop: Shop, capfd: pytest.CaptureFixture[str]) -> Call:
    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def steady(text: str) -> str:
    """Return a table in which no age depends on today."""
    lines = re.sub(r"\b\d+d\b", "9d", text).splitlines()
    return "\n".join(re.sub(r" {2,}", "  ", line).rstrip() for line in lines) + "\n"


# --- looking --------------------------------------------------------------------------------------


def test_services_are_listed_with_how_they_stand(
    call: Call, shop: Shop, check_golden: Check
) -> None:
    code, out, err = call("service", "list")
    assert (code, err) == (0, "")
    check_golden(GOLDEN / "service-list.txt", steady(out))
    (listed,) = json.loads(call("service", "list", "--pipeline", "shop", "-o", "json")[1])
    assert (listed["state"], listed["ready"], listed["wanted"]) == ("serves", 2, 2)
    assert (listed["url"], listed["commit"]) == ("http://serve.shop:5000", A)
    assert call("service", "list", "--pipeline", "other", "-o", "json")[1] == "[]\n"


def test_a_service_that_is_broken_says_why(call: Call, shop: Shop) -> None:
    shop.cluster.broken = {A}
    for pod in shop.cluster.list(POD, {}):
        shop.cluster.delete(POD, pod["metadata"]["name"])
    code, out, _ = call("service", "list", "-o", "json")
    (listed,) = json.loads(out)
    assert (code, listed["state"], listed["ready"]) == (0, "broken", 0)
    assert "exit code 3" in listed["reason"]


def test_one_service_is_told_with_its_pods_and_its_last_release(
    call: Call, shop: Shop, check_golden: Check
) -> None:
    code, out, err = call("service", "status", "serve")
    assert (code, err) == (0, "")
    check_golden(GOLDEN / "service-status.txt", steady(out))
    told = json.loads(call("service", "status", "serve", "-o", "json")[1])
    assert [each["ready"] for each in told["pods"]] == [True, True]
    assert (told["last_release"]["state"], told["last_release"]["run"]) == ("good", "shop-1")


def test_releases_are_listed_newest_first_by_number(
    call: Call, shop: Shop, check_golden: Check
) -> None:
    shop.cluster.broken = {B}
    for number in range(2, 11):
        broken = number == 9
        shop.run(f"shop-{number}", B if broken else C, stage("serve", replicas=2, ingress=True))
    code, out, err = call("service", "history", "shop")
    assert (code, err) == (0, "")
    check_golden(GOLDEN / "service-history.txt", steady(out))
    told = json.loads(call("service", "history", "shop", "-o", "json")[1])
    assert [each["release"] for each in told][:3] == [10, 9, 8]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("status", "none"), "there is no service none in namespace shop"),
        (("logs", "none"), "there is no service none in namespace shop"),
        (("logs", "none", "-f"), "there is no service none in namespace shop"),
        (("restart", "none"), "there is no service none in namespace shop"),
        (("delete", "none", "--yes"), "there is no service none in namespace shop"),
        (("status", "theirs"), "Deployment theirs in namespace shop was not made by bodywork-argo"),
        (("restart", "theirs"), "was not made by bodywork-argo"),
        (("delete", "theirs", "--yes"), "was not made by bodywork-argo"),
        (("history", "none"), "no release of a pipeline none is known in namespace shop"),
        (("rollback", "none", "--yes"), "no release of a pipeline none is known"),
        (("rollback", "shop", "--yes"), "no good release before the present one"),
        (("rollback", "shop", "--to", "7", "--yes"), "pipeline shop has no release 7, only 1"),
    ],
)
def test_what_is_not_there_or_not_ours_is_refused(
    call: Call, cluster: Living, words: tuple[str, ...], message: str
) -> None:
    labels = {names.STAGE_LABEL: "theirs", names.PIPELINE_LABEL: "shop"}
    cluster.add(SERVICE, "theirs", labels)
    cluster.create(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "theirs"}, "spec": {}}
    )
    code, out, err = call("service", *words)
    assert (code, out) == (4, "")
    assert message in err
    assert cluster.there(SERVICE) == ["serve", "theirs"]


# --- logs -----------------------------------------------------------------------------------------


def test_the_log_of_one_pod_comes_byte_for_byte(
    shop: Shop, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    shop.run("shop-2", B, stage("serve"))
    (pod,) = (each["metadata"]["name"] for each in shop.cluster.list(POD, {}))
    shop.cluster.written[pod, "main"] = b"\xff\r1 of 2"
    assert main(["service", "logs", "serve"]) == 0
    assert capfdbinary.readouterr().out == b"\xff\r1 of 2"


def test_lines_of_several_pods_have_their_names(call: Call, shop: Shop) -> None:
    first, second = (each["metadata"]["name"] for each in shop.cluster.list(POD, {}))
    shop.cluster.written.update({(first, "main"): b"a\nb", (second, "main"): b"c\n"})
    code, out, err = call("service", "logs", "serve")
    assert (code, err) == (0, "")
    assert out == f"{first} | a\n{second} | c\n{first} | b\n"


def test_a_service_whose_module_never_started_has_no_log(call: Call, shop: Shop) -> None:
    for pod in shop.cluster.list(POD, {}):
        changes: Manifest = {"status": {"containerStatuses": []}}
        shop.cluster.patch(POD, pod["metadata"]["name"], changes)
    code, _, err = call("service", "logs", "serve")
    assert code == 4
    assert "no pod of service serve has started its module" in err


# --- changing -------------------------------------------------------------------------------------


def test_a_rollback_goes_back_and_the_next_one_forth(call: Call, shop: Shop) -> None:
    shop.run("shop-2", B, stage("serve", replicas=2))
    assert shop.cluster.serving() == {"serve": B}
    code, _, err = call("service", "rollback", "shop", "--yes")
    assert code == 0
    assert "serve: serves with 2 pods" in err
    assert f"release 1 of pipeline shop, commit {A[:7]}, serves again" in err
    assert shop.cluster.serving() == {"serve": A}
    assert shop.cluster.there(INGRESS) == ["serve"]
    assert call("service", "rollback", "shop", "--yes")[0] == 0
    assert shop.cluster.serving() == {"serve": B}
    assert shop.cluster.there(INGRESS) == []
    assert call("service", "rollback", "shop", "--to", "1", "--yes")[0] == 0
    assert shop.cluster.serving() == {"serve": A}


def test_a_rollback_goes_from_the_tenth_release_to_the_ninth(call: Call, shop: Shop) -> None:
    for number in range(2, 10):
        shop.run(f"shop-{number}", B, stage("serve"))
    shop.run("shop-10", C, stage("serve"))
    code, _, err = call("service", "rollback", "shop", "--yes")
    assert code == 0
    assert "release 9 of pipeline shop" in err
    assert shop.cluster.serving() == {"serve": B}


def test_a_rollback_to_what_does_not_serve_any_more_fails(call: Call, shop: Shop) -> None:
    shop.run("shop-2", B, stage("serve"))
    shop.cluster.broken = {A}
    code, _, err = call("service", "rollback", "shop", "--yes")
    assert code == 1
    assert "serve could not be released" in err
    assert "serves again" not in err


def test_only_good_releases_are_gone_back_to(call: Call, shop: Shop) -> None:
    shop.cluster.broken = {B}
    shop.run("shop-2", B, stage("serve"))
    code, _, err = call("service", "rollback", "shop", "--to", "2", "--yes")
    assert code == 4
    assert "release 2 of pipeline shop is rolled-back: serve could not be released: " in err
    assert "; only a good one can be gone back to" in err


@pytest.mark.parametrize(
    "words",
    [("service", "rollback", "shop"), ("service", "delete", "serve"), ("delete", "shop")],
)
def test_nothing_is_changed_before_the_question_is_answered(
    call: Call, shop: Shop, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.run("shop-2", B, stage("serve"))
    writes = shop.cluster.writes
    with Path("/dev/null").open(encoding="utf-8") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        code, _, err = call(*words)
    assert (code, shop.cluster.writes) == (130, writes)
    assert "[y/N]" in err


def test_a_restart_makes_other_pods_and_waits_for_them(call: Call, shop: Shop) -> None:
    before = {each["metadata"]["name"] for each in shop.cluster.list(POD, {})}
    code, _, err = call("service", "restart", "serve")
    after = {each["metadata"]["name"] for each in shop.cluster.list(POD, {})}
    assert code == 0
    assert err.splitlines() == [
        "serve: its pods are started anew",
        "serve: serves with 2 pods",
    ]
    assert (len(after), before & after) == (2, set())


def test_a_restart_that_does_not_serve_fails_and_the_old_pods_stay(call: Call, shop: Shop) -> None:
    shop.cluster.broken = {A}
    code, _, err = call("service", "restart", "serve")
    assert code == 1
    assert "serve could not be released: did not answer within 10 s" in err
    assert shop.cluster.serving() == {"serve": A}


def test_a_service_is_deleted_with_all_that_leads_to_it(call: Call, shop: Shop) -> None:
    shop.run("shop-2", B, stage("other"), stage("serve", ingress=True))
    code, _, err = call("service", "delete", "serve", "--yes")
    assert code == 0
    assert err.splitlines() == [
        "Ingress serve is deleted",
        "Service serve is deleted",
        "Deployment serve is deleted",
    ]
    assert shop.cluster.there(DEPLOYMENT) == shop.cluster.there(SERVICE) == ["other"]


def cron_workflow(name: str, pipeline: str) -> Manifest:
    """Write what is read of a schedule of ours."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.PIPELINE_LABEL: pipeline}
    annotations = {names.PIPELINE_ANNOTATION: pipeline}
    return {
        "apiVersion": CRON_WORKFLOW.api_version,
        "kind": CRON_WORKFLOW.kind,
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {"schedules": ["0 3 * * *"]},
    }


# --- delete PIPELINE ------------------------------------------------------------------------------


def test_a_pipeline_goes_with_all_that_is_its_own_and_nothing_else(
    call: Call, shop: Shop, cluster: Living
) -> None:
    ours = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
    shops = {**ours, names.PIPELINE_LABEL: "shop"}
    cluster.add(WORKFLOW, "shop-1", shops)
    for schedule, pipeline in (("nightly", "shop"), ("weekly", "other")):
        cluster.create(cron_workflow(schedule, pipeline))
    cluster.add(SERVICE, "other", {**ours, names.PIPELINE_LABEL: "other"})
    cluster.add(INGRESS, "theirs", {names.PIPELINE_LABEL: "shop"})
    cluster.add(RECORD, "theirs", {names.PIPELINE_LABEL: "shop"})
    code, out, err = call("delete", "shop", "--yes")
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "run shop-1 is deleted",
        "schedule nightly is deleted",
        "Ingress serve is deleted",
        "Service serve is deleted",
        "Deployment serve is deleted",
        "ConfigMap bodywork-argo-shop-1 is deleted",
        "Lease bodywork-argo-shop is deleted",
        "pipeline shop is deleted",
    ]
    assert cluster.there(SERVICE) == ["other"]
    assert cluster.there(CRON_WORKFLOW) == ["weekly"]
    assert cluster.there(INGRESS) == cluster.there(RECORD) == ["theirs"]
    assert cluster.there(WORKFLOW) == cluster.there(DEPLOYMENT) == cluster.there(LEASE) == []


def test_what_would_go_is_told_first(
    call: Call, shop: Shop, cluster: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.PIPELINE_LABEL: "shop"}
    cluster.add(WORKFLOW, "shop-1", labels)
    with Path("/dev/null").open(encoding="utf-8") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        _, _, err = call("delete", "shop")
    assert err.splitlines()[:6] == [
        "pipeline shop in namespace shop has",
        "  run shop-1",
        "  Ingress serve",
        "  Service serve",
        "  Deployment serve",
        "  ConfigMap bodywork-argo-shop-1",
    ]


def test_a_run_comes_before_a_pipeline_of_the_same_name(
    call: Call, shop: Shop, cluster: Living
) -> None:
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.PIPELINE_LABEL: "other"}
    cluster.add(WORKFLOW, "shop", labels)
    assert call("delete", "shop", "--yes")[::2] == (0, "run shop is deleted\n")
    assert cluster.there(DEPLOYMENT) == ["serve"]


def test_neither_a_run_nor_a_pipeline_is_an_error(call: Call, shop: Shop) -> None:
    code, _, err = call("delete", "none", "--yes")
    assert code == 4
    assert "there is no run and no pipeline none in namespace shop" in err


def test_where_services_may_not_be_seen_the_run_is_told_to_be_unknown(
    call: Call, cluster: Living
) -> None:
    cluster.denied = {("list", "networking.k8s.io", "ingresses")}
    code, _, err = call("delete", "none", "--yes")
    assert code == 4
    assert "run none" in err
    assert "whether there is a pipeline none can't be told" in err


def test_a_lease_that_may_not_be_deleted_stays(call: Call, cluster: Living) -> None:
    cluster.denied = {("delete", "coordination.k8s.io", "leases")}
    code, _, err = call("delete", "shop", "--yes")
    assert code == 0
    assert "Lease bodywork-argo-shop stays, and holds nothing" in err
    assert cluster.there(RECORD) == []
