"""Releases: what serves after each, however it went, and wherever it was killed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bodywork_argo.errors import EngineError, PipelineFailed, TimedOut
from bodywork_argo.lease import LEASE, Claim, Held, held
from bodywork_argo.manifests import Manifest
from bodywork_argo.release import Step
from bodywork_argo.release_records import State, read_records
from bodywork_argo.services import (
    DEPLOYMENT,
    INGRESS,
    SERVICE,
)
from bodywork_argo.spec import Rollback
from tests.release.kubelet import Killed, Kubelet, Ticking
from tests.release.shop import A, B, C, Shop, services, stage


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_first_release_serves(shop: Shop) -> None:
    shop.run("one", A, stage("serve", ingress=True))
    assert shop.cluster.serving() == {"serve": A}
    assert shop.cluster.there(SERVICE) == shop.cluster.there(INGRESS) == ["serve"]
    assert shop.states() == [State.GOOD]


def test_a_new_version_takes_the_place_of_the_old(shop: Shop) -> None:
    shop.run("one", A, stage("serve"))
    shop.run("two", B, stage("serve"))
    assert shop.cluster.serving() == {"serve": B}
    assert shop.states() == [State.GOOD, State.GOOD]


def test_a_first_release_that_is_broken_leaves_nothing(shop: Shop) -> None:
    shop.cluster.broken = {A}
    shop.run("one", A, stage("left"), stage("right"))
    assert shop.cluster.there(DEPLOYMENT) == shop.cluster.there(SERVICE) == []
    assert shop.states() == [State.ROLLED_BACK]


def test_when_one_of_two_is_broken_both_go_back(shop: Shop) -> None:
    shop.run("one", A, stage("left"), stage("right"))
    broken = services(B, "two", stage("left"), stage("right"))
    first = Step(services=broken, now=("left",), ends_run=False)
    release = shop.release("two")
    release.roll_out(first, B)
    assert shop.cluster.serving() == {"left": B, "right": A}
    shop.cluster.broken = {B}
    with pytest.raises(PipelineFailed, match=r"right could not be released: .*code 3"):
        release.roll_out(replace(first, now=("right",), before=("left",)), B)
    assert shop.cluster.serving()["right"] == A
    release.end(well=False)
    assert shop.cluster.serving() == {"left": A, "right": A}
    *_, last = read_records(shop.cluster, "shop")
    assert last.reason.startswith("right could not be released: ")


@pytest.mark.parametrize("mode", Rollback)
def test_a_release_that_failed_is_not_tried_again_by_its_run(mode: Rollback) -> None:
    shop = Shop(mode=mode)
    shop.run("one", A, stage("serve"))
    shop.cluster.broken = {B}
    step = Step(services=services(B, "two", stage("serve")), now=("serve",), ends_run=False)
    why = r"^serve could not be released: "
    with pytest.raises(PipelineFailed, match=why):
        shop.release("two").roll_out(step, B)
    shop.cluster.broken = set()
    before = shop.cluster.serving()
    with pytest.raises(PipelineFailed, match=why):
        shop.release("two", holder="again").roll_out(step, B)
    assert shop.cluster.serving() == before


def test_a_run_that_fails_after_its_services_takes_them_back(shop: Shop) -> None:
    shop.run("one", A, stage("serve"))
    shop.run("two", B, stage("serve"), well=False)
    assert shop.cluster.serving() == {"serve": A}
    assert shop.states() == [State.GOOD, State.ROLLED_BACK]


def test_what_the_file_no_longer_has_goes_when_the_run_is_good(shop: Shop) -> None:
    shop.run("one", A, stage("old", ingress=True), stage("serve"))
    shop.run("two", B, stage("new"), stage("serve"), well=False)
    assert shop.cluster.serving() == {"old": A, "serve": A}
    shop.run("three", B, stage("new"), stage("serve"))
    assert shop.cluster.serving() == {"new": B, "serve": B}
    assert shop.cluster.there(SERVICE) == ["new", "serve"]
    assert shop.cluster.there(INGRESS) == []


def test_an_ingress_that_is_turned_off_goes(shop: Shop) -> None:
    shop.run("one", A, stage("serve", ingress=True))
    shop.run("two", B, stage("serve"))
    assert shop.cluster.there(INGRESS) == []


def test_a_port_that_changes_answers_beside_the_old_one_until_the_run_is_good(shop: Shop) -> None:
    shop.run("one", A, stage("serve"))
    objects = services(B, "two", stage("serve", port=6000))
    release = shop.release("two")
    release.roll_out(Step(services=objects, now=("serve",), ends_run=False), B)
    assert _ports(shop) == {6000, 5000}
    release.end(well=True)
    assert _ports(shop) == {6000}


def test_a_port_goes_back_with_its_service(shop: Shop) -> None:
    shop.run("one", A, stage("serve"))
    shop.cluster.broken = {B}
    shop.run("two", B, stage("serve", port=6000))
    assert _ports(shop) == {5000}


def test_no_replicas_are_ready_at_once(shop: Shop) -> None:
    shop.run("one", A, stage("serve", replicas=0))
    assert shop.states() == [State.GOOD]


def test_the_same_step_again_changes_nothing(shop: Shop) -> None:
    objects = services(A, "one", stage("serve"))
    step = Step(services=objects, now=("serve",))
    shop.release("one").roll_out(step, A)
    before = shop.cluster.get(DEPLOYMENT, "serve")
    shop.release("one").roll_out(step, A)
    assert shop.cluster.get(DEPLOYMENT, "serve") == before
    assert shop.states() == [State.GOOD]


def test_an_object_of_somebody_else_is_in_the_way(shop: Shop) -> None:
    shop.cluster.create(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "serve"}, "spec": {}}
    )
    with pytest.raises(EngineError, match=r"Service serve .* not of bodywork-argo"):
        shop.run("one", A, stage("serve"))
    assert shop.cluster.there(DEPLOYMENT) == []
    assert shop.states() == []


class Busy(Ticking):
    """Somebody else renews the lease for as long as `until` says."""

    def __init__(self, cluster: Kubelet, until: float) -> None:
        super().__init__(cluster)
        self.end = self.time + timedelta(seconds=until)
        self.release = Held(
            cluster,
            Claim(pipeline="shop", holder="somebody"),
            self,
            cluster.create(lease_of("somebody")),
        )

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.time < self.end:
            self.release.renew()


def lease_of(holder: str) -> Manifest:
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": "bodywork-argo-shop"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }


def test_another_release_is_waited_for(shop: Shop) -> None:
    release = replace(shop.release("two"), clock=Busy(shop.cluster, until=60))
    objects = services(A, "two", stage("serve"))
    release.roll_out(Step(services=objects, now=("serve",)), A)
    assert shop.said[0] == "waits for somebody, which releases shop"
    assert shop.cluster.serving() == {"serve": A}


def test_another_release_is_not_waited_for_for_ever(shop: Shop) -> None:
    release = replace(shop.release("two"), clock=Busy(shop.cluster, until=10_000))
    step = Step(services=services(A, "two", stage("serve")), now=("serve",))
    with pytest.raises(TimedOut, match="somebody still releases shop after 600 s"):
        release.roll_out(step, A)


def test_who_lost_the_lease_writes_no_more(shop: Shop) -> None:
    clock = Ticking(shop.cluster)
    claim = Claim(pipeline="shop", holder="slow")
    with held(shop.cluster, claim, clock, shop.said.append) as lease:
        shop.cluster.patch(LEASE, "bodywork-argo-shop", {"spec": {"holderIdentity": "other"}})
        clock.sleep(20)
        with pytest.raises(EngineError, match="somebody else releases shop now"):
            lease.renew()
    found = shop.cluster.get(LEASE, "bodywork-argo-shop")
    assert found is not None
    assert found["spec"]["holderIdentity"] == "other"


def test_the_tenth_release_goes_back_to_the_ninth(shop: Shop) -> None:
    for number in range(1, 10):
        shop.run(f"run-{number}", A if number < 9 else C, stage("serve"))
    shop.cluster.broken = {B}
    shop.run("run-10", B, stage("serve"))
    assert shop.cluster.serving() == {"serve": C}


def test_old_records_are_forgotten_but_not_the_good_one(shop: Shop) -> None:
    shop.run("good", A, stage("serve"))
    shop.cluster.broken = {B}
    for number in range(14):
        shop.run(f"bad-{number}", B, stage("serve"))
    assert shop.cluster.serving() == {"serve": A}
    runs = [record.run for record in read_records(shop.cluster, "shop")]
    assert runs == ["good", *(f"bad-{number}" for number in range(3, 14))]


class TestStep:
    """`rollback: step`."""

    @pytest.fixture
    def shop(self) -> Shop:
        return Shop(mode=Rollback.STEP)

    def test_only_the_services_of_the_step_go_back(self, shop: Shop) -> None:
        shop.run("one", A, stage("left"), stage("right"))
        objects = services(B, "two", stage("left"), stage("right"))
        first = Step(services=objects, now=("left",), ends_run=False)
        shop.release("two").roll_out(first, B)
        shop.cluster.broken = {B}
        with pytest.raises(PipelineFailed):
            shop.release("two").roll_out(replace(first, now=("right",), before=("left",)), B)
        assert shop.cluster.serving()["right"] == A
        assert shop.states() == [State.GOOD, State.GOOD, State.ROLLED_BACK]

    def test_what_is_dropped_goes_with_the_last_step(self, shop: Shop) -> None:
        shop.run("one", A, stage("old"), stage("right"))
        objects = services(B, "two", stage("left"), stage("right"))
        first = Step(services=objects, now=("left",), ends_run=False)
        shop.release("two").roll_out(first, B)
        assert shop.cluster.serving() == {"old": A, "left": B, "right": A}
        shop.release("two").roll_out(replace(first, now=("right",), before=("left",)), B)
        shop.settle()
        assert shop.cluster.serving() == {"left": B, "right": B}


def test_without_roll_back_a_broken_version_stays(shop: Shop) -> None:
    shop.mode = Rollback.NONE
    shop.run("one", A, stage("serve"))
    shop.cluster.broken = {B}
    shop.run("two", B, stage("serve"))
    assert shop.states() == [State.GOOD, State.FAILED]
    assert "serve-two-0" in [name for name, _ in shop.cluster.written]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("broken", [False, True])
def test_whoever_is_killed_anywhere_the_same_run_again_ends_alike(
    broken: bool, after: bool
) -> None:
    writes = 0
    while True:
        writes += 1
        shop = Shop()
        shop.run("one", A, stage("old"), stage("serve", port=4000))
        shop.cluster.broken = {B} if broken else set()
        shop.cluster.writes, shop.cluster.dies_at = 0, writes
        shop.cluster.dies_after = after
        try:
            shop.run("two", B, stage("new"), stage("serve"))
        except Killed:
            shop.cluster.revive()
            shop.run("two", B, stage("new"), stage("serve"))
        else:
            break
        wanted = {"old": A, "serve": A} if broken else {"new": B, "serve": B}
        assert shop.cluster.serving() == wanted, writes
        assert sorted(shop.cluster.there(SERVICE)) == sorted(wanted)
        assert _ports(shop) == ({4000} if broken else {5000})
        assert State.UNDECIDED not in shop.states()
    assert writes > 10


@pytest.mark.parametrize("after", [False, True])
def test_whoever_is_killed_anywhere_the_next_run_settles(after: bool) -> None:
    writes = 0
    while True:
        writes += 1
        shop = Shop()
        shop.run("one", A, stage("old"), stage("serve", port=4000))
        shop.cluster.broken = {B}
        shop.cluster.writes, shop.cluster.dies_at = 0, writes
        shop.cluster.dies_after = after
        try:
            shop.run("two", B, stage("new"), stage("serve"))
        except Killed:
            shop.cluster.revive()
        else:
            break
        shop.run("three", C, stage("serve", port=7000))
        assert shop.cluster.serving() == {"serve": C}, writes
        assert shop.cluster.there(SERVICE) == ["serve"]
        assert _ports(shop) == {7000}
        assert State.UNDECIDED not in shop.states()
    assert writes > 10


def _ports(shop: Shop) -> set[int]:
    found = shop.cluster.get(SERVICE, "serve")
    assert found is not None
    return {each["port"] for each in found["spec"]["ports"]}
