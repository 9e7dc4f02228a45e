"""How long a run takes beside one of a Workflow that was written by hand, on the e2e engines.

The other Workflow is what a good engineer would write for the same repository: an init container
with a plain ``git clone`` of the branch, no virtual environment, no time limit. Both have the same
image, and the same code in their stages. They take turns, so that both meet the same machine.

    python -m bench.run [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Accounts, Pinned, Source
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.testing import batch_project, batch_stage
from bodywork_argo_adapters.argo import ArgoBackend
from e2e.engines.network import NODE
from e2e.engines.places import places_from
from e2e.support.cluster import connect
from e2e.support.pods import RUNNER, container, workflow_spec
from e2e.support.repositories import BRANCH, GitServer, Repository, make_repository
from e2e.support.spaces import EXECUTOR_ACCOUNT, STAGE_ACCOUNT, Space, make_space

ROUNDS = 10
CHAINS = (1, 3)
"""Stages, one after the other."""
PATIENCE = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The same chain of stages, twice."""

    stages: int
    ours: Manifest
    theirs: Manifest


def main(arguments: list[str]) -> None:
    """Print a table of medians."""
    rounds = int(arguments[0]) if arguments else ROUNDS
    print("stages   by hand s    ours s   ratio   more per stage s")
    with _namespace() as space:
        for stages in CHAINS:
            _report(space, _contest(stages, _repository(stages)), rounds)


def _report(space: Space, contest: Contest, rounds: int) -> None:
    times: dict[str, list[float]] = {"theirs": [], "ours": []}
    for number in range(-1, rounds):
        for who, document in (("theirs", contest.theirs), ("ours", contest.ours)):
            taken = _seconds(space, document)
            if number >= 0:  # the first round warms both up
                times[who].append(taken)
    ours, theirs = statistics.median(times["ours"]), statistics.median(times["theirs"])
    more = (ours - theirs) / contest.stages
    print(f"{contest.stages:6}{theirs:12.1f}{ours:10.1f}{ours / theirs:8.2f}{more:19.2f}")


def _contest(stages: int, repository: Repository) -> Contest:
    names = [f"s{number}" for number in range(stages)]
    project = batch_project(" >> ".join(names), *(batch_stage(name) for name in names))
    commit = repository.commit({f"{name}.py": f"print('{name}')\n" for name in names})
    source = Source(revision=Pinned(commit=commit), repository=repository.url, ref=BRANCH)
    accounts = Accounts(stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT)
    plan = make_plan(project, source, PlanOptions(image=RUNNER, accounts=accounts))
    (ours,) = ArgoBackend().compile(plan, None).documents
    return Contest(stages=stages, ours=ours, theirs=_by_hand(names, repository.url))


def _by_hand(names: list[str], url: str) -> Manifest:
    """Return the Workflow that somebody without us would write."""
    tasks = [
        {"name": name, "template": name, **({"dependencies": [before]} if before else {})}
        for name, before in zip(names, ["", *names], strict=False)
    ]
    spec = workflow_spec({"dag": {"tasks": tasks}}, volumes=[{"name": "code", "emptyDir": {}}])
    spec["templates"] += [_stage(name, url) for name in names]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "by-hand-"},
        "spec": spec,
    }


def _stage(name: str, url: str) -> dict[str, Any]:
    mounts = [{"name": "code", "mountPath": "/code"}]
    clone = ["git", "clone", "--quiet", "--depth=1", f"--branch={BRANCH}", url, "/code/repository"]
    module = ["python3", f"/code/repository/{name}.py"]
    return {
        "name": name,
        "initContainers": [{"name": "clone", **container(clone), "volumeMounts": mounts}],
        "container": {**container(module), "volumeMounts": mounts},
    }


def _seconds(space: Space, document: Manifest) -> float:
    """Return the time from the creation of a run until its end is seen, as a user sees it."""
    started = time.monotonic()
    name = space.create(document)["metadata"]["name"]
    ended = space.finished_workflow(name, PATIENCE)
    taken = time.monotonic() - started
    if ended["status"]["phase"] != "Succeeded":
        sys.exit(f"{name} is {ended['status']['phase']}: {ended['status'].get('message')}")
    return taken


def _repository(stages: int) -> Repository:
    places = places_from(os.environ)
    name = f"bench-{stages}-{uuid.uuid4().hex[:8]}"
    return make_repository(GitServer(root=places.git, address=NODE), name, {})


@contextmanager
def _namespace() -> Iterator[Space]:
    cluster = connect(places_from(os.environ).kubeconfig)
    space = make_space(cluster)
    try:
        yield space
    finally:
        cluster.core.delete_namespace(space.name, propagation_policy="Background")


if __name__ == "__main__":
    main(sys.argv[1:])
