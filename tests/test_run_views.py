"""How runs look while they go on."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timezone

from rich.console import Console

from bodywork_argo.backend import LogPiece, Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.run_views import ChangePrinter, LiveTable, LogWriter, status_document
from bodywork_argo.terminal import Terminal

REF = RunRef(backend="argo", name="r-1", namespace="team")


def written(pieces: list[LogPiece], *, prefixed: bool) -> bytes:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8")
    writer = LogWriter(Terminal(out, io.StringIO()), prefixed=prefixed)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    return raw.getvalue()


def piece(stage: str, data: bytes, attempt: int = 1) -> LogPiece:
    return LogPiece(stage=stage, attempt=attempt, data=data)


def status(*stages: StageStatus) -> RunStatus:
    return RunStatus(ref=REF, pipeline="p", phase=Phase.RUNNING, stages=stages)


def test_of_one_stage_its_very_bytes_are_written() -> None:
    pieces = [piece("a", b"1 %\r2 %\r"), piece("a", b"\xff\x00no newline")]
    assert written(pieces, prefixed=False) == b"1 %\r2 %\r\xff\x00no newline"


def test_of_several_stages_each_whole_line_has_its_stage_in_front() -> None:
    pieces = [piece("a", b"on"), piece("b", b"two\n"), piece("a", b"e\nth"), piece("a", b"x", 2)]
    assert written(pieces, prefixed=True) == b"b | two\na | one\na | th\na | x\n"


def test_a_change_of_a_stage_is_one_line_and_told_once() -> None:
    err = io.StringIO()
    tell = ChangePrinter(Terminal(io.StringIO(), err))
    failed = StageStatus(stage="a", task="a", phase=Phase.FAILED, attempt=2, reason="exit code 3")
    tell(status(StageStatus(stage="a", task="a", phase=Phase.PENDING)))
    tell(status(failed))
    tell(status(failed))
    assert err.getvalue() == "a: failed (attempt 2): exit code 3\n"


def test_why_a_run_waits_is_one_line_and_told_once() -> None:
    err = io.StringIO()
    tell = ChangePrinter(Terminal(io.StringIO(), err))
    waiting = replace(status(), phase=Phase.PENDING, reason="run first goes on")
    tell(replace(waiting, reason=""))
    tell(waiting)
    tell(waiting)
    tell(status())
    assert err.getvalue() == "run r-1 waits: run first goes on\n"


def test_why_a_run_waits_stands_below_the_live_table() -> None:
    terminal = Terminal(io.StringIO(), io.StringIO())
    drawn = LiveTable(terminal, lambda: datetime(2026, 1, 1, tzinfo=timezone.utc))
    drawn(replace(status(), phase=Phase.PENDING, reason="run first goes on"))
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as seen:
        console.print(drawn.drawing())
    assert seen.get().splitlines()[-1] == "run r-1 waits: run first goes on"


def test_a_status_is_plain_data_for_programs() -> None:
    started = datetime(2026, 1, 1, tzinfo=timezone.utc)
    stage = StageStatus(stage="a_1", task="a-1", phase=Phase.RUNNING, attempt=1, started=started)
    document = status_document(status(stage))
    assert (document["run"], document["namespace"], document["phase"]) == ("r-1", "team", "running")
    assert document["stages"] == [
        {
            "stage": "a_1",
            "task": "a-1",
            "attempt": 1,
            "exit_code": None,
            "phase": "running",
            "started": "2026-01-01T00:00:00+00:00",
            "finished": None,
            "reason": None,
        }
    ]
