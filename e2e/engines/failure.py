"""The one error of this package, and how it reads."""

from __future__ import annotations

from pathlib import Path

LAST_LINES = 25


class EngineError(Exception):
    """Something an engine needs is missing or failed.

    `str()` gives what failed and, where a log tells more, the log's last lines.
    """

    def __init__(self, message: str, *, log: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.log = log

    def __str__(self) -> str:
        if self.log is None:
            return self.message
        return f"{self.message}\n--- last lines of {self.log}\n{tail(self.log)}"


def tail(path: Path, lines: int = LAST_LINES) -> str:
    """Give the last lines of a log, or say that there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - lines * 400))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"
