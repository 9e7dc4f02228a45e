"""How roll-outs are judged, by what a real cluster showed of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from bodywork_argo.rollout import (
    Broken,
    Limits,
    Ready,
    Verdict,
    Waiting,
    judge,
    limits_of,
    time_of,
)

RECORDED = Path(__file__).parent / "recorded"
PENDING = 300
NOW = time_of("2026-01-01T00:10:00Z")


class Picture:
    """What a cluster showed at one time."""

    def __init__(self, name: str) -> None:
        text = (RECORDED / f"{name}.yaml").read_text(encoding="utf-8")
        self.document: Any = yaml.safe_load(text)
        self.deployment = self.document["deployment"]
        self.pods = self.document["pods"]
        self.at = time_of(self.document["at"])
        self.limits = limits_of(self.deployment, PENDING)

    def verdict(self, now: datetime | None = None) -> Verdict:
        return judge(self.deployment, self.pods, self.limits, now or self.at)

    def main(self) -> Any:
        return self.pods[0]["status"]["containerStatuses"][0]

    def prepare(self) -> Any:
        return self.pods[0]["status"]["initContainerStatuses"][0]


def test_every_picture_is_judged_in_a_test() -> None:
    judged = {name for name, _ in (*READY, *WAITING, *BROKEN)}
    assert judged == {path.stem for path in RECORDED.iterdir()}


READY = [("ready", 1), ("zero", 0), ("scaled", 2), ("old-one-ends", 1), ("was-ready-once", 1)]
WAITING = [
    ("just-created", "waits for Kubernetes to take it up"),
    ("behind", "waits for Kubernetes to take it up"),
    ("preparing", "fetches the code and installs, for 900 s at most"),
    ("starting", "does not answer yet"),
    ("half-way", "does not answer yet"),
    ("silent", "does not answer yet"),
    ("wrong-port", "does not answer yet"),
    ("not-ready", "does not get ready yet: its readiness probe fails"),
    ("crash-once", "does not answer yet; it ended once, at last with exit code 3"),
    ("crash-twice", "does not answer yet; it ended 2 times, at last with exit code 3"),
    ("was-ready-failed", "does not answer yet; it ended 2 times, at last with exit code 4"),
    ("out-of-memory", "out of memory: it used more than its limit"),
    ("install-failed-once", "ERROR: No matching distribution found for there-is-no-such-package=="),
    ("clone-failed", "is not in https://git.example/team/repo.git (was it pushed?)"),
    ("wrong-image", "ErrImagePull: failed to pull"),
    ("no-image", "ImagePullBackOff: Back-off pulling image"),
    ("unschedulable", "Unschedulable: 0/1 nodes are available"),
    ("over-quota", "exceeded quota: team"),
    ("no-secret", 'CreateContainerConfigError: secret "none" not found'),
    ("no-config-map", "waits for its volumes or its image"),
    ("evicted", "Evicted: "),
]
BROKEN = [
    ("crash-thrice", "does not stay up; it ended 3 times, at last with exit code 3"),
    ("silent-restarted", "did not answer within 5 s; it ended once"),
    ("bad-image-name", "InvalidImageName: "),
    ("install-failed-thrice", "prepare failed: exit code 1: installing the requirements failed: "),
]


@pytest.mark.parametrize(("name", "pods"), READY)
def test_what_serves_is_ready(name: str, pods: int) -> None:
    assert Picture(name).verdict() == Ready(pods=pods)


@pytest.mark.parametrize(("name", "reason"), WAITING)
def test_what_may_still_serve_is_waited_for(name: str, reason: str) -> None:
    found = Picture(name).verdict()
    assert isinstance(found, Waiting)
    assert reason in found.reason


@pytest.mark.parametrize(("name", "reason"), BROKEN)
def test_what_will_not_serve_is_broken(name: str, reason: str) -> None:
    found = Picture(name).verdict()
    assert isinstance(found, Broken)
    assert reason in found.reason
    assert found.pod.startswith("score-")


@pytest.mark.parametrize("name", [name for name, _ in WAITING])
def test_nothing_that_kubernetes_has_taken_up_is_waited_for_for_ever(name: str) -> None:
    picture = Picture(name)
    found = picture.verdict(picture.at + timedelta(days=1))
    taken_up = name not in ("just-created", "behind")
    assert isinstance(found, Broken if taken_up else Waiting) or name == "evicted"


@pytest.mark.parametrize("name", ["starting", "silent", "wrong-port", "not-ready", "crash-once"])
def test_a_module_has_its_time_from_its_first_start(name: str) -> None:
    picture = Picture(name)
    main = picture.main()
    started = time_of((main["state"].get("running") or main["state"]["terminated"])["startedAt"])
    last = started + timedelta(seconds=picture.limits.startup + 5)
    assert isinstance(picture.verdict(last), Waiting)
    assert isinstance(picture.verdict(last + timedelta(seconds=1)), Broken)


def test_a_module_that_crashes_is_broken_ten_seconds_after_its_limit_at_the_latest() -> None:
    picture = Picture("crash-twice")
    limits = Limits(startup=picture.limits.startup, install=900, pending=0)
    first = time_of(picture.prepare()["state"]["terminated"]["finishedAt"])
    late = first + timedelta(seconds=limits.startup + 10)
    found = judge(picture.deployment, picture.pods, limits, late)
    assert isinstance(found, Broken)
    assert (found.container, found.reason) == (
        "main",
        "did not answer within 120 s; it ended 2 times, at last with exit code 3",
    )


def test_a_module_that_once_was_ready_is_not_broken_by_its_old_restarts() -> None:
    picture = Picture("was-ready-once")
    main, status = picture.main(), picture.pods[0]["status"]
    main["restartCount"] = 7
    main["lastState"] = {"terminated": ended("2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z", 4)}
    main["state"] = {"running": {"startedAt": "2026-01-01T00:05:03Z"}}
    main["started"] = main["ready"] = False
    picture.prepare()["state"]["terminated"]["finishedAt"] = "2025-12-31T23:00:00Z"
    set_condition(status, "Ready", "False", "2026-01-01T00:05:01Z")
    limit = timedelta(seconds=picture.limits.startup + 5)
    assert isinstance(picture.verdict(time_of("2026-01-01T00:05:03Z") + limit), Waiting)
    assert isinstance(picture.verdict(time_of("2026-01-01T00:05:04Z") + limit), Broken)


def test_a_module_that_was_ready_has_no_further_time_at_each_further_start() -> None:
    picture = Picture("was-ready-once")
    main, status = picture.main(), picture.pods[0]["status"]
    main["restartCount"] = 2
    main["lastState"] = {"terminated": ended("2026-01-01T00:05:03Z", "2026-01-01T00:05:04Z", 4)}
    main["state"] = {"running": {"startedAt": "2026-01-01T00:05:14Z"}}
    picture.prepare()["state"]["terminated"]["finishedAt"] = "2025-12-31T23:00:00Z"
    set_condition(status, "Ready", "False", "2026-01-01T00:05:01Z")
    limit = timedelta(seconds=picture.limits.startup + 5)
    assert isinstance(picture.verdict(time_of("2026-01-01T00:05:01Z") + limit), Waiting)
    assert isinstance(picture.verdict(time_of("2026-01-01T00:05:02Z") + limit), Broken)


def test_a_module_that_was_ready_is_started_again_before_it_is_judged() -> None:
    """The kubelet waits for up to five minutes before it starts a container again."""
    picture = Picture("was-ready-failed")
    conditions = picture.pods[0]["status"]["conditions"]
    (lost,) = (each["lastTransitionTime"] for each in conditions if each["type"] == "Ready")
    limit = timedelta(seconds=300 + picture.limits.startup + 5)
    assert isinstance(picture.verdict(time_of(lost) + limit), Waiting)
    assert isinstance(picture.verdict(time_of(lost) + limit + timedelta(seconds=1)), Broken)


def test_old_failures_do_not_count_after_the_containers_were_made_anew() -> None:
    """A node that starts again runs all containers of its pods anew, those before first."""
    picture = Picture("crash-thrice")
    picture.prepare()["state"]["terminated"]["finishedAt"] = "2026-11-26T00:00:00Z"
    found = picture.verdict(time_of("2026-11-26T00:00:05Z"))
    assert isinstance(found, Waiting)


@pytest.mark.parametrize(
    "name", ["wrong-image", "no-image", "unschedulable", "no-config-map", "over-quota"]
)
def test_what_keeps_a_pod_from_starting_has_its_own_limit(name: str) -> None:
    picture = Picture(name)
    assert isinstance(picture.verdict(picture.at + timedelta(seconds=PENDING - 120)), Waiting)
    found = picture.verdict(picture.at + timedelta(seconds=PENDING + 1))
    assert isinstance(found, Broken)
    assert found.reason.startswith("could not start within 300 s: ")
    limits = Limits(startup=60, install=900, pending=0)
    later = picture.at + timedelta(days=1)
    assert isinstance(judge(picture.deployment, picture.pods, limits, later), Waiting)


def test_a_missing_secret_of_the_module_counts_from_the_end_of_the_installation() -> None:
    picture = Picture("no-secret")
    picture.prepare()["state"]["terminated"]["finishedAt"] = "2026-12-01T00:00:00Z"
    assert isinstance(picture.verdict(time_of("2026-12-01T00:05:00Z")), Waiting)
    assert isinstance(picture.verdict(time_of("2026-12-01T00:05:01Z")), Broken)


def test_an_installation_that_failed_is_not_tried_beyond_its_limit() -> None:
    picture = Picture("install-failed-once")
    found = picture.verdict(picture.at + timedelta(seconds=picture.limits.install + 60))
    assert isinstance(found, Broken)
    assert found.container == "prepare"


def test_an_installation_is_tried_three_times() -> None:
    picture = Picture("install-failed-once")
    prepare = picture.prepare()
    for starts, expected in ((1, Waiting), (2, Waiting), (3, Broken)):
        prepare["restartCount"] = starts - 1
        assert isinstance(picture.verdict(), expected)
    verdict = picture.verdict()
    assert isinstance(verdict, Broken)
    assert verdict.container == "prepare"
    assert "No matching distribution found for there-is-no-such-package==1" in verdict.reason


def test_a_refusal_counts_from_this_version_on() -> None:
    """Kubernetes keeps the time of the first refusal, which may be of the version before."""
    picture = Picture("over-quota")
    conditions = {each["type"]: each for each in picture.deployment["status"]["conditions"]}
    conditions["ReplicaFailure"]["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    assert isinstance(picture.verdict(), Waiting)


def test_pods_that_are_evicted_again_and_again_are_no_way_to_serve() -> None:
    picture = Picture("evicted")
    (gone, *_) = (pod for pod in picture.pods if pod["status"]["phase"] == "Failed")
    picture.pods = [gone, gone, gone]
    found = picture.verdict()
    assert isinstance(found, Broken)
    assert found.reason.startswith("Evicted: ")


def test_a_paused_deployment_is_told() -> None:
    picture = Picture("starting")
    picture.deployment["spec"]["paused"] = True
    found = picture.verdict()
    assert isinstance(found, Broken)
    assert "kubectl rollout resume" in found.reason


def test_a_pod_that_is_being_deleted_says_nothing_of_its_version() -> None:
    picture = Picture("crash-thrice")
    picture.pods[0]["metadata"]["deletionTimestamp"] = picture.document["at"]
    assert picture.verdict() == Waiting(reason="0 of 1 pods are ready")


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.iterdir()))
def test_times_that_the_kubelet_forgot_are_no_obstacle(name: str) -> None:
    picture = Picture(name)
    for pod in picture.pods:
        for status in containers(pod):
            for state in (*status["state"].values(), *status["lastState"].values()):
                state |= {"startedAt": None, "finishedAt": None}
    assert isinstance(picture.verdict(), Ready | Waiting | Broken)


def test_no_counts_say_ready_while_too_few_new_pods_are() -> None:
    few = range(4)
    ready_pod = Picture("ready").pods[0]
    other_pod = Picture("starting").pods[0]
    limits = Limits(startup=10**6, install=900, pending=0)
    for wanted, ready, others, generation in product((1, 2, 3), few, (0, 1), (1, 2)):
        pods = [copy.copy(ready_pod)] * ready + [copy.copy(other_pod)] * others
        for replicas, updated, available in product(range(5), few, few):
            status = {
                "observedGeneration": generation,
                "replicas": replicas,
                "updatedReplicas": updated,
                "availableReplicas": available,
            }
            deployment = {
                "metadata": {"generation": 2},
                "spec": {"replicas": wanted},
                "status": status,
            }
            verdict = judge(deployment, pods, limits, NOW)
            told = ready >= wanted and generation == 2 and updated >= wanted
            told = told and available >= wanted and replicas <= updated
            assert isinstance(verdict, Ready) == told, (wanted, ready, status)


def ended(started: str, finished: str, code: int) -> dict[str, Any]:
    return {"exitCode": code, "reason": "Error", "startedAt": started, "finishedAt": finished}


def set_condition(status: Any, kind: str, value: str, since: str) -> None:
    (found,) = (each for each in status["conditions"] if each["type"] == kind)
    found.update(status=value, lastTransitionTime=since)


def containers(pod: Any) -> Iterator[Any]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        yield from pod["status"].get(kind, ())
