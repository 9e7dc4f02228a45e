"""What a text in bodywork.yaml may be: names, paths, images, requirements.

Each check returns None, or what is wrong and what to do. Where Bodywork has a rule it holds here
too, so that a file stays usable with both; Kubernetes' own rules come on top where no name of
ours can stand in for the author's.
"""

from __future__ import annotations

import posixpath
import re

from bodywork_argo.schema import credentials
from bodywork_argo.schema.credentials import shown
from bodywork_argo.schema.fields import Complaint

# Patterns are text: `re` compiles the few that a file needs, and import stays cheap.
_PIPELINE_NAME = r"[A-Za-z0-9.-]+"
_DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS_SUBDOMAIN = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
_SUBDOMAIN_LIMIT = 253
_VARIABLE = r"[A-Za-z_.-][A-Za-z0-9_.-]{0,252}"
_NAME_PART = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_RESERVED_PREFIXES = frozenset({"bodywork-argo", "workflows.argoproj.io", "tekton.dev"})
_RESERVED_KEYS = frozenset({"app.kubernetes.io/managed-by", "app.kubernetes.io/part-of"})
_TAKEN_PATHS = (
    "/bodywork",
    "/dev",
    "/proc",
    "/run/secrets",
    "/sys",
    "/tekton",
    "/var/run/argo",
    "/var/run/secrets",
)
SET_BY_US = frozenset({"GIT_COMMIT_HASH", "HOME", "PATH", "PYTHONPATH", "VIRTUAL_ENV"})
"""Variables that a stage is given beside those that start with ``BODYWORK_``."""
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = (
    r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:))(?::[0-9]{1,5})?/)?"
    rf"{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128}))?"
)
_IMAGE_LIMIT = 512
_PINNED = r"""(?x)\s*[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*\(?\s*
        (={2}\s*[^\s*,;<>=!~]+ | ={3}\s*[^\s,;]+)\s*\)?\s*(;.*)?"""
_READABLE_REQUIREMENT = 500
"""The pattern's time grows with the square of the length."""
_FIXED_URL = r"\.(whl|zip|tar\.gz|tar\.bz2)([#?].*)?$|@(v?[0-9]+(\.[0-9]+)+|[0-9a-f]{7,40})(#.*)?$"


def version(value: str) -> Complaint | None:
    """Accept the two formats that Bodywork's releases 2 and 3 read."""
    if value in ("1.1", "1.0"):
        return None
    return f"is '{shown(value)}', a format that is not known here", 'write version: "1.1"'


def pipeline_name(value: str) -> Complaint | None:
    """Hold Bodywork's rule; `names.dns_label` makes the rest legal."""
    if re.fullmatch(_PIPELINE_NAME, value):
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
    if not value or re.fullmatch(_DNS_LABEL, value):
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
    if _is_subdomain(value):
        return None
    return "is not the name of a secret", (
        "write the name of the secret that holds the value: lower-case letters, digits, '-', '.'"
    )


def variable_name(value: str) -> Complaint | None:
    """Hold Kubernetes' rule for variables, and for keys of secrets, which have the same name."""
    if re.fullmatch(_VARIABLE, value) and not value.startswith(".."):
        return None
    return "is not a name that a variable can have", (
        "use letters, digits, '_', '-' and '.', no digit first, such as 'API_TOKEN'"
    )


def image(value: str) -> Complaint | None:
    """Accept any registry, tag and digest."""
    if len(value) <= _IMAGE_LIMIT and re.fullmatch(_IMAGE, value):
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


def qualified_name(value: str) -> Complaint | None:
    """Hold Kubernetes' rule for the keys of labels, annotations and taints."""
    prefix, slash, name = value.rpartition("/")
    if re.fullmatch(_NAME_PART, name) and bool(slash) == bool(prefix) and _is_prefix(prefix):
        return None
    return "is not a key that Kubernetes takes", (
        "write [DOMAIN/]NAME, where the name has at most 63 letters, digits, '-', '_' and '.'"
    )


def own_key(value: str) -> Complaint | None:
    """Refuse keys of labels and annotations that belong to this project or an engine."""
    prefix = value.rpartition("/")[0]
    if prefix in _RESERVED_PREFIXES or value in _RESERVED_KEYS:
        return "is a key that bodywork-argo or the engine sets", "choose another key"
    return qualified_name(value)


