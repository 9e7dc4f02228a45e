"""The use cases behind the commands, without printing."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bodywork_argo.backend import (
    Backend,
    Compiled,
    LogPiece,
    Phase,
    RunRef,
    RunStatus,
    Runtime,
    errors_of,
)
from bodywork_argo.cluster import Cluster
from bodywork_argo.errors import (
    BodyworkArgoError,
    EngineError,
    Problem,
    UnsupportedError,
    UsageError,
)
from bodywork_argo.loader import Loaded, Location, load
from bodywork_argo.names import dns_label
from bodywork_argo.plan import Plan
from bodywork_argo.planner import PlanOptions, make_plan

RUN_NAME_LIMIT = 52
"""Leaves room for what engines append to a run's name for its pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and the file that it was made from."""

    plan: Plan
    loaded: Loaded


def plan_location(location: Location, options: PlanOptions) -> Planned:
    """Load a location and plan it. Raises what `load` raises."""
    loaded = load(location)
    return Planned(plan=make_plan(loaded.parsed.project, loaded.source, options), loaded=loaded)


def compile_for(
    backend: Backend, planned: Planned, run_name: str | None
) -> tuple[Compiled, tuple[Problem, ...]]:
    """Return an engine's documents of a plan, and what that engine does otherwise.

    Raises:
        UsageError: the run's name can't be one.
        UnsupportedError: with everything that the engine can't express.
    """
    if run_name is not None and dns_label(run_name) != run_name:
        raise UsageError(
            f"'{run_name}' can't name a run: use at most 63 small letters, digits and dashes, "
            f"such as {dns_label(run_name)}"
        )
    problems = checked_by(backend, planned)
    return backend.compile(planned.plan, run_name), problems


def checked_by(backend: Backend, planned: Planned) -> tuple[Problem, ...]:
    """Return what an engine does otherwise. Raises UnsupportedError with all it can't express."""
    problems = placed(backend.check(planned.plan), planned.loaded)
    if refused := errors_of(problems):
        raise UnsupportedError(refused)
    return problems


def placed(problems: Iterable[Problem], loaded: Loaded) -> tuple[Problem, ...]:
    """Return the problems with the file and the line that their keys stand in.

    One that has a place already, such as a cluster, is no problem of the file.
    """
    lines = loaded.parsed.lines
    return tuple(
        problem if problem.file else problem.at(loaded.label, _line(problem.key, lines))
        for problem in problems
    )


def run_name(plan: Plan, suffix: str) -> str:
    """Return the name of a run: the pipeline's and a suffix that makes it unique.

    >>> from bodywork_argo.plan import Parameter, Source
    >>> run_name(Plan(pipeline="shop", name="shop", source=Source(revision=Parameter()),
    ...               steps=()), "k3x9q")
    'shop-k3x9q'
    """
    return f"{dns_label(plan.name, RUN_NAME_LIMIT - len(suffix) - 1)}-{suffix}"


class Observer(Protocol):
    """Is told how a run goes; `log` is called from another thread than the rest."""

    def started(self, ref: RunRef) -> None:
        """The engine has taken the run."""
        ...

    def status(self, status: RunStatus) -> None:
        """Something has changed."""
        ...

    def log(self, piece: LogPiece) -> None:
        """A stage has written something."""
        ...

    def serving(self) -> None:
        """The run has ended well and its services stay up until Ctrl-C."""
        ...

    def ending(self) -> None:
        """Ctrl-C was pressed; everything is being ended."""
        ...

    def ended(self, status: RunStatus) -> None:
        """The run has ended, and all that its stages wrote has been told."""
        ...


def run_attached(
    runtime: Runtime, compiled: Compiled, observer: Observer, *, keep_services: bool = False
) -> RunStatus:
    """Start a run, tell the observer everything of it and return its final status.

    For engines whose runs end with the process that started them. KeyboardInterrupt ends the run
    and is raised again when no process of it is left; pressed again, it does not wait for grace.
    When only kept services are up it is the ordinary way to end them, and not raised.
    """
    ref = runtime.submit(compiled)
    follower = _LogFollower(runtime, ref, observer)
    observer.started(ref)
    status = runtime.status(ref)
    try:
        for status in runtime.watch(ref):
            observer.status(status)
        if keep_services and status.phase is Phase.SUCCEEDED:
            observer.serving()
        follower.wait()
    except KeyboardInterrupt:
        observer.ending()
        _end(runtime, ref, follower)
        if not status.phase.final:
            observer.ended(runtime.status(ref))
            follower.wait()  # raises what it was that interrupted us, if not the user
            raise
    observer.ended(status)
    return status


def no_cluster() -> Cluster:
    """Stand for the cluster where none is to be contacted."""
    raise EngineError("this backend needs a cluster, and this command connects to none")


def _end(runtime: Runtime, ref: RunRef, follower: _LogFollower) -> None:
    runtime.terminate(ref)
    while True:
        try:
            follower.join()
            for _ in runtime.watch(ref):  # the logs may have ended early
                pass
        except KeyboardInterrupt:
            runtime.terminate(ref)
        else:
            return


class _LogFollower:
    """Passes a run's logs on, in a thread, from its first byte to its last."""

    def __init__(self, runtime: Runtime, ref: RunRef, observer: Observer) -> None:
        self._runtime = runtime
        self._ref = ref
        self._observer = observer
        self._error: BodyworkArgoError | OSError | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the logs have ended."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.2)  # in pieces, so that Ctrl-C gets through

    def wait(self) -> None:
        """Wait until the logs have ended; raises what ended them early."""
        self.join()
        if self._error is not None:
            raise self._error

    def _follow(self) -> None:
        try:
            for piece in self._runtime.logs(self._ref, follow=True):
                self._observer.log(piece)
        except BodyworkArgoError as error:
            self._error = error
        except OSError as error:  # nobody reads our output any more: the run ends, as by Ctrl-C
            self._error = error
            _thread.interrupt_main()


def _line(key: str, lines: Mapping[str, int]) -> int:
    """Return the line of a key, or of the nearest key around it."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key, 0)
