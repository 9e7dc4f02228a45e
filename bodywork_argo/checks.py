"""What a text in bodywork.yaml may be: names, paths, images, requirements.

Each check returns None, or what is wrong and what to do. Where Bodywork has a rule it holds here
too, so that a file stays usable with both; Kubernetes' own rules come on top where no name of
ours can stand in for the author's.
"""

from __future__ import annotations

import posixpath
import re

from bodywork_argo import credentials
from bodywork_argo.fields import Complaint
from bodywork_argo.yamltree import shown

_PIPELINE_NAME = re.compile(r"[A-Za-z0-9.-]+")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_SUBDOMAIN_LIMIT = 253
_VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]{0,252}")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:))(?::[0-9]{1,5})?/)?"
    rf"{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@sha256:[0-9a-f]{64})?"
)
_IMAGE_LIMIT = 512
_PINNED = re.compile(
    r"""\s*[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*\(?\s*
        (={2}\s*[^\s*,;<>=!~]+ | ={3}\s*[^\s,;]+)\s*\)?\s*(;.*)?""",
    re.VERBOSE,
)
_READABLE_REQUIREMENT = 500
"""The pattern's time grows with the square of the length."""
_FIXED_URL = re.compile(
    r"\.(whl|zip|tar\.gz|tar\.bz2)([#?].*)?$|@(v?[0-9]+(\.[0-9]+)+|[0-9a-f]{7,40})(#.*)?$"
)


def version(value: str) -> Complaint | None:
    """Accept the two formats that Bodywork's releases 2 and 3 read."""
    if value in ("1.1", "1.0"):
        return None
    return f"is '{shown(value)}', a format that is not known here", 'write version: "1.1"'


def pipeline_name(value: str) -> Complaint | None:
    """Hold Bodywork's rule; `names.dns_label` makes the rest legal."""
    if _PIPELINE_NAME.fullmatch(value):
        return None
    clean = re.sub(r"[^A-Za-z0-9.-]+", "-", value).strip("-.") or "my-pipeline"
    return f"is the text '{shown(value)}'", (
        f"use letters, digits, '-' and '.' only, such as '{shown(clean)}'"
    )


def stage_name(value: str) -> Complaint | None:
    """Accept any name; what it becomes on the cluster is told by a note."""
    return None if value.strip() else ("has no name", "give the stage a name")


def namespace(value: str) -> Complaint | None:
    """Hold Kubernetes' rule, since the namespace is there already under its name."""
    if not value or _DNS_LABEL.fullmatch(value):
        return None
    return f"is the text '{shown(value)}', which no namespace is called", (
        "use at most 63 lower-case letters, digits and '-', a letter or digit at both ends"
    )


def secret_name(value: str) -> Complaint | None:
    """Hold Kubernetes' rule; never repeat the value, which may be the secret itself."""
    if credentials.is_likely(value):
        return "looks like a credential, not like the name of a secret", (
            "put the value into a secret and write that secret's name; "
            "one that was committed is best replaced"
        )
    if len(value) <= _SUBDOMAIN_LIMIT and _DNS_SUBDOMAIN.fullmatch(value):
        return None
    return "is not the name of a secret", (
        "write the name of the secret that holds the value: lower-case letters, digits, '-', '.'"
    )


def variable_name(value: str) -> Complaint | None:
    """Hold Kubernetes' rule for variables, and for keys of secrets, which have the same name."""
    if _VARIABLE.fullmatch(value) and not value.startswith(".."):
        return None
    return "is not a name that a variable can have", (
        "use letters, digits, '_', '-' and '.', no digit first, such as 'API_TOKEN'"
    )


def image(value: str) -> Complaint | None:
    """Accept any registry, tag and digest."""
    if len(value) <= _IMAGE_LIMIT and _IMAGE.fullmatch(value):
        return None
    return f"is the text '{shown(value)}', which names no image", (
        "write [REGISTRY/]NAME[:TAG][@DIGEST], such as 'python:3.12-slim'; the name is lower-case"
    )


def module_path(value: str) -> Complaint | None:
    """Hold Bodywork's rule on endings, and stay inside the repository."""
    if not re.fullmatch(r".+\.(py|ipynb)", value, re.DOTALL):
        return f"is the text '{shown(value)}'", "name a file that ends in .py or .ipynb"
    return inside_repository(value)


def inside_repository(value: str) -> Complaint | None:
    """Refuse paths that lead out of the repository."""
    path = posixpath.normpath(value)
    if path.startswith("/") or path == ".." or path.startswith("../"):
        return f"is the path '{shown(value)}', which leads out of the repository", (
            "write a path below the folder of bodywork.yaml"
        )
    return None


def requirement(value: str) -> Complaint | None:
    """Refuse credentials in addresses; the rest is for pip to judge."""
    if not value.strip():
        return "is blank", "name a package or remove the line"
    return no_credentials(value)


def no_credentials(value: str) -> Complaint | None:
    """Refuse an address with a password or token in it, without repeating it."""
    if credentials.in_address(value):
        return "is an address with credentials, which all who read the repository see", (
            "take them out; credentials that were committed are best replaced"
        )
    return None


def is_pinned(value: str) -> bool:
    """Tell whether a requirement means the same package in every run.

    >>> is_pinned("numpy==1.26.4"), is_pinned("numpy>=1.26"), is_pinned("numpy==1.*")
    (True, False, False)
    """
    if value.lstrip().startswith(("-", ".", "/")):  # an option, or a path in the repository
        return True
    if len(value) > _READABLE_REQUIREMENT:
        return True
    return bool(_PINNED.fullmatch(value) or _FIXED_URL.search(value))
