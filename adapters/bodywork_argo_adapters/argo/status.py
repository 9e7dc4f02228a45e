"""What a stored Workflow says about the run and its stages."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from bodywork_argo import names
from bodywork_argo.backend import Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo.runner import argo_failure
from bodywork_argo_adapters.argo.metadata import FAILURE_TASK_ANNOTATION, read_tasks
from bodywork_argo_adapters.argo.waiting import ORDINARY

_PHASES = {
    "": Phase.PENDING,
    "Pending": Phase.PENDING,
    "Running": Phase.RUNNING,
    "Succeeded": Phase.SUCCEEDED,
    "Failed": Phase.FAILED,
    "Error": Phase.FAILED,
    "Skipped": Phase.SKIPPED,
    "Omitted": Phase.SKIPPED,
    "Daemoned": Phase.RUNNING,
}
"""All phases of Workflows and of their nodes; what a later version adds counts as running."""
_SIGNALLED = (128 + 9, 128 + 15)
"""Exit codes of modules that Argo has ended; it tells no more when they end in time."""
_ATTEMPT = re.compile(r"(.*)\((\d+)\)")


def phase_of(text: str) -> Phase:
    """Return what a phase of Argo's is for us."""
    return _PHASES.get(text, Phase.RUNNING)


def run_status(workflow: Manifest, ref: RunRef, waits: Mapping[str, str]) -> RunStatus:
    """Return how a run stands; `waits` tells by task why its pod can't start.

    Raises:
        EngineError: Argo keeps the nodes in a database, where only its server reads them.
    """
    status = workflow.get("status") or {}
    shutdown = bool(workflow["spec"].get("shutdown"))
    annotations = workflow["metadata"].get("annotations") or {}
    phase = run_phase(status.get("phase", ""), shutdown=shutdown)
    by_task = _nodes_by_task(nodes_of(workflow))
    failure_task = annotations.get(FAILURE_TASK_ANNOTATION)
    stages = tuple(
        _stage(task, stage, by_task.get(task, ()), waits, shutdown=shutdown)
        for task, stage in read_tasks(annotations)
    )
    if phase.final:
        stages = tuple(_never_started(stage, phase, failure_task) for stage in stages)
    reason = _reason(status, phase, stages, failure_task)
    return RunStatus(
        ref=ref,
        pipeline=annotations.get(names.PIPELINE_ANNOTATION, ""),
        phase=phase,
        commit=(workflow["metadata"].get("labels") or {}).get(names.COMMIT_LABEL),
        started=time_of(status.get("startedAt")),
        finished=time_of(status.get("finishedAt")) if phase.final else None,
        reason=reason,
        stages=stages,
    )


def run_phase(text: str, *, shutdown: bool) -> Phase:
    """Return a run's phase; one that was told to end and did not end well was stopped."""
    phase = phase_of(text)
    return Phase.STOPPED if shutdown and phase is Phase.FAILED else phase


def nodes_of(workflow: Manifest) -> dict[str, Any]:
    """Return the nodes of a Workflow's status by their identifiers, unpacked.

    Raises:
        EngineError: they are not in the object.
    """
    status = workflow.get("status") or {}
    if status.get("offloadNodeStatusVersion"):
        raise EngineError(
            f"the stages of run {workflow['metadata']['name']} are in the database of Argo's "
            "server: look at the run in Argo's own pages"
        )
    packed = status.get("compressedNodes")
    if packed:
        nodes: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
        return nodes
    return status.get("nodes") or {}


def time_of(text: str | None) -> datetime | None:
    """Return the time that Kubernetes writes as text."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def _nodes_by_task(nodes: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return each task's pods or other ends in the order of attempts."""
    found: dict[str, list[tuple[int, Any]]] = {}
    for node in nodes.values():
        name, attempt = node.get("displayName", ""), 0
        if match := _ATTEMPT.fullmatch(name):
            name, attempt = match[1], int(match[2])
        if node.get("type") in ("Pod", "Skipped"):
            found.setdefault(name, []).append((attempt, node))
    return {
        task: [node for _, node in sorted(entries, key=lambda entry: entry[0])]
        for task, entries in found.items()
    }


def _stage(
    task: str, stage: str, nodes: Iterable[Any], waits: Mapping[str, str], *, shutdown: bool
) -> StageStatus:
    attempts = list(nodes)
    if not attempts:
        return StageStatus(stage=stage, task=task, phase=Phase.PENDING, reason=waits.get(task, ""))
    last = attempts[-1]
    phase = phase_of(last.get("phase", ""))
    if phase is Phase.SKIPPED:
        return StageStatus(stage=stage, task=task, phase=phase, reason="nothing failed")
    reason, exit_code = "", None
    if phase is Phase.FAILED:
        failure = argo_failure(task, last.get("message", ""), {})
        exit_code = failure["exit_code"]
        reason = failure["reason"] or (f"exit code {exit_code}" if exit_code is not None else "")
        if shutdown and (reason == "stopped" or exit_code in _SIGNALLED):
            phase, exit_code, reason = Phase.STOPPED, None, "stopped"
    elif phase is Phase.SUCCEEDED:
        exit_code = 0
    elif phase is Phase.PENDING:
        message = last.get("message", "")
        reason = waits.get(task, "") or ("" if message in ORDINARY else message)
    return StageStatus(
        stage=stage,
        task=task,
        phase=phase,
        attempt=len(attempts) if phase is not Phase.PENDING or len(attempts) > 1 else 0,
        started=time_of(last.get("startedAt")),
        finished=time_of(last.get("finishedAt")),
        exit_code=exit_code,
        reason=reason,
    )


def _never_started(stage: StageStatus, run: Phase, failure_task: str | None) -> StageStatus:
    """Return a stage of a run that has ended: what has not ended with it never began."""
    if stage.phase.final:
        return stage
    reason = "an earlier step did not end well"
    if stage.task == failure_task:
        reason = "nothing failed" if run is Phase.SUCCEEDED else "the run was terminated"
    return StageStatus(stage=stage.stage, task=stage.task, phase=Phase.SKIPPED, reason=reason)


def _reason(
    status: Mapping[str, Any],
    phase: Phase,
    stages: Iterable[StageStatus],
    failure_task: str | None,
) -> str:
    if phase is Phase.PENDING:
        waiting: str = status.get("message", "")
        return waiting
    if phase in (Phase.STOPPED, Phase.FAILED):
        bad = (Phase.FAILED, Phase.STOPPED) if phase is Phase.FAILED else (Phase.FAILED,)
        failed = [s.stage for s in stages if s.phase in bad and s.task != failure_task]
        if failed:
            count = len(failed)
            shown = ", ".join(failed[:20]) + (f" ... and {count - 20} more" if count > 20 else "")
            return f"{count} stage{'' if count == 1 else 's'} failed: {shown}"
        return "stopped" if phase is Phase.STOPPED else str(status.get("message", ""))
    return ""
