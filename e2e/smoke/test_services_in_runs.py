"""Runs release services, test them, and take them back when anything fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodywork_argo.release_records import State
from bodywork_argo.services import DEPLOYMENT, SERVICE
from e2e.conftest import MakeRepository
from e2e.support.backends import EACH
from e2e.support.cluster import await_state
from e2e.support.shop import CRASH
from e2e.support.shop_runs import Runs, files, runs_in, service
from e2e.support.spaces import Space
from e2e.support.traffic import traffic

pytestmark = pytest.mark.smoke


@pytest.fixture(params=EACH)
def shop(
    request: pytest.FixtureRequest,
    namespace: Space,
    make_git_repository: MakeRepository,
    tmp_path: Path,
) -> Runs:
    return runs_in(namespace, make_git_repository({}), tmp_path, request.param)


def test_a_later_stage_calls_the_services_by_name_and_by_variable(shop: Runs) -> None:
    run = shop.submit(files("one")).out.strip()
    assert shop.program("logs", run, "check").lines == ["one", "other one"]
    status = shop.program("status", run, "-o", "json").data
    assert [each["stage"] for each in status["stages"]] == [
        "stage_1", "stage_2", "stage_4, stage_5", "check", "tell",
    ]  # fmt: skip
    assert shop.states() == [State.GOOD]


@pytest.mark.full
def test_a_stage_that_fails_after_the_services_takes_them_back(shop: Runs) -> None:
    shop.submit(files("one"))
    with traffic(shop.space, "http://stage-4:5000") as calls:
        calls.until("one")
        failed = shop.submit(files("two", "raise SystemExit(4)"), code=1).out.strip()
        await_state(lambda: calls.read()[-1].body, lambda body: body == "one", "the old version")
    assert calls.failures() == []
    assert calls.bodies() == ["one", "two"]
    assert shop.states() == [State.GOOD, State.ROLLED_BACK]
    assert "check: exit code 4" in shop.program("logs", failed, "tell").out


@pytest.mark.full
def test_a_service_that_crashes_is_told_and_takes_no_request(shop: Runs) -> None:
    broken = (CRASH, service("", 5001)[1])
    run = shop.submit(files("one", stage_5=broken), code=1).out.strip()
    assert "no model" in shop.program("logs", run, "stage_5").out
    told = shop.program("logs", run, "tell").out
    assert "stage-5 could not be released" in told
    assert "exit code 3" in told
    assert shop.cluster.list(DEPLOYMENT, {}) == ()
    assert shop.cluster.list(SERVICE, {}) == ()
    assert shop.states() == [State.ROLLED_BACK]
