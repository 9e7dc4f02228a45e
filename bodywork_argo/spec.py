"""What a bodywork.yaml means, frozen. Made by `schema.parse_project`, read by `planner.make_plan`.

Every value has passed the schema's checks: a `Project` that exists is valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from bodywork_argo.dag import Dag

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""A mapping, in the order of the file."""

DEFAULT_GPU_RESOURCE = "nvidia.com/gpu"


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
class Toleration:
    """A taint of nodes that the stage's pods put up with."""

    key: str | None = None
    """None, with operator ``Exists``, is any taint."""
    operator: str = "Equal"
    value: str | None = None
    effect: str | None = None
    seconds: int | None = None


class VolumeKind(Enum):
    """Where a volume's content comes from; the value is its key in the file."""

    CLAIM = "claim"
    SECRET = "secret"
    CONFIG_MAP = "config_map"
    EMPTY = "empty_mb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume and the one place where the stage sees it."""

    name: str
    path: str
    """Absolute, inside the container."""
    kind: VolumeKind
    source: str
    """Name of the claim, secret or config map; for `VolumeKind.EMPTY` its limit in MB."""
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """How a stage's requirements are installed. Only `prepare` sees any of it."""

    timeout_seconds: int | None = None
    """None leaves the default, or what the command line says."""
    index_url: str | None = None
    index_secret: str | None = None
    """Secret with the keys ``username`` and ``password`` for the index."""
    ca_bundle: str | None = None
    """Config map whose key ``ca.crt`` holds the certificates to trust."""
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    tool: str = "pip"
    """``pip`` or ``uv``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """How a service with ``ingress: true`` is reached from outside."""

    class_name: str | None = None
    host: str | None = None
    path: str | None = None
    tls_secret: str | None = None
    rewrite: bool | None = None
    """Whether an nginx ingress takes the path away before the service sees it; None: whenever
    the class is nginx, or not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What only services have. A probe without a path asks whether the port is open."""

    startup_path: str | None = None
    readiness_path: str | None = None
    liveness_path: str | None = None
    """None: no liveness probe."""
    ingress: Ingress = Ingress()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOptions:
    """What a stage's pods are given; the pipeline's defaults are already in it."""

    cpu_limit: float = 0.0
    """Cores; 0 sets none."""
    memory_limit_mb: int = 0
    """Megabytes (10^6 bytes); 0 sets none."""
    gpu: int = 0
    gpu_resource: str = DEFAULT_GPU_RESOURCE
    node_selector: Pairs = ()
    tolerations: tuple[Toleration, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    image_pull_policy: str | None = None
    service_account: str | None = None
    labels: Pairs = ()
    annotations: Pairs = ()
    env: Pairs = ()
    volumes: tuple[Volume, ...] = ()
    install: Install = Install()
    patches: tuple[str, ...] = ()
    """JSON of strategic-merge patches of the pod's spec, to be applied in this order."""


class Rollback(Enum):
    """Which services go back to their last good version."""

    RUN = "run"
    """All that a run released, when it fails anywhere."""
    STEP = "step"
    """Those of a step, when one of them fails."""
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run as a whole is given."""

    run_timeout_seconds: int = 0
    """0 sets no limit."""
    parallelism: int = 0
    """How many stages run at once; 0 sets no limit."""
    ttl_seconds: int | None = None
    """How long a run's objects stay after its end; None leaves them to the engine."""
    rollback: Rollback = Rollback.RUN


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
    image: str | None = None
    """Takes the place of the pipeline's image."""
    requirements_file: str | None = None
    """Path inside the repository of a file that pip reads with ``-r``."""
    pod: PodOptions = PodOptions()


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
    options: ServiceOptions = ServiceOptions()


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
    run: RunOptions = RunOptions()

    def stage(self, name: str) -> Stage:
        """Return the stage of that name; KeyError when there is none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)
