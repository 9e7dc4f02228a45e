"""What becomes of services when releases go wrong, or other than usual, on a real cluster."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo.cluster import POD, Resource
from bodywork_argo.errors import EngineError, PipelineFailed
from bodywork_argo.manifests import Manifest
from bodywork_argo.release_records import State
from bodywork_argo.services import DEPLOYMENT, INGRESS, SERVICE
from bodywork_argo.spec import Rollback
from e2e.conftest import MakeRepository
from e2e.support.cluster import await_state
from e2e.support.identities import as_administrator
from e2e.support.program import administrator_of, pipeline
from e2e.support.shop import CRASH, Shop, server, stage
from e2e.support.spaces import Space
from e2e.support.traffic import traffic

pytestmark = pytest.mark.full


@pytest.fixture
def shop(namespace: Space, make_git_repository: MakeRepository) -> Shop:
    return Shop(as_administrator(namespace), make_git_repository({}))


def there(shop: Shop, resource: Resource) -> list[str]:
    return [each["metadata"]["name"] for each in shop.cluster.list(resource, {})]


def ports(shop: Shop, name: str = "serve") -> set[int]:
    found = shop.cluster.get(SERVICE, name)
    assert found is not None
    return {each["port"] for each in found["spec"]["ports"]}


def replicas(shop: Shop) -> Any:
    found = shop.cluster.get(DEPLOYMENT, "serve")
    assert found is not None
    return found["spec"]["replicas"]


def test_a_first_release_that_is_broken_leaves_nothing(shop: Shop) -> None:
    with pytest.raises(PipelineFailed):
        shop.release({"serve.py": CRASH}, stage(ingress=True))
    shop.again("shop-1").end(well=False)
    assert there(shop, DEPLOYMENT) == there(shop, SERVICE) == there(shop, INGRESS) == []
    await_state(lambda: there(shop, POD), lambda pods: pods == [], "the end of all pods")


def test_when_the_second_service_is_broken_both_go_back(shop: Shop, namespace: Space) -> None:
    both = (stage("left"), stage("right", port=5001, max_startup_time_seconds=5))
    shop.release({"left.py": server("l1"), "right.py": server("r1", 5001)}, *both).end(well=True)
    with traffic(namespace, "http://left:5000", "http://right:5001") as calls:
        calls.until("l1")
        with pytest.raises(PipelineFailed, match="right could not be released"):
            shop.release({"left.py": server("l2"), "right.py": CRASH}, *both)
        shop.again("shop-2").end(well=False)
        await_state(
            lambda: [each.body for each in calls.read()[-10:] if "left" in each.url],
            lambda bodies: set(bodies) == {"l1"},
            "the old version of the service that was fine",
        )
    assert calls.failures() == []
    assert "r1" in calls.bodies()
    assert shop.states() == [State.GOOD, State.ROLLED_BACK]


def test_a_port_that_was_changed_goes_back_with_its_broken_service(
    shop: Shop, namespace: Space
) -> None:
    shop.release({"serve.py": server("one")}, stage()).end(well=True)
    with traffic(namespace, "http://serve:5000") as calls:
        calls.until("one")
        with pytest.raises(PipelineFailed):
            shop.release({"serve.py": CRASH}, stage(port=6000, max_startup_time_seconds=5))
        shop.again("shop-2").end(well=False)
    assert calls.failures() == []
    assert ports(shop) == {5000}


def test_a_service_that_is_renamed_or_loses_its_ingress_leaves_no_object(shop: Shop) -> None:
    shop.release({"serve.py": server("one")}, stage(ingress=True)).end(well=True)
    assert there(shop, INGRESS) == ["serve"]
    shop.release({"serve.py": server("two")}, stage()).end(well=True)
    assert there(shop, INGRESS) == []
    shop.release({"score.py": server("three")}, stage("score")).end(well=True)
    assert there(shop, DEPLOYMENT) == there(shop, SERVICE) == ["score"]


def test_no_replicas_are_done_at_once_and_the_tenth_release_goes_back_to_the_ninth(
    shop: Shop,
) -> None:
    for number in range(9):
        shop.release({"serve.py": server(str(number))}, stage(replicas=0)).end(well=True)
    good = shop.cluster.get(DEPLOYMENT, "serve")
    with pytest.raises(PipelineFailed):
        shop.release({"serve.py": CRASH}, stage(max_startup_time_seconds=5))
    shop.again("shop-10").end(well=False)
    back = shop.cluster.get(DEPLOYMENT, "serve")
    assert good is not None
    assert back is not None
    assert back["spec"]["template"] == good["spec"]["template"]
    assert back["spec"]["replicas"] == 0


def test_who_else_sets_the_number_of_pods_goes_on_doing_so(shop: Shop, namespace: Space) -> None:
    shop.release({"serve.py": server("one")}, stage()).end(well=True)
    path = f"/apis/apps/v1/namespaces/{namespace.name}/deployments/serve/scale"
    scale = namespace.cluster.request("GET", path)
    scale["spec"]["replicas"] = 2
    namespace.cluster.request("PUT", path, scale)
    shop.release({"serve.py": server("two")}, stage()).end(well=True)
    assert replicas(shop) == 2
    assert any("stays at 2 pods" in line for line in shop.said)


def test_two_pipelines_with_a_stage_of_the_same_name_do_not_mix(
    shop: Shop, make_git_repository: MakeRepository
) -> None:
    shop.release({"serve.py": server("one")}, stage()).end(well=True)
    other = Shop(shop.cluster, make_git_repository({}), name="other")
    with pytest.raises(EngineError, match=r"Service serve .* of pipeline shop"):
        other.release({"serve.py": server("theirs")}, stage())
    assert other.states() == []
    other.again("other-1").end(well=False)
    assert there(shop, DEPLOYMENT) == ["serve"]


def test_a_deployment_of_somebody_else_is_left_alone(shop: Shop, namespace: Space) -> None:
    labels = {"app": "theirs"}
    theirs: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "serve"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "example/theirs"}]},
            },
        },
    }
    namespace.create(theirs)
    with pytest.raises(EngineError, match=r"Deployment serve .* not of bodywork-argo"):
        shop.release({"serve.py": server("one")}, stage())
    assert there(shop, SERVICE) == []


def test_with_roll_back_by_step_the_services_go_back_at_once(shop: Shop) -> None:
    shop.release({"serve.py": server("one")}, stage(), mode=Rollback.STEP)
    before = shop.cluster.get(DEPLOYMENT, "serve")
    with pytest.raises(PipelineFailed):
        shop.release({"serve.py": CRASH}, stage(max_startup_time_seconds=5), mode=Rollback.STEP)
    after = shop.cluster.get(DEPLOYMENT, "serve")
    assert before is not None
    assert after is not None
    assert after["spec"]["template"] == before["spec"]["template"]


def test_a_release_that_is_killed_anywhere_is_finished_by_the_next(
    shop: Shop, namespace: Space, tmp_path: Path
) -> None:
    program = administrator_of(namespace, tmp_path)
    given = {"max_startup_time_seconds": 60, "replicas": 1, "ingress": False}
    keys: dict[str, Any] = {"cpu_request": 0, "memory_request_mb": 0}

    def files(says: str, port: int) -> dict[str, str]:
        service = {**keys, "service": {**given, "port": port}}
        return pipeline("serve", {"serve": (server(says, port), service)})

    release = ("release", shop.repository.url, "-n", namespace.name)
    shop.repository.commit(files("0", 5000))
    program(*release)
    with traffic(namespace, "http://serve:5000") as calls:
        calls.until("0")
        for number, seconds in enumerate((0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0), start=1):
            shop.repository.commit(files(str(number), 5000))
            with program.start(*release) as killed:
                time.sleep(seconds)
                killed.send_signal(signal.SIGKILL)
        program(*release)
        calls.until("7")
    assert calls.failures() == []
    assert State.UNDECIDED not in shop.states()
    assert shop.states()[-1] is State.GOOD
    assert ports(shop) == {5000}
    assert there(shop, SERVICE) == ["serve"]
