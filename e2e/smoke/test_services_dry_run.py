"""A real API server takes the objects of services as they are, and keeps all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bodywork_argo.manifests import Manifest
from e2e.support.cluster import Cluster, collection
from e2e.support.spaces import Space, make_space
from tests.services.projects import FEATURES, objects_of, plan_of_feature

pytestmark = pytest.mark.smoke

SIZES = {"1000M": "1G", "2000M": "2G"}
"""Quantities that the server writes in its own way."""


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[Space]:
    made = make_space(cluster)
    yield made
    cluster.core.delete_namespace(made.name, propagation_policy="Background")


@pytest.mark.parametrize("feature", FEATURES)
def test_the_api_server_takes_and_keeps_every_field(feature: str, space: Space) -> None:
    for document in objects_of(plan_of_feature(feature)):
        kept = dry_run(document, space)
        assert list(lost(document, kept)) == [], document["kind"]


def dry_run(document: Manifest, space: Space) -> Any:
    metadata = {k: v for k, v in document["metadata"].items() if k != "namespace"}
    path = f"{collection(document, space.name)}/{metadata['name']}"
    query = {"fieldManager": "bodywork-argo", "dryRun": "All", "fieldValidation": "Strict"}
    body = {**document, "metadata": metadata}
    return space.cluster.request("PATCH", path, body, "application/apply-patch+yaml", **query)


def lost(sent: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Yield where something was sent that is not kept as it was."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        for key, value in sent.items():
            if key != "namespace":
                yield from lost(value, kept.get(key, ""), f"{path}.{key}")
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        for number, pair in enumerate(zip(sent, kept, strict=True)):
            yield from lost(*pair, f"{path}[{number}]")
    elif sent != kept and SIZES.get(sent) != kept:
        yield f"{path}: {sent!r} became {kept!r}"
