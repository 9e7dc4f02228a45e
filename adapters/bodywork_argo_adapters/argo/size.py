"""How much of a run Argo has to store, foretold from its document.

Argo keeps a run in one object, the document with its status. Above 1 MiB it packs the status, and
when that does not suffice it gives up the run (``workflow/packer`` in its source).
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bodywork_argo.errors import Problem
from bodywork_argo.manifests import Manifest

MOST_BYTES = 1024 * 1024
"""What Argo's controller stores, unless MAX_WORKFLOW_SIZE says otherwise."""
MANY_BYTES = 700_000
"""Above, reasons of failures and further attempts may need what is left."""

MOST_TEMPLATES = 200
"""Of one workflow, by the CRDs of Argo 4."""

_ALIKE = (
    "stages that differ only in texts take the least: the same number of arguments, requirements"
    " and variables, the same resources and limits"
)
_MANAGED = 8_000
"""Kubernetes notes who wrote which field."""
_SUFFIX = "-xxxxx"
_TIME = "2024-10-01T12:34:56Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Bytes, as JSON."""

    document: int
    """What we send."""
    status: int
    """What Argo adds when each stage has run once."""
    packed: int
    """The same, as Argo packs it."""

    @property
    def least(self) -> int:
        """The bytes of the run when Argo has packed what it can."""
        return self.document + min(self.status, self.packed) + _MANAGED


def forecast(document: Manifest) -> Forecast:
    """Return how much of a run Argo has to store."""
    nodes = {node["id"]: node for node in _nodes(document)}
    status = _json(nodes)
    return Forecast(
        document=len(_json(document)),
        status=len(status),
        packed=len(base64.b64encode(zlib.compress(status))),
    )


def size_problems(document: Manifest) -> tuple[Problem, ...]:
    """Return an error when a run is too large for Argo, a warning when it is close to that."""
    return (*_many_templates(document), *_many_bytes(document))


def _many_templates(document: Manifest) -> Iterator[Problem]:
    count = len(document["spec"]["templates"])
    if count > MOST_TEMPLATES:
        yield Problem(
            key="",
            what=f"{count} stages and steps are unlike, and Argo takes {MOST_TEMPLATES} of them",
            remedy=f"split the pipeline or make its stages alike; {_ALIKE}",
        )


def _many_bytes(document: Manifest) -> Iterator[Problem]:
    least = forecast(document).least
    if least > MOST_BYTES:
        yield Problem(
            key="",
            what=f"a run needs {least:,} bytes of Argo, which stores {MOST_BYTES:,} at most",
            remedy=f"split the pipeline or make its stages alike; {_ALIKE}",
        )
    elif least > MANY_BYTES:
        yield Problem(
            key="",
            what=f"a run needs {least:,} of the {MOST_BYTES:,} bytes that Argo stores",
            remedy=_ALIKE,
            severity="warning",
        )


def _json(value: Any) -> bytes:
    """Return JSON as Go writes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text.encode()


def _nodes(document: Manifest) -> Iterator[dict[str, Any]]:
    """Yield what Argo notes of each stage, attempt and step in the end."""
    metadata = document["metadata"]
    run = metadata.get("name") or metadata["generateName"].rstrip("-") + _SUFFIX
    templates = {each["name"]: each for each in document["spec"]["templates"]}
    entry = document["spec"]["entrypoint"]
    yield from _dag_nodes(run, run, templates[entry], templates)


def _dag_nodes(
    run: str, path: str, template: Manifest, templates: dict[str, Manifest]
) -> Iterator[dict[str, Any]]:
    tasks = template["dag"]["tasks"]
    children: dict[str, list[str]] = {task["name"]: [] for task in tasks}
    first = []
    for task in tasks:
        child = _id(run, f"{path}.{task['name']}")
        before = task.get("dependencies", [])
        for name in before:
            children[name].append(child)
        if not before:
            first.append(child)
    yield _node(run, path, template["name"], first, "DAG")
    for task in tasks:
        called = templates[task["template"]]
        name, below = f"{path}.{task['name']}", children[task["name"]]
        if "dag" in called:
            inner = list(_dag_nodes(run, name, called, templates))
            inner[0]["outboundNodes"] = [node["id"] for node in inner[1:]]
            for node in inner[1:]:
                node["children"] += below
            yield from inner
        else:
            yield from _pod_nodes(run, name, task, called, below)


def _pod_nodes(
    run: str, name: str, task: Manifest, called: Manifest, below: list[str]
) -> Iterator[dict[str, Any]]:
    template = called["name"]
    arguments = {"inputs": task["arguments"]} if "arguments" in task else {}
    if "retryStrategy" in called:
        attempt = _node(run, f"{name}(0)", template, below, "Pod")
        yield {**_node(run, name, template, [attempt["id"]], "Retry"), **arguments}
        yield {**attempt, **arguments}
    else:
        yield {**_node(run, name, template, below, "Pod"), **arguments}


def _node(run: str, path: str, template: str, children: list[str], kind: str) -> dict[str, Any]:
    return {
        "boundaryID": run,
        "children": list(children),
        "displayName": path.rpartition(".")[2],
        "finishedAt": _TIME,
        "hostNodeName": f"node-{_hash(path)}",
        "id": _id(run, path),
        "name": path,
        "outputs": {"exitCode": "0"},
        "phase": "Succeeded",
        "progress": "1/1",
        "resourcesDuration": {"cpu": _hash(path) % 100, "memory": _hash(path) % 1000},
        "startedAt": _TIME,
        "taskResultSynced": True,
        "templateName": template,
        "templateScope": f"local/{run}",
        "type": kind,
    }


def _id(run: str, path: str) -> str:
    return run if path == run else f"{run}-{_hash(path)}"


def _hash(path: str) -> int:
    """Return a number as long and as random as those in Argo's names."""
    return zlib.crc32(path.encode())
