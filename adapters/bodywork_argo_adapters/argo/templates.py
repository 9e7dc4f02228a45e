"""Which stages share a template: many that differ in text only, which become its parameters.

One template for each stage reads best, and gives pods the name of their stage. But a thousand of
them are more than Argo stores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from hera.workflows import models as m

from bodywork_argo.plan import BatchTask, Env, PlainEnv, Plan
from bodywork_argo_adapters.argo.dag import Call, Calls, free_name
from bodywork_argo_adapters.argo.pods import stage_template

SHARED_FROM = 10
"""Stages; below, each has a template of its own."""

Texts: TypeAlias = tuple[tuple[str, str], ...]
"""What may differ between stages that share a template: names of parameters, and the texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTemplates:
    """The templates of all stages, and how each task calls its own."""

    templates: list[m.Template]
    calls: Calls


def stage_templates(plan: Plan, tasks: Iterable[BatchTask], taken: set[str]) -> StageTemplates:
    """Return the templates in the order in which tasks use them; names of new ones get `taken`."""
    tasks = tuple(tasks)
    groups: dict[BatchTask, list[BatchTask]] = {}
    for task in tasks:
        groups.setdefault(_shape(task), []).append(task)
    made = StageTemplates(templates=[], calls={})
    for task in tasks:
        group = groups[_shape(task)]
        if len(group) < SHARED_FROM:
            made.templates.append(stage_template(plan, task, task.name))
            made.calls[task.name] = Call(template=task.name)
        elif task is group[0]:
            name = free_name("stage", taken)
            taken.add(name)
            made.templates.append(_shared(plan, group, name, made.calls))
    return made


def _shape(task: BatchTask) -> BatchTask:
    """Return what is left of a task without its texts."""
    return _with_texts(task, lambda key, _: key)


def _shared(plan: Plan, group: list[BatchTask], name: str, calls: Calls) -> m.Template:
    """Return the template of many tasks, and note how they call it."""
    texts = [dict(_texts(task)) for task in group]
    columns = {key: tuple(each[key] for each in texts) for key in texts[0]}
    keys: dict[tuple[str, ...], str] = {}
    for key, column in columns.items():
        if len(set(column)) > 1:  # texts that always go together are one parameter
            keys.setdefault(column, key)
    for task, each in zip(group, texts, strict=True):
        parameters = tuple((key, each[key]) for key in keys.values())
        calls[task.name] = Call(template=name, parameters=parameters)

    def placeholder(key: str, text: str) -> str:
        parameter = keys.get(columns[key])
        return text if parameter is None else f"{{{{inputs.parameters.{parameter}}}}}"

    return stage_template(plan, _with_texts(group[0], placeholder), name, parameters=keys.values())


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
