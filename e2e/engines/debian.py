"""What this machine has to have: root and a few Debian packages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from e2e.engines.failure import EngineError
from e2e.engines.places import Places
from e2e.engines.progress import Progress, run_logged

CNI_PLUGINS = Path("/usr/lib/cni")

# A package, and a file that tells that it is there.
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "containerd": ("containerd", "ctr", "containerd-shim-runc-v2"),
    "runc": ("runc",),
    "nftables": ("nft",),
    "conntrack": ("conntrack",),
    "iproute2": ("ip",),
    "mount": ("mount", "umount"),
    "openssl": ("openssl",),
    "git": ("git",),
    "openssh-server": ("/usr/sbin/sshd",),
    "openssh-client": ("ssh-keygen",),
    "debootstrap": ("debootstrap",),
}


def require_root() -> None:
    """Refuse at once what would fail half-way: containers, mounts and interfaces need root."""
    if os.geteuid() != 0:
        raise EngineError("the engines need root (containers, mounts, interfaces): run with sudo")


def missing_packages() -> list[str]:
    """Name the Debian packages whose programs are not on this machine."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [
        package
        for package, programs in PROGRAMS.items()
        if any(shutil.which(program, path=path) is None for program in programs)
    ]
    if not (CNI_PLUGINS / "bridge").exists():
        missing.append("containernetworking-plugins")
    return missing


def install_command(packages: list[str]) -> list[str]:
    """Give the command that installs packages."""
    return ["apt-get", "install", "-y", "--no-install-recommends", *packages]


def require_packages() -> None:
    """Name what is missing together with the command that installs it."""
    missing = missing_packages()
    if missing:
        command = " ".join(install_command(missing))
        raise EngineError(
            f"Debian packages are missing: {', '.join(missing)}.\n"
            f"Install them with:  apt-get update && {command}\n"
            "or let the build do it:  python3 -m e2e.engines build --install-packages"
        )


def install_packages(places: Places, progress: Progress) -> None:
    """Install what is missing; services that a package would start stay stopped."""
    missing = missing_packages()
    if not missing:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with progress.phase(f"install {' '.join(missing)}"):
        for label, command in (
            ("apt-get update", ["apt-get", "update"]),
            ("apt-get install", install_command(missing)),
        ):
            log = places.build_log(label.replace(" ", "-"))
            run_logged(label, command, log, progress, environment=environment)
    require_packages()
