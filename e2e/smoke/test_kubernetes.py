"""The node does what the product relies on: Services, names, logs, rights, checked pods."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kubernetes.client import ApiException

from e2e.engines.modules import KUBERNETES
from e2e.engines.network import DEAD_END
from e2e.engines.places import Places
from e2e.support.cluster import Cluster, await_state, connect
from e2e.support.pods import PRODUCT, RUNNER_WITHOUT_GIT, pod, service
from e2e.support.spaces import STAGE_ACCOUNT, Space

pytestmark = pytest.mark.smoke

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
FETCH = """
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=20) as answer:
    print(answer.status)
"""


def test_the_server_calls_itself_by_its_version(own_engines: Places, cluster: Cluster) -> None:
    assert cluster.request("GET", "/version")["gitVersion"] == KUBERNETES.version


def test_a_deployment_is_reached_by_name_from_another_pod(namespace: Space) -> None:
    deployment, front = service("stage-4", 5000, 8000)
    namespace.create(deployment)
    namespace.create(front)
    await_state(
        lambda: namespace.get(deployment),
        lambda found: found["status"].get("availableReplicas") == 1,
        "the deployment",
    )

    namespace.create(pod("client", ["python3", "-c", FETCH, "http://stage-4:5000"]))

    assert namespace.finished_pod("client").status.phase == "Succeeded"
    assert namespace.logs("client") == "200\n"


def test_a_pod_reaches_itself_through_its_service(namespace: Space) -> None:
    deployment, front = service("mirror", 80, 8000)
    main = deployment["spec"]["template"]["spec"]["containers"][0]
    main["readinessProbe"] = {
        "exec": {"command": ["python3", "-c", FETCH, "http://localhost:8000"]},
        "periodSeconds": 1,
    }
    main["livenessProbe"] = {
        "exec": {"command": ["python3", "-c", FETCH, "http://mirror"]},
        "initialDelaySeconds": 3,
        "timeoutSeconds": 20,
    }
    namespace.create(deployment)
    namespace.create(front)

    ready = await_state(
        lambda: namespace.get(deployment),
        lambda found: found["status"].get("availableReplicas") == 1,
        "the deployment",
    )

    assert ready["status"]["readyReplicas"] == 1


def test_the_stage_account_cannot_list_secrets(namespace: Space, cluster: Cluster) -> None:
    stage = connect(cluster.kubeconfig, token=namespace.token(STAGE_ACCOUNT))

    with pytest.raises(ApiException) as refused:
        stage.core.list_namespaced_secret(namespace.name)

    assert refused.value.status == 403


def test_the_developer_runs_pods_but_makes_no_accounts(
    developer: Cluster, namespace: Space
) -> None:
    developer.create(pod("allowed", ["true"]), namespace.name)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "another"}}

    with pytest.raises(ApiException) as refused:
        developer.create(account, namespace.name)

    assert refused.value.status == 403
    assert namespace.finished_pod("allowed").status.phase == "Succeeded"


def test_pod_security_is_enforced(make_namespace: Callable[..., Space]) -> None:
    space = make_namespace({"pod-security.kubernetes.io/enforce": "restricted"})

    with pytest.raises(ApiException) as refused:
        space.create(pod("plain", ["true"]))

    assert refused.value.status == 403
    assert "violates PodSecurity" in str(refused.value.body)


def test_server_side_apply_keeps_two_owners_apart(namespace: Space, cluster: Cluster) -> None:
    cluster.apply({**CONFIG_MAP, "data": {"key": "one"}}, namespace.name, manager="first")

    with pytest.raises(ApiException) as conflict:
        cluster.apply({**CONFIG_MAP, "data": {"key": "two"}}, namespace.name, manager="second")

    assert conflict.value.status == 409


def test_the_image_without_git_has_none(namespace: Space) -> None:
    look = "import shutil; print(shutil.which('git'))"
    namespace.create(pod("look", ["python3", "-c", look], image=RUNNER_WITHOUT_GIT))

    namespace.finished_pod("look")

    assert namespace.logs("look") == "None\n"


def test_pods_find_their_modules_compiled(own_engines: Places, namespace: Space) -> None:
    look = "python3 -v -c 'import urllib.request, kubernetes.client' 2>&1 | grep 'code object from'"
    namespace.create(pod("look", ["sh", "-c", look], image=PRODUCT))

    namespace.finished_pod("look")

    files = [line.split("'")[1] for line in namespace.logs("look").splitlines()]
    assert any("kubernetes" in file for file in files)
    assert [file for file in files if not file.endswith(".pyc")] == []


def test_an_image_that_nobody_loaded_is_asked_of_no_registry(
    own_engines: Places, namespace: Space
) -> None:
    namespace.create(pod("absent", ["true"], image="docker.io/local/absent:1"))

    def waiting() -> str:
        found = namespace.cluster.core.read_namespaced_pod("absent", namespace.name)
        statuses = found.status.container_statuses or []
        return " ".join(str(status.state.waiting) for status in statuses)

    said = await_state(waiting, lambda text: "ErrImagePull" in text, "the refusal")

    assert f"{DEAD_END.removeprefix('http://')}: connect: connection refused" in said


def test_requirements_install_from_the_wheelhouse(namespace: Space) -> None:
    script = (
        "python -m venv /tmp/v && /tmp/v/bin/pip install -q flask && /tmp/v/bin/flask --version"
    )
    namespace.create(pod("install", ["sh", "-c", script]))

    assert namespace.finished_pod("install").status.phase == "Succeeded"
    assert "Flask" in namespace.logs("install")


def test_the_product_image_runs_the_checkout(namespace: Space) -> None:
    namespace.create(pod("product", ["bodywork-argo", "--help"], image=PRODUCT))

    ended = namespace.finished_pod("product")

    assert ended.status.phase == "Succeeded", namespace.logs("product")
    assert "bodywork-argo" in namespace.logs("product")
