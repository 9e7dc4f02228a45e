"""Runs that release services and are ended from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodywork_argo.names import COMMIT_LABEL
from bodywork_argo.release_records import State
from bodywork_argo.services import DEPLOYMENT
from e2e.conftest import MakeRepository
from e2e.support.backends import EACH
from e2e.support.cluster import await_state
from e2e.support.shop import server
from e2e.support.shop_runs import Runs, files, runs_in, service
from e2e.support.spaces import Space
from e2e.support.traffic import traffic

pytestmark = pytest.mark.full

SILENT = "import time; time.sleep(600)"
SLOW = f"import time; time.sleep(30)\n{server('other two', 5001)}"
POD = {"apiVersion": "v1", "kind": "Pod"}


@pytest.fixture(params=EACH)
def shop(
    request: pytest.FixtureRequest,
    namespace: Space,
    make_git_repository: MakeRepository,
    tmp_path: Path,
) -> Runs:
    return runs_in(namespace, make_git_repository({}), tmp_path, request.param)


def start(shop: Runs, module: str = SILENT) -> str:
    """Start a run whose second service takes its time; return its name when it waits for that."""
    keys = service("", 5001, max_startup_time_seconds=300)[1]
    run = shop.submit(files("two", stage_5=(module, keys)), "--output=name").out.strip()
    commit = shop.program("status", run, "-o", "json").data["commit"]
    await_state(
        lambda: shop.cluster.list(DEPLOYMENT, {COMMIT_LABEL: commit}),
        lambda found: len(found) == 2,
        "the release",
    )
    return run


def ended(shop: Runs, run: str) -> str:
    found = await_state(
        lambda: shop.program("status", run, "-o", "json").data,
        lambda status: status["phase"] not in ("pending", "running"),
        f"the end of {run}",
        patience=300,
    )
    return str(found["phase"])


def test_what_a_terminated_run_left_undecided_is_settled_by_the_next(shop: Runs) -> None:
    shop.submit(files("one"))
    with traffic(shop.space, "http://stage-4:5000", "http://stage-5:5001") as calls:
        calls.until("other one")
        run = start(shop)
        shop.program("terminate", run)
        assert ended(shop, run) == "stopped"
        assert shop.states() == [State.GOOD, State.UNDECIDED]
        shop.submit(files("three"))
        calls.until("other three")
    assert calls.failures() == []
    assert shop.states() == [State.GOOD, State.SUPERSEDED, State.GOOD]


def test_a_run_that_is_stopped_takes_its_services_back(shop: Runs) -> None:
    shop.submit(files("one"))
    with traffic(shop.space, "http://stage-4:5000") as calls:
        calls.until("one")
        run = start(shop)
        shop.program("stop", run)
        assert ended(shop, run) == "stopped"
        await_state(lambda: calls.read()[-1].body, lambda body: body == "one", "the old version")
    assert calls.failures() == []
    assert shop.states() == [State.GOOD, State.ROLLED_BACK]


def test_a_release_whose_pod_somebody_deletes_goes_on(shop: Runs) -> None:
    run = start(shop, SLOW)
    (pod,) = shop.space.find(POD, "bodywork-argo/stage=release-1")
    shop.space.cluster.core.delete_namespaced_pod(pod["metadata"]["name"], shop.space.name)
    assert ended(shop, run) == "succeeded"
    assert shop.states() == [State.GOOD]
