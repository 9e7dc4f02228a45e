"""What a pipeline released, kept in the cluster: a write-ahead log of its services' objects.

Each release is an immutable ConfigMap whose label says what became of it, as Helm keeps its own.
(A ControllerRevision would be the kind for it, but its labels can't be patched: the API server
takes the same data in other bytes for a change.) It is written *before* anything is applied, so
whoever comes after a killed release finds what that one was about to do. That a release is good
is one change of one label, for all its services at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from bodywork_argo import names
from bodywork_argo.access import COMPONENT
from bodywork_argo.cluster import Cluster, Resource
from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import Manifest
from bodywork_argo.packed_runner import RUNNER_ANNOTATION
from bodywork_argo.rollout import time_of
from bodywork_argo.services import ServiceObjects

RECORD = Resource(api_version="v1", kind="ConfigMap")
KEPT = 10
"""Records of a pipeline, the newest good one among them however old it is."""
_STATE = "bodywork-argo/release"
_NUMBER = "bodywork-argo/release-number"
_REASON = "bodywork-argo/reason"
_COMPONENT = "release"


class State(Enum):
    """What became of a release."""

    UNDECIDED = "undecided"
    """It goes on, or whoever made it was killed."""
    GOOD = "good"
    """What a later release goes back to."""
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"
    """It was left as it was, as its pipeline asks for."""
    SUPERSEDED = "superseded"
    """Another release came before this one was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One release of a pipeline."""

    name: str
    number: int
    """Counts up from 1 in a pipeline."""
    run: str
    commit: str
    state: State
    reason: str
    created: datetime
    services: tuple[ServiceObjects, ...]
    """All that the pipeline serves once it is good."""

    def documents(self) -> tuple[Manifest, ...]:
        """Return all objects, in the order to apply them."""
        return tuple(document for each in self.services for document in each.documents())


def read_records(cluster: Cluster, pipeline: str) -> tuple[Record, ...]:
    """Return the releases of a pipeline in the order in which they were made."""
    labels = {**_selector(pipeline), COMPONENT: _COMPONENT}
    found = cluster.list(RECORD, labels)
    return tuple(sorted(map(_read, found), key=lambda each: each.number))


def newest(records: Iterable[Record], state: State) -> Record | None:
    """Return the last release that is in a state."""
    found = [record for record in records if record.state is state]
    return found[-1] if found else None


def earlier(pipeline: str, records: Sequence[Record], number: int | None = None) -> Record:
    """Return the good release of that number, or the last one that is not what is good now.

    Raises:
        EngineError: there is none, or it is not good.
    """
    if number is None:
        good = [record for record in records if record.state is State.GOOD]
        found = [record for record in good if record.services != good[-1].services]
        if not found:
            raise EngineError(f"pipeline {pipeline} has no good release before the present one")
        return found[-1]
    for record in records:
        if record.number == number:
            if record.state is State.GOOD:
                return record
            why = f": {record.reason}" if record.reason else ""
            raise EngineError(
                f"release {number} of pipeline {pipeline} is {record.state.value}{why}; "
                "only a good one can be gone back to"
            )
    known = ", ".join(str(record.number) for record in records)
    raise EngineError(f"pipeline {pipeline} has no release {number}, only {known}")


def write_record(
    cluster: Cluster,
    pipeline: str,
    records: Sequence[Record],
    services: Sequence[ServiceObjects],
    *,
    run: str,
    commit: str,
) -> Record:
    """Note what is about to be released, undecided. Raises AlreadyExists when somebody else did."""
    number = max((record.number for record in records), default=0) + 1
    name = names.dns_label(f"bodywork-argo-{pipeline}", limit=240)
    labels = {
        **_selector(pipeline),
        names.PART_OF_LABEL: pipeline,
        COMPONENT: _COMPONENT,
        _NUMBER: str(number),
        names.RUN_LABEL: names.label_value(run),
        names.COMMIT_LABEL: names.label_value(commit),
        _STATE: State.UNDECIDED.value,
    }
    stored = cluster.create(
        {
            "apiVersion": RECORD.api_version,
            "kind": RECORD.kind,
            "metadata": {"name": f"{name}-{number}", "labels": labels},
            "immutable": True,
            "data": _packed(services),
        }
    )
    return _read(stored)


def decide(cluster: Cluster, record: Record, state: State, reason: str = "") -> None:
    """Note what became of a release."""
    changes = {"labels": {_STATE: state.value}, "annotations": {_REASON: reason or None}}
    cluster.patch(RECORD, record.name, {"metadata": changes})


def forget(cluster: Cluster, records: Sequence[Record]) -> None:
    """Delete the oldest records beyond those that are kept."""
    good = newest(records, State.GOOD)
    for record in records[:-KEPT]:
        if record != good:
            cluster.delete(RECORD, record.name)


def _selector(pipeline: str) -> dict[str, str]:
    return {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.PIPELINE_LABEL: pipeline}


def _packed(services: Sequence[ServiceObjects]) -> dict[str, str]:
    """Return the objects as data that has the runner once: each pod template carries it."""
    runner = next((_annotations(each)[RUNNER_ANNOTATION] for each in services), "")
    objects = [
        {
            "name": each.name,
            "deployment": _with_runner(each.deployment, None),
            "services": list(each.services),
            **({"ingress": each.ingress} if each.ingress else {}),
        }
        for each in services
    ]
    return {"services.json": json.dumps(objects, indent=1), "runner.py": runner}


def _unpacked(data: dict[str, str]) -> tuple[ServiceObjects, ...]:
    return tuple(
        ServiceObjects(
            name=each["name"],
            deployment=_with_runner(each["deployment"], data["runner.py"]),
            services=tuple(each["services"]),
            ingress=each.get("ingress"),
        )
        for each in json.loads(data["services.json"])
    )


def _annotations(service: ServiceObjects) -> dict[str, str]:
    found: dict[str, str] = service.deployment["spec"]["template"]["metadata"]["annotations"]
    return found


def _with_runner(deployment: Manifest, runner: str | None) -> Manifest:
    spec = deployment["spec"]
    template = spec["template"]
    annotations = dict(template["metadata"].get("annotations") or {})
    annotations.pop(RUNNER_ANNOTATION, None)
    if runner is not None:
        annotations[RUNNER_ANNOTATION] = runner
    metadata = {**template["metadata"], "annotations": annotations}
    return {**deployment, "spec": {**spec, "template": {**template, "metadata": metadata}}}


def _read(found: Manifest) -> Record:
    metadata = found["metadata"]
    labels = metadata["labels"]
    return Record(
        name=metadata["name"],
        number=int(labels[_NUMBER]),
        run=labels[names.RUN_LABEL],
        commit=labels[names.COMMIT_LABEL],
        state=State(labels[_STATE]),
        reason=(metadata.get("annotations") or {}).get(_REASON, ""),
        created=time_of(metadata["creationTimestamp"]),
        services=_unpacked(found["data"]),
    )
