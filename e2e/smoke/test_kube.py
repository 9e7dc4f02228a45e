"""The Kubernetes edge against a real API server and a real kubelet."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from bodywork_argo.cluster import Resource
from bodywork_argo.errors import EngineError, Forbidden
from bodywork_argo.kube import KubeCluster, connect
from e2e.engines.places import Places
from e2e.support.cluster import Cluster
from e2e.support.leaks import planted
from e2e.support.pods import pod
from e2e.support.spaces import Space
from tests.cluster_contract import CONFIG_MAP, ClusterContract, config_map

pytestmark = pytest.mark.smoke

POD = Resource(api_version="v1", kind="Pod")
SLOW = """
import sys, time
for number in range(30):
    sys.stdout.buffer.write(b"%d\\r" % number + b"x" * 3000 + b"\\n" * (number % 3))
    sys.stdout.flush()
    time.sleep(0.1)
sys.stdout.write("no newline")
"""
AWKWARD = """
import sys
out = sys.stdout.buffer
out.write(b"first\\n\\n \\x00nul \\xff\\xfe\\n2026-01-01T00:00:00.000000000Z not a timestamp\\n")
for number in range(70000):
    out.write(b"\\r%06d progress" % number)
out.write(b"\\nlast, without an end")
"""


def output_of(script: str) -> bytes:
    """Run a script here, as the pod does there."""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout


@pytest.fixture
def target(cluster: Cluster, namespace: Space) -> KubeCluster:
    return connect(kubeconfig=str(cluster.kubeconfig), context=None, namespace=namespace.name)


class TestKubeCluster(ClusterContract):
    pass


def start(target: KubeCluster, name: str, script: str, *, ended: bool) -> None:
    """Start a pod and wait until it runs or has ended."""
    target.create(dict(pod(name, ["python3", "-c", script])))
    wanted = ("Succeeded",) if ended else ("Running", "Succeeded")
    for change in target.watch(POD, {}, 60, fields={"metadata.name": name}):
        if change.object["status"].get("phase") in wanted:
            return
    raise AssertionError(f"pod {name} did not start in a minute")


def test_a_log_is_read_byte_for_byte(target: KubeCluster) -> None:
    start(target, "awkward", AWKWARD, ended=True)

    read = b"".join(target.logs("awkward", "main"))

    assert hashlib.sha256(read).hexdigest() == hashlib.sha256(output_of(AWKWARD)).hexdigest()


def test_a_log_is_followed_from_start_to_end(target: KubeCluster) -> None:
    start(target, "slow", SLOW, ended=False)

    pieces = list(target.logs("slow", "main", follow=True))

    assert b"".join(pieces) == output_of(SLOW)
    assert len(pieces) > 5


def test_following_ends_when_the_pod_is_deleted(target: KubeCluster) -> None:
    start(target, "gone", "import time; print('up', flush=True); time.sleep(600)", ended=False)
    following = target.logs("gone", "main", follow=True)
    assert next(following) == b"up\n"

    target.delete(POD, "gone")

    assert b"".join(following) == b""


def test_a_container_that_has_not_started_has_no_log(target: KubeCluster) -> None:
    target.create(dict(pod("absent", ["true"], image="docker.io/local/absent:1")))

    with pytest.raises(EngineError, match="container main of pod absent has not started"):
        next(target.logs("absent", "main"))


def test_kinds_that_are_served_have_a_schema(own_engines: Places, target: KubeCluster) -> None:
    workflow = Resource(api_version="argoproj.io/v1alpha1", kind="Workflow")
    deployment = Resource(api_version="apps/v1", kind="Deployment")
    nope = Resource(api_version="argoproj.io/v1alpha1", kind="Nope")

    assert [target.serves(kind) for kind in (workflow, deployment, CONFIG_MAP)] == [True] * 3
    assert not target.serves(nope)
    found = target.schema(workflow)
    assert found is not None
    assert "entrypoint" in found["properties"]["spec"]["properties"]
    assert target.schema(CONFIG_MAP) is not None
    assert target.schema(nope) is None


def test_long_lists_come_in_pages(target: KubeCluster) -> None:
    for number in range(505):
        target.create(config_map(f"number-{number}", labels={"many": "yes"}))

    found = target.list(CONFIG_MAP, {"many": "yes"}, metadata_only=True)

    assert len({item["metadata"]["name"] for item in found}) == 505


def test_fields_that_somebody_took_over_are_taken_back(
    target: KubeCluster, namespace: Space
) -> None:
    target.apply(config_map("shared", ours="a"))
    theirs = {**config_map("shared", ours="b", theirs="c")}
    path = f"/api/v1/namespaces/{namespace.name}/configmaps/shared"
    query = {"fieldManager": "somebody", "force": "true"}
    kind = "application/apply-patch+yaml"
    namespace.cluster.request("PATCH", path, theirs, kind, **query)

    stored = target.apply(config_map("shared", ours="d"))

    assert stored["data"] == {"ours": "d", "theirs": "c"}


def test_what_the_developer_may_not_do_is_told(
    developer: Cluster, namespace: Space, target: KubeCluster
) -> None:
    mine = connect(kubeconfig=str(developer.kubeconfig), context=None, namespace=namespace.name)

    assert mine.who() == "developer"
    assert mine.may("create", "argoproj.io", "workflows")
    assert not mine.may("create", "", "serviceaccounts")
    with pytest.raises(Forbidden) as refused:
        mine.list(Resource(api_version="v1", kind="Secret"), {})

    expected = f"developer may not list secrets in namespace {namespace.name}"
    assert str(refused.value).startswith(expected)


def test_a_server_that_nobody_vouches_for_is_not_talked_to(
    own_engines: Places, cluster: Cluster, tmp_path: Path
) -> None:
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    server = document["clusters"][0]["cluster"]["server"]
    document["clusters"][0]["cluster"] = {"server": server}
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))

    with pytest.raises(EngineError, match=r"the certificate of https://.* is not trusted"):
        connect(kubeconfig=str(path), context=None, namespace=None).version()


def test_what_the_cluster_does_not_take_is_said_in_its_words(target: KubeCluster) -> None:
    with pytest.raises(EngineError, match=r"metadata\.name: Invalid value"):
        target.create(config_map("Not a name"))


def test_what_is_wrong_with_a_secret_is_said_without_its_value(target: KubeCluster) -> None:
    value = planted()
    data = {"key": f"not base64: {value}"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": data}

    with pytest.raises(EngineError) as refused:
        target.create(secret)

    assert value not in str(refused.value)


def test_pods_that_a_namespace_does_not_take_are_no_question_of_rights(
    cluster: Cluster, make_namespace: Callable[[Mapping[str, str]], Space]
) -> None:
    space = make_namespace({"pod-security.kubernetes.io/enforce": "restricted"})
    target = connect(kubeconfig=str(cluster.kubeconfig), context=None, namespace=space.name)

    with pytest.raises(EngineError, match="violates PodSecurity") as refused:
        target.create(dict(pod("plain", ["true"])))

    assert not isinstance(refused.value, Forbidden)
