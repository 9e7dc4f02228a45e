"""Which stages share a template: many that differ in text only, which become its parameters.

One template for each stage reads best, and gives pods the name of their stage. But a thousand of
them are more than Argo stores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from hera.workflows import models as m

from bodywork_argo.names import free_name
from bodywork_argo.plan import BatchTask, Env, PlainEnv, Plan
from bodywork_argo_adapters.argo.dag import Call, Calls
from bodywork_argo_adapters.argo.pods import stage_template

SHARED_FROM = 10
"""Stages; below, each has a template of its own."""
FEW_STAGES = 150
"""With more stages, two that are alike share: the CRDs of Argo 4 take 200 templates."""
MOST_PARAMETERS = 500
"""Of one template, likewise."""

Texts: TypeAlias = tuple[tuple[str, str], ...]
"""What may differ between stages that share a template: names of parameters, and the texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTemplates:
    """The templates of all stages, and how each task calls its own."""

    templates: list[m.Template]
    calls: Calls


def stage_templates(plan: Plan, tasks: Sequence[BatchTask], taken: set[str]) -> StageTemplates:
    """Return the templates in the order in which tasks use them; names of new ones get `taken`."""
    alike: dict[BatchTask, list[BatchTask]] = {}
    for task in tasks:
        alike.setdefault(_shape(task), []).append(task)
    groups = {group[0].name: _Group(group) for group in alike.values()}
    least = SHARED_FROM if len(tasks) <= FEW_STAGES else 2
    made = StageTemplates(templates=[], calls={})
    for task in tasks:
        if task.name in groups and groups[task.name].may_share(least):
            name = free_name("stage", taken)
            taken.add(name)
            made.templates.append(groups[task.name].template(plan, name))
            made.calls.update(groups[task.name].calls(name))
        elif task.name not in made.calls:
            made.templates.append(stage_template(plan, task, task.name))
            made.calls[task.name] = Call(template=task.name)
    return made


def _shape(task: BatchTask) -> BatchTask:
    """Return what is left of a task without its texts."""
    return _with_texts(task, lambda key, _: key)


class _Group:
    """Tasks of one shape. Texts that always go together are one parameter."""

    def __init__(self, tasks: list[BatchTask]) -> None:
        self._tasks = tasks
        self._texts = [dict(_texts(task)) for task in tasks]
        self._columns = {key: tuple(each[key] for each in self._texts) for key in self._texts[0]}
        self._parameters: dict[tuple[str, ...], str] = {}
        for key, column in self._columns.items():
            if len(set(column)) > 1:
                self._parameters.setdefault(column, key)

    def may_share(self, least: int) -> bool:
        """Return whether these tasks get one template."""
        return len(self._tasks) >= least and len(self._parameters) <= MOST_PARAMETERS

    def calls(self, name: str) -> Calls:
        """Return how each task calls the template."""
        keys = tuple(self._parameters.values())
        return {
            task.name: Call(template=name, parameters=tuple((key, each[key]) for key in keys))
            for task, each in zip(self._tasks, self._texts, strict=True)
        }

    def template(self, plan: Plan, name: str) -> m.Template:
        """Return the template."""

        def placeholder(key: str, text: str) -> str:
            parameter = self._parameters.get(self._columns[key])
            return text if parameter is None else f"{{{{inputs.parameters.{parameter}}}}}"

        task = _with_texts(self._tasks[0], placeholder)
        return stage_template(plan, task, name, parameters=self._parameters.values())


def _texts(task: BatchTask) -> Texts:
    found: list[tuple[str, str]] = []

    def note(key: str, text: str) -> str:
        found.append((key, text))
        return text

    _with_texts(task, note)
    return tuple(found)


def _with_texts(task: BatchTask, change: Callable[[str, str], str]) -> BatchTask:
    """Return a task whose texts went through `change`, each with a key that is unique in it."""
    keys = _Keys()
    container = task.container
    return replace(
        task,
        name=change(keys.new("stage"), task.name),
        stage="",
        container=replace(
            container,
            image=change(keys.new("image"), container.image),
            module="",
            execute=tuple(change(keys.option(text), text) for text in container.execute),
            prepare=tuple(change(keys.option(text), text) for text in container.prepare),
            env=tuple(_changed(env, keys, change) for env in container.env),
        ),
    )


def _changed(env: Env, keys: _Keys, change: Callable[[str, str], str]) -> Env:
    if not isinstance(env, PlainEnv):
        return env
    return replace(env, value=change(keys.new(env.name), env.value))


class _Keys:
    """Makes names of parameters, each once: ``arg``, ``arg-2``, ``requirement``."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def new(self, wanted: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_-]", "-", wanted)
        number = self._seen[name] = self._seen.get(name, 0) + 1
        return name if number == 1 else f"{name}-{number}"

    def option(self, text: str) -> str:
        """Return the key of an option; whether its value is encoded makes no difference."""
        return self.new(text.partition("=")[0].lstrip("-").removesuffix("64"))
