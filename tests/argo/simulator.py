"""What Argo would make of a document, as far as the order of tasks and their texts go."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from bodywork_argo.manifests import Manifest


def templates_of(document: Manifest) -> dict[str, Manifest]:
    return {template["name"]: template for template in document["spec"]["templates"]}


def phases(document: Manifest, failing: Collection[str]) -> dict[str, str]:
    """Return how each task of a stage ends when these fail."""
    found: dict[str, str] = {}
    _run(document["spec"]["entrypoint"], templates_of(document), failing, found)
    return found


def _run(
    name: str, templates: dict[str, Manifest], failing: Collection[str], found: dict[str, str]
) -> str:
    ends: dict[str, str] = {}
    for task in templates[name]["dag"]["tasks"]:
        before = [ends[dependency] for dependency in task.get("dependencies", [])]
        called = templates[task["template"]]
        if any(phase != "Succeeded" for phase in before):
            ends[task["name"]] = "Omitted"
            if "dag" in called:
                found.update(dict.fromkeys(_stages_below(called, templates), "Omitted"))
        elif "dag" in called:
            ends[task["name"]] = _run(task["template"], templates, failing, found)
        else:
            ends[task["name"]] = "Failed" if task["name"] in failing else "Succeeded"
        if "dag" not in called:
            found[task["name"]] = ends[task["name"]]
    return "Failed" if "Failed" in ends.values() else "Succeeded"


def _stages_below(template: Manifest, templates: dict[str, Manifest]) -> Iterator[str]:
    for task in template["dag"]["tasks"]:
        called = templates[task["template"]]
        if "dag" in called:
            yield from _stages_below(called, templates)
        else:
            yield task["name"]


def calls(document: Manifest) -> dict[str, Manifest]:
    """Return the DAG tasks of stages by their names."""
    templates = templates_of(document)
    return {
        task["name"]: task
        for template in templates.values()
        for task in template.get("dag", {"tasks": []})["tasks"]
        if "dag" not in templates[task["template"]]
    }


def pod_template(document: Manifest, task: str) -> Any:
    """Return the template of a task's pod with its parameters put in, as Argo does it.

    Argo substitutes in the template's JSON, and once more in the result of that.
    """
    call = calls(document)[task]
    values = {
        f"inputs.parameters.{each['name']}": each["value"]
        for each in call.get("arguments", {"parameters": []})["parameters"]
    }
    text = json.dumps(templates_of(document)[call["template"]])
    for _ in range(2):
        text = re.sub(
            r"\{\{(.*?)\}\}",
            lambda tag: json.dumps(values[tag[1]])[1:-1] if tag[1] in values else tag[0],
            text,
        )
    return json.loads(text)
