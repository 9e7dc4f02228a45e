"""A fake engine, for tests of what uses engines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone

from bodywork_argo.backend import (
    Compiled,
    LogPiece,
    Phase,
    RunRef,
    RunStatus,
    Runtime,
    StageStatus,
)
from bodywork_argo.cluster import ClusterFactory
from bodywork_argo.errors import EngineError, Problem
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan, to_document


class InstantBackend:
    """A fake engine in which every stage ends at once, well unless it is among `failing`."""

    name = "instant"

    def __init__(self, failing: frozenset[str] = frozenset()) -> None:
        self.engine = InstantRuntime(failing)

    def check(self, plan: Plan) -> tuple[Problem, ...]:
        """Support everything."""
        return ()

    def compile(self, plan: Plan, run_name: str | None) -> Compiled:
        """Return the plan itself as a document."""
        named = {"name": run_name} if run_name else {"generateName": f"{plan.name}-"}
        document = {"kind": "InstantRun", "metadata": named, "plan": to_document(plan)}
        return Compiled(backend=self.name, run_name=run_name, documents=(document,))

    def runtime(self, cluster: ClusterFactory) -> Runtime:
        """Return the one engine of this backend."""
        return self.engine


class InstantRuntime:
    """The engine of `InstantBackend`; `submitted` keeps what was sent."""

    attached = True

    def __init__(self, failing: frozenset[str]) -> None:
        self.submitted: list[Compiled] = []
        self._failing = failing
        self._runs: dict[str, RunStatus] = {}
        self._numbers = itertools.count(1)

    def submit(self, compiled: Compiled) -> RunRef:
        """Run everything at once."""
        self.submitted.append(compiled)
        (document,) = compiled.documents
        name = compiled.run_name or f"{document['metadata']['generateName']}{next(self._numbers)}"
        self._runs[name] = self._outcome(RunRef(backend="instant", name=name), document["plan"])
        return self._runs[name].ref

    def status(self, ref: RunRef) -> RunStatus:
        """Return how the run has ended."""
        if ref.name not in self._runs:
            raise EngineError(f"there is no run {ref.name}")
        return self._runs[ref.name]

    def list(self, pipeline: str | None = None) -> tuple[RunStatus, ...]:
        """Return the runs, newest first."""
        runs = [replace(status, stages=()) for status in reversed(self._runs.values())]
        return tuple(status for status in runs if pipeline in (None, status.pipeline))

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        """Yield the only status there is."""
        yield self.status(ref)

    def logs(
        self, ref: RunRef, stage: str | None = None, *, follow: bool = False
    ) -> Iterator[LogPiece]:
        """Yield one line for each stage that ran."""
        for status in self.status(ref).stages:
            if status.attempt and stage in (None, status.stage):
                yield LogPiece(stage=status.stage, attempt=1, data=b"ran\n")

    def stop(self, ref: RunRef) -> None:
        """Leave the run, which has ended."""
        self.status(ref)

    def terminate(self, ref: RunRef) -> None:
        """Leave the run, which has ended."""
        self.status(ref)

    def delete(self, ref: RunRef) -> None:
        """Forget the run."""
        self.status(ref)
        del self._runs[ref.name]

    def _outcome(self, ref: RunRef, plan: Manifest) -> RunStatus:
        now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        stages, good = [], True
        for step in plan["steps"]:
            names = [task["stage"] for task in step["tasks"]]
            stages += [self._stage(name, ran=good) for name in names]
            good = good and not self._failing & set(names)
        phase = Phase.SUCCEEDED if good else Phase.FAILED
        return RunStatus(
            ref=ref,
            pipeline=plan["pipeline"],
            phase=phase,
            started=now,
            finished=now,
            stages=tuple(stages),
        )

    def _stage(self, name: str, *, ran: bool) -> StageStatus:
        if not ran:
            return StageStatus(stage=name, task=name, phase=Phase.SKIPPED)
        failed = name in self._failing
        return StageStatus(
            stage=name,
            task=name,
            phase=Phase.FAILED if failed else Phase.SUCCEEDED,
            attempt=1,
            exit_code=int(failed),
        )
