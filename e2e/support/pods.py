"""Write the small documents that the tests run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from e2e.engines.images import PRODUCT_IMAGE, RUNNER_IMAGE, RUNNER_WITHOUT_GIT_IMAGE
from e2e.support.cluster import Manifest
from e2e.support.spaces import EXECUTOR_ACCOUNT, STAGE_ACCOUNT

# Whoever brings a cluster of their own says which image there has Python and Git.
RUNNER = os.environ.get("E2E_RUNNER_IMAGE", RUNNER_IMAGE)
RUNNER_WITHOUT_GIT = os.environ.get("E2E_RUNNER_WITHOUT_GIT_IMAGE", RUNNER_WITHOUT_GIT_IMAGE)
PRODUCT = os.environ.get("E2E_PRODUCT_IMAGE", PRODUCT_IMAGE)


def container(
    command: Sequence[str], *, image: str = RUNNER, environment: Mapping[str, str] | None = None
) -> Manifest:
    """Write a container without a name, as Argo's templates want it."""
    return {
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": [{"name": name, "value": value} for name, value in (environment or {}).items()],
    }


def pod(
    name: str,
    command: Sequence[str],
    *,
    image: str = RUNNER,
    environment: Mapping[str, str] | None = None,
) -> Manifest:
    """Write a pod that runs one command once."""
    main = {"name": "main", **container(command, image=image, environment=environment)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "containers": [main],
        },
    }


def workflow_spec(main: Manifest, **more: Any) -> dict[str, Any]:
    """Write a workflow whose stages hold no token and whose executor has its own account."""
    return {
        "entrypoint": "main",
        "serviceAccountName": STAGE_ACCOUNT,
        "automountServiceAccountToken": False,
        "executor": {"serviceAccountName": EXECUTOR_ACCOUNT},
        "templates": [{"name": "main", **main}],
        **more,
    }


def service(name: str, port: int, target_port: int) -> list[Manifest]:
    """Write a Deployment of a web server and the Service before it."""
    labels = {"app": name}
    server = ["python3", "-m", "http.server", str(target_port)]
    main = {
        "name": "main",
        **container(server),
        "ports": [{"containerPort": target_port}],
        "readinessProbe": {"tcpSocket": {"port": target_port}, "periodSeconds": 1},
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [main]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }
    port_entry = {"port": port, "targetPort": target_port}
    front = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [port_entry]},
    }
    return [deployment, front]
