"""The keys under ``kubernetes`` that only the pipeline, only stages or only services have."""

from __future__ import annotations

from bodywork_argo.schema import checks
from bodywork_argo.schema.fields import Field, Section, choice, nested, switch, text, whole
from bodywork_argo.schema.pod_keys import POD_FIELDS
from bodywork_argo.spec import Rollback

_CLUSTER = "argo, tekton"

RUN_TIMEOUT = Field(
    name="run_timeout_seconds",
    type=whole(),
    default=0,
    example="86400",
    unit="seconds",
    doc="How long a run may take as a whole; 0 sets no limit.",
)
PARALLELISM = Field(
    name="parallelism",
    type=whole(),
    default=0,
    example="4",
    unit="stages",
    doc="How many batch stages of a run work at once; 0 sets no limit.",
    engines="argo, local",
)
TTL_SECONDS = Field(
    name="ttl_seconds",
    type=whole(),
    example="604800",
    unit="seconds",
    doc="How long a run's objects stay after its end; without it, the engine decides.",
    engines="argo",
)

IMAGE = Field(
    name="image",
    type=text(checks.image),
    example="python:3.12-slim",
    constraint="`[REGISTRY/]NAME[:TAG][@DIGEST]`",
    doc="Takes the place of `pipeline.docker_image`.",
    engines=_CLUSTER,
)
REQUIREMENTS_FILE = Field(
    name="requirements_file",
    type=text(checks.inside_repository),
    example="requirements.txt",
    constraint="inside the repository",
    doc="A file that pip reads, beside `requirements`.",
)

STARTUP = Field(
    name="startup",
    type=text(checks.url_path),
    example="/health",
    doc="The path that answers once the module is up; without it, the port is asked.",
)
READINESS = Field(
    name="readiness",
    type=text(checks.url_path),
    example="/ready",
    doc="The path that answers while the module takes requests; without it, the port is asked.",
    engines=_CLUSTER,
)
LIVENESS = Field(
    name="liveness",
    type=text(checks.url_path),
    example="/health",
    doc="The path that answers unless the module must be started anew; without it, none is asked.",
    engines=_CLUSTER,
)
PROBES_SECTION = Section(
    path="stages.<name>.kubernetes.probes", fields=(STARTUP, READINESS, LIVENESS), ours=True
)

CLASS = Field(
    name="class",
    type=text(checks.object_name),
    example="nginx",
    doc="The ingress class; without it, the cluster's default.",
    engines=_CLUSTER,
)
HOST = Field(
    name="host",
    type=text(checks.host),
    example="scores.example.org",
    doc="The host name; without it, any.",
    engines=_CLUSTER,
)
PATH = Field(
    name="path",
    type=text(checks.url_path),
    example="/",
    doc="The path before the service's own; without it, `/PIPELINE/STAGE`.",
    engines=_CLUSTER,
)
TLS_SECRET = Field(
    name="tls_secret",
    type=text(checks.secret_name, words="the name of a secret", secret=True),
    example="scores-tls",
    doc="The secret with the host's certificate.",
    engines=_CLUSTER,
)
REWRITE = Field(
    name="rewrite",
    type=switch(),
    example="false",
    doc="Whether an nginx ingress takes the path away before the service sees it, as Bodywork's "
    "did; without it, when `class` is `nginx` or not given.",
    engines=_CLUSTER,
)
INGRESS_SECTION = Section(
    path="stages.<name>.kubernetes.ingress",
    fields=(CLASS, HOST, PATH, TLS_SECRET, REWRITE),
    ours=True,
)

PROBES = Field(
    name="probes",
    type=nested(PROBES_SECTION),
    example="{startup: /health}",
    constraint="services only",
    doc="HTTP paths that tell how the service is.",
)
INGRESS = Field(
    name="ingress",
    type=nested(INGRESS_SECTION),
    example="{host: scores.example.org}",
    constraint="services only",
    doc="How a service with `ingress: true` is reached.",
    engines=_CLUSTER,
)

ROLLBACK = Field(
    name="rollback",
    type=choice(*(each.value for each in Rollback)),
    default=Rollback.RUN.value,
    example="step",
    doc="Which services go back to their last good version: `run`, all when a run fails, wherever; "
    "`step`, those of a step when one of them fails; `none` leaves all as they are.",
    engines=_CLUSTER,
)

PIPELINE_KUBERNETES_SECTION = Section(
    path="pipeline.kubernetes",
    fields=(RUN_TIMEOUT, PARALLELISM, TTL_SECONDS, ROLLBACK, *POD_FIELDS),
    ours=True,
)
STAGE_KUBERNETES_SECTION = Section(
    path="stages.<name>.kubernetes",
    fields=(IMAGE, REQUIREMENTS_FILE, PROBES, INGRESS, *POD_FIELDS),
    ours=True,
)
