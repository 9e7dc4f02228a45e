"""Whoever has the submitter's role can do all that the commands do, with just those rights."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from bodywork_argo.access import SUBMITTER, access_manifests, roles
from bodywork_argo.backend import Compiled, Phase, RunRef, Runtime
from bodywork_argo.plan import Pinned, Plan, Source
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.preflight import accounts_there, look
from bodywork_argo.provision import provision
from bodywork_argo.scheduling import Applied, Schedule, Schedules
from bodywork_argo.testing import batch_project, batch_stage
from bodywork_argo_adapters.argo import ArgoBackend
from e2e.conftest import MakeRepository
from e2e.support.identities import as_account, as_administrator
from e2e.support.pods import RUNNER
from e2e.support.recording import RecordingCluster, Right
from e2e.support.spaces import Space

pytestmark = pytest.mark.smoke

GIVEN_UP = {
    ("", "namespaces", "get"),
    ("apps", "deployments", "get"),
    ("apps", "deployments", "list"),
}
"""What is asked for in case it is allowed, to tell more."""
NIGHTLY = Schedule(name="nightly", expressions=("0 3 * * *",), timezone="UTC", suspended=True)


@pytest.fixture
def recorded(namespace: Space, tmp_path: Path) -> RecordingCluster:
    """The namespace, set up, under the submitter's account."""
    administrator = as_administrator(namespace)
    list(provision(administrator, access_manifests(namespace.name, [ArgoBackend().needs])))
    return RecordingCluster(as_account(namespace, SUBMITTER, tmp_path))


@pytest.fixture
def plan(recorded: RecordingCluster, make_git_repository: MakeRepository) -> Plan:
    """One quick stage and one that goes on for long, with the accounts of `setup`."""
    repository = make_git_repository({})
    files = {
        "quick.py": "print('quick')",
        "slow.py": "import time; print('up', flush=True); time.sleep(60)",
    }
    commit = repository.commit(files)
    return make_plan(
        batch_project("quick >> slow", batch_stage("quick"), batch_stage("slow")),
        Source(revision=Pinned(commit=commit), repository=repository.url),
        PlanOptions(image=RUNNER, accounts=accounts_there(recorded)),
    )


def test_the_first_look_finds_nothing_to_mend(recorded: RecordingCluster, plan: Plan) -> None:
    checks = list(look(ArgoBackend(), recorded, lambda: plan, thorough=True))

    assert [problem for check in checks for problem in check.problems] == []
    assert [check.name for check in checks][-1] == "repository"


def test_a_run_takes_exactly_the_submitters_rights(recorded: RecordingCluster, plan: Plan) -> None:
    backend = ArgoBackend()
    list(look(backend, recorded, lambda: plan, thorough=True))
    runtime = backend.runtime(lambda: recorded)

    run = runtime.submit(backend.compile(plan, "run"))
    again = runtime.submit(backend.compile(plan, "run"))
    live(runtime, run)
    runtime.delete(run)
    keep(backend.schedules(lambda: recorded), backend.compile_schedule(plan, NIGHTLY))

    assert again == run
    assert runtime.list() == ()
    assert recorded.used - GIVEN_UP == submitters_rights()


def live(runtime: Runtime, run: RunRef) -> None:
    """Follow a run until it is up, stop it, and see how it ended."""
    said = b""
    for piece in runtime.logs(run, follow=True):
        said += piece.data
        if b"up" in said:
            runtime.stop(run)
    *_, last = runtime.watch(run)

    assert last.phase is Phase.STOPPED
    assert b"quick" in said
    assert b"quick" in b"".join(piece.data for piece in runtime.logs(run))
    assert [status.ref for status in runtime.list()] == [run]


def keep(schedules: Schedules, compiled: Compiled) -> None:
    """Create a schedule, change it and delete it."""
    assert schedules.apply(compiled) is Applied.CREATED
    assert schedules.apply(compiled) is Applied.UNCHANGED
    assert schedules.suspend("nightly", False)
    assert [each.schedule.name for each in schedules.list()] == ["nightly"]
    schedules.delete("nightly")


def submitters_rights() -> set[Right]:
    (role,) = [each for each in roles("any", [ArgoBackend().needs]) if each.name == SUBMITTER]
    return {
        (grant.group, resource, verb)
        for grant in role.grants
        for resource, verb in product(grant.resources, grant.verbs)
    }
