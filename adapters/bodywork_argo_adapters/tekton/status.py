"""What a stored PipelineRun and its TaskRuns say about the run and its stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bodywork_argo import names, reasons
from bodywork_argo.backend import Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.run_metadata import FAILURE_TASK_ANNOTATION, read_tasks
from bodywork_argo_adapters.tekton.failures import (
    OVER_RUN_LIMIT,
    STOPPED,
    failure_of,
    in_our_words,
)

TASK_LABEL = "tekton.dev/pipelineTask"
"""Tekton gives it to TaskRuns and pods, with the name of the task in the pipeline."""
STOP, TERMINATE = "CancelledRunFinally", "Cancelled"
"""What ends a run, in Tekton's words."""

_SHUT_DOWN = {
    STOP: reasons.STOPPED,
    "StoppedRunFinally": reasons.STOPPED,  # others may say this; it waits for stages that run
    TERMINATE: reasons.TERMINATED,
}
_LEFT = "the run ended before it"
_NOT_TAKEN_UP = frozenset({"", "PipelineRunPending"})
_WORKING = frozenset({"Running", "Stopping"})
"""Of a TaskRun that has not ended; each other word stands for something that it waits for."""
_OVER_QUOTA = "ExceededResourceQuota"


def phase_of(run: Manifest) -> Phase:
    """Return a PipelineRun's phase; one that was told to end and did not end well was stopped."""
    condition = condition_of(run)
    match condition.get("status"):
        case "True":  # with the reason Completed when something was skipped
            return Phase.SUCCEEDED
        case "False":
            return Phase.STOPPED if run["spec"].get("status") in _SHUT_DOWN else Phase.FAILED
        case _:
            waits = condition.get("reason", "") in _NOT_TAKEN_UP
            return Phase.PENDING if waits else Phase.RUNNING


def condition_of(found: Manifest) -> Mapping[str, Any]:
    """Return the one condition of a PipelineRun or TaskRun that counts."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == "Succeeded"), {})


def run_status(
    run: Manifest, taskruns: Iterable[Manifest], ref: RunRef, waits: Mapping[str, str]
) -> RunStatus:
    """Return how a run stands; `waits` tells by task why its pod can't start."""
    annotations = run["metadata"].get("annotations") or {}
    by_task = {each["metadata"]["labels"].get(TASK_LABEL): each for each in taskruns}
    facts = _facts(run, by_task.values(), waits)
    stages = tuple(
        _stage(task, stage, by_task.get(task), facts) for task, stage in read_tasks(annotations)
    )
    if facts.phase.final:
        stages = tuple(_at_the_end(stages, facts))
    status = run.get("status") or {}
    return RunStatus(
        ref=ref,
        pipeline=annotations.get(names.PIPELINE_ANNOTATION, ""),
        phase=facts.phase,
        commit=(run["metadata"].get("labels") or {}).get(names.COMMIT_LABEL),
        started=time_of(status.get("startTime")),
        finished=time_of(status.get("completionTime")) if facts.phase.final else None,
        reason=_reason(run, stages, facts, by_task),
        stages=stages,
    )


def time_of(text: str | None) -> datetime | None:
    """Return the time that Kubernetes writes as text."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is to be known of a run to tell how its stages stand."""

    phase: Phase
    waits: Mapping[str, str]
    failure_task: str | None
    shut_down: str
    """How somebody ended it; "" when nobody has."""
    over_limit: str
    """Why stages were ended that were under way when the run's time was over."""

    def why_skipped(self, task: str) -> str:
        """Return why a task was not run."""
        if self.phase is Phase.SUCCEEDED:
            return reasons.NOTHING_FAILED
        if self.shut_down == reasons.TERMINATED:
            return reasons.TERMINATED
        return _LEFT if task == self.failure_task else reasons.NEVER_BEGAN


def _facts(run: Manifest, taskruns: Iterable[Manifest], waits: Mapping[str, str]) -> _Facts:
    phase = phase_of(run)
    if phase.final and not all(condition_of(each).get("status") in _ENDED for each in taskruns):
        phase = Phase.RUNNING  # Tekton calls a run cancelled before its tasks are
    limit = _seconds((run["spec"].get("timeouts") or {}).get("tasks", ""))
    return _Facts(
        phase=phase,
        waits=waits,
        failure_task=(run["metadata"].get("annotations") or {}).get(FAILURE_TASK_ANNOTATION),
        shut_down=_SHUT_DOWN.get(run["spec"].get("status", ""), ""),
        over_limit=reasons.of_run_limit(limit) if limit else OVER_RUN_LIMIT,
    )


