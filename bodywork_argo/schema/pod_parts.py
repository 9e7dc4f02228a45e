"""The keys of what a pod has several of, or in several parts: tolerations, volumes, install."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bodywork_argo.schema import checks
from bodywork_argo.schema.fields import Field, Reading, Section, choice, switch, text, whole

if TYPE_CHECKING:
    from bodywork_argo.spec import Toleration, Volume

_CLUSTER = "argo, tekton"

KEY = Field(
    name="key",
    type=text(checks.qualified_name),
    doc="The taint's key; without it, and with `operator: Exists`, any taint.",
    engines=_CLUSTER,
)
OPERATOR = Field(
    name="operator",
    type=choice("Equal", "Exists"),
    default="Equal",
    doc="How the key is compared.",
    engines=_CLUSTER,
)
VALUE = Field(name="value", type=text(checks.label), doc="The taint's value.", engines=_CLUSTER)
EFFECT = Field(
    name="effect",
    type=choice("NoSchedule", "PreferNoSchedule", "NoExecute"),
    doc="The taint's effect; without it, any.",
    engines=_CLUSTER,
)
SECONDS = Field(
    name="seconds",
    type=whole(),
    unit="seconds",
    doc="How long a `NoExecute` taint is tolerated; without it, always.",
    engines=_CLUSTER,
)
TOLERATION_SECTION = Section(
    path="kubernetes.tolerations[]", fields=(KEY, OPERATOR, VALUE, EFFECT, SECONDS), ours=True
)

VOLUME_NAME = Field(
    name="name",
    type=text(checks.volume_name),
    required=True,
    example="data",
    doc="Names the volume.",
    engines=_CLUSTER,
)
VOLUME_PATH = Field(
    name="path",
    type=text(checks.mount_path),
    required=True,
    example="/data",
    constraint="absolute",
    doc="Where the stage sees the volume.",
    engines=_CLUSTER,
)
CLAIM = Field(
    name="claim",
    type=text(checks.object_name),
    doc="The persistent volume claim that it comes from.",
    engines=_CLUSTER,
)
SECRET = Field(
    name="secret",
    type=text(checks.secret_name, words="the name of a secret", secret=True),
    doc="The secret that it comes from.",
    engines=_CLUSTER,
)
CONFIG_MAP = Field(
    name="config_map",
    type=text(checks.object_name),
    doc="The config map that it comes from.",
    engines=_CLUSTER,
)
EMPTY_MB = Field(
    name="empty_mb",
    type=whole(1),
    unit="MB (10^6 bytes)",
    doc="The size of an empty volume that ends with the pod.",
    engines=_CLUSTER,
)
READ_ONLY = Field(
    name="read_only",
    type=switch(),
    default=False,
    doc="Whether the stage may only read.",
    engines=_CLUSTER,
)
VOLUME_SECTION = Section(
    path="kubernetes.volumes[]",
    fields=(VOLUME_NAME, VOLUME_PATH, CLAIM, SECRET, CONFIG_MAP, EMPTY_MB, READ_ONLY),
    ours=True,
)

INSTALL_TIMEOUT = Field(
    name="timeout_seconds",
    type=whole(1),
    example="1800",
    unit="seconds",
    doc="How long fetching the code and installing may take; without it, 900 seconds.",
)
INDEX_URL = Field(
    name="index_url",
    type=text(checks.web_address),
    constraint="http or https, without credentials",
    doc="The package index to install from, in place of PyPI.",
)
INDEX_SECRET = Field(
    name="index_secret",
    type=text(checks.secret_name, words="the name of a secret", secret=True),
    doc="The secret whose keys `username` and `password` open the index.",
    engines=_CLUSTER,
)
CA_BUNDLE = Field(
    name="ca_bundle",
    type=text(checks.object_name),
    doc="The config map whose key `ca.crt` holds the certificates to trust.",
    engines=_CLUSTER,
)
HTTP_PROXY = Field(
    name="http_proxy", type=text(checks.web_address), doc="The proxy for http addresses."
)
HTTPS_PROXY = Field(
    name="https_proxy", type=text(checks.web_address), doc="The proxy for https addresses."
)
NO_PROXY = Field(
    name="no_proxy",
    type=text(checks.no_engine_syntax),
    example="localhost,.example.org",
    doc="Hosts that are reached without a proxy, with commas between them.",
)
TOOL = Field(
    name="tool",
    type=choice("pip", "uv"),
    default="pip",
    doc="What installs. uv does not see packages of the image.",
)
INSTALL_SECTION = Section(
    path="kubernetes.install",
    fields=(
        INSTALL_TIMEOUT,
        INDEX_URL,
        INDEX_SECRET,
        CA_BUNDLE,
        HTTP_PROXY,
        HTTPS_PROXY,
        NO_PROXY,
        TOOL,
    ),
    ours=True,
)


def toleration(reading: Reading) -> Toleration:
    """Return one toleration, after holding its keys against each other."""
    from bodywork_argo.spec import Toleration

    operator = reading.need(OPERATOR)
    if reading.get(KEY) is None and operator != "Exists":
        reading.place.error("has no key", "add one, or 'operator: Exists' for any taint")
    if operator == "Exists" and reading.get(VALUE) is not None:
        reading.place_of(VALUE).error("is not compared by operator Exists", "remove it")
    if reading.get(SECONDS) is not None and reading.get(EFFECT) != "NoExecute":
        reading.place_of(SECONDS).error("counts for one effect only", "add 'effect: NoExecute'")
    return Toleration(
        key=reading.get(KEY),
        operator=operator,
        value=reading.get(VALUE),
        effect=reading.get(EFFECT),
        seconds=reading.get(SECONDS),
    )


def volume(reading: Reading) -> Volume | None:
    """Return one volume; None, after a report, unless it comes from exactly one place."""
    from bodywork_argo.spec import Volume, VolumeKind

    sources = [kind for kind in VolumeKind if kind.value in reading.values]
    if len(sources) != 1:
        kinds = ", ".join(kind.value for kind in VolumeKind)
        where = f"{len(sources)} places" if sources else "nowhere"
        reading.place.error(f"comes from {where}", f"write one of {kinds}")
        return None
    return Volume(
        name=reading.need(VOLUME_NAME),
        path=reading.need(VOLUME_PATH),
        kind=sources[0],
        source=str(reading.values[sources[0].value]),
        read_only=reading.need(READ_ONLY),
    )
