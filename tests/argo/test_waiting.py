"""Why pods can't start."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bodywork_argo_adapters.argo.waiting import wait_of_message
from bodywork_argo_adapters.waiting import SET_UP, waits_of
from tests.argo.recorded import CASES, MUCH_LATER, recorded
from tests.argo.test_status import WAITS

LABELS = {"bodywork-argo/stage": "a"}


def test_only_pods_that_wait_have_a_reason() -> None:
    of_pods = {case: waits for case in CASES if (waits := recorded(case).waits)}
    del_quota = {case: {"a": why} for case, why in WAITS.items() if case != "over-quota"}
    assert of_pods == del_quota


@pytest.mark.parametrize("case", ["wrong-image", "too-many-cores"])
def test_pods_of_others_are_left(case: str) -> None:
    pods = recorded(case).pods
    for pod in pods:
        del pod["metadata"]["labels"]["bodywork-argo/stage"]
    assert waits_of(pods) == {}


def test_without_a_look_at_the_clock_a_slow_node_is_no_reason() -> None:
    assert waits_of(recorded("no-config-map").pods) == {}


def test_a_node_has_some_time_to_set_a_pod_up() -> None:
    (pod,) = recorded("no-config-map").pods
    conditions = {each["type"]: each for each in pod["status"]["conditions"]}
    text = conditions["PodScheduled"]["lastTransitionTime"]
    since = datetime.fromisoformat(text.replace("Z", "+00:00"))
    assert waits_of([pod], since + SET_UP) == {}
    assert list(waits_of([pod], since + SET_UP + timedelta(seconds=1))) == ["a"]


def test_before_kubernetes_tells_what_a_node_has_done_nothing_is_concluded() -> None:
    (pod,) = recorded("no-config-map").pods
    conditions = pod["status"]["conditions"]
    pod["status"]["conditions"] = [
        each for each in conditions if each["type"] != "PodReadyToStartContainers"
    ]
    assert waits_of([pod], MUCH_LATER) == {}


def test_a_pod_without_volumes_of_its_author_refers_to_its_events() -> None:
    (pod,) = recorded("no-config-map").pods
    pod["spec"]["volumes"] = [{"name": "work", "emptyDir": {}}]
    why = waits_of([pod], MUCH_LATER)["a"]
    assert why == f"its node can't set it up; see kubectl describe pod {pod['metadata']['name']}"


def test_all_kinds_of_volumes_that_may_be_missing_are_named() -> None:
    (pod,) = recorded("no-config-map").pods
    pod["spec"]["volumes"] = [
        {"name": "a", "secret": {"secretName": "keys"}},
        {"name": "b", "persistentVolumeClaim": {"claimName": "models"}},
        {"name": "exec-sa-token", "secret": {"secretName": "executor.service-account-token"}},
    ]
    why = waits_of([pod], MUCH_LATER)["a"]
    assert "look whether it has secret keys, claim models; see" in why


def pending(reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    container = {"name": "main", "image": "team/image:1", "state": state}
    return {
        "metadata": {"name": "p", "labels": LABELS},
        "status": {"phase": "Pending", "containerStatuses": [container]},
    }


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        (
            "ImagePullBackOff",
            'Back-off pulling image "team/image:1"',
            "image team/image:1 can't be pulled",
        ),
        (
            "ErrImagePull",
            "rpc error: code = NotFound desc = failed to pull and unpack image "
            '"team/image:1": failed to resolve reference "team/image:1": not found',
            "image team/image:1 can't be pulled: not found",
        ),
        ("ErrImagePull", "unauthorized", "image team/image:1 can't be pulled: unauthorized"),
        ("RunContainerError", "no such file", "its container can't be made: no such file"),
        ("NewerReason", "of tomorrow", "NewerReason: of tomorrow"),
        ("NewerReason", "", "NewerReason"),
    ],
)
def test_other_versions_words_are_told_as_well(reason: str, message: str, told: str) -> None:
    assert waits_of([pending(reason, message)]) == {"a": told}


def test_the_scheduler_is_quoted_without_what_it_could_not_do() -> None:
    message = (
        "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 2 Insufficient "
        "memory. preemption: 0/3 nodes are available: 3 Preemption is not helpful."
    )
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    status = {"phase": "Pending", "conditions": [{**condition, "message": message}]}
    pod = {"metadata": {"name": "p", "labels": LABELS}, "status": status}
    told = "1 node(s) had untolerated taint {gpu: yes}, 2 Insufficient memory"
    assert waits_of([pod]) == {"a": f"no node can take it: {told}"}


@pytest.mark.parametrize("case", ["too-many-cores", "no-secret", "wrong-image"])
def test_nobody_needs_to_see_pods_to_know_what_argo_tells(case: str) -> None:
    """Argo's message of a node is what a container or a condition says, one after the other."""
    (pod,) = recorded(case).pods
    status = pod["status"]
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    waiting = [each["state"].get("waiting", {}) for each in containers]
    saying = [each for each in [*waiting, *status["conditions"]] if each.get("message")]
    said = next(each for each in saying if each.get("reason") != "ContainersNotInitialized")
    assert wait_of_message(f"{said['reason']}: {said['message']}") == WAITS[case]


@pytest.mark.parametrize("message", ["", "PodInitializing", "ContainerCreating"])
def test_that_a_pod_is_being_made_is_no_reason(message: str) -> None:
    assert wait_of_message(message) == ""


def test_a_pod_that_runs_does_not_wait() -> None:
    pod = pending("ImagePullBackOff", "no")
    pod["status"]["phase"] = "Running"
    assert waits_of([pod], datetime.now(timezone.utc)) == {}
