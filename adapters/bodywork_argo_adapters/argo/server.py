"""Which Argo Server people use, from the variables that Argo's own command line reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_SCHEME = re.compile(r"(https?)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgoServer:
    """An Argo Server, where people see their runs; with a token runs are sent through it, too."""

    address: str
    """With scheme and base path, without a slash at its end."""
    authorization: str = field(default="", repr=False)
    """The header's value; "" for none."""
    verify: bool = True

    def page(self, namespace: str, name: str) -> str:
        """Return where people see a run."""
        return f"{self.address}/workflows/{namespace}/{name}"


def find_server(environ: Mapping[str, str]) -> ArgoServer | None:
    """Return the server that ``ARGO_SERVER`` names, None without it.

    The other variables mean what they mean to Argo's command line (4.0): ``ARGO_SECURE``,
    ``ARGO_INSECURE_SKIP_VERIFY``, ``ARGO_BASE_HREF`` and ``ARGO_TOKEN``, whose ``Bearer`` may be
    left out. ``ARGO_HTTP1`` changes nothing, as nothing else is spoken here.

    >>> find_server({"ARGO_SERVER": "argo.example:443", "ARGO_BASE_HREF": "/argo/"}).address
    'https://argo.example:443/argo'
    """
    host = environ.get("ARGO_SERVER", "").strip().rstrip("/")
    if not host:
        return None
    scheme = "http" if environ.get("ARGO_SECURE") == "false" else "https"
    if written := _SCHEME.match(host):
        scheme, host = written[1].lower(), host[written.end() :]
    base = environ.get("ARGO_BASE_HREF", "").strip("/")
    return ArgoServer(
        address=f"{scheme}://{host}/{base}".rstrip("/"),
        authorization=_authorization(environ.get("ARGO_TOKEN", "")),
        verify=environ.get("ARGO_INSECURE_SKIP_VERIFY") != "true",
    )


def _authorization(token: str) -> str:
    words = token.split()
    return f"Bearer {words[0]}" if len(words) == 1 else " ".join(words)
