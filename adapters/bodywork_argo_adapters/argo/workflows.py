"""Where Workflows are kept: the port, and the way to them through the Kubernetes API."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol, TypeAlias

from bodywork_argo.backend import LogPiece
from bodywork_argo.cluster import POD, Cluster
from bodywork_argo.errors import Forbidden
from bodywork_argo.feed import states_of_pods
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.argo.logs import Followers, lost, read_all
from bodywork_argo_adapters.argo.watching import (
    WORKFLOW,
    WORKFLOW_LABEL,
    states_of_workflow,
)

INSTANCE_LABEL = "workflows.argoproj.io/controller-instanceid"

Shutdown: TypeAlias = Literal["Stop", "Terminate"]
"""Whether the exit handler runs, in Argo's words."""


class Workflows(Protocol):
    """The Workflows of one namespace, and the pods that they have.

    Raises:
        Unreachable: no answer, also after retries.
        Forbidden: the message names what is missing.
        EngineError: refused for another reason.
    """

    namespace: str

    def create(self, document: Manifest) -> Manifest:
        """Create a Workflow and return what was stored. Raises AlreadyExists."""
        ...

    def get(self, name: str) -> Manifest | None:
        """Return a Workflow, with its nodes where they can be had; None when there is none."""
        ...

    def metadata(self, name: str) -> Manifest | None:
        """Return a Workflow with nothing but its metadata; None when there is none."""
        ...

    def list(self, labels: Mapping[str, str]) -> tuple[Manifest, ...]:
        """Return the Workflows with these labels, with nothing but their metadata."""
        ...

    def shut_down(self, name: str, how: Shutdown) -> bool:
        """End a Workflow; return whether it was there."""
        ...

    def delete(self, name: str) -> bool:
        """Delete a Workflow with its pods; return whether it was there."""
        ...

    def states(self, name: str) -> Iterator[Manifest | None]:
        """Yield a Workflow now and at each change, None when it is gone; without end."""
        ...

    def pods(self, name: str) -> tuple[Manifest, ...]:
        """Return the pods of a Workflow; none where they can't be seen."""
        ...

    def pod_states(self, name: str) -> Iterator[tuple[Manifest, ...]]:
        """Yield the pods of a Workflow now and at each change."""
        ...

    def written(
        self, workflow: Manifest, stages: Mapping[str, str], *, follow: bool
    ) -> Iterator[LogPiece]:
        """Yield what the stages wrote, given by task; with `follow` to the end of the run."""
        ...


class ClusterWorkflows:
    """Workflows of the Kubernetes API.

    `instance` is the controller that is to take up new ones, where a cluster has several.
    `hydrated` connects to what reads Workflows whose nodes Argo keeps in a database.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        instance: str = "",
        hydrated: Callable[[], Workflows] | None = None,
    ) -> None:
        self.namespace = cluster.namespace
        self._cluster = cluster
        self._instance = instance
        self._hydrated = hydrated

    def create(self, document: Manifest) -> Manifest:
        """Create a Workflow, for the controller `instance`."""
        if self._instance:
            document = copy.deepcopy(document)
            document["metadata"].setdefault("labels", {})[INSTANCE_LABEL] = self._instance
        return self._cluster.create(document)

    def get(self, name: str) -> Manifest | None:
        """Return a Workflow; nodes in Argo's database come from its server."""
        return self._whole(self._cluster.get(WORKFLOW, name))

    def metadata(self, name: str) -> Manifest | None:
        """Return a Workflow with nothing but its metadata; None when there is none."""
        return self._cluster.get(WORKFLOW, name, metadata_only=True)

    def list(self, labels: Mapping[str, str]) -> tuple[Manifest, ...]:
        """Return the Workflows with these labels, with nothing but their metadata."""
        return self._cluster.list(WORKFLOW, labels, metadata_only=True)

    def shut_down(self, name: str, how: Shutdown) -> bool:
        """End a Workflow; return whether it was there."""
        return self._cluster.patch(WORKFLOW, name, {"spec": {"shutdown": how}}) is not None

    def delete(self, name: str) -> bool:
        """Delete a Workflow with its pods; return whether it was there."""
        return self._cluster.delete(WORKFLOW, name)

    def states(self, name: str) -> Iterator[Manifest | None]:
        """Yield a Workflow now and at each change, None when it is gone; without end."""
        return map(self._whole, states_of_workflow(self._cluster, name))

    def pods(self, name: str) -> tuple[Manifest, ...]:
        """Return the pods of a Workflow; none where they may not be listed."""
        try:
            return self._cluster.list(POD, {WORKFLOW_LABEL: name})
        except Forbidden:  # without pods a run is still followed, only less is known
            return ()

    def pod_states(self, name: str) -> Iterator[tuple[Manifest, ...]]:
        """Yield the pods of a Workflow now and at each change."""
        return states_of_pods(self._cluster, {WORKFLOW_LABEL: name})

    def written(
        self, workflow: Manifest, stages: Mapping[str, str], *, follow: bool
    ) -> Iterator[LogPiece]:
        """Yield what the stages wrote, byte for byte.

        Raises EngineError after that when pods are gone, and their logs with them.
        """
        name = workflow["metadata"]["name"]
        if follow:
            there = yield from Followers(self._cluster, name, stages).pieces()
            workflow = self.get(name) or workflow
        else:
            there = yield from read_all(self._cluster, name, stages)
        error = lost(workflow, stages, there)
        if error is not None:
            raise error

    def _whole(self, found: Manifest | None) -> Manifest | None:
        offloaded = found and (found.get("status") or {}).get("offloadNodeStatusVersion")
        if found is None or not offloaded or self._hydrated is None:
            return found
        return self._hydrated().get(found["metadata"]["name"])
