"""Where everything lies. Nothing is written outside these folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "bodywork-argo-e2e"
SOURCES = Path(__file__).resolve().parent
CHECKOUT = SOURCES.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders of the engines.

    `cache` outlives everything, `data` holds containerd's images and the logs between an `up` and
    the next, `run` is gone after `down`. Only one set of engines runs on a machine (one bridge, one
    set of ports), so `run` and `data` are the same for every checkout.
    """

    cache: Path
    run: Path = Path("/run") / NAME
    data: Path = Path("/var/lib") / NAME

    @property
    def lock(self) -> Path:
        """The file that keeps two `up`s apart; outside `run`, which `down` removes."""
        return self.run.with_name(f"{NAME}.lock")

    @property
    def kernel_settings(self) -> Path:
        """The machine's own kernel settings, to be put back."""
        return self.run / "kernel.json"

    @property
    def network_made(self) -> Path:
        """An empty file as old as the bridge, the route and the guard."""
        return self.run / "network"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.run / "admin.kubeconfig"

    @property
    def developer_kubeconfig(self) -> Path:
        """The kubeconfig of a user with no rights but those a test binds to it."""
        return self.run / "developer.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd and its CRI plugin listen."""
        return self.run / "containerd.sock"

    @property
    def git(self) -> Path:
        """The bare repositories that the Git servers serve."""
        return self.data / "git"

    def log(self, name: str) -> Path:
        """The log of a part that runs."""
        return self.data / "logs" / f"{name}.log"

    def build_log(self, name: str) -> Path:
        """The log of a step of the build."""
        return self.cache / "logs" / f"{name}.log"


def places_from(environment: Mapping[str, str]) -> Places:
    """Find the cache folder the way the XDG base directory rules say."""
    base = environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return Places(cache=Path(base) / NAME)
