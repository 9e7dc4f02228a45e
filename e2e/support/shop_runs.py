"""A pipeline with services that runs on an engine again and again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bodywork_argo.cluster import Cluster
from bodywork_argo.release_records import State, read_records
from e2e.support.backends import ARGO, Engine
from e2e.support.identities import as_administrator
from e2e.support.pods import PRODUCT
from e2e.support.program import TELL, Program, Said, pipeline, set_up, stage
from e2e.support.repositories import Repository
from e2e.support.shop import server
from e2e.support.spaces import Space

CHECK = """
import os, urllib.request
for url in ("http://stage-4:5000", os.environ["BODYWORK_SERVICE_STAGE_5_URL"]):
    print(urllib.request.urlopen(url, timeout=5).read().decode())
"""


def service(says: str, port: int, **keys: Any) -> tuple[str, dict[str, Any]]:
    given = {"max_startup_time_seconds": 60, "replicas": 1, "port": port, "ingress": False, **keys}
    return server(says, port), {"cpu_request": 0, "memory_request_mb": 0, "service": given}


def files(says: str, check: str = CHECK, **changed: Any) -> dict[str, str]:
    """Write five stages with two services, the shape of a typical repository."""
    stages = {
        "stage_1": stage("print('data')"),
        "stage_2": stage("print('model')"),
        "stage_4": service(says, 5000),
        "stage_5": service(f"other {says}", 5001),
        "check": stage(check),
        "tell": stage(TELL),
        **changed,
    }
    return pipeline("stage_1 >> stage_2 >> stage_4, stage_5 >> check", stages, on_failure="tell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """A pipeline in a namespace that was set up, and who runs it there."""

    program: Program
    cluster: Cluster
    repository: Repository
    space: Space

    def submit(self, files: dict[str, str], *words: str, code: int = 0) -> Said:
        """Run a commit of these files, by default to its end."""
        self.repository.commit(files)
        given = ("submit", self.repository.url, "--deployer-image", PRODUCT)
        return self.program(*given, *(words or ("--wait",)), code=code)

    def states(self) -> list[State]:
        return [record.state for record in read_records(self.cluster, "shop")]


def runs_in(space: Space, repository: Repository, folder: Path, engine: Engine = ARGO) -> Runs:
    """Prepare a namespace for the pipeline."""
    return Runs(
        program=set_up(space, folder, engine),
        cluster=as_administrator(space),
        repository=repository,
        space=space,
    )
