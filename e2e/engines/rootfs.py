"""Make the Python images' file system: Debian's own packages in a folder of the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.engines.failure import EngineError
from e2e.engines.places import Places
from e2e.engines.progress import Progress, run_logged

# What a pod never reads. Left out of the layers, which makes every import and every first start
# of a pod faster.
SKIPPED = (
    "build",
    "dev",
    "proc",
    "sys",
    "root/.cache",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache",
    "var/lib/apt/lists",
    "var/log",
)
KEPT_EMPTY = ("dev", "proc", "sys", "var/cache", "var/log")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFs:
    """A root file system in a folder, in which programs can be run."""

    root: Path
    places: Places
    progress: Progress

    @property
    def desk(self) -> Path:
        """A folder inside for passing files in and out; never part of a layer."""
        return self.root / "build"

    def snapshot(self) -> dict[str, tuple[int, int, int]]:
        """Map every path that belongs into an image to what changes when it changes."""
        return dict(_entries(self.root, Path()))

    def run(self, label: str, command: Sequence[str], **environment: str) -> None:
        """Run a program inside. It gets the network settings of this machine, no other variable."""
        self.desk.mkdir(exist_ok=True)
        if CERTIFICATES.exists():
            shutil.copyfile(CERTIFICATES, self.desk / "certificates.pem")
        shutil.copyfile("/etc/resolv.conf", self.root / "etc/resolv.conf")
        settings = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            **_network_settings(os.environ),
            **environment,
        }
        run_logged(
            label,
            ["chroot", str(self.root), *command],
            self.places.build_log(label.replace(" ", "-")),
            self.progress,
            environment=settings,
        )
        (self.root / "etc/resolv.conf").unlink()


def _network_settings(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environment.items()
        if name.lower() in ("http_proxy", "https_proxy", "no_proxy")
        or name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT")
    }
    return {**kept, "PIP_CERT": "/build/certificates.pem"} if CERTIFICATES.exists() else kept


def _entries(root: Path, below: Path) -> Iterator[tuple[str, tuple[int, int, int]]]:
    for entry in sorted(os.scandir(root / below), key=lambda found: found.name):
        path = below / entry.name
        name = path.as_posix()
        if name in KEPT_EMPTY:
            yield name, (0, 0, 0)
        if name in SKIPPED:
            continue
        status = entry.stat(follow_symlinks=False)
        is_folder = entry.is_dir(follow_symlinks=False)
        yield name, (status.st_mode, 0 if is_folder else status.st_size, status.st_mtime_ns)
        if is_folder:
            yield from _entries(root, path)


def changed(
    before: Mapping[str, tuple[int, int, int]], after: Mapping[str, tuple[int, int, int]]
) -> list[str]:
    """Name what a step added or changed, for a layer of its own."""
    return [name for name, state in after.items() if before.get(name) != state]


def bootstrap(rootfs: RootFs, packages: Sequence[str]) -> None:
    """Fill an empty folder with a minimal Debian of this machine's release."""
    shutil.rmtree(rootfs.root, ignore_errors=True)
    rootfs.root.mkdir(parents=True)
    release, archive = _release_and_archive()
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}"]
    run_logged(
        "debootstrap",
        [*command, release, str(rootfs.root), archive],
        rootfs.places.build_log("debootstrap"),
        rootfs.progress,
    )
    # Official Python images let pip install beside the interpreter; so does this one.
    for marker in rootfs.root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    (rootfs.root / "usr/bin/python").symlink_to("python3")


def _release_and_archive() -> tuple[str, str]:
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)"],
        check=True,
        capture_output=True,
        text=True,
    )
    system = Path("/etc/os-release").read_text(encoding="utf-8")
    values = dict(line.split("=", 1) for line in system.splitlines() if "=" in line)
    release = values.get("VERSION_CODENAME", "").strip('"')
    for line in listed.stdout.splitlines():
        codename, component, archive = line.split(" ", 2)
        if (codename, component) == (release, "main"):
            return release, archive
    raise EngineError(
        f"apt knows no archive of this machine's release ({release or 'unnamed'}); "
        "the images are made from one. Run apt-get update and look at its sources."
    )
