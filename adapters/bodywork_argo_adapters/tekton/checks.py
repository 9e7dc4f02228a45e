"""What Tekton can't express, or does otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator

from typing_extensions import assert_never

from bodywork_argo.errors import Problem
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import BatchTask, Parameter, Pinned, Plan, ResolvedAtRun
from bodywork_argo_adapters.plan_checks import texts_of, unreachable_repository
from bodywork_argo_adapters.releases import decides_at_end

MOST_BYTES = 1_400_000
"""Of a run with its status: etcd takes requests of 1.5 MiB."""
MOST_ANNOTATION_BYTES = 256 * 1024
"""Of one object: ``TotalAnnotationSizeLimitB`` of Kubernetes."""
_STATUS_BYTES = 300
"""What Tekton notes of each task in the run's status."""


def check(plan: Plan) -> tuple[Problem, ...]:
    """Return all problems of a plan; see `Backend.check`. Services travel as data."""
    batch = [task for task in plan.all_tasks() if isinstance(task, BatchTask)]
    return (
        *_revision(plan),
        *unreachable_repository(plan, "Tekton"),
        *_whole_run(plan),
        *_waits_not(plan),
        *(problem for task in batch for problem in _patches(task)),
        *(problem for task in batch for problem in _substituted(task)),
    )


def size_problems(document: Manifest) -> Iterator[Problem]:
    """Yield errors when a run, or what a pod of it is told, is larger than what Kubernetes takes.

    Tekton writes the pipeline into the run's status once more.
    """
    pipeline = document["spec"]["pipelineSpec"]
    tasks = len(pipeline["tasks"])
    size = len(json.dumps(document)) + len(json.dumps(pipeline)) + tasks * _STATUS_BYTES
    if size > MOST_BYTES:
        yield Problem(
            key="",
            what=f"a run of {tasks} stages needs {size:,} bytes of Kubernetes, "
            f"which takes {MOST_BYTES:,} at most",
            remedy="split the pipeline, or run it with '--backend argo'",
        )
    notes = _bytes_of(document["metadata"])
    largest = max(_bytes_of(task["taskSpec"].get("metadata") or {}) for task in pipeline["tasks"])
    if notes + largest > MOST_ANNOTATION_BYTES:
        yield Problem(
            key="",
            what=f"what a pod has to be told of the services of a step takes {largest:,} bytes of "
            f"its annotations, for which Kubernetes has {MOST_ANNOTATION_BYTES - notes:,}",
            remedy="split the pipeline",
        )


def _bytes_of(metadata: Manifest) -> int:
    """Return the size of annotations, which Tekton gives from runs and tasks to pods."""
    return sum(len(key) + len(text) for key, text in (metadata.get("annotations") or {}).items())


def _revision(plan: Plan) -> Iterator[Problem]:
    match plan.revision:
        case Pinned():
            return
        case Parameter() | ResolvedAtRun():
            yield Problem(
                key="",
                what="runs on Tekton are of one commit, which has to be known before",
                remedy="give it a commit",
            )
        case _ as unreachable:
            assert_never(unreachable)


def _whole_run(plan: Plan) -> Iterator[Problem]:
    """Yield what Tekton has no word for in a run as a whole."""
    run = plan.run
    if run.parallelism:
        yield Problem(
            key="pipeline.kubernetes.parallelism",
            what="Tekton starts all stages of a step at once",
            remedy="leave it out, or run the pipeline with '--backend argo'",
        )
    yield from _one_at_a_time(plan)
    if run.ttl_seconds is not None:
        yield Problem(
            key="pipeline.kubernetes.ttl_seconds",
            what="Tekton keeps no time: of each pipeline, the newest runs are kept",
            severity="note",
        )
    left_out = [
        *(["its failure stage"] if plan.on_failure is not None else []),
        *(["taking its services back"] if decides_at_end(plan) else []),
    ]
    if run.run_timeout_seconds and left_out:
        yield Problem(
            key="pipeline.kubernetes.run_timeout_seconds",
            what=f"Tekton ends a run that takes too long without {' and '.join(left_out)}",
            severity="note",
        )


def _one_at_a_time(plan: Plan) -> Iterator[Problem]:
    """Yield what comes of runs that go on side by side, unless somebody has asked for that."""
    if not plan.exclusive:
        return
    what = "Tekton can't keep runs of a pipeline from going on at the same time"
    if any(True for _ in plan.services()):
        more = "the one that releases its services last decides which of them stay"
        yield Problem(key="", what=f"{what}: {more}", severity="note")
    else:
        yield Problem(key="", what=what, remedy="run the pipeline with '--backend argo'")


def _waits_not(plan: Plan) -> Iterator[Problem]:
    """Yield that the failure stage may be early where nothing tells it of the decision."""
    accounts = plan.accounts
    if accounts.stage and not accounts.executor and plan.on_failure and decides_at_end(plan):
        yield Problem(
            key="pipeline.run_on_failure",
            what="may start before services are back at their last good version, "
            "as `bodywork-argo setup` has not prepared the namespace",
            severity="note",
        )


def _patches(task: BatchTask) -> Iterator[Problem]:
    if task.pod.patches:
        yield Problem(
            key=f"stages.{task.stage}.kubernetes.patch",
            what="Tekton takes no patches of pods",
            remedy="leave it out, or run the pipeline with '--backend argo'",
        )


def _substituted(task: BatchTask) -> Iterator[Problem]:
    """Yield where Tekton would put something else in the place of a text, or refuse it."""
    for key, texts in texts_of(task):
        if any("$(" in text for text in texts):
            yield Problem(
                key=f"stages.{task.stage}.{key}",
                what="contains '$(', which Tekton would take for a reference",
                remedy="write it without",
            )
