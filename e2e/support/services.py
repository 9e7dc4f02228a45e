"""Small services for the tests against real engines."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from bodywork_argo.dag import parse_dag
from bodywork_argo.names import RUN_LABEL
from bodywork_argo.plan import Pinned, Plan, Source
from bodywork_argo.planner import make_plan
from bodywork_argo.rollout import Broken, Ready, Verdict, judge, limits_of
from bodywork_argo.services import service_objects
from bodywork_argo.spec import Dialect, Project, ServiceStage
from e2e.support.cluster import await_state
from e2e.support.pods import RUNNER
from e2e.support.spaces import Space

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment"}
POD = {"apiVersion": "v1", "kind": "Pod"}

SERVE = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if self.path == "/500" else 200)
        self.end_headers()
        self.wfile.write(os.environ["BODYWORK_GIT_COMMIT"].encode())

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
"""The code of a module that answers each request on port 8000 with its commit."""


def service_plan(url: str, commit: str, **more: Any) -> Plan:
    """Plan a pipeline of one service, ``score``, whose module is score.py."""
    given = {"max_startup_time_seconds": 60, "replicas": 1, **more}
    stage = ServiceStage(name="score", module="score.py", port=8000, ingress=False, **given)
    project = Project(
        name="shop",
        dialect=Dialect.V1_1,
        docker_image=RUNNER,
        dag=parse_dag("score"),
        stages=(stage,),
        log_level="INFO",
    )
    source = Source(revision=Pinned(commit=commit), repository=url, ref="main")
    return make_plan(project, source)


def release(space: Space, url: str, commit: str, run: str, **more: Any) -> Any:
    """Apply what the service consists of; return the Deployment as the server answers."""
    plan = service_plan(url, commit, **more)
    (task,) = plan.services()
    objects = service_objects(plan, task, run=run, version="1.2.3")
    for document in objects.services:
        space.cluster.apply(document, space.name)
    return space.cluster.apply(objects.deployment, space.name)


def pods_of(space: Space, run: str) -> list[Any]:
    """Return the pods that a run has released."""
    return space.find(POD, f"{RUN_LABEL}={run}")


def verdict(space: Space, run: str) -> Verdict:
    """Judge how the release of a run stands."""
    deployment = space.get(DEPLOYMENT, "score")
    limits = limits_of(deployment, 120)
    return judge(deployment, pods_of(space, run), limits, datetime.now(timezone.utc))


def await_ready(space: Space, run: str) -> Any:
    """Wait until a run's release is judged; return its one pod, since it is ready."""
    found = await_state(
        lambda: verdict(space, run), lambda seen: isinstance(seen, Ready | Broken), run, 300
    )
    assert found == Ready(pods=1)
    (pod,) = (each for each in pods_of(space, run) if "deletionTimestamp" not in each["metadata"])
    return pod
