"""The entry point: checks, compiles and connects."""

from __future__ import annotations

from typing_extensions import assert_never

from bodywork_argo.backend import Compiled, Runtime
from bodywork_argo.cluster import ClusterFactory
from bodywork_argo.errors import Problem
from bodywork_argo.plan import (
    Parameter,
    Pinned,
    Plan,
    ResolvedAtRun,
    ServiceTask,
    Task,
)
from bodywork_argo.spec import Rollback
from bodywork_argo_adapters.local.document import to_document


class LocalBackend:
    """Stages as processes of this machine; needs Linux or macOS, Python and git."""

    name = "local"

    def check(self, plan: Plan) -> tuple[Problem, ...]:
        """Refuse two services on one port and revisions unknown before the run; tell the rest."""
        services = tuple(plan.services())
        return (
            *_revision(plan),
            *_shared_ports(services),
            *_differences(services),
            *_index_credentials(plan),
            *_without_use(plan),
        )

    def compile(self, plan: Plan, run_name: str | None) -> Compiled:
        """Return one LocalRun document."""
        return Compiled(
            backend=self.name, run_name=run_name, documents=(to_document(plan, run_name),)
        )

    def runtime(self, cluster: ClusterFactory) -> Runtime:
        """Return the engine of this machine; the cluster is never contacted."""
        from bodywork_argo_adapters.local.runtime import LocalRuntime

        return LocalRuntime()


def _revision(plan: Plan) -> tuple[Problem, ...]:
    match plan.revision:
        case Pinned() | Parameter():
            return ()
        case ResolvedAtRun(ref=ref):
            return (
                Problem(
                    key="",
                    what=f"the local backend can't resolve '{ref}' while a run goes on",
                    remedy="give it a commit",
                ),
            )
        case _ as unreachable:
            assert_never(unreachable)


def _shared_ports(services: tuple[ServiceTask, ...]) -> tuple[Problem, ...]:
    first: dict[int, ServiceTask] = {}
    problems = []
    for task in services:
        other = first.setdefault(task.port, task)
        if other is not task:
            problems.append(
                Problem(
                    key=f"stages.{task.stage}.service.port",
                    what=f"services '{other.stage}' and '{task.stage}' both listen on port "
                    f"{task.port}, and this machine has each port once",
                    remedy="give one of them another port",
                )
            )
    return tuple(problems)


def _differences(services: tuple[ServiceTask, ...]) -> tuple[Problem, ...]:
    notes = []
    for task in services:
        if task.replicas > 1:
            notes.append(
                Problem(
                    key=f"stages.{task.stage}.service.replicas",
                    what=f"is {task.replicas}; the local backend starts one process",
                    severity="note",
                )
            )
        if task.ingress:
            notes.append(
                Problem(
                    key=f"stages.{task.stage}.service.ingress",
                    what=f"there is no ingress on the local backend; the service answers at "
                    f"http://127.0.0.1:{task.port}",
                    severity="note",
                )
            )
    return tuple(notes)


def _index_credentials(plan: Plan) -> tuple[Problem, ...]:
    if not any(task.container.prepare_env for task in plan.all_tasks()):
        return ()
    return (
        Problem(
            key="",
            what="the local backend reads no secret for the package index",
            remedy="set BODYWORK_INDEX_USERNAME and BODYWORK_INDEX_PASSWORD, or use pip's settings",
            severity="note",
        ),
    )


def _without_use(plan: Plan) -> tuple[Problem, ...]:
    """Tell in one note which keys of the ``kubernetes`` blocks do nothing on this machine."""
    stages: dict[str, list[str]] = {}
    for task in plan.all_tasks():
        for key in _cluster_keys(task):
            stages.setdefault(key, []).append(task.stage)
    if plan.run.ttl_seconds is not None:
        stages["ttl_seconds"] = []
    if plan.run.rollback is not Rollback.RUN:
        stages["rollback"] = []
    if not stages:
        return ()
    listed = (f"{key} ({', '.join(names)})" if names else key for key, names in stages.items())
    return (
        Problem(
            key="",
            what=f"the local backend has no use for these kubernetes keys: {'; '.join(listed)}",
            severity="note",
        ),
    )


def _cluster_keys(task: Task) -> list[str]:
    resources, pod = task.container.resources, task.pod
    values = {
        "cpu_limit": resources.cpu_limit,
        "memory_limit_mb": resources.memory_limit_mb,
        "gpu": resources.gpu,
        "node_selector": pod.node_selector,
        "tolerations": pod.tolerations,
        "image_pull_secrets": pod.image_pull_secrets,
        "image_pull_policy": pod.image_pull_policy,
        "service_account": pod.service_account,
        "labels": pod.labels,
        "annotations": pod.annotations,
        "volumes": pod.volumes,
        "patch": pod.patches,
        "install.ca_bundle": task.container.ca_bundle,
    }
    if isinstance(task, ServiceTask):
        values["probes.readiness"] = task.probes.readiness_path
        values["probes.liveness"] = task.probes.liveness_path
    return [key for key, value in values.items() if value]
