"""Waiting for runs that go on without us."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bodywork_argo.backend import Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.cli import main
from bodywork_argo.cli.submitting import prune, wait_for
from bodywork_argo.errors import EngineError, Interrupted
from bodywork_argo.fakes import InstantRuntime
from bodywork_argo.follow import Patience
from bodywork_argo.terminal import Terminal


class Going(InstantRuntime):
    """Has one run, which goes on, in a namespace that only the engine tells."""

    def watch(self, ref: RunRef) -> Iterator[RunStatus]:
        found = replace(ref, namespace="team")
        stage = StageStatus(stage="train", task="train", phase=Phase.RUNNING, attempt=1)
        yield RunStatus(ref=found, pipeline="shop", phase=Phase.RUNNING, stages=(stage,))


class Screen(io.StringIO):
    """Ctrl-C is pressed when somebody reads there that a stage runs."""

    def write(self, text: str) -> int:
        if "running" in text:
            raise KeyboardInterrupt
        return super().write(text)


@pytest.mark.parametrize(
    ("backend", "words"), [("argo", ""), ("tekton", "--backend tekton ")], ids=["argo", "tekton"]
)
def test_ctrl_c_tells_how_to_come_back_to_the_run(backend: str, words: str) -> None:
    ref = RunRef(backend=backend, name="shop-1")

    with pytest.raises(Interrupted) as raised:
        wait_for(Terminal(io.StringIO(), Screen()), Going(frozenset()), ref, Patience(), show=False)

    told = f"run shop-1 goes on: `bodywork-argo watch shop-1 {words}-n team`"
    assert str(raised.value) == told


# --- Old runs -------------------------------------------------------------------------------------


class Keeping(InstantRuntime):
    """Keeps runs until somebody deletes them; three of them are old."""

    kept_runs = 2
    old = ("shop-3", "shop-2", "shop-1")

    def prune(self, pipeline: str, keep: int) -> tuple[str, ...]:
        if pipeline == "forbidden":
            raise EngineError("you may not")
        return self.old[keep:]


@pytest.mark.parametrize(
    ("pipeline", "keep", "told"),
    [
        ("shop", None, "deleted old runs: shop-1\n"),
        ("shop", 1, "deleted old runs: shop-2, shop-1\n"),
        ("shop", 3, ""),
        ("forbidden", None, "old runs could not be deleted: you may not\n"),
    ],
)
def test_old_runs_go_where_the_engine_keeps_them(
    pipeline: str, keep: int | None, told: str
) -> None:
    screen = io.StringIO()
    prune(Terminal(io.StringIO(), screen), Keeping(frozenset()), pipeline, keep)
    assert screen.getvalue() == told


def test_an_engine_that_removes_runs_by_itself_is_left_to_it() -> None:
    screen = io.StringIO()
    prune(Terminal(io.StringIO(), screen), InstantRuntime(frozenset()), "shop", None)
    assert screen.getvalue() == ""


def test_a_number_of_runs_to_keep_is_refused_where_it_means_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["submit", "https://git.example/x.git", "--keep", "3"]) == 2
    assert "--keep is of no use with --backend argo" in capsys.readouterr().err
