"""What is to run, whatever the engine, frozen. Made by `planner.make_plan`, read by backends.

A plan holds every decision: order, names, commands, environment, limits. A backend translates it.
What differs between engines (where files lie, what the run is called, how a service is reached)
appears as a member of a closed union that each backend spells in its own words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from bodywork_argo.spec import Ingress, Pairs, RunOptions, Toleration, Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """The run takes exactly this commit."""

    commit: str
    """Full hash, 40 (or 64) hexadecimal characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Repository and commit are arguments of each run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedAtRun:
    """A first task of each run resolves the ref; all stages take what it found.

    That task plans the commit again. Where this gives another plan, what the run would do is not
    what its file says any more.
    """

    ref: str
    """Branch or tag, or HEAD for the repository's default branch."""
    known: str = ""
    """The commit that this plan was made of; where no other is found, the failure task takes it."""
    again: str = ""
    """What planning takes beside the code, as JSON; see `replanning`."""


Revision: TypeAlias = Pinned | Parameter | ResolvedAtRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the code of every stage comes from."""

    revision: Revision
    repository: str | None = None
    """URL or absolute path without credentials; None only with `Parameter`."""
    ref: str | None = None
    """Branch or tag that was asked for, for people to read."""
    directory: str = ""
    """Folder of bodywork.yaml inside the repository; "" is its root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainEnv:
    """A variable with a value that no engine can mistake for its own syntax."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretEnv:
    """A variable filled from a key of a secret."""

    name: str
    secret: str
    key: str
    optional: bool = False
    """Whether the variable is left out where there is no such secret or key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNameEnv:
    """A variable that holds the run's name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUrlEnv:
    """A variable that holds the address of a service of the same pipeline."""

    name: str
    service: str
    """`ServiceTask.name`."""
    port: int


Env: TypeAlias = PlainEnv | SecretEnv | RunNameEnv | ServiceUrlEnv


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a stage's containers ask for and may use at most; 0 leaves a value out.

    Both containers of a pod carry them: a namespace with a quota refuses pods in which one has
    none, and the pod as a whole asks for the larger of the two.
    """

    cpu_request: float = 0.0
    """Cores."""
    memory_request_mb: int = 0
    """Megabytes, 10^6 bytes."""
    cpu_limit: float = 0.0
    memory_limit_mb: int = 0
    gpu: int = 0
    gpu_resource: str = ""
    """Name by which the cluster counts its GPUs, such as ``nvidia.com/gpu``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitAccess:
    """What opens the repository to pods; prepare alone gets any of it.

    Engines on this machine leave it: there git has the user's own keys and settings.
    """

    env: tuple[SecretEnv, ...] = ()
    """Key, known hosts or token, all optional: a public repository needs none."""
    host_keys: tuple[str, ...] = ()
    """Lines of known_hosts that hold where the secret has none of its own."""
    image: str | None = None
    """Image with git, for stages whose own image has none; None takes each stage's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The service accounts that a run on a cluster uses."""

    stage: str | None = None
    """Of the stages' pods, unless a stage names its own; None is the namespace's default."""
    executor: str | None = None
    """Of the engine's own part in each pod. With one, the module's container holds no token of
    the API; None leaves the token of the stage's account to both."""
    release: str | None = None
    """Of the tasks that release services; None is the namespace's default."""
    submitter: str | None = None
    """Of the first task of a scheduled run, which may start another; None is as for `stage`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployer:
    """What releases services inside a run."""

    image: str = "python:3.12-slim"
    """Any with Python; bodywork-argo is installed there unless the image has it."""
    pending_seconds: float = 600.0
    """For a service's pod to get its node and its image; 0 means for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One stage's image, commands and environment."""

    image: str
    module: str
    """Path of the module below the folder of bodywork.yaml, for people to read."""
    prepare: tuple[str, ...]
    """Options of ``runner.py prepare`` without those that `prepare_command` adds."""
    execute: tuple[str, ...]
    """Options of ``runner.py exec`` without those that `exec_command` adds."""
    env: tuple[Env, ...] = ()
    """Variables of the module."""
    prepare_env: tuple[Env, ...] = ()
    """Variables of prepare alone; the module sees none of them."""
    ca_bundle: str | None = None
    """Config map whose key ``ca.crt`` holds the certificates that prepare trusts."""
    resources: Resources = Resources()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What a stage's pods are given beside their containers."""

    node_selector: Pairs = ()
    tolerations: tuple[Toleration, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    image_pull_policy: str | None = None
    service_account: str | None = None
    labels: Pairs = ()
    annotations: Pairs = ()
    volumes: tuple[Volume, ...] = ()
    patches: tuple[str, ...] = ()
    """JSON of strategic-merge patches of the pod's spec, applied last and in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Paths asked by HTTP; None asks whether the port is open."""

    startup_path: str | None = None
    readiness_path: str | None = None
    liveness_path: str | None = None
    """None: no liveness probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTask:
    """A stage that runs to its end."""

    stage: str
    name: str
    """DNS-1123 label, unique in the plan."""
    container: Container
    pod: Pod
    retries: int
    time_limit_seconds: int
    """Of the module, for each attempt; 0 means none. Already among `container.execute`."""
    install_timeout_seconds: int
    """Of prepare. Already among `container.prepare`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTask:
    """A stage that serves until it is replaced or deleted."""

    stage: str
    name: str
    """DNS-1035 label, unique in the plan; the host name of the service."""
    container: Container
    pod: Pod
    port: int
    replicas: int
    startup_seconds: int
    """From the start of the module to the first answer on its port."""
    install_timeout_seconds: int
    ingress: Ingress | None
    """How it is reached from outside the cluster, if it is."""
    probes: Probes = Probes()
    aliases: tuple[str, ...] = ()
    """Further names by which the service is reached."""


Task: TypeAlias = BatchTask | ServiceTask


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStep:
    """Tasks that run side by side; the next step waits for all of them."""

    tasks: tuple[BatchTask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStep:
    """Services that are released side by side; the next step waits for all of them."""

    tasks: tuple[ServiceTask, ...]


Step: TypeAlias = BatchStep | ServiceStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole pipeline. Steps alternate so that each holds tasks of one kind only."""

    pipeline: str
    """As the author wrote it."""
    name: str
    """DNS-1123 label made of `pipeline`."""
    source: Source
    steps: tuple[Step, ...]
    on_failure: BatchTask | None = None
    namespace: str | None = None
    run: RunOptions = RunOptions()
    git: GitAccess = GitAccess()
    accounts: Accounts = Accounts()
    deployer: Deployer = Deployer()
    exclusive: bool = False
    """Whether no other exclusive run of the pipeline goes on at the same time."""
    submitted_by: str | None = None
    """Who started the run, as the cluster knows them."""
    scheduled: bool = False
    """Whether a schedule starts the runs; their stages are told for when."""
    keep_services: bool = False
    """Whether services that live inside their run (local backend) stay up when it has ended."""

    @property
    def revision(self) -> Revision:
        """Which commit a run takes."""
        return self.source.revision

    def tasks(self) -> Iterator[Task]:
        """Yield the tasks of all steps in order, without the failure task."""
        for step in self.steps:
            yield from step.tasks

    def all_tasks(self) -> Iterator[Task]:
        """Yield the tasks of all steps in order, then the failure task."""
        yield from self.tasks()
        if self.on_failure is not None:
            yield self.on_failure

    def services(self) -> Iterator[ServiceTask]:
        """Yield the service tasks in order."""
        for step in self.steps:
            if isinstance(step, ServiceStep):
                yield from step.tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where things lie in the place a stage runs in: a pod, or a folder on a laptop."""

    python: str
    runner: str
    workspace: str
    termination_log: str
    ca_bundle: str = ""
    """Where the certificates of `Container.ca_bundle` are mounted."""


def prepare_command(
    container: Container,
    site: Site,
    *,
    repository: str,
    commit: str,
    head: str = "",
    known_commit: str = "",
    host_keys: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the command line that fetches the code and installs the requirements.

    `repository` and `commit` are the engine's text for them: values, or its own placeholders.
    `head` is the option that names a ref whose last commit is taken in place of `commit`.
    `known_commit` is taken where the engine puts nothing in the place of that for the commit.
    """
    return (
        site.python,
        site.runner,
        "prepare",
        f"--workspace={site.workspace}",
        f"--termination-log={site.termination_log}",
        f"--repository={repository}",
        head or f"--commit={commit}",
        *([f"--known-commit={known_commit}"] if known_commit else []),
        *([f"--ca-bundle={site.ca_bundle}"] if container.ca_bundle else []),
        *(f"--host-key={line}" for line in host_keys),
        *container.prepare,
    )


def exec_command(container: Container, site: Site) -> tuple[str, ...]:
    """Return the command line that becomes the stage's module."""
    return (
        site.python,
        site.runner,
        "exec",
        f"--workspace={site.workspace}",
        f"--termination-log={site.termination_log}",
        *container.execute,
    )


def to_document(value: object) -> Any:
    """Return a plan, or a part of it, as plain data; union members carry their ``kind``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: to_document(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, tuple):
        return [to_document(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value
