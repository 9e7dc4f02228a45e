"""Record what a cluster shows of roll-outs: ``python -m e2e.support.service_recorder [CASE ...]``.

Releases small services on the engines, waits until each is where its case wants it, and writes
the Deployment and the pods of its new version to tests/services/recorded, without what says where
they were recorded. A case takes several pictures, one after the other.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from bodywork_argo.manifests import to_yaml
from bodywork_argo.spec import PodOptions, ServiceOptions, Volume, VolumeKind
from e2e.engines.network import NODE
from e2e.engines.places import places_from
from e2e.support.cluster import Timeout, await_state, connect
from e2e.support.repositories import GitServer, make_repository
from e2e.support.services import DEPLOYMENT, SERVE, pods_of, release
from e2e.support.spaces import Space, make_space

FOLDER = Path(__file__).parents[2] / "tests" / "services" / "recorded"
SLEEP = "import time; time.sleep(300)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE
MORTAL = f"import os, threading; threading.Timer(20, os._exit, [4]).start()\n{SERVE}"
FILL = "import time; open('/data/x', 'wb').write(b'x' * 30_000_000); time.sleep(300)"

State = Mapping[str, Any]
"""`deployment`, and `pods` of the new version, as the cluster has them."""
Wanted = Callable[[State], bool]


def mains(state: State, kind: str = "containerStatuses") -> list[Any]:
    """Return the statuses of the pods' first containers of a kind."""
    return [pod["status"][kind][0] for pod in state["pods"] if kind in pod["status"]]


def waiting(*reasons: str) -> Wanted:
    return lambda state: any(
        each["state"].get("waiting", {}).get("reason") in reasons
        for kind in ("initContainerStatuses", "containerStatuses")
        for each in mains(state, kind)
    )


def condition(kind: str, status: str, reason: str = "") -> Wanted:
    return lambda state: any(
        (each["type"], each["status"]) == (kind, status) and reason in each.get("reason", "")
        for thing in (state["deployment"], *state["pods"])
        for each in thing.get("status", {}).get("conditions", ())
    )


def running(kind: str = "containerStatuses", **fields: Any) -> Wanted:
    return lambda state: any(
        "running" in each["state"] and fields.items() <= each.items() for each in mains(state, kind)
    )


def failures(count: int, kind: str = "containerStatuses") -> Wanted:
    """Tell whether a container has failed exactly that often."""
    return lambda state: any(
        each["restartCount"] + ("running" not in each["state"]) == count
        and (each["lastState"] or "terminated" in each["state"])
        for each in mains(state, kind)
    )


def all_ready(pods: int) -> Wanted:
    def wanted(state: State) -> bool:
        status = state["deployment"].get("status", {})
        return bool(
            status.get("observedGeneration") == state["deployment"]["metadata"]["generation"]
            and status.get("updatedReplicas", 0) == pods
            and status.get("availableReplicas", 0) == pods == status.get("replicas", 0)
        )

    return wanted


def both(*wanted: Wanted) -> Wanted:
    return lambda state: all(each(state) for each in wanted)


def observed(state: State) -> bool:
    return "observedGeneration" in state["deployment"].get("status", {})


def at_once(_: State) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A service, and what of its roll-out is kept."""

    pictures: Mapping[str, Wanted]
    code: str = SERVE
    more: Mapping[str, Any] = field(default_factory=dict)
    before: str | None = None
    """The module's code in the version before, which is good."""
    quota: Mapping[str, str] = field(default_factory=dict)
    scale: int | None = None
    """How many pods somebody else wants as soon as the service is ready."""
    lost: bool = False
    """Whether the commit is in no repository."""


def volume(kind: VolumeKind, source: str) -> Volume:
    return Volume(name="data", path="/data", kind=kind, source=source)


