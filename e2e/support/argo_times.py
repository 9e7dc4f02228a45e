"""What Argo's controller makes of cron expressions: a Go program with its very calls answers.

`python3 -m e2e.support.argo_times` records the answers that the unit tests compare with.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

SOURCES = Path(__file__).parent / "crontimes"
RECORDED = Path(__file__).parents[2] / "tests" / "timetable" / "argo-times.tsv"
RESYNC = "20m"
AROUND = timedelta(hours=36)

# Changes of the clocks, forward and back, in UTC; where there are none, any two moments.
CHANGES = {
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "America/New_York": ("2027-03-14T07:00", "2026-11-01T06:00"),
    "America/St_Johns": ("2027-03-14T05:30", "2026-11-01T04:30"),
    "Australia/Lord_Howe": ("2026-10-03T15:30", "2027-04-03T15:00"),
    "Africa/Casablanca": ("2026-03-22T02:00", "2026-02-15T02:00"),
    "America/Sao_Paulo": ("2018-11-04T03:00", "2019-02-17T02:00"),
    # Not the day that was left out in 2011: there the controller's search never ends.
    "Pacific/Apia": ("2020-09-26T14:00", "2021-04-03T14:00"),
    "Asia/Kolkata": ("2026-02-28T12:00", "2026-12-31T18:30"),
    "Asia/Kathmandu": ("2026-02-28T12:00", "2026-12-31T18:15"),
    "UTC": ("2028-02-28T12:00", "2026-12-31T23:59"),
    "": ("2026-06-30T12:00",),
}
EXPRESSIONS = (
    "@daily",
    "@hourly",
    "@monthly",
    "@weekly",
    "@yearly",
    "*/30 * * * *",
    "0 0 * * *",
    "30 0 * * *",
    "15 1 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "20-40/7 1-3 * * *",
    "0 5 * * 0",
    "59 23 * * 6",
    "0 12 * * 1-5",
    "0 6 1 * 1",
    "0 6 */2 * *",
    "0 6 */2 * 1",
    "0 6 * * */2",
    "45 */6 29-31 * *",
    "10 4,16 ? 1-3,9-12 ?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """When does this run, from `first` to `last`? An empty zone is the controller's own."""

    zone: str
    expression: str
    first: datetime
    last: datetime

    @property
    def line(self) -> str:
        """The question as the program reads it."""
        bounds = (f"{moment.timestamp():.0f}" for moment in (self.first, self.last))
        return "\t".join([self.zone, self.expression, *bounds])


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The controller doesn't take the expression, for this reason."""

    reason: str


Answer = Refused | list[datetime]


def build(folder: Path) -> Path:
    """Build the program with the `go` on the path."""
    program = folder / "crontimes"
    command = ["go", "build", "-buildvcs=false", "-o", str(program), "."]
    subprocess.run(command, cwd=SOURCES, check=True, timeout=300)
    return program


def ask(program: Path, questions: Sequence[Question], resync: str = RESYNC) -> list[Answer]:
    """Return the answers in the order of the questions; times are in UTC."""
    lines = "".join(f"{question.line}\n" for question in questions)
    done = subprocess.run(
        [str(program), "-resync", resync],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [_answer(line) for line in done.stdout.splitlines()]


def _answer(line: str) -> Answer:
    if line.startswith("refused: "):
        return Refused(reason=line.removeprefix("refused: "))
    return [datetime.fromtimestamp(int(second), timezone.utc) for second in line.split()]


def recorded_questions() -> list[Question]:
    """Return what is recorded: each expression around each change of each zone."""
    return [
        Question(zone=zone, expression=expression, first=change - AROUND, last=change + AROUND)
        for zone, changes in CHANGES.items()
        for change in (datetime.fromisoformat(f"{text}+00:00") for text in changes)
        for expression in EXPRESSIONS
    ]


def record(program: Path) -> str:
    """Return the text of the recorded file: zone, change, expression, and minutes from there."""
    questions = recorded_questions()
    lines = []
    for question, answer in zip(questions, ask(program, questions), strict=True):
        assert isinstance(answer, list)
        change = question.first + AROUND
        minutes = (f"{(time - change) // timedelta(minutes=1)}" for time in answer)
        words = [question.zone, f"{change:%Y-%m-%dT%H:%M}", question.expression, " ".join(minutes)]
        lines.append("\t".join(words))
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.stdout.write(record(build(Path(place))))
