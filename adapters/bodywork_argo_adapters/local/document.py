"""The LocalRun document: what the local engine takes, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typing_extensions import assert_never

from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo.names import MANAGED_BY, MANAGED_BY_LABEL, PART_OF_LABEL
from bodywork_argo.plan import (
    BatchStep,
    BatchTask,
    Container,
    Env,
    Parameter,
    Pinned,
    PlainEnv,
    Plan,
    ResolvedAtRun,
    RunNameEnv,
    SecretEnv,
    ServiceStep,
    ServiceTask,
    ServiceUrlEnv,
    Step,
    Task,
)

API_VERSION = "bodywork-argo/v1"
KIND = "LocalRun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """An environment variable: exactly one of a value, a secret's name or the run's name."""

    name: str
    value: str | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTask:
    """One stage to run here; `port` is set for services only."""

    name: str
    stage: str
    container: Container
    """Options of the two commands; image, environment and requests are not used here."""
    variables: tuple[Variable, ...]
    retries: int = 0
    port: int | None = None
    startup_seconds: int = 0
    startup_path: str | None = None
    """Asked by HTTP; None asks whether the port is open."""
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    """A LocalRun document, read back."""

    pipeline: str
    repository: str
    commit: str
    steps: tuple[tuple[LocalTask, ...], ...]
    on_failure: LocalTask | None
    keep_services: bool
    parallelism: int = 0
    """How many batch stages run at once; 0: all of a step."""
    timeout_seconds: int = 0
    """Of all steps together; 0 means none."""

    def tasks(self) -> tuple[LocalTask, ...]:
        """Return the tasks of all steps in order, then the failure task."""
        inner = tuple(task for step in self.steps for task in step)
        return inner if self.on_failure is None else (*inner, self.on_failure)


def to_document(plan: Plan, run_name: str | None) -> Manifest:
    """Return the LocalRun document of a plan."""
    name = {"generateName": f"{plan.name}-"} if run_name is None else {"name": run_name}
    document: Manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            **name,
            "labels": {
                MANAGED_BY_LABEL: MANAGED_BY,
                PART_OF_LABEL: plan.name,
            },
        },
        "spec": {
            "pipeline": plan.pipeline,
            **_source(plan),
            "keepServices": plan.keep_services,
            **({"parallelism": plan.run.parallelism} if plan.run.parallelism else {}),
            **({"timeoutSeconds": limit} if (limit := plan.run.run_timeout_seconds) else {}),
            "steps": [_step(step) for step in plan.steps],
        },
    }
    if plan.on_failure is not None:
        document["spec"]["onFailure"] = _task(plan.on_failure)
    return document


def read_document(document: Manifest) -> LocalRun:
    """Read a LocalRun document back.

    Raises:
        EngineError: the document names no repository or commit, as one compiled without a
            repository does.
    """
    spec = document["spec"]
    for key in ("repository", "commit"):
        if key not in spec:
            raise EngineError(f"the document names no {key}: compile it from a repository")
    on_failure = spec.get("onFailure")
    return LocalRun(
        pipeline=spec["pipeline"],
        repository=spec["repository"],
        commit=spec["commit"],
        steps=tuple(
            tuple(_read_task(task) for task in step.get("batch", step.get("services")))
            for step in spec["steps"]
        ),
        on_failure=None if on_failure is None else _read_task(on_failure),
        keep_services=spec["keepServices"],
        parallelism=spec.get("parallelism", 0),
        timeout_seconds=spec.get("timeoutSeconds", 0),
    )


def _source(plan: Plan) -> dict[str, Any]:
    match plan.revision:
        case Pinned(commit=commit):
            return {"repository": plan.source.repository, "commit": commit}
        case Parameter() | ResolvedAtRun():
            return {}
        case _ as unreachable:
            assert_never(unreachable)


def _step(step: Step) -> dict[str, Any]:
    match step:
        case BatchStep(tasks=tasks):
            return {"batch": [_task(task) for task in tasks]}
        case ServiceStep(tasks=services):
            return {"services": [_task(task) for task in services]}
        case _ as unreachable:
            assert_never(unreachable)


def _task(task: Task) -> dict[str, Any]:
    common = {
        "name": task.name,
        "stage": task.stage,
        "prepare": list(task.container.prepare),
        "exec": list(task.container.execute),
        "env": [_env(variable) for variable in task.container.env],
    }
    match task:
        case BatchTask():
            return {**common, "retries": task.retries}
        case ServiceTask():
            return {
                **common,
                "port": task.port,
                "startupSeconds": task.startup_seconds,
                **({"startupPath": path} if (path := task.probes.startup_path) else {}),
                "replicas": min(task.replicas, 1),
            }
        case _ as unreachable:
            assert_never(unreachable)


def _env(variable: Env) -> dict[str, Any]:
    match variable:
        case PlainEnv(name=name, value=value):
            return {"name": name, "value": value}
        case SecretEnv(name=name, secret=secret):
            return {"name": name, "fromSecret": secret}
        case RunNameEnv(name=name):
            return {"name": name, "fromRun": "name"}
        case ServiceUrlEnv(name=name, port=port):
            return {"name": name, "value": f"http://127.0.0.1:{port}"}
        case _ as unreachable:
            assert_never(unreachable)


def _read_task(task: dict[str, Any]) -> LocalTask:
    return LocalTask(
        name=task["name"],
        stage=task["stage"],
        container=Container(
            image="", module="", prepare=tuple(task["prepare"]), execute=tuple(task["exec"])
        ),
        variables=tuple(
            Variable(name=env["name"], value=env.get("value"), secret=env.get("fromSecret"))
            for env in task["env"]
        ),
        retries=task.get("retries", 0),
        port=task.get("port"),
        startup_seconds=task.get("startupSeconds", 0),
        startup_path=task.get("startupPath"),
        replicas=task.get("replicas", 1),
    )
