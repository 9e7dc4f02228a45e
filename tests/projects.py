"""Small projects for tests of the planner and the backends."""

from __future__ import annotations

from bodywork_argo.dag import parse_dag
from bodywork_argo.plan import Parameter, Pinned, Plan, ResolvedAtRun, Source
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.spec import BatchStage, Dialect, Project, SecretRef, ServiceStage, Stage

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PINNED = Source(
    revision=Pinned(commit=COMMIT), repository="https://git.example/team/shop.git", ref="main"
)
PARAMETER = Source(revision=Parameter())
RESOLVED = Source(
    revision=ResolvedAtRun(ref="main"), repository="https://git.example/team/shop.git", ref="main"
)


def batch(
    name: str,
    *,
    args: tuple[str, ...] = (),
    requirements: tuple[str, ...] = (),
    secrets: tuple[SecretRef, ...] = (),
    module: str = "",
    limit: int = 60,
    retries: int = 0,
) -> BatchStage:
    return BatchStage(
        name=name,
        module=module or f"{name}/main.py",
        args=args,
        requirements=requirements,
        secrets=secrets,
        cpu_request=0.5,
        memory_request_mb=100,
        max_completion_time_seconds=limit,
        retries=retries,
    )


def service(name: str, *, port: int = 5000, replicas: int = 1, startup: int = 60) -> ServiceStage:
    return ServiceStage(
        name=name,
        module=f"{name}/main.py",
        cpu_request=0.25,
        memory_request_mb=100,
        max_startup_time_seconds=startup,
        replicas=replicas,
        port=port,
        ingress=False,
    )


def project(
    dag: str,
    *stages: Stage,
    name: str = "shop",
    dialect: Dialect = Dialect.V1_1,
    on_failure: str | None = None,
    namespace: str | None = None,
) -> Project:
    return Project(
        name=name,
        dialect=dialect,
        docker_image="python:3.12",
        dag=parse_dag(dag),
        stages=stages,
        log_level="INFO",
        run_on_failure=on_failure,
        namespace=namespace,
    )


def plan_of(
    dag: str,
    *stages: Stage,
    on_failure: str | None = None,
    source: Source = PINNED,
    options: PlanOptions | None = None,
) -> Plan:
    return make_plan(project(dag, *stages, on_failure=on_failure), source, options)


def five_stages() -> Plan:
    """Return the shape of a typical repository: train, two services, a test of them."""
    return plan_of(
        "prepare >> train >> score_a, score_b >> check",
        batch("prepare", args=("Hello", "World"), retries=2),
        batch("train", requirements=("scikit-learn==1.5.0",)),
        service("score_a", port=5000),
        service("score_b", port=5001),
        batch("check", secrets=(SecretRef(variable="TOKEN", secret="check-token"),)),
        batch("tell"),
        on_failure="tell",
    )
