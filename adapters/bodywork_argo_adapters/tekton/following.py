"""A run as it changes: what Tekton tells of it, by watching where that is allowed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from bodywork_argo.cluster import POD, Cluster, Resource
from bodywork_argo.errors import Forbidden
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.tekton.needs import PIPELINE_RUN, TASK_RUN
from bodywork_argo_adapters.tekton.pods import RUN_LABEL

POLL_SECONDS = 2.0
"""Between two questions where nothing can be watched: answers are large."""
_WATCH_SECONDS = 600.0
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An object as it is now; None when it is gone."""

    resource: Resource
    name: str
    object: Manifest | None


def run_changes(cluster: Cluster, run: str) -> Iterator[Seen]:
    """Yield a PipelineRun now and at each change, without end."""
    return _changes(cluster, PIPELINE_RUN, {}, {"metadata.name": run})


def taskrun_changes(cluster: Cluster, run: str) -> Iterator[Seen]:
    """Yield a run's TaskRuns now and at each change, without end."""
    return _changes(cluster, TASK_RUN, {RUN_LABEL: run}, None)


def pod_changes(cluster: Cluster, run: str) -> Iterator[Seen]:
    """Yield a run's pods now and at each change; without end where they may be seen."""
    return _changes(cluster, POD, {RUN_LABEL: run}, None)


def _changes(
    cluster: Cluster,
    resource: Resource,
    labels: Mapping[str, str],
    fields: Mapping[str, str] | None,
) -> Iterator[Seen]:
    names: set[str] = set()
    with suppress(Forbidden):
        while True:
            for change in cluster.watch(resource, labels, _WATCH_SECONDS, fields=fields):
                names.add(change.object["metadata"]["name"])
                yield _seen(resource, change.object, gone=change.type == "DELETED")
            there = cluster.list(resource, labels, fields=fields, metadata_only=True)
            gone = names - {each["metadata"]["name"] for each in there}  # between two watches
            yield from (Seen(resource=resource, name=name, object=None) for name in gone)
            names -= gone
            time.sleep(_PAUSE_SECONDS)
    names = set()
    with suppress(Forbidden):
        while True:
            found = {
                each["metadata"]["name"]: each
                for each in cluster.list(resource, labels, fields=fields)
            }
            yield from (_seen(resource, each, gone=False) for each in found.values())
            for name in names - set(found):
                yield Seen(resource=resource, name=name, object=None)
            names = set(found)
            time.sleep(POLL_SECONDS)


def _seen(resource: Resource, found: Manifest, *, gone: bool) -> Seen:
    return Seen(resource=resource, name=found["metadata"]["name"], object=None if gone else found)