CASES: dict[str, Case] = {
    "good": Case(
        code=f"import time; time.sleep(6)\n{SERVE}",
        pictures={
            "just-created": at_once,
            "starting": running(ready=False),
            "ready": all_ready(1),
        },
    ),
    "update": Case(
        before=SERVE,
        code=SLEEP,
        more={"replicas": 2},
        pictures={
            "behind": at_once,
            "half-way": both(running(ready=False), condition("Available", "True")),
        },
    ),
    "old-one-ends": Case(before=STUBBORN, pictures={"old-one-ends": all_ready(1)}),
    "crash": Case(
        code="raise SystemExit(3)",
        more={"max_startup_time_seconds": 120},
        pictures={
            "crash-once": failures(1),
            "crash-twice": failures(2),
            "crash-thrice": failures(3),
        },
    ),
    "silent": Case(
        code=SLEEP,
        more={"max_startup_time_seconds": 5},
        pictures={"silent": running(), "silent-restarted": running(restartCount=1)},
    ),
    "wrong-port": Case(
        code=SERVE.replace("8000", "8001"),
        more={"max_startup_time_seconds": 20},
        pictures={"wrong-port": running()},
    ),
    "not-ready": Case(
        more={"options": ServiceOptions(startup_path="/", readiness_path="/500")},
        pictures={"not-ready": running(started=True, ready=False)},
    ),
    "was-ready": Case(
        code=MORTAL,
        more={"max_startup_time_seconds": 40},
        pictures={
            "was-ready-once": all_ready(1),
            "was-ready-failed": failures(2),
        },
    ),
    "wrong-image": Case(
        more={"image": f"{NODE}:5999/team/missing:1"},
        pictures={"wrong-image": waiting("ErrImagePull"), "no-image": waiting("ImagePullBackOff")},
    ),
    "bad-image-name": Case(
        more={"image": "Team/Missing:1"}, pictures={"bad-image-name": waiting("InvalidImageName")}
    ),
    "unschedulable": Case(
        more={"pod": PodOptions(node_selector=(("disk", "ssd"),))},
        pictures={"unschedulable": both(observed, condition("PodScheduled", "False"))},
    ),
    "quota": Case(
        quota={"pods": "0"}, pictures={"over-quota": condition("ReplicaFailure", "True")}
    ),
    "install": Case(
        more={"requirements": ("there-is-no-such-package==1",)},
        pictures={
            "preparing": running("initContainerStatuses"),
            "install-failed-once": failures(1, "initContainerStatuses"),
            "install-failed-thrice": failures(3, "initContainerStatuses"),
        },
    ),
    "clone": Case(lost=True, pictures={"clone-failed": failures(1, "initContainerStatuses")}),
    "no-secret": Case(
        more={
            "pod": PodOptions(
                patches=(
                    '{"containers":[{"name":"main","env":[{"name":"A","valueFrom":'
                    '{"secretKeyRef":{"name":"none","key":"A"}}}]}]}',
                )
            )
        },
        pictures={"no-secret": waiting("CreateContainerConfigError")},
    ),
    "no-config-map": Case(
        more={"pod": PodOptions(volumes=(volume(VolumeKind.CONFIG_MAP, "none"),))},
        pictures={"no-config-map": waiting("PodInitializing")},
    ),
    "memory": Case(
        code="x = b'x' * 400_000_000",
        more={"pod": PodOptions(memory_limit_mb=150)},
        pictures={"out-of-memory": failures(1)},
    ),
    "zero": Case(more={"replicas": 0}, pictures={"zero": all_ready(0)}),
    "scaled": Case(scale=2, pictures={"scaled": all_ready(2)}),
    "evicted": Case(
        code=FILL,
        more={"pod": PodOptions(volumes=(volume(VolumeKind.EMPTY, "1"),))},
        pictures={"evicted": lambda state: any("Evicted" in str(p) for p in state["pods"])},
    ),
}


