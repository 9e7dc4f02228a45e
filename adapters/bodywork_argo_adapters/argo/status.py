"""What a stored Workflow says about the run and its stages."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bodywork_argo import names, reasons
from bodywork_argo.backend import Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo.runner import OVER_DEADLINE, POD_ENDED_EARLY, argo_failure
from bodywork_argo_adapters.argo.metadata import FAILURE_TASK_ANNOTATION, read_tasks
from bodywork_argo_adapters.argo.waiting import wait_of_message

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
_CUT_SHORT = re.compile(
    POD_ENDED_EARLY + r"|(?:init|prepare|fetch): Error \(exit code (?:137|143)\)"
)
"""What Argo writes over its own word once the pod ends that it has ended before a module began."""
_SHUT_DOWN = {"Stop": reasons.STOPPED, "Terminate": reasons.TERMINATED}
_LEFT = "the run ended before it"
_REPLACED = "another run took the place of this one"
_ATTEMPT = re.compile(r"(.*)\((\d+)\)")


def phase_of(text: str) -> Phase:
    """Return what a phase of Argo's is for us."""
    return _PHASES.get(text, Phase.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What is to be known of a run to tell how its stages stand."""

    phase: Phase
    waits: Mapping[str, str]
    failure_task: str | None
    shut_down: str
    """How somebody ended it; "" when nobody has."""
    started: datetime | None
    limit: int
    """Seconds for all stages together; 0 for no limit."""
    replacement: str
    """The run that took its place, since the pipeline has changed; "" when none did."""

    @property
    def over_limit(self) -> str:
        """Return why stages were ended that were under way when the run's time was over."""
        return reasons.of_run_limit(self.limit)

    def is_over(self, when: datetime | None) -> bool:
        """Return whether the run's limit had been reached; times are stored in whole seconds."""
        if not self.limit or self.started is None or when is None:
            return False
        return (when - self.started).total_seconds() >= self.limit - 1

    @property
    def well(self) -> bool:
        return self.phase is Phase.SUCCEEDED

    def why_skipped(self, task: str) -> str:
        """Return why a task was not run."""
        if self.replacement and task != self.failure_task:
            return _REPLACED
        if self.well:
            return reasons.NOTHING_FAILED
        if self.shut_down == reasons.TERMINATED:
            return reasons.TERMINATED
        return _LEFT if task == self.failure_task else reasons.NEVER_BEGAN


def run_status(workflow: Manifest, ref: RunRef, waits: Mapping[str, str]) -> RunStatus:
    """Return how a run stands; `waits` tells by task why its pod can't start.

    Raises:
        EngineError: Argo keeps the nodes in a database, where only its server reads them.
    """
    status = workflow.get("status") or {}
    annotations = workflow["metadata"].get("annotations") or {}
    spec = workflow["spec"]
    run = _Run(
        phase=run_phase(status.get("phase", ""), shutdown=bool(spec.get("shutdown"))),
        waits=waits,
        failure_task=annotations.get(FAILURE_TASK_ANNOTATION),
        shut_down=_SHUT_DOWN.get(spec.get("shutdown", ""), ""),
        started=time_of(status.get("startedAt")),
        limit=spec.get("activeDeadlineSeconds") or 0,
        replacement=_found(status, "replacement") or "",
    )
    by_task = _nodes_by_task(nodes_of(workflow))
    stages = tuple(
        _stage(task, stage, by_task.get(task, ()), run) for task, stage in read_tasks(annotations)
    )
    if run.phase.final:
        stages = tuple(_at_the_end(stages, run))
    return RunStatus(
        ref=ref,
        pipeline=annotations.get(names.PIPELINE_ANNOTATION, ""),
        phase=run.phase,
        commit=(workflow["metadata"].get("labels") or {}).get(names.COMMIT_LABEL)
        or _found(status, "commit"),
        started=time_of(status.get("startedAt")),
        finished=time_of(status.get("finishedAt")) if run.phase.final else None,
        reason=_reason(status, stages, run),
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


def _stage(task: str, stage: str, attempts: Sequence[Any], run: _Run) -> StageStatus:
    waits = run.waits.get(task, "")
    if not attempts:
        return StageStatus(stage=stage, task=task, phase=Phase.PENDING, reason=waits)
    last = attempts[-1]
    phase = phase_of(last.get("phase", ""))
    if phase is Phase.SKIPPED:
        return StageStatus(stage=stage, task=task, phase=phase, reason=run.why_skipped(task))
    exit_code, reason = None, ""
    if phase is Phase.FAILED:
        phase, exit_code, reason = _failure(last, run)
    elif phase is Phase.SUCCEEDED:
        exit_code = 0
    elif phase is Phase.PENDING:
        reason = waits or wait_of_message(last.get("message", ""))
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


def _failure(node: Mapping[str, Any], run: _Run) -> tuple[Phase, int | None, str]:
    """Return phase, exit code and reason of a stage that did not end well."""
    message = node.get("message", "")
    failure = argo_failure("", message, {})
    exit_code: int | None = failure["exit_code"]
    reason: str = failure["reason"]
    cut_short = _CUT_SHORT.match(message) is not None
    if (cut_short or reason == OVER_DEADLINE) and run.is_over(time_of(node.get("finishedAt"))):
        return Phase.STOPPED, None, run.over_limit
    signalled = not reason and exit_code in _SIGNALLED
    if run.shut_down and (cut_short or signalled or reason == "stopped"):
        return Phase.STOPPED, None, run.shut_down
    if not reason and exit_code is not None:
        reason = reasons.of_exit(exit_code)
    return Phase.FAILED, exit_code, reason


def _at_the_end(stages: Sequence[StageStatus], run: _Run) -> Iterator[StageStatus]:
    """Yield the stages of a run that has ended: what has not ended with it never began."""
    bad = any(stage.phase in (Phase.FAILED, Phase.STOPPED) for stage in stages)
    for stage in stages:
        if stage.phase.final:
            yield stage
        elif stage.phase is Phase.RUNNING:
            yield replace(stage, phase=Phase.STOPPED, reason=_LEFT)
        else:
            reason = run.why_skipped(stage.task) if bad or run.well else _LEFT
            yield StageStatus(
                stage=stage.stage, task=stage.task, phase=Phase.SKIPPED, reason=reason
            )


def _reason(status: Mapping[str, Any], stages: Sequence[StageStatus], run: _Run) -> str:
    message = str(status.get("message", ""))
    if run.phase is Phase.PENDING:
        return _why_pending(status, message)
    if run.well and run.replacement:
        return f"the pipeline has changed: run {run.replacement} took its place"
    if not run.phase.final or run.well:
        return ""
    ended_by = run.shut_down
    if run.limit and any(stage.reason == run.over_limit for stage in stages):
        ended_by = ended_by or run.over_limit
    why = reasons.why_run_ended(stages, failure_task=run.failure_task, ended_by=ended_by)
    return why or message


def _found(status: Mapping[str, Any], name: str) -> str | None:
    """Return what the first task of a scheduled run has found."""
    outputs = (status.get("outputs") or {}).get("parameters") or ()
    return next((each.get("value") for each in outputs if each["name"] == name), None) or None


def _why_pending(status: Mapping[str, Any], message: str) -> str:
    """Return what a run waits for; a lock of ours is held by another run of the pipeline."""
    if "/Mutex/" not in message:
        return message
    waiting = ((status.get("synchronization") or {}).get("mutex") or {}).get("waiting") or ()
    holders = [str(each.get("holder", "")).rpartition("/")[2] for each in waiting]
    if not any(holders):
        return "waits for another run to end"
    return f"waits for the end of run {', '.join(filter(None, holders))}"
