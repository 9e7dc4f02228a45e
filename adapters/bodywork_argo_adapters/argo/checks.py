"""What Argo Workflows can't express, or does otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator

from typing_extensions import assert_never

from bodywork_argo.errors import Problem
from bodywork_argo.plan import Parameter, Pinned, PlainEnv, Plan, ResolvedAtRun, Task
from bodywork_argo.runner import is_local

_SUBSTITUTED = re.compile(r"\{\{|\$\(|\$\$|[^!-~]")


def check(plan: Plan) -> tuple[Problem, ...]:
    """Return all problems of a plan; see `Backend.check`."""
    return (
        *_revision(plan),
        *_repository(plan),
        *_services(plan),
        *(problem for task in plan.all_tasks() for problem in _substituted(task)),
    )


def _revision(plan: Plan) -> Iterator[Problem]:
    match plan.revision:
        case Pinned() | Parameter():
            return
        case ResolvedAtRun(ref=ref):
            yield Problem(
                key="",
                what=f"runs on Argo that resolve '{ref}' themselves come with schedules",
                remedy="give it a commit",
            )
        case _ as unreachable:
            assert_never(unreachable)


def _repository(plan: Plan) -> Iterator[Problem]:
    repository = plan.source.repository
    if repository is None:
        return
    if is_local(repository):
        yield Problem(
            key="",
            what=f"pods can't reach '{repository}' on this machine",
            remedy="push the commit and give the address of the repository",
        )
    elif _SUBSTITUTED.search(repository):
        yield Problem(
            key="",
            what=f"Argo or Kubernetes would change the repository's address '{repository}'",
            remedy="write what is no letter or digit in it as '%' and two hexadecimal digits",
        )


def _services(plan: Plan) -> Iterator[Problem]:
    services = tuple(plan.services())
    if not services:
        return
    more = f" (and {len(services) - 1} more)" if len(services) > 1 else ""
    yield Problem(
        key=f"stages.{services[0].stage}.service",
        what=f"is a service{more}; services on Argo come with releases",
        remedy="run the pipeline with '--backend local'",
    )


def _substituted(task: Task) -> Iterator[Problem]:
    """Yield where Argo would put something else in the place of a text."""
    for key, texts in _texts(task):
        if any("{{" in text for text in texts):
            yield Problem(
                key=f"stages.{task.stage}.{key}",
                what="contains '{{', which Argo would take for a reference",
                remedy="write it without",
            )


def _texts(task: Task) -> Iterator[tuple[str, tuple[str, ...]]]:
    pod, container = task.pod, task.container
    yield "kubernetes.image", (container.image,)
    yield "kubernetes.node_selector", tuple(text for pair in pod.node_selector for text in pair)
    yield (
        "kubernetes.tolerations",
        tuple(text or "" for each in pod.tolerations for text in (each.key, each.value)),
    )
    yield "kubernetes.image_pull_secrets", pod.image_pull_secrets
    yield "kubernetes.service_account", (pod.service_account or "",)
    yield "kubernetes.labels", tuple(text for pair in pod.labels for text in pair)
    yield "kubernetes.annotations", tuple(text for pair in pod.annotations for text in pair)
    yield (
        "kubernetes.volumes",
        tuple(text for each in pod.volumes for text in (each.name, each.path, each.source)),
    )
    yield "kubernetes.patch", pod.patches
    yield "kubernetes.install", (container.ca_bundle or "", *container.prepare)
    yield "args", container.execute
    yield (
        "kubernetes.env",
        tuple(each.value for each in container.env if isinstance(each, PlainEnv)),
    )