def record(name: str, space: Space, server: GitServer) -> None:
    """Release a case's service and write its pictures."""
    case = CASES[name]
    if case.quota:
        path = f"/api/v1/namespaces/{space.name}/resourcequotas"
        quota = {"metadata": {"name": "team"}, "spec": {"hard": case.quota}}
        space.cluster.request("POST", path, quota)
    repository = make_repository(server, f"recorded-{uuid.uuid4().hex[:10]}", {})
    if case.before is not None:
        commit = repository.commit({"score.py": case.before})
        replicas = case.more.get("replicas", 1)
        release(space, repository.url, commit, "run-1", replicas=replicas)
        await_state(
            lambda: state_of(space, "run-1"), all_ready(replicas), "the version before", 400
        )
    commit = "0" * 40 if case.lost else repository.commit({"score.py": case.code})
    made = release(space, repository.url, commit, "run-2", **case.more)
    if case.scale is not None:
        await_state(lambda: state_of(space, "run-2"), all_ready(1), name, 400)
        path = f"/apis/apps/v1/namespaces/{space.name}/deployments/score"
        change = {"spec": {"replicas": case.scale}}
        space.cluster.request("PATCH", path, change, "application/merge-patch+json")
    for picture, wanted in case.pictures.items():
        found: State = {"deployment": made, "pods": []}
        if wanted is not at_once:
            found = await_state(lambda: state_of(space, "run-2"), wanted, picture, 400)
        text = to_yaml([trimmed(found, space.name)])
        (FOLDER / f"{picture}.yaml").write_text(text, encoding="utf-8")
        sys.stderr.write(f"{picture}: recorded\n")


def state_of(space: Space, run: str) -> State:
    return {
        "deployment": space.get(DEPLOYMENT, "score"),
        "pods": pods_of(space, run),
    }


def trimmed(state: State, namespace: str) -> dict[str, Any]:
    """Return what tells how a roll-out stands, and when that was."""
    deployment = state["deployment"]
    document = {
        "at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "deployment": {
            "metadata": {
                "name": deployment["metadata"]["name"],
                "generation": deployment["metadata"]["generation"],
                "annotations": {
                    key: value
                    for key, value in deployment["metadata"]["annotations"].items()
                    if key.endswith("-seconds")
                },
            },
            "spec": {"replicas": deployment["spec"]["replicas"]},
            "status": deployment.get("status", {}),
        },
        "pods": [trimmed_pod(pod) for pod in state["pods"]],
    }
    return dict(anonymous(document, namespace))


def trimmed_pod(pod: Any) -> dict[str, Any]:
    metadata, status = pod["metadata"], pod["status"]
    kept = ("name", "creationTimestamp", "deletionTimestamp")
    shown = {
        key: status[key]
        for key in ("phase", "reason", "message", "conditions", "startTime")
        if key in status
    }
    for kind in ("initContainerStatuses", "containerStatuses"):
        if kind in status:
            fields = ("name", "ready", "started", "restartCount", "state", "lastState")
            shown[kind] = [{k: each[k] for k in fields if k in each} for each in status[kind]]
    return {"metadata": {k: metadata[k] for k in kept if k in metadata}, "status": shown}


def anonymous(value: Any, namespace: str) -> Any:
    if isinstance(value, dict):
        return {key: anonymous(item, namespace) for key, item in value.items()}
    if isinstance(value, list):
        return [anonymous(item, namespace) for item in value]
    if not isinstance(value, str):
        return value
    for pattern, put in (
        (re.escape(namespace), "team"),
        (rf"http://{re.escape(NODE)}:3000/recorded-\w+\.git", "https://git.example/team/repo.git"),
        (rf"{re.escape(NODE)}:5999", "registry.example"),
        (re.escape(NODE), "192.0.2.1"),
        (r"containerd://[0-9a-f]+", "containerd://0"),
        (r"_score-[^_(]*\(?[0-9a-f-]{36}\)?", "_score"),
    ):
        value = re.sub(pattern, put, value)
    return value


@contextlib.contextmanager
def a_space() -> Iterator[Space]:
    cluster = connect(places_from(os.environ).kubeconfig)
    space = make_space(cluster)
    try:
        yield space
    finally:
        cluster.core.delete_namespace(space.name, propagation_policy="Background")


def main(names: list[str]) -> int:
    """Record the named cases, or all; return how many did not come to be."""
    server = GitServer(root=places_from(os.environ).git, address=NODE)
    FOLDER.mkdir(exist_ok=True)

    def attempt(name: str) -> int:
        try:
            with a_space() as space:
                record(name, space, server)
        except Timeout as error:
            sys.stderr.write(f"{name}: {str(error)[:3000]}\n")
            return 1
        return 0

    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(attempt, names or list(CASES)))


def load(name: str) -> dict[str, Any]:
    """Read a picture."""
    return dict(yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
