"""What differs between the engines that cases run on. A further engine is one more entry."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bodywork_argo.backend import Backend, Runtime
from bodywork_argo.kube import connect
from bodywork_argo.plan import Accounts
from bodywork_argo.registry import installed, load_backend
from bodywork_argo_adapters.local.runtime import LocalRuntime
from e2e.support.conformance.oracle import Ways
from e2e.support.spaces import EXECUTOR_ACCOUNT, STAGE_ACCOUNT, Space
from e2e.support.tekton import let_executor_look


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where runs of an engine live."""

    folder: Path
    space: Space | None = None
    """Engines in a cluster have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine, and how many runs it is given at once."""

    name: str
    at_once: int
    in_cluster: bool
    connect: Callable[[Backend, Ground], Runtime]
    """A connection of its own for each run."""
    ways: Ways
    prepare: Callable[[Space], None] | None = None
    """Makes in a namespace what its runs need beside the accounts of a `Space`."""
    limits_parallelism: bool = True
    """Whether it starts as many stages at once as a run may have, and no more."""

    def ground(self, folder: Path, space: Space | None) -> Ground:
        """Return where its runs live, with all that they need there."""
        if space is not None and self.prepare is not None:
            self.prepare(space)
        return Ground(folder=folder, space=space)

    def backend(self) -> Backend:
        """Return the backend, found as the command line finds it."""
        return load_backend(self.name, installed())

    def accounts(self) -> Accounts:
        """Return the accounts of a `Space`."""
        if not self.in_cluster:
            return Accounts()
        return Accounts(stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT)


def _on_this_machine(_backend: Backend, ground: Ground) -> Runtime:
    environment = {"PATH": os.environ["PATH"], "HOME": str(ground.folder), "LANG": "C.UTF-8"}
    return LocalRuntime(ground.folder / "runs", environment)


def _in_the_cluster(backend: Backend, ground: Ground) -> Runtime:
    space = ground.space
    assert space is not None, "an engine in a cluster needs a namespace"
    kubeconfig = str(space.cluster.kubeconfig)
    cluster = connect(kubeconfig=kubeconfig, context=None, namespace=space.name)
    return backend.runtime(lambda: cluster)


ENGINES = (
    Engine(name="local", at_once=2, in_cluster=False, connect=_on_this_machine, ways=Ways()),
    Engine(
        name="argo",
        at_once=4,
        in_cluster=True,
        connect=_in_the_cluster,
        ways=Ways(tries_again_when_stopped=False),  # Argo 4.0: operator.go, processNodeRetries
    ),
    Engine(
        name="tekton",
        at_once=4,
        in_cluster=True,
        connect=_in_the_cluster,
        prepare=let_executor_look,
        # Its entrypoint tells no signal, and it gives an image up as soon as the kubelet backs off.
        ways=Ways(tells_signals=False, ends_without_image=True),
        limits_parallelism=False,
    ),
)
