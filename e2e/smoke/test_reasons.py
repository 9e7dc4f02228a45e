"""What a real Argo and a real kubelet say of pods is told in our words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

import pytest

from bodywork_argo.backend import Phase, RunRef, RunStatus
from bodywork_argo.spec import PodOptions, SecretRef, VolumeKind
from bodywork_argo_adapters.argo import ArgoBackend
from bodywork_argo_adapters.argo.status import run_status
from bodywork_argo_adapters.waiting import waits_of
from e2e.support.cluster import await_state
from e2e.support.recorder import TELL, Case, plan_of, state, volume
from e2e.support.repositories import GitServer
from e2e.support.spaces import Space

pytestmark = pytest.mark.smoke

ANSWERS_TERM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))
time.sleep(60)
"""


def start(space: Space, server: GitServer, case: Case) -> None:
    (document,) = ArgoBackend("e2e").compile(plan_of(case, server), "run-1").documents
    space.create(document)


def status_of(space: Space) -> RunStatus:
    found = state(space, "run-1")
    waits = waits_of(found["pods"], datetime.now(timezone.utc))
    return run_status(found["workflow"], RunRef(backend="argo", name="run-1"), waits)


def the_end(space: Space) -> RunStatus:
    status: RunStatus = await_state(
        lambda: status_of(space), lambda seen: seen.phase.final, "the run's end", patience=240
    )
    return status


def reasons(status: RunStatus) -> Mapping[str, str]:
    return {stage.stage: stage.reason for stage in status.stages}


def test_failed_stages_are_told_in_the_order_of_the_plan(
    namespace: Space, git_server: GitServer
) -> None:
    code = {
        "late": "import time; time.sleep(6); raise SystemExit(3)",
        "full": "b'x' * 500_000_000",
        "soon": "raise SystemExit(4)",
        "tell": TELL,
    }
    more = {"full": {"pod": PodOptions(memory_limit_mb=100)}}
    case = Case(dag="late, full, soon >> after", code=code, more=more, on_failure="tell")

    start(namespace, git_server, case)
    status = the_end(namespace)

    assert status.reason == "3 stages failed: late, full, soon"
    assert [stage.exit_code for stage in status.stages] == [3, 137, 4, None, 0]
    assert reasons(status) == {
        "late": "exit code 3",
        "full": "out of memory: the container used more than its memory limit"
        " (raise memory_limit_mb)",
        "soon": "exit code 4",
        "after": "a stage before it did not end well",
        "tell": "",
    }
    (pod,) = namespace.find({"apiVersion": "v1", "kind": "Pod"}, "bodywork-argo/stage=tell")
    told = namespace.logs(pod["metadata"]["name"], "main").splitlines()
    assert [line for line in told if "argo=true" not in line] == [
        "3 stages failed: late, full, soon",
        "late: exit code 3",
        f"full: {reasons(status)['full']} (exit code 137)",
        "soon: exit code 4",
    ]


def test_a_module_decides_how_the_end_of_its_time_is_taken(
    namespace: Space, git_server: GitServer
) -> None:
    code = {"well": ANSWERS_TERM.format(code=0), "badly": ANSWERS_TERM.format(code=5)}
    more = {name: {"max_completion_time_seconds": 4} for name in code}

    start(namespace, git_server, Case(dag="well, badly", code=code, more=more))
    well, badly = the_end(namespace).stages

    assert (well.phase, well.exit_code, well.reason) == (Phase.SUCCEEDED, 0, "")
    assert (badly.phase, badly.exit_code) == (Phase.FAILED, 5)
    assert badly.reason == "time limit of 4 s exceeded"


def test_why_pods_can_not_start_is_told_while_they_wait(
    namespace: Space, git_server: GitServer
) -> None:
    settings = PodOptions(volumes=(volume(VolumeKind.CONFIG_MAP, "settings"),))
    case = Case(
        dag="pull, place, make, mount",
        more={
            "pull": {"image": "registry.invalid/team/missing:1"},
            "place": {"cpu_request": 1000.0},
            "make": {"secrets": (SecretRef(variable="TOKEN", secret="chat"),)},
            "mount": {"pod": settings},
        },
    )

    start(namespace, git_server, case)
    status = await_state(
        lambda: status_of(namespace),
        lambda seen: bool(seen.stages) and all(stage.reason for stage in seen.stages),
        "a reason of each stage",
    )

    told = reasons(status)
    assert told["pull"].startswith("image registry.invalid/team/missing:1 can't be pulled: ")
    assert told["place"] == "no node can take it: 1 Insufficient cpu"
    assert told["make"] == 'its container can\'t be made: secret "chat" not found'
    assert "look whether it has config map settings; see kubectl describe" in told["mount"]
    assert {stage.phase for stage in status.stages} == {Phase.PENDING}
