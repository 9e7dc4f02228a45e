"""Lists, page by page."""

from __future__ import annotations

from dataclasses import dataclass

from bodywork_argo.cluster import Resource
from bodywork_argo.errors import Unreachable
from bodywork_argo.kube.connection import PATIENCE, Connection
from bodywork_argo.kube.refusals import Expired
from bodywork_argo.kube.requests import Request
from bodywork_argo.manifests import Manifest

_PAGE = 500
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All objects, and the version of the whole from which a watch goes on."""

    version: str
    items: tuple[Manifest, ...]


def read_list(
    connection: Connection, resource: Resource, request: Request, *, patience: float = PATIENCE
) -> Listing:
    """Read all pages; from the start again when the server has forgotten the first (410)."""
    for _ in range(_ATTEMPTS):
        try:
            return _read_pages(connection, resource, request, patience)
        except Expired:
            continue
    raise Unreachable(
        f"could not {request.words}: there is more than the server sends before it forgets"
    )


def _read_pages(
    connection: Connection, resource: Resource, request: Request, patience: float
) -> Listing:
    items: list[Manifest] = []
    page = request.asking(limit=str(_PAGE))
    while True:
        answer = connection.ask(page, patience=patience)
        items += [_whole(item, resource) for item in answer.get("items") or []]
        metadata = answer.get("metadata") or {}
        if not metadata.get("continue"):
            return Listing(version=str(metadata.get("resourceVersion", "")), items=tuple(items))
        page = request.asking(limit=str(_PAGE), **{"continue": metadata["continue"]})


def _whole(item: Manifest, resource: Resource) -> Manifest:
    # Lists of built-in kinds leave these out.
    return {"apiVersion": resource.api_version, "kind": resource.kind, **item}
