"""From a `Project` to a `Plan`: the one place where order, names and commands are decided."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bodywork_argo.forges import host_keys
from bodywork_argo.names import LABEL_LIMIT, dns_label, stage_label, variable_part
from bodywork_argo.plan import (
    Accounts,
    BatchStep,
    BatchTask,
    Container,
    Deployer,
    Env,
    GitAccess,
    PlainEnv,
    Plan,
    Pod,
    Probes,
    Resources,
    RunNameEnv,
    SecretEnv,
    ServiceStep,
    ServiceTask,
    ServiceUrlEnv,
    Source,
    Step,
)
from bodywork_argo.runner import is_local
from bodywork_argo.spec import (
    BatchStage,
    Dialect,
    Install,
    PodOptions,
    Project,
    ServiceStage,
    Stage,
)

DEFAULT_INSTALL_TIMEOUT_SECONDS = 900
SSH_SECRET, SSH_KEY = "ssh-git-private-key", "BODYWORK_GIT_SSH_PRIVATE_KEY"
"""Secret and key that Bodywork 3 keeps the SSH key in."""
TOKEN_SECRET = "git-token"

_ENGINE_SYNTAX = re.compile(r"\{\{|\$\(|\$\$|[^ -~]")
"""What Argo ({{), the kubelet ($$, $(NAME)) or Tekton ($(x)) would substitute, and all that is
not printable ASCII, which is safe nowhere on the way through YAML, JSON and annotations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What the user may set from outside the file."""

    image: str | None = None
    """Takes the place of every stage's image."""
    namespace: str | None = None
    install_timeout_seconds: int | None = None
    """Takes the place of what the file says; without either it is 900."""
    git_image: str | None = None
    """Fetches the code where the stages' own images have no git."""
    git_secret: str | None = None
    """Takes the place of `SSH_SECRET` or `TOKEN_SECRET`."""
    accounts: Accounts = Accounts()
    exclusive: bool | None = None
    """None: exclusive when the pipeline has services, since two runs would roll out both."""
    submitted_by: str | None = None
    keep_services: bool = False
    deployer: Deployer | None = None
    scheduled: bool = False
    """Whether the plan is for a schedule."""


def make_plan(project: Project, source: Source, options: PlanOptions | None = None) -> Plan:
    """Return the plan of a project at a revision. Pure: the same input gives an equal plan."""
    options = options or PlanOptions()
    plan_stage = _StagePlanner(project, source, options)
    return Plan(
        pipeline=project.name,
        name=dns_label(project.name),
        source=source,
        steps=_steps(project, plan_stage),
        on_failure=plan_stage.failure_task(),
        namespace=options.namespace or project.namespace,
        run=project.run,
        git=_git_access(source.repository, options),
        accounts=options.accounts,
        deployer=options.deployer or Deployer(),
        exclusive=plan_stage.has_services if options.exclusive is None else options.exclusive,
        submitted_by=options.submitted_by,
        scheduled=options.scheduled,
        keep_services=options.keep_services,
    )


def encoded_option(name: str, text: str) -> str:
    """Return ``--name=text``, or ``--name64=...`` where an engine could take text for its own.

    >>> encoded_option("arg", "--epochs=3"), encoded_option("arg", "{{x}}")
    ('--arg=--epochs=3', '--arg64=e3t4fX0=')
    """
    if _ENGINE_SYNTAX.search(text):
        return f"--{name}64={_base64(text)}"
    return f"--{name}={text}"


def _steps(project: Project, plan_stage: _StagePlanner) -> tuple[Step, ...]:
    """Split mixed steps: batch stages come first, then the services (as Bodywork has it)."""
    steps: list[Step] = []
    by_name = {stage.name: stage for stage in project.stages}
    for stage_names in project.dag.steps:
        stages = [by_name[name] for name in stage_names]
        batch = tuple(plan_stage.batch(s) for s in stages if isinstance(s, BatchStage))
        services = plan_stage.new_services(s for s in stages if isinstance(s, ServiceStage))
        if batch:
            steps.append(BatchStep(tasks=batch))
        if services:
            steps.append(ServiceStep(tasks=services))
    return tuple(steps)


class _StagePlanner:
    """Makes tasks of stages; remembers the names given so far."""

    def __init__(self, project: Project, source: Source, options: PlanOptions) -> None:
        self._project = project
        self._source = source
        self._options = options
        by_name = {stage.name: stage for stage in project.stages}
        used = [by_name[name] for name in project.dag.stages]
        self._services = tuple(stage for stage in used if isinstance(stage, ServiceStage))
        self._released: set[str] = set()
        self._reserved = {stage_label(stage.name) for stage in used}
        self._taken: set[str] = set()
        self._numbers: dict[str, Iterator[int]] = {}
        self._addresses = self._service_addresses()

    @property
    def has_services(self) -> bool:
        return bool(self._services)

    def batch(self, stage: BatchStage, *, on_failure: bool = False) -> BatchTask:
        flags = ["--failure-stage"] if on_failure else []
        if stage.max_completion_time_seconds:
            flags.append(f"--time-limit={stage.max_completion_time_seconds}")
        return BatchTask(
            stage=stage.name,
            name=self._free_name(stage_label(stage.name)),
            container=self._container(stage, flags),
            pod=_pod(stage.pod),
            retries=stage.retries,
            time_limit_seconds=stage.max_completion_time_seconds,
            install_timeout_seconds=self._install_timeout(stage),
        )

    def new_services(self, stages: Iterable[ServiceStage]) -> tuple[ServiceTask, ...]:
        """Return tasks for those not released in an earlier step: the same revision is up."""
        fresh = [stage for stage in stages if stage.name not in self._released]
        self._released.update(stage.name for stage in fresh)
        return tuple(self._service(stage) for stage in fresh)

    def failure_task(self) -> BatchTask | None:
        if self._project.run_on_failure is None:
            return None
        stage = self._project.stage(self._project.run_on_failure)
        assert isinstance(stage, BatchStage), "the schema refuses services here"
        return self.batch(stage, on_failure=True)

    def _service(self, stage: ServiceStage) -> ServiceTask:
        return ServiceTask(
            stage=stage.name,
            name=self._free_name(stage_label(stage.name)),
            container=self._container(stage, []),
            pod=_pod(stage.pod),
            port=stage.port,
            replicas=stage.replicas,
            startup_seconds=stage.max_startup_time_seconds,
            install_timeout_seconds=self._install_timeout(stage),
            ingress=stage.options.ingress if stage.ingress else None,
            probes=Probes(
                startup_path=stage.options.startup_path,
                readiness_path=stage.options.readiness_path,
                liveness_path=stage.options.liveness_path,
            ),
            aliases=self._aliases(stage),
        )

    def _aliases(self, stage: ServiceStage) -> tuple[str, ...]:
        """Return the host name that files of version 1.0 had; their code may still call it."""
        if self._project.dialect is Dialect.V1_1:
            return ()
        # Not dns_label: it would fold the double dash that is part of the promised address.
        alias = f"{stage_label(self._project.name)}--{stage_label(stage.name)}"
        return (alias,) if len(alias) <= LABEL_LIMIT else ()

    def _free_name(self, label: str) -> str:
        while label in self._taken:
            numbers = self._numbers.setdefault(label, itertools.count(2))
            again = (dns_label(f"{label}-{number}") for number in numbers)
            label = next(name for name in again if name not in self._reserved)
        self._taken.add(label)
        return label

    def _container(self, stage: Stage, flags: list[str]) -> Container:
        plain = {
            **dict(stage.pod.env),
            "BODYWORK_PIPELINE": self._project.name,
            "BODYWORK_STAGE": stage.name,
            "BODYWORK_LOG_LEVEL": self._project.log_level,
        }
        awkward = {name: value for name, value in plain.items() if _ENGINE_SYNTAX.search(value)}
        return Container(
            image=self._options.image or stage.image or self._project.docker_image,
            module=stage.module,
            prepare=self._prepare_options(stage),
            execute=(
                encoded_option("module", stage.module),
                *self._directory_option(),
                *(encoded_option("arg", text) for text in stage.args),
                *(f"--env64={name}={_base64(value)}" for name, value in awkward.items()),
                *flags,
            ),
            env=(
                *_secret_env(stage),
                *(PlainEnv(name=k, value=v) for k, v in plain.items() if k not in awkward),
                RunNameEnv(name="BODYWORK_RUN"),
                *self._addresses,
            ),
            prepare_env=_index_credentials(stage.pod.install),
            ca_bundle=stage.pod.install.ca_bundle,
            resources=_resources(stage),
        )

    def _prepare_options(self, stage: Stage) -> tuple[str, ...]:
        install = stage.pod.install
        file = stage.requirements_file
        return (
            *self._directory_option(),
            *(encoded_option("requirement", text) for text in stage.requirements),
            *([encoded_option("requirements-file", file)] if file else []),
            *(["--notebook"] if stage.module.endswith(".ipynb") else []),
            *([f"--installer={install.tool}"] if install.tool != "pip" else []),
            *_network_options(install),
            f"--time-limit={self._install_timeout(stage)}",
        )

    def _install_timeout(self, stage: Stage) -> int:
        asked = (self._options.install_timeout_seconds, stage.pod.install.timeout_seconds)
        return next((s for s in asked if s is not None), DEFAULT_INSTALL_TIMEOUT_SECONDS)

    def _directory_option(self) -> tuple[str, ...]:
        directory = self._source.directory
        return (encoded_option("directory", directory),) if directory else ()

    def _service_addresses(self) -> tuple[Env, ...]:
        return tuple(
            ServiceUrlEnv(
                name=f"BODYWORK_SERVICE_{variable_part(stage.name)}_URL",
                service=stage_label(stage.name),
                port=stage.port,
            )
            for stage in self._services
        )


def _git_access(repository: str | None, options: PlanOptions) -> GitAccess:
    """Return what may open the repository; a public one is fetched without any of it."""
    if repository is None or is_local(repository):
        return GitAccess(image=options.git_image)
    if repository.startswith(("https://", "http://")):
        secret = options.git_secret or TOKEN_SECRET
        keys = ("BODYWORK_GIT_TOKEN", "BODYWORK_GIT_USERNAME")
    else:
        secret = options.git_secret or SSH_SECRET
        keys = (SSH_KEY, "BODYWORK_GIT_KNOWN_HOSTS")
    return GitAccess(
        host_keys=host_keys(repository),
        env=tuple(SecretEnv(name=key, secret=secret, key=key, optional=True) for key in keys),
        image=options.git_image,
    )


def _secret_env(stage: Stage) -> tuple[Env, ...]:
    """Return variables from secrets; the variable's name is the key (as Bodywork has it)."""
    return tuple(
        SecretEnv(name=ref.variable, secret=ref.secret, key=ref.variable) for ref in stage.secrets
    )


def _index_credentials(install: Install) -> tuple[Env, ...]:
    keys = {"BODYWORK_INDEX_USERNAME": "username", "BODYWORK_INDEX_PASSWORD": "password"}
    if install.index_secret is None:
        return ()
    return tuple(
        SecretEnv(name=name, secret=install.index_secret, key=key) for name, key in keys.items()
    )


def _network_options(install: Install) -> tuple[str, ...]:
    values = {
        "index-url": install.index_url,
        "http-proxy": install.http_proxy,
        "https-proxy": install.https_proxy,
        "no-proxy": install.no_proxy,
    }
    return tuple(encoded_option(name, value) for name, value in values.items() if value)


def _resources(stage: Stage) -> Resources:
    return Resources(
        cpu_request=stage.cpu_request,
        memory_request_mb=stage.memory_request_mb,
        cpu_limit=stage.pod.cpu_limit,
        memory_limit_mb=stage.pod.memory_limit_mb,
        gpu=stage.pod.gpu,
        gpu_resource=stage.pod.gpu_resource if stage.pod.gpu else "",
    )


def _pod(options: PodOptions) -> Pod:
    return Pod(
        node_selector=options.node_selector,
        tolerations=options.tolerations,
        image_pull_secrets=options.image_pull_secrets,
        image_pull_policy=options.image_pull_policy,
        service_account=options.service_account,
        labels=options.labels,
        annotations=options.annotations,
        volumes=options.volumes,
        patches=options.patches,
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