def label(value: str) -> Complaint | None:
    """Hold Kubernetes' rule for the values of labels."""
    if not value or re.fullmatch(_NAME_PART, value):
        return None
    return f"is the text '{shown(value)}', which no label can hold", (
        "use at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends"
    )


def resource_name(value: str) -> Complaint | None:
    """Accept an extended resource, which has a domain before its name."""
    if "/" in value and qualified_name(value) is None:
        return None
    return f"is the text '{shown(value)}'", "write DOMAIN/NAME, such as 'nvidia.com/gpu'"


def object_name(value: str) -> Complaint | None:
    """Hold Kubernetes' rule for names of objects that are there already."""
    if _is_subdomain(value):
        return None
    return f"is the text '{shown(value)}', which no object is called", (
        "use lower-case letters, digits, '-' and '.', a letter or digit at both ends"
    )


def host(value: str) -> Complaint | None:
    """Accept a host name, the first part of which may be a star."""
    if object_name(value.removeprefix("*.")) is None:
        return None
    return f"is the text '{shown(value)}', which is no host", "write one such as 'api.example.org'"


def volume_name(value: str) -> Complaint | None:
    """Hold Kubernetes' rule, and keep this project's own names free."""
    if value.startswith("bodywork"):
        return "has a name that starts with 'bodywork'", "choose another name"
    if re.fullmatch(_DNS_LABEL, value):
        return None
    return f"is the text '{shown(value)}'", (
        "use at most 63 lower-case letters, digits and '-', a letter or digit at both ends"
    )


def mount_path(value: str) -> Complaint | None:
    """Accept an absolute path that hides nothing of this project's or the engine's."""
    path = posixpath.normpath(value)
    if not value.startswith("/") or path != value.rstrip("/") or ":" in value:
        return f"is the path '{shown(value)}'", "write an absolute path, such as '/data'"
    if any(f"{path}/".startswith(f"{taken}/") for taken in _TAKEN_PATHS):
        return f"is the path '{shown(value)}', which is in use", "choose a path such as '/data'"
    return no_engine_syntax(value)


def url_path(value: str) -> Complaint | None:
    """Accept the path of an address."""
    if re.fullmatch(r"/[!-~]*", value):
        return no_engine_syntax(value)
    return f"is the text '{shown(value)}'", "write a path, such as '/health'"


def web_address(value: str) -> Complaint | None:
    """Accept http and https, without credentials."""
    if not re.fullmatch(r"https?://[!-~]+", value):
        return f"is the text '{shown(value)}'", "write an address that starts with https://"
    return no_credentials(value) or no_engine_syntax(value)


def free_variable(value: str) -> Complaint | None:
    """Accept variables that this project does not set itself."""
    if value in SET_BY_US or value.startswith("BODYWORK_"):
        return "is a variable that every stage is given anyway", "choose another name"
    return variable_name(value)


def no_credential(value: str) -> Complaint | None:
    """Refuse text with a credential of a known form in it, without repeating it."""
    if credentials.hidden(value) != value:
        return "holds what looks like a credential, which all who read the repository see", (
            "hand it to the stage by 'secrets'"
        )
    return None


def no_engine_syntax(value: str) -> Complaint | None:
    """Refuse what Argo ({{) or Tekton and the kubelet ($() would substitute."""
    if "{{" in value or "$(" in value:
        return "holds '{{' or '$(', which an engine would substitute", "write it another way"
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


def _is_prefix(value: str) -> bool:
    return not value or _is_subdomain(value)


def _is_subdomain(value: str) -> bool:
    return len(value) <= _SUBDOMAIN_LIMIT and bool(re.fullmatch(_DNS_SUBDOMAIN, value))


def is_pinned(value: str) -> bool:
    """Tell whether a requirement means the same package in every run.

    >>> is_pinned("numpy==1.26.4"), is_pinned("numpy>=1.26"), is_pinned("numpy==1.*")
    (True, False, False)
    """
    if value.lstrip().startswith(("-", ".", "/")):  # an option, or a path in the repository
        return True
    if len(value) > _READABLE_REQUIREMENT:
        return True
    return bool(re.fullmatch(_PINNED, value) or re.search(_FIXED_URL, value))
