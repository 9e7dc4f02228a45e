"""Where in a container's log we are, so that another connection can go on exactly there.

A log is asked for with timestamps. The kubelet puts one before each line, and only there: a long
line, which it stores in parts, has one (cri-client ``pkg/logs``, `logWriter.write`). Another
connection starts at an earlier second (the API drops fractions), and what was seen is left out:
lines are told apart by their timestamps, and among equal ones by their number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

_STAMP = re.compile(
    rb"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d:\d\d)"
)
_LONGEST_STAMP = 36
_REMEMBERED = 64
_ALL = 2**63


@dataclass(slots=True)
class Seen:
    """The last lines that were seen: how many at each time, and how much of the very last."""

    lines: dict[bytes, int] = field(default_factory=dict)
    last: bytes = b""
    written: int = 0

    @property
    def since(self) -> str | None:
        """The second from which to ask for more; None for the start.

        All lines from there on are remembered, save those at the first time.
        """
        if len(self.lines) < 2:
            return None
        stamp = _STAMP.fullmatch(min(self.lines, key=_moment))
        assert stamp is not None
        return (stamp["second"] + stamp["zone"]).decode()

    def begin(self, stamp: bytes) -> None:
        """Remember that a line of this time begins."""
        self.lines[stamp] = self.lines.get(stamp, 0) + 1
        self.last, self.written = stamp, 0
        if len(self.lines) > _REMEMBERED:
            del self.lines[next(iter(self.lines))]


class Reading:
    """One connection's bytes, without timestamps and without what was seen before.

    `alien` is what the server wrote where a timestamp has to be: its own words, not the
    container's. Nothing is read after that.
    """

    def __init__(self, seen: Seen) -> None:
        self.alien = b""
        self._seen = seen
        self._newest = max(map(_moment, seen.lines)) if seen.lines else None
        # Lines at the first time may have parts of an older line before them, with that same
        # time, so they are not counted: they are left out as long as nothing was recognised.
        known = list(seen.lines.items())
        self._expected = dict(known[1:] if len(known) > 1 else known)
        self._held = b""
        self._at_head = True
        self._drop = 0

    @property
    def whole(self) -> bool:
        """Whether the connection did not end within a timestamp."""
        return not self._held and not self.alien

    def feed(self, chunk: bytes) -> bytes:
        """Return what is new in the next bytes."""
        data, at, new = self._held + chunk, 0, []
        self._held = b""
        while at < len(data) and not self.alien:
            if self._at_head:
                at = self._read_head(data, at)
                if self._at_head:
                    break
            newline = data.find(b"\n", at)
            end = len(data) if newline < 0 else newline + 1
            new.append(self._unseen(data[at:end]))
            at, self._at_head = end, newline >= 0
        return b"".join(new)

    def _read_head(self, data: bytes, at: int) -> int:
        """Take a timestamp and return where the line's text starts, or hold what there is."""
        space = data.find(b" ", at, at + _LONGEST_STAMP)
        if space < 0 and len(data) - at < _LONGEST_STAMP:
            self._held = data[at:]
        elif space < 0 or not _STAMP.fullmatch(data, at, space):
            self.alien = data[at:]
        else:
            self._begin(data[at:space])
            self._at_head = False
            return space + 1
        return at

    def _begin(self, stamp: bytes) -> None:
        expected = self._expected.get(stamp, 0)
        if expected:
            self._newest = None
            self._expected[stamp] = expected - 1
            very_last = expected == 1 and stamp == self._seen.last
            self._drop = self._seen.written if very_last else _ALL
        elif self._newest is not None and _moment(stamp) <= self._newest:
            self._drop = _ALL
        else:
            self._seen.begin(stamp)
            self._drop = 0

    def _unseen(self, text: bytes) -> bytes:
        dropped = min(self._drop, len(text))
        self._drop -= dropped
        self._seen.written += len(text) - dropped
        return text[dropped:]


def _moment(stamp: bytes) -> tuple[datetime, int]:
    parts = _STAMP.fullmatch(stamp)
    assert parts is not None
    zone = "+00:00" if parts["zone"] == b"Z" else parts["zone"].decode()
    second = datetime.fromisoformat(parts["second"].decode() + zone)
    return second, int((parts["fraction"] or b"0").ljust(9, b"0"))
