"""A pipeline of services that is released again and again, without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bodywork_argo.cluster import Cluster
from bodywork_argo.dag import parse_dag
from bodywork_argo.plan import Accounts, Pinned, Source
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.release import Release, Step, SystemClock
from bodywork_argo.release_records import State, read_records
from bodywork_argo.services import service_objects
from bodywork_argo.spec import Dialect, Project, Rollback, ServiceStage
from e2e.support.pods import RUNNER
from e2e.support.repositories import Repository
from e2e.support.spaces import STAGE_ACCOUNT

SERVER = """\
import http.server, signal, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"%(says)s"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("", %(port)d), Handler).serve_forever()
"""
CRASH = "import sys; print('no model'); sys.exit(3)"


def server(says: str, port: int = 5000) -> str:
    return SERVER % {"says": says, "port": port}


def stage(name: str = "serve", **more: Any) -> ServiceStage:
    given: dict[str, Any] = {
        "max_startup_time_seconds": 60,
        "replicas": 1,
        "port": 5000,
        "ingress": False,
        **more,
    }
    return ServiceStage(name=name, module=f"{name}.py", **given)


@dataclass(slots=True)
class Shop:
    """A pipeline of services that is released again and again."""

    cluster: Cluster
    repository: Repository
    name: str = "shop"
    said: list[str] = field(default_factory=list)
    runs: int = 0

    def release(
        self, files: Mapping[str, str], *stages: ServiceStage, mode: Rollback = Rollback.RUN
    ) -> Release:
        """Release the services of a commit; leave the end of the run to the caller."""
        commit = self.repository.commit(files)
        self.runs += 1
        run = f"{self.name}-{self.runs}"
        release = self.again(run, mode)
        project = Project(
            name=self.name,
            dialect=Dialect.V1_1,
            docker_image=RUNNER,
            dag=parse_dag(", ".join(stage.name for stage in stages)),
            stages=stages,
            log_level="INFO",
        )
        source = Source(revision=Pinned(commit=commit), repository=self.repository.url)
        options = PlanOptions(accounts=Accounts(stage=STAGE_ACCOUNT))
        plan = make_plan(project, source, options)
        services = tuple(
            service_objects(plan, task, run=run, version="1") for task in plan.services()
        )
        step = Step(services=services, now=tuple(each.name for each in services), ends_run=False)
        release.roll_out(step, commit)
        return release

    def again(self, run: str, mode: Rollback = Rollback.RUN) -> Release:
        """Connect to the release of a run."""
        return Release(
            cluster=self.cluster,
            clock=SystemClock(),
            tell=self.said.append,
            pipeline=self.name,
            run=run,
            holder=f"{run}-{len(self.said)}",
            mode=mode,
            pending_seconds=20,
        )

    def states(self) -> list[State]:
        """Return what became of all releases, in order."""
        return [record.state for record in read_records(self.cluster, self.name)]
