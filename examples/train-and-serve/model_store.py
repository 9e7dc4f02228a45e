"""Where stages leave files for later stages: a folder, or a web server that takes PUT and GET.

Stages share no disk, so each one reaches the store by the address in MODEL_STORE. Any stage can
import this module, since PYTHONPATH holds the root of the repository.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

TIMEOUT_SECONDS = 30


class Store(Protocol):
    """Keeps files by their names."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file, or replace it."""

    def get(self, name: str) -> bytes:
        """Return what a file holds."""
        ...


class FolderStore:
    """Files in a folder that all stages see."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{name}.draft"
        draft.write_bytes(data)
        draft.replace(self._folder / name)  # at once, so that nobody reads half a file

    def get(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()


class WebStore:
    """Files below the address of a web server."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    def put(self, name: str, data: bytes) -> None:
        self._send(urllib.request.Request(f"{self._base_url}/{name}", data, method="PUT"))

    def get(self, name: str) -> bytes:
        return self._send(urllib.request.Request(f"{self._base_url}/{name}"))

    def _send(self, request: urllib.request.Request) -> bytes:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
        return content


def open_store(environment: Mapping[str, str] = os.environ) -> Store:
    """Return the store that MODEL_STORE names: an absolute path, or an http(s) URL."""
    address = environment["MODEL_STORE"]
    if address.startswith(("http://", "https://")):
        return WebStore(address)
    folder = Path(address)
    if not folder.is_absolute():
        raise ValueError("MODEL_STORE must be an absolute path or an http(s) URL")
    return FolderStore(folder)


def versioned(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a file's name with the commit in it: a stage finds what its own commit has left.

    >>> versioned("model.joblib", {"GIT_COMMIT_HASH": "1a2b3c4"})
    'model-1a2b3c4.joblib'
    """
    stem, dot, ending = name.rpartition(".")
    return f"{stem}-{environment['GIT_COMMIT_HASH']}{dot}{ending}"
