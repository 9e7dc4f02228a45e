"""What any engine in a cluster looks at before it takes a plan."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bodywork_argo.errors import Problem
from bodywork_argo.plan import PlainEnv, Plan, Task
from bodywork_argo.runner import is_local

_SUBSTITUTED = re.compile(r"\{\{|\$\(|\$\$|[^!-~]")
"""What Argo, Tekton and the kubelet would put something else for, and what is no address."""


def unreachable_repository(plan: Plan, engine: str) -> Iterator[Problem]:
    """Yield why pods could not fetch the code from the repository's address."""
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
            what=f"{engine} or Kubernetes would change the repository's address '{repository}'",
            remedy="write what is no letter or digit in it as '%' and two hexadecimal digits",
        )


def texts_of(task: Task) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield keys of a stage and the texts that get into documents as they are."""
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
