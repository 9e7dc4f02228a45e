"""The keys of bodywork.yaml that Bodywork itself has: one table for validation and reference."""

from __future__ import annotations

from bodywork_argo.schema import checks
from bodywork_argo.schema.fields import (
    Field,
    Section,
    block,
    choice,
    mapping,
    nested,
    number,
    switch,
    text,
    texts,
    whole,
)
from bodywork_argo.schema.kubernetes_keys import (
    PIPELINE_KUBERNETES_SECTION,
    STAGE_KUBERNETES_SECTION,
)

VERSION = Field(
    name="version",
    type=text(checks.version, words='"1.1"'),
    required=True,
    example='"1.1"',
    constraint='"1.1" or "1.0", in quotes',
    doc="The file's format. 1.0 calls the section `pipeline` by the name `project`.",
)
PIPELINE = Field(
    name="pipeline",
    type=block(),
    doc="What the pipeline is called, its image and the order of its stages.",
    dialects="1.1",
)
PROJECT = Field(
    name="project",
    type=block(),
    doc="The older name of `pipeline`.",
    dialects="1.0",
)
STAGES = Field(
    name="stages",
    type=block(),
    required=True,
    example="{train: {...}}",
    doc="The stages, each under its own name.",
)
LOGGING = Field(
    name="logging",
    type=block(),
    required=True,
    example="{log_level: INFO}",
    doc="How much the stages say.",
)

NAME = Field(
    name="name",
    type=text(checks.pipeline_name),
    required=True,
    example="my-pipeline",
    constraint="letters, digits, `-` and `.`",
    doc="Names the pipeline; what is created on a cluster is labelled with it.",
)
DOCKER_IMAGE = Field(
    name="docker_image",
    type=text(checks.image),
    required=True,
    example="python:3.12-slim",
    constraint="`[REGISTRY/]NAME[:TAG][@DIGEST]`",
    doc="The image that stages run in: any with Python 3.8 or later.",
    engines="argo, tekton",
)
DAG = Field(
    name="DAG",
    type=text(words="one text, such as 'train >> serve'"),
    required=True,
    example="train >> serve",
    constraint="`step >> step`, a step being `stage, stage`",
    doc="The order of the stages: a step starts when all stages of the step before ended well.",
)
RUN_ON_FAILURE = Field(
    name="run_on_failure",
    type=text(),
    default="",
    example="report",
    constraint="a batch stage",
    doc="The stage that runs once when the pipeline has failed.",
)
NAMESPACE = Field(
    name="namespace",
    type=text(checks.namespace),
    default="",
    example="ml-team",
    constraint="a DNS label",
    doc="The namespace to run in, unless the command line names one.",
    engines="argo, tekton",
    dialects="1.1, release candidates",
)
SECRETS_GROUP = Field(
    name="secrets_group",
    type=text(),
    default="",
    example="dev",
    doc="The group of secrets that is copied to the namespace.",
    engines="argo, tekton",
    dialects="1.1, release candidates",
)
USAGE_STATS = Field(
    name="usage_stats",
    type=switch(),
    default=False,
    example="false",
    doc="Accepted and ignored: nothing is ever sent.",
    engines="none",
)

MODULE = Field(
    name="executable_module_path",
    type=text(checks.module_path),
    required=True,
    example="train.py",
    constraint="ends in `.py` or `.ipynb`, inside the repository",
    doc="The module or notebook that the stage runs.",
)
ARGS = Field(
    name="args",
    type=texts(),
    default=(),
    example='["--epochs", "3"]',
    doc="The module's arguments, passed on as they are.",
)
CPU_REQUEST = Field(
    name="cpu_request",
    type=number(),
    required=True,
    example="0.5",
    unit="cores",
    doc="What the stage needs; 0 asks for nothing.",
    engines="argo, tekton",
)
MEMORY_REQUEST_MB = Field(
    name="memory_request_mb",
    type=whole(),
    required=True,
    example="250",
    unit="MB (10^6 bytes)",
    doc="What the stage needs; 0 asks for nothing.",
    engines="argo, tekton",
)
REQUIREMENTS = Field(
    name="requirements",
    type=texts(checks.requirement),
    default=(),
    example='["numpy==2.0.2"]',
    constraint="as pip takes them, without credentials",
    doc="What is installed before the module starts.",
)
SECRETS = Field(
    name="secrets",
    type=mapping(
        checks.variable_name,
        text(checks.secret_name, words="the name of a secret", secret=True),
        words="mapping of a variable to the name of a secret",
        example="secrets: {API_TOKEN: my-secret}",
        secret=True,
    ),
    default=(),
    example="{API_TOKEN: my-secret}",
    doc="Variables, each filled from the key of the same name in the secret.",
)
BATCH = Field(
    name="batch",
    type=block(),
    doc="Makes the stage one that runs to its end. A stage has either `batch` or `service`.",
)
SERVICE = Field(
    name="service",
    type=block(),
    doc="Makes the stage one that serves on a port. A stage has either `batch` or `service`.",
)

