"""Put this very process on record, then turn into an engine.

Run as a program: `launch.py RECORD NAME FINGERPRINT COMMAND...`. Whoever starts an engine may be
killed at any moment; this way there is none in which the engine runs and no record tells of it.
It stands alone, so that it starts without the site packages.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def start_time(pid: int) -> str | None:
    """Give the boot and the tick in which a process started, or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else f"{boot}/{fields[19]}"


def main(arguments: list[str]) -> None:
    """Write the record and become the command; its pid and start time stay the same."""
    path, name, fingerprint, *command = arguments
    pid = os.getpid()
    fields = {"name": name, "pid": pid, "started": start_time(pid), "fingerprint": fingerprint}
    partial = Path(f"{path}.partial")
    partial.write_text(json.dumps(fields), encoding="utf-8")
    partial.rename(path)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
