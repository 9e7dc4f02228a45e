"""Every Kubernetes name, label value and variable name is made here.

A changed or cut name gets a short hash of the original, so two names never collide. The one
exception is `stage_label`: people call their services by it, so it follows Bodywork's own rule
and the schema refuses two stages that meet in it.
"""

from __future__ import annotations

import re
from collections.abc import Container

LABEL_LIMIT = 63
"""Longest DNS-1123 label and label value (Kubernetes API conventions)."""

# Labels and annotations of all that is made on a cluster: a contract between versions.

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "bodywork-argo"
PART_OF_LABEL = "app.kubernetes.io/part-of"
"""`Plan.name`."""
PIPELINE_LABEL = "bodywork-argo/pipeline"
"""`Plan.name`; the annotation of this key is what the author wrote."""
STAGE_LABEL = "bodywork-argo/stage"
"""`Task.name`."""
COMMIT_LABEL = "bodywork-argo/commit"
BRANCH_LABEL = "bodywork-argo/branch"
"""`label_value` of the ref; the whole of it is the annotation `REF_ANNOTATION`."""
VERSION_LABEL = "bodywork-argo/version"
SUBMITTED_BY_LABEL = "bodywork-argo/submitted-by"
RUN_LABEL = "bodywork-argo/run"
"""`label_value` of the name of the run that released a service."""
PIPELINE_ANNOTATION = PIPELINE_LABEL
STAGE_ANNOTATION = STAGE_LABEL
"""The name that the author gave the stage."""
REPOSITORY_ANNOTATION = "bodywork-argo/repository"
REF_ANNOTATION = "bodywork-argo/ref"
DIRECTORY_ANNOTATION = "bodywork-argo/directory"
STARTUP_ANNOTATION = "bodywork-argo/startup-seconds"
INSTALL_ANNOTATION = "bodywork-argo/install-seconds"
DIGEST_ANNOTATION = "bodywork-argo/digest"
"""SHA-256 of the document without this annotation: whether two documents are the same."""

_HASH_LENGTH = 8
_LABEL_VALUE = r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?"


def short_hash(text: str) -> str:
    """Return 8 hexadecimal characters that depend on the whole text."""
    import hashlib  # loads OpenSSL, and most names need no hash

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]


def dns_label(text: str, limit: int = LABEL_LIMIT) -> str:
    """Return a DNS-1123 label made from `text`, at most `limit` (>= 10) characters.

    >>> dns_label("train-model")
    'train-model'
    >>> dns_label("Train_Model")
    'train-model-e00797de'
    """
    clean = _dashed(text)
    if text and clean == text and len(text) <= limit:
        return text
    return _with_hash(clean, text, limit)


def stage_label(stage: str) -> str:
    """Return the name by which a stage's objects and its service are reached.

    Bodywork's rule (every run of other characters becomes one dash) with what Kubernetes demands
    on top: lower case, a letter first, no dash at an end, 63 characters.

    >>> stage_label("stage_4"), stage_label("1_download_data")
    ('stage-4', 's-1-download-data')
    """
    clean = _dashed(stage)
    if clean[:1].isdigit():
        clean = f"s-{clean}"
    if clean and len(clean) <= LABEL_LIMIT:
        return clean
    return _with_hash(clean or "stage", stage, LABEL_LIMIT)


def label_value(text: str) -> str:
    """Return a label value made from `text`: unchanged when legal, else cleaned with a hash.

    >>> label_value("main"), label_value("feature/x y")
    ('main', 'feature-x-y-1ae9fd29')
    """
    if len(text) <= LABEL_LIMIT and re.fullmatch(_LABEL_VALUE, text):
        return text
    clean = re.sub(r"[^A-Za-z0-9_.]+", "-", text)
    return _with_hash(clean.strip("-_."), text, LABEL_LIMIT)


def free_name(wanted: str, taken: Container[str]) -> str:
    """Return a name that nothing else has, as close to the wanted one as can be.

    >>> free_name("stage", {"stage"})
    'stage-x'
    """
    while wanted in taken:
        wanted = f"{wanted}-x"
    return wanted


def variable_part(stage: str) -> str:
    """Return the `<NAME>` of ``BODYWORK_SERVICE_<NAME>_URL``.

    >>> variable_part("stage-4")
    'STAGE_4'
    """
    return stage_label(stage).upper().replace("-", "_")


def _dashed(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _with_hash(clean: str, original: str, limit: int) -> str:
    room = limit - _HASH_LENGTH - 1
    head = clean[:room].rstrip("-_.")
    return f"{head}-{short_hash(original)}" if head else f"x-{short_hash(original)}"[:limit]
