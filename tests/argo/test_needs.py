from __future__ import annotations

from typing import Any

import pytest

from bodywork_argo.backend import EngineVersion
from bodywork_argo.cluster import Resource
from bodywork_argo.manifests import Manifest
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo_adapters.argo.needs import installed

CRON_WORKFLOW = Resource(api_version="argoproj.io/v1alpha1", kind="CronWorkflow")


def controller(image: str, name: str = "workflow-controller", **labels: str) -> Manifest:
    containers = [{"name": "metrics", "image": "proxy:v9.9"}, {"name": "main", "image": image}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


def found(cluster: MemoryCluster) -> EngineVersion:
    version = installed(cluster)
    assert version is not None
    return version


def schema_of(spec: dict[str, Any]) -> Manifest:
    return {"properties": {"spec": spec}}


@pytest.mark.parametrize(
    ("image", "text", "supported"),
    [
        ("quay.io/argoproj/workflow-controller:v4.0.5", "v4.0.5", True),
        ("registry.example:5000/mirror/workflow-controller:v3.6.0@sha256:ab", "v3.6.0", True),
        ("workflow-controller:3.10.1", "v3.10.1", True),
        ("workflow-controller:v3.5.12", "v3.5.12", False),
        ("workflow-controller:v2.12.0", "v2.12.0", False),
    ],
)
def test_the_controllers_image_tells_the_version(image: str, text: str, supported: bool) -> None:
    cluster = MemoryCluster("team")
    cluster.within("argo").create(controller(image))

    version = found(cluster)

    assert (version.text, version.supported) == (text, supported)
    assert version.found_in == "Deployment argo/workflow-controller"


def test_a_version_that_is_too_old_comes_with_what_to_do() -> None:
    cluster = MemoryCluster("argo")
    cluster.create(controller("workflow-controller:v3.4.0"))

    assert "v3.6 or later" in found(cluster).remedy


def test_a_controller_of_ones_own_namespace_counts_more_than_the_clusters() -> None:
    cluster = MemoryCluster("team")
    cluster.create(controller("workflow-controller:v3.7.1"))
    cluster.within("argo").create(controller("workflow-controller:v3.4.0"))

    assert found(cluster).text == "v3.7.1"


def test_a_controller_of_the_helm_chart_is_found_by_its_label() -> None:
    cluster = MemoryCluster("team")
    labels = {"app.kubernetes.io/component": "workflow-controller"}
    made = controller("workflow-controller:v3.6.4", "argo-workflows-workflow-controller", **labels)
    cluster.within("argo").create(made)

    assert found(cluster).found_in == "Deployment argo/argo-workflows-workflow-controller"


@pytest.mark.parametrize("image", ["workflow-controller:latest", "workflow-controller@sha256:ab"])
def test_an_image_without_a_version_leaves_it_to_the_schema(image: str) -> None:
    cluster = MemoryCluster("argo")
    cluster.create(controller(image))
    assert installed(cluster) is None

    cluster.schemas[CRON_WORKFLOW] = schema_of({"properties": {"schedules": {}}})
    assert found(cluster).text == "at least v3.6"


def test_who_may_see_no_deployment_is_told_by_the_schema() -> None:
    cluster = MemoryCluster("team")
    cluster.within("argo").create(controller("workflow-controller:v4.0.5"))
    cluster.denied |= {("get", "apps", "deployments"), ("list", "apps", "deployments")}
    cluster.schemas[CRON_WORKFLOW] = schema_of({"properties": {"schedules": {}}})

    version = found(cluster)

    assert (version.text, version.supported) == ("at least v3.6", True)
    assert version.found_in == "the schema of CronWorkflow"


def test_a_schema_with_a_single_schedule_alone_is_too_old() -> None:
    cluster = MemoryCluster()
    cluster.schemas[CRON_WORKFLOW] = schema_of({"properties": {"schedule": {}}})

    version = found(cluster)

    assert (version.text, version.supported) == ("older than v3.6", False)


def test_a_schema_without_fields_tells_nothing() -> None:
    cluster = MemoryCluster()
    cluster.schemas[CRON_WORKFLOW] = schema_of({"x-kubernetes-preserve-unknown-fields": True})

    assert installed(cluster) is None
