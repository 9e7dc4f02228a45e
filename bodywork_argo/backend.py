"""The pluggable interface: what an engine has to offer to run a `Plan`.

A backend is found through the entry-point group ``bodywork_argo.backends``; the entry names a
class (or a function) that is called without arguments. `testing.BackendContract` checks the
promises made here for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol, runtime_checkable

from bodywork_argo.access import Needs
from bodywork_argo.cluster import Cluster, ClusterFactory
from bodywork_argo.errors import Problem
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan

ENTRY_POINT_GROUP = "bodywork_argo.backends"


class Phase(Enum):
    """Where a run or a stage stands. Every phase of an engine maps to exactly one."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    """Ended because somebody asked for it."""
    SKIPPED = "skipped"
    """Never started, since something before it did not end well. Stages only."""

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self not in (Phase.PENDING, Phase.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """Names one run of one backend."""

    backend: str
    name: str
    namespace: str | None = None
    where: str = field(default="", compare=False)
    """Where people find it: a folder, or the address of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStatus:
    """How one task of a run stands; `stage` is the name that the author gave."""

    stage: str
    task: str
    phase: Phase
    attempt: int = 0
    """Counts from 1; 0 before the first."""
    started: datetime | None = None
    finished: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    """Why it failed, waits or was skipped, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How a run stands. `list` leaves `stages` empty."""

    ref: RunRef
    pipeline: str
    phase: Phase
    commit: str | None = None
    started: datetime | None = None
    finished: datetime | None = None
    reason: str = ""
    stages: tuple[StageStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPiece:
    """Bytes that a stage wrote, in order and unchanged; pieces end anywhere, also inside a line."""

    stage: str
    attempt: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The documents that an engine takes, in the order in which they are sent."""

    backend: str
    run_name: str | None
    """None: the documents carry a ``generateName``, the engine makes the name."""
    documents: tuple[Manifest, ...]


class Runtime(Protocol):
    """A connection to an engine.

    Raises:
        EngineError: the engine is unreachable, refuses, or knows no such run.
    """

    attached: bool
    """Whether runs end with the process that started them."""

    def submit(self, compiled: Compiled) -> RunRef:
        """Start a run with exactly these documents; return at once.

        Sending the same named documents again returns the same run; a run of that name with
        other documents is an EngineError.
        """
        ...

    def status(self, ref: RunRef) -> RunStatus:
        """Return how the run stands now."""
        ...

    def list(self, pipeline: str | None = None) -> tuple[RunStatus, ...]:
        """Return the runs that the engine still knows, newest first."""
        ...

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        """Yield the status now and after each change; the last one is final."""
        ...

    def logs(
        self, ref: RunRef, stage: str | None = None, *, follow: bool = False
    ) -> Iterator[LogPiece]:
        """Yield what the stages wrote, of all attempts; with `follow` until the run has ended."""
        ...

    def stop(self, ref: RunRef) -> None:
        """End the stages that run, then run the failure stage. A run that has ended is left."""
        ...

    def terminate(self, ref: RunRef) -> None:
        """End everything at once, without failure stage. A run that has ended is left."""
        ...

    def delete(self, ref: RunRef) -> None:
        """Terminate the run if it goes on, then remove it and what it left."""
        ...


@runtime_checkable
class Prunes(Protocol):
    """Optional capability of a `Runtime` whose engine keeps each run until somebody deletes it."""

    kept_runs: int
    """How many runs of a pipeline are kept unless somebody says otherwise."""

    def prune(self, pipeline: str, keep: int) -> tuple[str, ...]:
        """Delete runs of a pipeline that have ended, but for its newest `keep` runs.

        Return the names of those deleted.
        """
        ...


class Backend(Protocol):
    """Translates plans for one engine and connects to it."""

    name: str

    def check(self, plan: Plan) -> tuple[Problem, ...]:
        """Return what this engine can't express or does otherwise; nothing is dropped silently.

        Problems of severity ``error`` forbid to compile; the others are told.
        """
        ...

    def compile(self, plan: Plan, run_name: str | None) -> Compiled:
        """Return the documents of a run. Pure: the same input gives the same documents."""
        ...

    def runtime(self, cluster: ClusterFactory) -> Runtime:
        """Return a connection; nothing is contacted before it is used."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    """Which version of an engine a cluster has, as far as it can be told."""

    text: str
    """Such as ``v4.0.5``, or ``at least v3.6``."""
    found_in: str
    """Where it stands, for people: ``Deployment argo/workflow-controller``."""
    supported: bool
    remedy: str = ""
    """What to do when it is not supported."""


@runtime_checkable
class InCluster(Protocol):
    """Optional capability of a `Backend`: its engine runs in a Kubernetes cluster."""

    name: str
    title: str
    """What the engine calls itself."""
    oldest: str
    """The first version that takes our documents."""
    needs: Needs

    def installed(self, cluster: Cluster) -> EngineVersion | None:
        """Return the version that the cluster has; None when nothing there tells.

        Asks with the rights of an ordinary user of one namespace; what is forbidden is left.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A connection through an engine's own server, in place of the cluster's API."""

    runtime: Runtime
    address: str
    """Of the server, for people."""
    namespace: str


@runtime_checkable
class HasServer(Protocol):
    """Optional capability of a `Backend`: its engine has a server that can stand for the cluster.

    Through it runs are submitted, followed and ended without a kubeconfig.
    """

    def served(self, namespace: str | None) -> Served | None:
        """Return the connection, if the environment asks for it; nothing is contacted yet.

        `namespace` is the one that the user or the file names, if any. Raises EngineError when
        none is known.
        """
        ...


def errors_of(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return the problems that forbid to go on."""
    return tuple(problem for problem in problems if problem.severity == "error")
