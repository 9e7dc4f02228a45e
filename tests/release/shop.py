"""A pipeline of services, released again and again into a cluster in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from bodywork_argo.dag import parse_dag
from bodywork_argo.errors import PipelineFailed
from bodywork_argo.plan import Pinned, Source
from bodywork_argo.planner import make_plan
from bodywork_argo.release import Release, Step
from bodywork_argo.release_records import State, read_records
from bodywork_argo.services import ServiceObjects, service_objects
from bodywork_argo.spec import Dialect, Project, Rollback, ServiceStage
from tests.release.kubelet import START, Kubelet, Ticking

A, B, C = "a" * 40, "b" * 40, "c" * 40


def stage(name: str, *, port: int = 5000, replicas: int = 1, ingress: bool = False) -> ServiceStage:
    return ServiceStage(
        name=name,
        module=f"{name}.py",
        max_startup_time_seconds=10,
        replicas=replicas,
        port=port,
        ingress=ingress,
    )


def services(commit: str, run: str, *stages: ServiceStage) -> tuple[ServiceObjects, ...]:
    project = Project(
        name="shop",
        dialect=Dialect.V1_1,
        docker_image="python:3.12",
        dag=parse_dag(" >> ".join(each.name for each in stages)),
        stages=stages,
        log_level="INFO",
    )
    source = Source(revision=Pinned(commit=commit), repository="https://git.example/shop.git")
    plan = make_plan(project, source)
    return tuple(service_objects(plan, task, run=run, version="1") for task in plan.services())


@dataclass
class Shop:
    """A pipeline's services in a cluster that is in memory."""

    cluster: Kubelet = field(default_factory=Kubelet)
    said: list[str] = field(default_factory=list)
    mode: Rollback = Rollback.RUN

    def release(self, run: str, holder: str = "") -> Release:
        return Release(
            cluster=self.cluster,
            clock=Ticking(self.cluster),
            tell=self.said.append,
            pipeline="shop",
            run=run,
            holder=holder or run,
            mode=self.mode,
        )

    def run(self, run: str, commit: str, *stages: ServiceStage, well: bool = True) -> None:
        """Do what a run of one service step does, and end it."""
        objects = services(commit, run, *stages)
        step = Step(services=objects, now=tuple(each.name for each in objects), ends_run=False)
        release = self.release(run)
        try:
            release.roll_out(step, commit)
        except PipelineFailed:
            well = False
        if self.mode is Rollback.RUN:
            release.end(well=well)
        self.settle()

    def settle(self) -> None:
        """Let the pods of what was deleted go."""
        self.cluster.reconcile(START)

    def states(self) -> list[State]:
        return [record.state for record in read_records(self.cluster, "shop")]
