"""Write container images as docker-archive streams: a manifest, configs and layers in one tar."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """An uncompressed tar in the cache, with its SHA-256 beside it."""

    path: Path

    @property
    def digest(self) -> str:
        """The hex SHA-256 that the layer was written with."""
        return self.path.with_suffix(".sha256").read_text(encoding="ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A name such as docker.io/local/runner:1 and what it is made of."""

    name: str
    layers: tuple[Layer, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def config(self) -> bytes:
        """The image's config; its SHA-256 names the image."""
        settings = {
            "Env": [f"{name}={value}" for name, value in sorted(self.environment.items())],
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.command) or None,
            "WorkingDir": "/",
        }
        machine = platform.machine()
        document = {
            "architecture": ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": settings,
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{layer.digest}" for layer in self.layers],
            },
        }
        return json.dumps(document, sort_keys=True).encode()

    @property
    def id(self) -> str:
        """Tell two versions of an image with one name apart."""
        return hashlib.sha256(self.config()).hexdigest()


def write_images(images: Sequence[Image], stream: IO[bytes]) -> None:
    """Write images as one archive; a layer that several share is written once."""
    layers = {layer.digest: layer for image in images for layer in image.layers}
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for digest, layer in layers.items():
            member = tarfile.TarInfo(f"{digest}.tar")
            member.size = layer.path.stat().st_size
            with layer.path.open("rb") as content:
                archive.addfile(member, content)
        for image in images:
            _add(archive, f"{image.id}.json", image.config())
        manifest = [
            {
                "Config": f"{image.id}.json",
                "RepoTags": [image.name],
                "Layers": [f"{layer.digest}.tar" for layer in image.layers],
            }
            for image in images
        ]
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))


def write_tree_layer(layer: Layer, root: Path, names: Iterable[str]) -> None:
    """Write a layer of the paths of a root file system, given relative to it, parents first."""
    partial = layer.path.with_suffix(".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            archive.add(root / name, arcname=name, recursive=False)
    _seal(layer, partial)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file to put into a small image."""

    path: str
    content: bytes
    mode: int = 0o644


def write_file_layer(layer: Layer, files: Sequence[FileEntry], folders: Mapping[str, int]) -> None:
    """Write a layer of given files and folders (a folder's path to its mode)."""
    partial = layer.path.with_suffix(".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
        for path, mode in folders.items():
            member = tarfile.TarInfo(path)
            member.type, member.mode = tarfile.DIRTYPE, mode
            archive.addfile(member)
        for entry in files:
            _add(archive, entry.path, entry.content, entry.mode)
    _seal(layer, partial)


def _seal(layer: Layer, partial: Path) -> None:
    digest = hashlib.sha256()
    with partial.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    layer.path.with_suffix(".sha256").write_text(digest.hexdigest(), encoding="ascii")
    partial.replace(layer.path)
