"""The keys under ``kubernetes`` that pipeline and stages share: what a stage's pods are given.

A stage's value takes the place of the pipeline's; mappings and lists of both are joined.
"""

from __future__ import annotations

from bodywork_argo.schema import checks
from bodywork_argo.schema.fields import (
    Field,
    Type,
    built,
    choice,
    each,
    mapping,
    nested,
    number,
    text,
    whole,
)
from bodywork_argo.schema.patch import read_patch
from bodywork_argo.schema.pod_parts import (
    INSTALL_SECTION,
    TOLERATION_SECTION,
    VOLUME_SECTION,
    toleration,
    volume,
)

_CLUSTER = "argo, tekton"

CPU_LIMIT = Field(
    name="cpu_limit",
    type=number(),
    default=0.0,
    example="2",
    unit="cores",
    doc="What the stage may use at most; 0 sets no limit.",
    engines=_CLUSTER,
)
MEMORY_LIMIT_MB = Field(
    name="memory_limit_mb",
    type=whole(),
    default=0,
    example="1000",
    unit="MB (10^6 bytes)",
    doc="What the stage may use at most, or is killed; 0 sets no limit.",
    engines=_CLUSTER,
)
GPU = Field(
    name="gpu",
    type=whole(),
    default=0,
    example="1",
    unit="devices",
    doc="How many GPUs the stage needs.",
    engines=_CLUSTER,
)
GPU_RESOURCE = Field(
    name="gpu_resource",
    type=text(checks.resource_name),
    default="nvidia.com/gpu",
    example="amd.com/gpu",
    doc="What the cluster calls its GPUs.",
    engines=_CLUSTER,
)
NODE_SELECTOR = Field(
    name="node_selector",
    type=mapping(
        checks.qualified_name,
        text(checks.label),
        words="mapping of texts",
        example="node_selector: {disk: ssd}",
    ),
    default=(),
    example="{disk: ssd}",
    doc="Labels that a node must have.",
    engines=_CLUSTER,
)
TOLERATIONS = Field(
    name="tolerations",
    type=each(built(TOLERATION_SECTION, toleration), "list of tolerations"),
    default=(),
    example="[{key: gpu, operator: Exists}]",
    doc="Taints of nodes that the stage puts up with.",
    engines=_CLUSTER,
)
IMAGE_PULL_SECRETS = Field(
    name="image_pull_secrets",
    type=each(text(checks.secret_name, words="the name of a secret", secret=True), "list of texts"),
    default=(),
    example="[registry]",
    doc="Secrets that open the image's registry.",
    engines=_CLUSTER,
)
IMAGE_PULL_POLICY = Field(
    name="image_pull_policy",
    type=choice("Always", "IfNotPresent", "Never"),
    doc="When the image is pulled; without it, Kubernetes' own rule.",
    engines=_CLUSTER,
)
SERVICE_ACCOUNT = Field(
    name="service_account",
    type=text(checks.object_name),
    example="trainer",
    doc="The account of the stage's pods, for the cloud's own identities.",
    engines=_CLUSTER,
)
LABELS = Field(
    name="labels",
    type=mapping(
        checks.own_key, text(checks.label), words="mapping of texts", example="labels: {team: ml}"
    ),
    default=(),
    example="{team: ml}",
    doc="Labels of the stage's pods.",
    engines=_CLUSTER,
)
ANNOTATIONS = Field(
    name="annotations",
    type=mapping(
        checks.own_key,
        text(checks.no_credential, checks.no_engine_syntax),
        words="mapping of texts",
        example="annotations: {example.org/owner: ml}",
    ),
    default=(),
    example="{example.org/owner: ml}",
    doc="Annotations of the stage's pods.",
    engines=_CLUSTER,
)
ENV = Field(
    name="env",
    type=mapping(
        checks.free_variable,
        text(checks.no_credential, secret=True, words="text, in quotes"),
        words="mapping of texts",
        example='env: {OMP_NUM_THREADS: "4"}',
        secret=True,
    ),
    default=(),
    example='{OMP_NUM_THREADS: "4"}',
    doc="Variables of the module, with their values.",
)
VOLUMES = Field(
    name="volumes",
    type=each(built(VOLUME_SECTION, volume), "list of volumes"),
    default=(),
    example="[{name: data, path: /data, claim: training-data}]",
    doc="Volumes of the stage's pods.",
    engines=_CLUSTER,
)
INSTALL = Field(
    name="install",
    type=nested(INSTALL_SECTION),
    example="{timeout_seconds: 1800}",
    doc="How requirements are installed. The module sees nothing of it.",
)
PATCH = Field(
    name="patch",
    type=Type("mapping", read_patch),
    example="{priorityClassName: low}",
    constraint="no tokens, secrets, init containers or directives",
    doc="A strategic-merge patch of the pod's spec; its container is called `main`.",
    engines="argo",
)

POD_FIELDS: tuple[Field[object], ...] = (
    CPU_LIMIT,
    MEMORY_LIMIT_MB,
    GPU,
    GPU_RESOURCE,
    NODE_SELECTOR,
    TOLERATIONS,
    IMAGE_PULL_SECRETS,
    IMAGE_PULL_POLICY,
    SERVICE_ACCOUNT,
    LABELS,
    ANNOTATIONS,
    ENV,
    VOLUMES,
    INSTALL,
    PATCH,
)