_ENDED = ("True", "False")


def _stage(task: str, stage: str, taskrun: Manifest | None, facts: _Facts) -> StageStatus:
    if taskrun is None:
        return StageStatus(stage=stage, task=task, phase=Phase.PENDING)
    status = taskrun.get("status") or {}
    attempts = len(status.get("retriesStatus") or ()) + 1
    phase, exit_code, reason = _end(task, taskrun, facts)
    return StageStatus(
        stage=stage,
        task=task,
        phase=phase,
        attempt=attempts if phase is not Phase.PENDING or attempts > 1 else 0,
        started=time_of(status.get("startTime")),
        finished=time_of(status.get("completionTime")) if phase.final else None,
        exit_code=exit_code,
        reason=reason,
    )


def _end(task: str, taskrun: Manifest, facts: _Facts) -> tuple[Phase, int | None, str]:
    """Return phase, exit code and reason of the last attempt of a task."""
    condition = condition_of(taskrun)
    match condition.get("status"):
        case "True":
            return Phase.SUCCEEDED, 0, ""
        case "False":
            return _failure(taskrun, facts)
        case _:
            pass
    word = condition.get("reason", "")
    if word in _WORKING:
        return Phase.RUNNING, None, ""
    message = in_our_words(condition.get("message", "")) if word == _OVER_QUOTA else ""
    return Phase.PENDING, None, facts.waits.get(task, message)


def _failure(taskrun: Manifest, facts: _Facts) -> tuple[Phase, int | None, str]:
    exit_code, reason = _told(taskrun)
    if reason == OVER_RUN_LIMIT:
        return Phase.STOPPED, None, facts.over_limit
    if reason == STOPPED and facts.shut_down:
        return Phase.STOPPED, None, facts.shut_down
    return Phase.FAILED, exit_code, reason


def _told(taskrun: Manifest) -> tuple[int | None, str]:
    """Return the exit code of a task that failed, as far as it is known, and why it failed."""
    failure = failure_of(taskrun["status"])
    exit_code, reason = failure["exit_code"], failure["reason"]
    if not reason and exit_code is not None:
        reason = reasons.of_exit(exit_code)
    return exit_code, reason


def _at_the_end(stages: Sequence[StageStatus], facts: _Facts) -> Iterator[StageStatus]:
    """Yield the stages of a run that has ended: what has not ended with it never began."""
    bad = any(stage.phase in (Phase.FAILED, Phase.STOPPED) for stage in stages)
    for stage in stages:
        if stage.phase.final:
            yield stage
            continue
        known = bad or facts.phase is Phase.SUCCEEDED or facts.shut_down == reasons.TERMINATED
        reason = facts.why_skipped(stage.task) if known else _LEFT
        yield replace(stage, phase=Phase.SKIPPED, reason=reason)


def _reason(
    run: Manifest,
    stages: Sequence[StageStatus],
    facts: _Facts,
    by_task: Mapping[str, Manifest],
) -> str:
    if not facts.phase.final or facts.phase is Phase.SUCCEEDED:
        return ""
    ended_by = facts.shut_down
    if any(stage.reason == facts.over_limit for stage in stages):
        ended_by = ended_by or facts.over_limit
    why = reasons.why_run_ended(stages, failure_task=facts.failure_task, ended_by=ended_by)
    others = by_task.keys() - {stage.task for stage in stages}
    parts = [why, *_failures_beside(by_task[task] for task in sorted(others))]
    return "; ".join(filter(None, parts)) or str(condition_of(run).get("message", ""))


def _failures_beside(taskruns: Iterable[Manifest]) -> Iterator[str]:
    """Yield what failed of tasks that are no stages: the one that decides about services."""
    for taskrun in taskruns:
        if condition_of(taskrun).get("status") == "False":
            _, reason = _told(taskrun)
            yield f"{taskrun['metadata']['labels'][TASK_LABEL]} failed: {reason}"


def _seconds(duration: str) -> int:
    """Return the seconds of a duration as we write it; 0 of any other."""
    number = duration.removesuffix("s")
    return int(number) if number.isdigit() else 0
