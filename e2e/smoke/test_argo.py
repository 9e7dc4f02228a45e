"""Argo Workflows runs what it is given."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from e2e.engines.modules import ARGO
from e2e.engines.network import SERVER_PORT
from e2e.engines.places import Places
from e2e.support.cluster import Manifest, await_state
from e2e.support.pods import container, workflow_spec
from e2e.support.spaces import STAGE_ACCOUNT, WORKFLOW, Space

pytestmark = pytest.mark.smoke

SECOND_TIME_LUCKY = "import sys; print('attempt', sys.argv[1]); sys.exit(sys.argv[1] == '0')"
CRON_WORKFLOW = {"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow"}


def with_exit_handler(main: Manifest) -> dict[str, Any]:
    """Write a workflow with an exit handler that prints how the run ended."""
    spec = workflow_spec(main, onExit="exit")
    handler = container(["sh", "-c", "echo ended {{workflow.status}}"])
    spec["templates"].append({"name": "exit", "container": handler})
    return spec


def pods_of(space: Space, workflow: str) -> list[Any]:
    selector = f"workflows.argoproj.io/workflow={workflow}"
    return space.find({"apiVersion": "v1", "kind": "Pod"}, selector)


def exit_log(space: Space, workflow: Any) -> str:
    handler = workflow["metadata"]["name"] + ".onExit"
    (name,) = [
        pod["metadata"]["name"]
        for pod in pods_of(space, workflow["metadata"]["name"])
        if pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"] == handler
    ]
    return space.logs(name, "main")


@pytest.mark.full
def test_a_failed_step_is_retried_and_the_exit_handler_runs(namespace: Space) -> None:
    main = {
        "retryStrategy": {"limit": "2"},
        "container": container(["python3", "-c", SECOND_TIME_LUCKY, "{{retries}}"]),
    }
    spec = with_exit_handler(main)
    namespace.create({**WORKFLOW, "metadata": {"name": "lucky"}, "spec": spec})

    ended = namespace.finished_workflow("lucky")

    assert ended["status"]["phase"] == "Succeeded"
    nodes = [node for node in ended["status"]["nodes"].values() if node["type"] == "Pod"]
    phases = {node["name"]: node["phase"] for node in nodes}
    assert phases == {
        "lucky(0)": "Failed",
        "lucky(1)": "Succeeded",
        "lucky.onExit": "Succeeded",
    }
    assert "ended Succeeded" in exit_log(namespace, ended)


def test_the_exit_handler_of_a_failed_run_sees_the_failure(namespace: Space) -> None:
    spec = with_exit_handler({"container": container(["python3", "-c", "raise SystemExit(3)"])})
    namespace.create({**WORKFLOW, "metadata": {"name": "unlucky"}, "spec": spec})

    ended = namespace.finished_workflow("unlucky")

    assert ended["status"]["phase"] == "Failed"
    assert "exit code 3" in json.dumps(ended["status"]["nodes"])
    assert "ended Failed" in exit_log(namespace, ended)


@pytest.mark.full  # a minute until it fires
def test_a_cron_workflow_fires(namespace: Space) -> None:
    main = {"container": container(["true"])}
    spec = {"schedules": ["* * * * *"], "workflowSpec": workflow_spec(main)}
    namespace.create({**CRON_WORKFLOW, "metadata": {"name": "minutely"}, "spec": spec})

    runs = await_state(
        lambda: namespace.find(WORKFLOW, "workflows.argoproj.io/cron-workflow=minutely"),
        lambda found: any(run.get("status", {}).get("phase") == "Succeeded" for run in found),
        "a run that the schedule started",
        patience=150,
    )

    assert runs[0]["metadata"]["name"].startswith("minutely-")


def ask_server(path: str, token: str | None) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{SERVER_PORT}{path}")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        return json.load(answer)


def test_the_argo_server_asks_for_a_token(own_engines: Places, namespace: Space) -> None:
    path = f"/api/v1/workflows/{namespace.name}"

    with pytest.raises(urllib.error.HTTPError) as refused:
        ask_server(path, None)
    with pytest.raises(urllib.error.HTTPError) as forbidden:
        ask_server(path, namespace.token(STAGE_ACCOUNT))

    assert (refused.value.code, forbidden.value.code) == (401, 403)
    refused.value.close()
    forbidden.value.close()


def test_the_argo_server_tells_its_version(own_engines: Places, namespace: Space) -> None:
    said = ask_server("/api/v1/version", namespace.token(STAGE_ACCOUNT))

    assert said["version"] == ARGO.version
