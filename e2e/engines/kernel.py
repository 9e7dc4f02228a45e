"""Kernel settings that the engines change, kept aside so that `down` puts them back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

ROOT = Path("/proc/sys")
# The first is ours; the kubelet sets the others when it starts.
SETTINGS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def save(file: Path) -> None:
    """Write the settings down, unless an earlier `up` did."""
    if file.exists():
        return
    values = {name: (ROOT / name).read_text(encoding="ascii").strip() for name in SETTINGS}
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(values, indent=1), encoding="ascii")
    partial.rename(file)


def restore(file: Path) -> None:
    """Put the saved settings back; none saved is no error."""
    if not file.exists():
        return
    values: Mapping[str, str] = json.loads(file.read_text(encoding="ascii"))
    for name, value in values.items():
        path = ROOT / name
        if path.read_text(encoding="ascii").strip() != value:
            path.write_text(f"{value}\n", encoding="ascii")
    file.unlink()
