"""How a kubelet stores and serves logs (cri-client ``pkg/logs/logs.go`` of Kubernetes 1.35)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

_START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file on the node: a line of the container, or a part of a long one."""

    nanos: int
    text: bytes
    partial: bool = False

    @property
    def content(self) -> bytes:
        return self.text if self.partial else self.text + b"\n"


def stamp(nanos: int) -> str:
    moment = _START + timedelta(seconds=nanos // 10**9)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos % 10**9:09d}Z"


def written(entries: Sequence[Entry]) -> bytes:
    """What the container wrote."""
    return b"".join(entry.content for entry in entries)


def served(entries: Sequence[Entry], since: str | None) -> bytes:
    """What comes with ``timestamps=true``; `since` has whole seconds, as the API passes it on."""
    out, at_head = [], True
    for entry in entries:
        if since is not None and stamp(entry.nanos)[:19] < since[:19]:
            continue
        if at_head:
            out.append(stamp(entry.nanos).encode() + b" ")
        out.append(entry.content)
        at_head = not entry.content or entry.content.endswith(b"\n")
    return b"".join(out)
