"""Which programs come from which Go module. Versions stand in the go.mod files only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.engines.places import SOURCES, Places

RECIPE = "2"  # raise it when the way of building changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One engine's module: a folder with go.mod and go.sum beside this file.

    `programs` maps a program's name to its Go package; `manifests` are globs inside the engine's
    own module of files that `up` needs; in `stamps` and `source`, `{version}` is filled in.
    """

    folder: str
    source: str
    programs: Mapping[str, str]
    stamps: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    additions: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> Path:
        """The folder of go.mod and go.sum."""
        return SOURCES / self.folder

    @property
    def version(self) -> str:
        """The engine's version as go.mod requires it, such as v4.0.5."""
        text = (self.sources / "go.mod").read_text(encoding="utf-8")
        found = re.search(rf"\b{re.escape(self.source)} (v\S+)", text)
        assert found, f"{self.folder}/go.mod requires no {self.source}"
        return found.group(1)

    @property
    def key(self) -> str:
        """Name the build by everything that goes into it."""
        digest = hashlib.sha256(f"{RECIPE}{self.programs}{self.stamps}{self.manifests}".encode())
        digest.update(f"{self.additions}{self.links}".encode())
        for name in ("go.mod", "go.sum", "main.go"):
            path = self.sources / name
            digest.update(path.read_bytes() if path.exists() else b"")
        return f"{self.folder}-{digest.hexdigest()[:16]}"

    def built(self, places: Places) -> Path:
        """The folder of this very build in the cache."""
        return places.cache / "built" / self.key

    def program(self, places: Places, name: str) -> Path:
        """Where the program lies once it is built."""
        return self.built(places) / "bin" / name

    def link_flags(self) -> str:
        """The -ldflags: small files, and the version each engine calls itself by."""
        version = self.version if self.stamps else ""
        major_minor = version.lstrip("v").split(".")
        filled = [
            stamp.format(version=version, major=major_minor[0], minor=major_minor[1])
            for stamp in self.stamps
        ]
        return " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in filled)])


def _commands(root: str, *names: str) -> dict[str, str]:
    return {name: f"{root}/cmd/{name}" for name in names}


PAUSE = Module(folder="pause", source="", programs={"pause": "."})

ETCD = Module(
    folder="etcd",
    source="go.etcd.io/etcd/server/v3",
    programs={"etcd": "go.etcd.io/etcd/server/v3"},
)

# Tekton refuses a server whose version text is not a semantic version.
KUBERNETES = Module(
    folder="kubernetes",
    source="k8s.io/kubernetes",
    programs=_commands(
        "k8s.io/kubernetes",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
    ),
    stamps=(
        "k8s.io/component-base/version.gitVersion={version}",
        "k8s.io/component-base/version.gitMajor={major}",
        "k8s.io/component-base/version.gitMinor={minor}",
    ),
)

# A module zip carries neither symlinks nor the built web page; both are put into a vendor folder,
# because an overlay may not touch the module cache.
_ARGO = "github.com/argoproj/argo-workflows/v4"
ARGO = Module(
    folder="argo",
    source=_ARGO,
    programs=_commands(_ARGO, "workflow-controller", "argoexec", "argo"),
    # All four, or Argo adds "+unknown" to its version.
    stamps=(
        f"{_ARGO}.version={{version}}",
        f"{_ARGO}.gitTag={{version}}",
        f"{_ARGO}.gitCommit=module",
        f"{_ARGO}.gitTreeState=clean",
    ),
    manifests=(
        "manifests/base/crds/full/argoproj.io_*.yaml",
        "manifests/cluster-install-no-crds/workflow-controller-rbac/workflow-aggregate-roles.yaml",
        "manifests/quick-start/base/executor/emissary/executor-role.yaml",
    ),
    additions={"ui/dist/app/index.html": "<!doctype html><title>Argo</title>\n"},
    links={"workflow/executor/osspecific/signal_linux.go": "signal_darwin.go"},
)

TEKTON = Module(
    folder="tekton",
    source="github.com/tektoncd/pipeline",
    programs=_commands(
        "github.com/tektoncd/pipeline",
        "controller",
        "entrypoint",
        "nop",
        "sidecarlogresults",
        "workingdirinit",
    ),
    manifests=("config/300-crds/*.yaml", "config/config-*.yaml", "config/clusterrole-*.yaml"),
)

COREDNS = Module(
    folder="coredns",
    source="github.com/coredns/coredns",
    programs={"coredns": "github.com/coredns/coredns"},
)

MODULES = (PAUSE, ETCD, KUBERNETES, ARGO, TEKTON, COREDNS)
