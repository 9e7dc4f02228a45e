"""What a bodywork.yaml means, frozen. Made by `schema.parse_project`, read by `planner.make_plan`.

Every value has passed the schema's checks: a `Project` that exists is valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from bodywork_argo.dag import Dag


class Dialect(Enum):
    """Which of Bodywork's file formats the file is written in."""

    V1_1 = "1.1"
    V1_0 = "1.0"
    RELEASE_CANDIDATE = "3.0.0rc"
    """Version 1.0 with ``project``, but with ``namespace`` or ``secrets_group``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """An environment variable filled from the key of the same name in a secret."""

    variable: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    name: str
    module: str
    """Path of the module inside the repository, ending in ``.py`` or ``.ipynb``."""
    args: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    secrets: tuple[SecretRef, ...] = ()
    cpu_request: float = 0.0
    """Cores; 0 means that none are asked for."""
    memory_request_mb: int = 0
    """Megabytes (10^6 bytes, as Bodywork has it); 0 means that none are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStage(_Stage):
    """A module that runs to its end."""

    max_completion_time_seconds: int
    """Limit of the module itself, for each attempt; 0 means no limit."""
    retries: int
    """Further attempts after the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStage(_Stage):
    """A module that serves on a port until it is stopped."""

    max_startup_time_seconds: int
    """How long the module may take until its port answers, from its own start."""
    replicas: int
    port: int
    ingress: bool


Stage: TypeAlias = BatchStage | ServiceStage


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A whole bodywork.yaml. Every stage that `dag` and `run_on_failure` name is in `stages`."""

    name: str
    dialect: Dialect
    docker_image: str
    dag: Dag
    stages: tuple[Stage, ...]
    """In the order of the file, those that no step uses included."""
    log_level: str
    run_on_failure: str | None = None
    """Name of a batch stage."""
    namespace: str | None = None
    secrets_group: str | None = None

    def stage(self, name: str) -> Stage:
        """Return the stage of that name; KeyError when there is none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)
