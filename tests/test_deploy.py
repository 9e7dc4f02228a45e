from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bodywork_argo import deploy
from bodywork_argo.backend import LogPiece, Phase, RunRef, RunStatus
from bodywork_argo.errors import EngineError, Problem, UnsupportedError
from bodywork_argo.fakes import InstantBackend, InstantRuntime
from bodywork_argo.loader import Loaded
from bodywork_argo.plan import Plan
from bodywork_argo.schema import parse_project
from tests.files import bodywork_yaml
from tests.projects import PINNED, batch, plan_of


class Diary:
    """An observer that notes what it is told; `log` comes from another thread."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.logs: list[bytes] = []

    def started(self, ref: RunRef) -> None:
        self.events.append(f"started {ref.name}")

    def status(self, status: RunStatus) -> None:
        self.events.append(status.phase.value)

    def log(self, piece: LogPiece) -> None:
        self.logs.append(piece.data)

    def serving(self) -> None:
        self.events.append("serving")

    def ending(self) -> None:
        self.events.append("ending")

    def ended(self, status: RunStatus) -> None:
        self.events.append(f"ended {status.phase.value}")


def planned(plan: Plan) -> deploy.Planned:
    parsed = parse_project(bodywork_yaml())
    loaded = Loaded(parsed=parsed, source=PINNED, notes=(), label="bodywork.yaml")
    return deploy.Planned(plan=plan, loaded=loaded)


ONE = plan_of("a", batch("a"))


def test_everything_of_a_run_is_told_in_order() -> None:
    backend, diary = InstantBackend(), Diary()
    status = deploy.run_attached(backend.engine, backend.compile(ONE, "r-1"), diary)
    assert status.phase is Phase.SUCCEEDED
    assert diary.events == ["started r-1", "succeeded", "ended succeeded"]
    assert diary.logs == [b"ran\n"]


def test_a_failed_run_is_returned_as_failed() -> None:
    backend = InstantBackend(frozenset({"a"}))
    plan = plan_of("a >> b", batch("a"), batch("b"))
    status = deploy.run_attached(backend.engine, backend.compile(plan, "r-1"), Diary())
    assert status.phase is Phase.FAILED
    assert [stage.phase for stage in status.stages] == [Phase.FAILED, Phase.SKIPPED]


class InterruptedRuntime(InstantRuntime):
    """Ctrl-C comes while its runs go on; pressed again while they are being ended."""

    def __init__(self) -> None:
        super().__init__(frozenset())
        self.terminated = threading.Semaphore(0)
        self.calls = 0

    def status(self, ref: RunRef) -> RunStatus:
        phase = Phase.STOPPED if self.calls else Phase.RUNNING
        return replace(super().status(ref), phase=phase)

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        yield self.status(ref)
        if not self.calls:
            raise KeyboardInterrupt

    def logs(
        self, ref: RunRef, stage: str | None = None, *, follow: bool = False
    ) -> Iterator[LogPiece]:
        assert self.terminated.acquire(timeout=10)
        yield LogPiece(stage="a", attempt=1, data=b"last words\n")

    def terminate(self, ref: RunRef) -> None:
        self.calls += 1
        self.terminated.release()


def test_ctrl_c_terminates_the_run_and_is_passed_on() -> None:
    runtime, diary = InterruptedRuntime(), Diary()
    with pytest.raises(KeyboardInterrupt):
        deploy.run_attached(runtime, InstantBackend().compile(ONE, "r-1"), diary)
    assert runtime.calls == 1
    assert diary.logs == [b"last words\n"]
    assert diary.events == ["started r-1", "running", "ending", "ended stopped"]


class ServingRuntime(InterruptedRuntime):
    """Its runs have ended well, their services go on; Ctrl-C comes when they serve."""

    def status(self, ref: RunRef) -> RunStatus:
        return replace(super().status(ref), phase=Phase.SUCCEEDED)

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        yield self.status(ref)


class ImpatientDiary(Diary):
    """Presses Ctrl-C as soon as services are up."""

    def serving(self) -> None:
        super().serving()
        raise KeyboardInterrupt


def test_ctrl_c_is_the_ordinary_way_to_end_kept_services() -> None:
    runtime, diary = ServingRuntime(), ImpatientDiary()
    compiled = InstantBackend().compile(ONE, "r-1")
    status = deploy.run_attached(runtime, compiled, diary, keep_services=True)
    assert status.phase is Phase.SUCCEEDED
    assert diary.events == ["started r-1", "succeeded", "serving", "ending", "ended succeeded"]


class SilentRuntime(InstantRuntime):
    """Its logs can't be read."""

    def logs(
        self, ref: RunRef, stage: str | None = None, *, follow: bool = False
    ) -> Iterator[LogPiece]:
        raise EngineError("no logs")


def test_an_error_of_the_logs_is_not_lost() -> None:
    with pytest.raises(EngineError, match="no logs"):
        deploy.run_attached(
            SilentRuntime(frozenset()), InstantBackend().compile(ONE, "r-1"), Diary()
        )


class PickyBackend(InstantBackend):
    """Refuses one key and tells of another."""

    def check(self, plan: Plan) -> tuple[Problem, ...]:
        return (
            Problem(key="stages.a.batch.retries", what="is too brave"),
            Problem(key="stages.s.unknown.key", what="is odd", severity="note"),
            Problem(key="", what="is fine", severity="note"),
        )


def test_what_a_backend_refuses_is_placed_in_the_file() -> None:
    with pytest.raises(UnsupportedError) as caught:
        deploy.compile_for(PickyBackend(), planned(ONE), None)
    assert str(caught.value) == "bodywork.yaml:13: stages.a.batch.retries: is too brave"
    placed = deploy.placed(PickyBackend().check(ONE), planned(ONE).loaded)
    assert [problem.line for problem in placed] == [13, 21, 0]


def test_what_a_backend_tells_comes_with_the_documents() -> None:
    compiled, problems = deploy.compile_for(InstantBackend(), planned(ONE), "r-1")
    assert (compiled.run_name, problems) == ("r-1", ())


def test_a_run_name_leaves_room_for_what_engines_append() -> None:
    plan = plan_of("a", batch("a"))
    assert deploy.run_name(plan, "abc123") == "shop-abc123"
    long = deploy.run_name(Plan(pipeline="p", name="p" * 63, source=PINNED, steps=()), "abc123")
    assert len(long) <= deploy.RUN_NAME_LIMIT
    assert long.endswith("-abc123")


def test_a_command_without_a_cluster_says_so() -> None:
    with pytest.raises(EngineError, match="needs a cluster"):
        deploy.no_cluster()