COMPLETION_SECONDS = Field(
    name="max_completion_time_seconds",
    type=whole(),
    required=True,
    example="60",
    unit="seconds",
    doc="How long one attempt of the module may take; 0 sets no limit.",
)
RETRIES = Field(
    name="retries",
    type=whole(),
    required=True,
    example="2",
    unit="attempts",
    doc="How often the stage is tried again after its first attempt failed.",
)

STARTUP_SECONDS = Field(
    name="max_startup_time_seconds",
    type=whole(),
    required=True,
    example="120",
    unit="seconds",
    doc="How long the module may take from its start until its port answers.",
)
REPLICAS = Field(
    name="replicas",
    type=whole(),
    required=True,
    example="2",
    unit="pods",
    doc="How many copies of the service run. The local backend runs one.",
    engines="argo, tekton",
)
PORT = Field(
    name="port",
    type=whole(1, 65535),
    required=True,
    example="5000",
    doc="The port that the module listens on.",
)
INGRESS = Field(
    name="ingress",
    type=switch(),
    required=True,
    example="false",
    doc="Whether the service can be reached from outside the cluster.",
    engines="argo, tekton",
)

LOG_LEVEL = Field(
    name="log_level",
    type=choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    required=True,
    example="INFO",
    doc="Given to the stages as `BODYWORK_LOG_LEVEL`.",
)

PIPELINE_KUBERNETES = Field(
    name="kubernetes",
    type=nested(PIPELINE_KUBERNETES_SECTION),
    example="{cpu_limit: 2}",
    doc="What Bodywork has no keys for. An extension: Bodywork ignores it.",
)
STAGE_KUBERNETES = Field(
    name="kubernetes",
    type=nested(STAGE_KUBERNETES_SECTION),
    example="{cpu_limit: 2}",
    doc="What Bodywork has no keys for. An extension: Bodywork ignores it.",
)

TOP_SECTION = Section(path="", fields=(VERSION, PIPELINE, PROJECT, STAGES, LOGGING))
PIPELINE_SECTION = Section(
    path="pipeline",
    fields=(
        NAME,
        DOCKER_IMAGE,
        DAG,
        RUN_ON_FAILURE,
        NAMESPACE,
        SECRETS_GROUP,
        USAGE_STATS,
        PIPELINE_KUBERNETES,
    ),
)
STAGE_SECTION = Section(
    path="stages.<name>",
    fields=(
        MODULE,
        ARGS,
        CPU_REQUEST,
        MEMORY_REQUEST_MB,
        REQUIREMENTS,
        SECRETS,
        BATCH,
        SERVICE,
        STAGE_KUBERNETES,
    ),
)
BATCH_SECTION = Section(path="stages.<name>.batch", fields=(COMPLETION_SECONDS, RETRIES))
SERVICE_SECTION = Section(
    path="stages.<name>.service", fields=(STARTUP_SECONDS, REPLICAS, PORT, INGRESS)
)
LOGGING_SECTION = Section(path="logging", fields=(LOG_LEVEL,))

HOMES = {
    field.name: section.path
    for section in (
        LOGGING_SECTION,
        SERVICE_SECTION,
        BATCH_SECTION,
        STAGE_SECTION,
        PIPELINE_SECTION,
    )
    for field in section.fields
    if field.name != "kubernetes"
}
"""The section that each key belongs to."""
