"""Tekton Pipelines runs what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from e2e.support.pods import RUNNER
from e2e.support.spaces import PIPELINE_RUN, STAGE_ACCOUNT, Space

pytestmark = pytest.mark.smoke


def task(name: str, command: Sequence[str], **more: Any) -> dict[str, Any]:
    """Write a task of one step."""
    step = {
        "name": "main",
        "image": RUNNER,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
    }
    return {"name": name, "taskSpec": {"steps": [step]}, **more}


def pipeline_run(name: str, tasks: list[Any], last: list[Any]) -> dict[str, Any]:
    """Write a run with its pipeline inside."""
    template = {"serviceAccountName": STAGE_ACCOUNT}
    return {
        **PIPELINE_RUN,
        "metadata": {"name": name},
        "spec": {
            "pipelineSpec": {"tasks": tasks, "finally": last},
            "taskRunTemplate": template,
            "timeouts": {"pipeline": "5m"},
        },
    }


def outcomes(space: Space, run: str) -> dict[str, str]:
    found = space.find(
        {"apiVersion": "tekton.dev/v1", "kind": "TaskRun"}, f"tekton.dev/pipelineRun={run}"
    )
    return {
        item["metadata"]["labels"]["tekton.dev/pipelineTask"]: item["status"]["conditions"][0][
            "status"
        ]
        for item in found
    }


def test_tasks_run_in_order_and_finally_comes_last(namespace: Space) -> None:
    tasks = [task("first", ["true"]), task("second", ["true"], runAfter=["first"])]
    namespace.create(pipeline_run("ordered", tasks, [task("last", ["true"])]))

    ended = namespace.finished_pipeline_run("ordered")

    assert ended["status"]["conditions"][0]["reason"] == "Succeeded"
    assert outcomes(namespace, "ordered") == {"first": "True", "second": "True", "last": "True"}


def test_finally_runs_after_a_failure(namespace: Space) -> None:
    tasks = [task("first", ["false"]), task("second", ["true"], runAfter=["first"])]
    namespace.create(pipeline_run("broken", tasks, [task("last", ["true"])]))

    ended = namespace.finished_pipeline_run("broken")

    assert ended["status"]["conditions"][0]["reason"] == "Failed"
    assert outcomes(namespace, "broken") == {"first": "False", "last": "True"}
