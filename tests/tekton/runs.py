"""PipelineRuns and TaskRuns as Tekton stores them, made by hand."""

from __future__ import annotations

from typing import Any

from bodywork_argo.manifests import Manifest
from tests.projects import batch, plan_of
from tests.tekton.projects import compiled

START, END = "2026-01-01T10:00:00Z", "2026-01-01T10:01:00Z"
PLAN = plan_of("a, b_2 >> c", *map(batch, ("a", "b_2", "c", "tell")), on_failure="tell")


def condition(status: str, word: str, message: str = "") -> dict[str, Any]:
    return {"type": "Succeeded", "status": status, "reason": word, "message": message}


def run(
    status: str | None = None,
    word: str = "",
    message: str = "",
    *,
    told: str = "",
    name: str = "run-1",
    created: str = START,
) -> Manifest:
    """Return a run of PLAN; `told` is what somebody told it to do."""
    document = compiled(PLAN, name)
    document["metadata"]["creationTimestamp"] = created
    if told:
        document["spec"]["status"] = told
    if status is not None:
        found = {"startTime": START, "conditions": [condition(status, word, message)]}
        ended = {"completionTime": END} if status in ("True", "False") else {}
        document["status"] = {**found, **ended}
    return document


def taskrun(
    task: str,
    status: str = "Unknown",
    word: str = "Running",
    message: str = "",
    *,
    code: int | None = None,
    retried: int = 0,
) -> Manifest:
    """Return the TaskRun of a task; `code` is the module's exit code."""
    steps = [] if code is None else [{"name": "exec", "terminated": {"exitCode": code}}]
    found: dict[str, Any] = {
        "startTime": START,
        "conditions": [condition(status, word, message)],
        "steps": steps,
        "retriesStatus": [{"podName": f"run-1-{task}-pod"} for _ in range(retried)],
    }
    if status in ("True", "False"):
        found["completionTime"] = END
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": {
            "name": f"run-1-{task}",
            "labels": {"tekton.dev/pipelineRun": "run-1", "tekton.dev/pipelineTask": task},
        },
        "status": found,
    }


def good(task: str) -> Manifest:
    return taskrun(task, "True", "Succeeded", code=0)


def bad(task: str, code: int = 3, retried: int = 0) -> Manifest:
    message = f'"step-exec" exited with code {code}: Error'
    return taskrun(task, "False", "Failed", message, code=code, retried=retried)


def pod(
    task: str, name: str = "", *, states: dict[str, dict[str, Any]] | None = None, phase: str = ""
) -> Manifest:
    """Return a pod of a task; `states` are those of its steps."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name or f"run-1-{task}-pod",
            "labels": {"tekton.dev/pipelineRun": "run-1", "bodywork-argo/stage": task},
        },
        "spec": {"containers": [{"name": "step-prepare"}, {"name": "step-exec"}]},
        "status": {
            "phase": phase,
            "containerStatuses": [
                {"name": each, "state": state} for each, state in (states or {}).items()
            ],
        },
    }
