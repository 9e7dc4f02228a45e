"""Build the engines' programs with the ordinary Go tool."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from e2e.engines.failure import EngineError
from e2e.engines.modules import MODULES, Module
from e2e.engines.places import Places
from e2e.engines.progress import Progress, run_logged


def missing_programs(places: Places) -> list[str]:
    """Name the programs that this very version of the go.mod files has not built yet."""
    return [
        name
        for module in MODULES
        for name in module.programs
        if not module.program(places, name).exists()
    ]


def build_programs(places: Places, progress: Progress) -> None:
    """Build what the cache lacks; a build that was broken off goes on with the next program."""
    missing = missing_programs(places)
    total = sum(len(module.programs) for module in MODULES)
    progress.say(f"programs: {total - len(missing)} of {total} are in the cache")
    if missing and shutil.which("go") is None:
        raise EngineError("building the engines needs Go 1.26 or newer, and there is no `go`")
    for module in MODULES:
        if any(name in missing for name in module.programs):
            _build_module(module, places, progress)
        if module.manifests and not (module.built(places) / "manifests").exists():
            _copy_manifests(module, places)


def _build_module(module: Module, places: Places, progress: Progress) -> None:
    folder = module.sources
    if module.additions or module.links:
        folder = _vendor(module, places, progress)
    for name, package in module.programs.items():
        target = module.program(places, name)
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        # The rename makes a program that exists a program that is whole.
        partial = target.with_name(f".{name}.partial")
        command = ["go", "build", "-trimpath", "-ldflags", module.link_flags()]
        with progress.phase(f"build {name} {module.version if module.source else ''}".strip()):
            run_logged(
                f"build {name}",
                [*command, "-o", str(partial), package],
                places.build_log(f"build-{name}"),
                progress,
                environment=_go_environment(),
                folder=folder,
            )
        partial.rename(target)
    shutil.rmtree(places.cache / "vendor" / module.key, ignore_errors=True)


def _go_environment() -> Mapping[str, str]:
    flags = os.environ.get("GOFLAGS", "")
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": f"{flags} -buildvcs=false".strip()}


def _vendor(module: Module, places: Places, progress: Progress) -> Path:
    folder = places.cache / "vendor" / module.key
    done = folder / ".complete"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(module.sources / name, folder / name)
    label = f"fetch the sources of {module.folder}"
    with progress.phase(label):
        run_logged(
            label,
            # -e goes on past the embedded web page that the module lacks; it is added below.
            ["go", "mod", "vendor", "-e"],
            places.build_log(f"vendor-{module.folder}"),
            progress,
            environment=_go_environment(),
            folder=folder,
        )
    _complete(module, folder / "vendor" / module.source)
    done.touch()
    return folder


def _complete(module: Module, root: Path) -> None:
    for name, text in module.additions.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, target in module.links.items():
        path = root / name
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def _copy_manifests(module: Module, places: Places) -> None:
    source = Path(_module_folder(module))
    target = module.built(places) / "manifests"
    partial = target.with_name(".manifests.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for pattern in module.manifests:
        files = sorted(source.glob(pattern))
        if not files:
            raise EngineError(f"{module.source} {module.version} has no {pattern}")
        for path in files:
            copy = partial / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    partial.rename(target)


def _module_folder(module: Module) -> str:
    # "download" and not "list": the module may be gone from Go's own cache while ours is whole.
    subprocess.run(
        ["go", "mod", "download", module.source],
        cwd=module.sources,
        env=dict(_go_environment()),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    found = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", module.source],
        cwd=module.sources,
        env=dict(_go_environment()),
        check=True,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip()
