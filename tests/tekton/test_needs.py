from __future__ import annotations

import pytest

from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo_adapters.tekton.needs import installed

HOME = "tekton-pipelines"


def info(version: str) -> Manifest:
    metadata = {"name": "pipelines-info", "namespace": HOME}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"version": version},
    }


def controller(version: str) -> Manifest:
    labels = {"app.kubernetes.io/version": version}
    metadata = {"name": "tekton-pipelines-controller", "namespace": HOME, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {}}


@pytest.mark.parametrize(
    ("text", "version", "supported"),
    [("v1.9.0", "v1.9.0", True), ("1.0.0", "v1.0.0", True), ("v0.62.1", "v0.62.1", False)],
)
def test_what_any_user_may_read_tells_the_version(text: str, version: str, supported: bool) -> None:
    cluster = MemoryCluster("team")
    cluster.create(info(text))

    found = installed(cluster)

    assert found is not None
    assert (found.text, found.supported) == (version, supported)
    assert found.found_in == "ConfigMap tekton-pipelines/pipelines-info"
    assert bool(found.remedy) is not supported


def test_without_a_number_there_the_controller_tells_it() -> None:
    cluster = MemoryCluster("team")
    cluster.create(info("devel"))
    cluster.create(controller("v1.3.1"))

    found = installed(cluster)

    assert found is not None
    assert (found.text, found.found_in) == (
        "v1.3.1",
        "Deployment tekton-pipelines/tekton-pipelines-controller",
    )


def test_what_is_forbidden_is_left() -> None:
    cluster = MemoryCluster("team")
    cluster.denied = {("get", "", "configmaps"), ("get", "apps", "deployments")}

    assert installed(cluster) is None
