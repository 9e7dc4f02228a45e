"""Services are released, judged and rolled back as a whole on a real cluster, under traffic."""

from __future__ import annotations

import time

import pytest

from bodywork_argo.errors import PipelineFailed
from bodywork_argo.release_records import State
from e2e.conftest import MakeRepository
from e2e.support.identities import as_administrator
from e2e.support.shop import CRASH, Shop, server, stage
from e2e.support.spaces import Space
from e2e.support.traffic import traffic

pytestmark = pytest.mark.smoke


@pytest.fixture
def shop(namespace: Space, make_git_repository: MakeRepository) -> Shop:
    return Shop(as_administrator(namespace), make_git_repository({}))


def test_a_new_version_takes_over_without_losing_a_request(shop: Shop, namespace: Space) -> None:
    shop.release({"serve.py": server("one")}, stage()).end(well=True)
    with traffic(namespace, "http://serve:5000") as calls:
        calls.until("one")
        shop.release({"serve.py": server("two")}, stage()).end(well=True)
        calls.until("two")
    assert calls.failures() == []
    assert calls.bodies() == ["one", "two"]


def test_a_broken_version_takes_no_traffic_and_goes_back(shop: Shop, namespace: Space) -> None:
    shop.release({"serve.py": server("one")}, stage()).end(well=True)
    with traffic(namespace, "http://serve:5000") as calls:
        calls.until("one")
        start = time.monotonic()
        with pytest.raises(PipelineFailed, match=r"serve could not be released: .*exit code 3"):
            shop.release({"serve.py": CRASH}, stage(max_startup_time_seconds=5))
        assert time.monotonic() - start < 30
        shop.again("shop-2").end(well=False)
    assert calls.failures() == []
    assert calls.bodies() == ["one"]
    assert any("no model" in line for line in shop.said)
    assert shop.states() == [State.GOOD, State.ROLLED_BACK]


@pytest.mark.full
def test_a_port_changes_while_the_old_one_answers(shop: Shop, namespace: Space) -> None:
    shop.release({"serve.py": server("one")}, stage()).end(well=True)
    with traffic(namespace, "http://serve:5000") as calls:
        calls.until("one")
        release = shop.release({"serve.py": server("two", 6000)}, stage(port=6000))
        with traffic(namespace, "http://serve:6000") as new:
            new.until("two")
            calls.until("two")
            judged = time.time()
            release.end(well=True)
        assert new.failures() == []
    assert calls.failures(until=judged) == []
    assert calls.failures(since=judged) != []
