"""What is told by a cluster's watches of a run on Argo."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

from bodywork_argo.cluster import Cluster, Resource
from bodywork_argo.errors import Forbidden
from bodywork_argo.feed import PAUSE_SECONDS, POLL_SECONDS, WATCH_SECONDS
from bodywork_argo.manifests import Manifest

WORKFLOW = Resource(api_version="argoproj.io/v1alpha1", kind="Workflow")
WORKFLOW_LABEL = "workflows.argoproj.io/workflow"


def states_of_workflow(cluster: Cluster, name: str) -> Iterator[Manifest | None]:
    """Yield a Workflow now and at each change, None when it is gone; without end.

    Where it may not be watched, it is read each second.
    """
    with suppress(Forbidden):
        while True:
            changes = cluster.watch(WORKFLOW, {}, WATCH_SECONDS, fields={"metadata.name": name})
            for change in changes:
                yield None if change.type == "DELETED" else change.object
            time.sleep(PAUSE_SECONDS)
    while True:
        yield cluster.get(WORKFLOW, name)
        time.sleep(POLL_SECONDS)
