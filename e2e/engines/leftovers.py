"""Find and undo what the engines leave on the machine: processes, mounts, groups, interfaces."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from e2e.engines import kernel, network
from e2e.engines.failure import EngineError
from e2e.engines.launch import start_time
from e2e.engines.places import NAME, Places
from e2e.engines.processes import Processes

CGROUPS = Path("/sys/fs/cgroup")
CNI_CACHE = Path("/var/lib/cni/results")
SHIM_SOCKETS = Path("/run/containerd/s")
POD_LINKS = Path("/var/log/containers")
# What makes the next `up` fast (the images), and what tells about the last one (the logs).
KEPT = ("containerd", "images.json", "logs")


def control_groups() -> list[Path]:
    """Give our groups in every hierarchy, the deepest first."""
    tops = [CGROUPS / NAME, *CGROUPS.glob(f"*/{NAME}")]
    found = [Path(folder) for top in tops for folder, _, _ in os.walk(top)]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def make_control_groups() -> None:
    """Make the groups that the kubelet puts pods under."""
    controllers = CGROUPS / "cgroup.controllers"
    if controllers.exists():
        enabled = " ".join(f"+{name}" for name in controllers.read_text().split())
        (CGROUPS / "cgroup.subtree_control").write_text(enabled)
        (CGROUPS / NAME).mkdir(exist_ok=True)
        return
    for hierarchy in CGROUPS.iterdir():
        if hierarchy.is_dir() and not hierarchy.is_symlink():
            (hierarchy / NAME).mkdir(exist_ok=True)


def container_processes() -> set[int]:
    """Give the processes in the pods' groups; nothing but our pods is ever in there."""
    found: set[int] = set()
    for group in control_groups():
        try:
            found.update(int(pid) for pid in (group / "cgroup.procs").read_text().split())
        except (FileNotFoundError, OSError):
            continue
    return {pid for pid in found if start_time(pid) is not None}


def shims(places: Places) -> set[int]:
    """Give containerd's shims that were started for our socket, which outlive containerd."""
    address = str(places.containerd_socket).encode()
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if Path(os.fsdecode(words[0])).name.startswith("containerd-shim") and address in words:
            found.add(int(path.parent.name))
    return found


def engine_processes(places: Places) -> list[str]:
    """Name what still runs of ours."""
    records = Processes(places).records().values()
    recorded = [f"{record.name} ({record.pid})" for record in records if record.alive]
    return recorded + [f"pid {pid}" for pid in sorted(container_processes() | shims(places))]


def mounts(places: Places) -> list[str]:
    """Give the mount points below our folders, the deepest first."""
    tops = (f"{places.run}/", f"{places.data}/")
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return sorted((point for point in points if point.startswith(tops)), reverse=True)


def leftovers(places: Places) -> dict[str, list[str]]:
    """Give everything of ours on this machine, by kind; all empty after `down`."""
    return {
        "process": engine_processes(places),
        "mount": mounts(places),
        "interface": network.interfaces(),
        "route": network.routes(),
        "nft table": network.tables(),
        "control group": [str(path) for path in control_groups()],
        "folder": [str(places.run)] if places.run.exists() else [],
    }


def end_containers(places: Places) -> None:
    """Kill pods and shims, and wait until they are gone."""
    deadline = time.monotonic() + 10
    while pids := container_processes() | shims(places):
        if time.monotonic() > deadline:
            raise EngineError(f"containers do not end: {sorted(pids)}")
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def clear(places: Places) -> None:
    """Undo everything but processes: mounts, groups, network, files. Nothing there is no error."""
    for point in mounts(places):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    if still := mounts(places):
        raise EngineError(f"cannot unmount {', '.join(still)}")  # Files are deleted next.
    for group in control_groups():
        _remove_group(group)
    network.remove()
    kernel.restore(places.kernel_settings)
    _remove_dead_sockets()
    for path in _files(places):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _remove_group(group: Path) -> None:
    deadline = time.monotonic() + 5
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            # The kernel lets go of a group a moment after its last process.
            if time.monotonic() > deadline:
                raise EngineError(f"cannot remove {group}: {error.strerror}") from error
            time.sleep(0.05)
        else:
            return


def _remove_dead_sockets() -> None:
    # containerd fixes this folder for its shims; a killed shim leaves its socket.
    for path in SHIM_SOCKETS.glob("*"):
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError:
                continue


def _files(places: Places) -> Iterator[Path]:
    if places.data.exists():
        yield from (path for path in places.data.iterdir() if path.name not in KEPT)
    if CNI_CACHE.exists():
        yield from CNI_CACHE.glob(f"{NAME}-*")
    if POD_LINKS.exists():
        yield from (path for path in POD_LINKS.iterdir() if _points_at_ours(path, places))
    if places.run.exists():
        yield places.run


def _points_at_ours(path: Path, places: Places) -> bool:
    return path.is_symlink() and str(path.readlink()).startswith(f"{places.data}/")
