"""What the server answers instead of what was asked for, as errors.

The server's words are shortened, and left out where they could repeat a secret's value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bodywork_argo.errors import AlreadyExists, Changed, EngineError, Forbidden, Unreachable
from bodywork_argo.kube.requests import Request
from bodywork_argo.manifests import Manifest

_LIMIT = 1000
_LONGEST_WAIT = 30.0
_PASSES = re.compile(
    r"etcdserver|leader|connection re(fused|set)|i/o timeout|timed? ?out|deadline exceeded"
    r"|dial tcp|no endpoints|\bEOF\b|shutting down",
    re.IGNORECASE,
)
"""In the message of a 500: what goes away by itself."""
_USER = re.compile(r'User "(?P<user>[^"]*)" cannot')
_ESCALATION = "is attempting to grant"


class Missing(EngineError):
    """Nothing is at this address."""


class Expired(EngineError):
    """The server has forgotten the state that was asked about (410)."""


class Passing(Unreachable):
    """A failure that may be over soon.

    `arrived` is False when the server can't have acted on the request; `after` is how many
    seconds the server asks to wait.
    """

    def __init__(self, message: str, *, arrived: bool, after: float | None = None) -> None:
        super().__init__(message)
        self.arrived = arrived
        self.after = after


class Silent(Passing):
    """Nothing came for as long as we were ready to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer other than 2xx."""

    server: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def error(self, request: Request) -> EngineError:
        """Return what is to be raised."""
        said = _status(self.body)
        words = self._words(request, said)
        match self.status:
            case 401:
                return Forbidden(_NOT_ACCEPTED.format(server=self.server))
            case 403:
                return _forbidden(request, said, words)
            case 404:
                return Missing(f"could not {request.words}: {words}")
            case 409 if said.get("reason") == "AlreadyExists":
                return AlreadyExists(f"could not {request.words}: it exists already")
            case 409 if said.get("reason") == "Conflict":
                return Changed(f"{self.server} could not {request.words}: {words}")
            case 410:
                return Expired(f"could not {request.words}: {words}")
            case status if status < 400:
                return Unreachable(
                    f"{self.server} answers with a redirection (HTTP {status}), "
                    "which no Kubernetes API does; check the server's address in the kubeconfig"
                )
            case _:
                return self._other(request, said, words)

    def _other(self, request: Request, said: Manifest, words: str) -> EngineError:
        message = f"{self.server} could not {request.words}: {words}"
        if not self._passes(said):
            return EngineError(message)
        return Passing(message, arrived=self.status != 429, after=self._retry_after())

    def _passes(self, said: Manifest) -> bool:
        if self.status in (429, 502, 503, 504):
            return True
        if self.status != 500:
            return False
        if not said:  # the words of something on the way, such as a load balancer
            return True
        reason, message = said.get("reason", ""), str(said.get("message", ""))
        return reason in ("ServerTimeout", "Timeout") or bool(_PASSES.search(message))

    def _retry_after(self) -> float | None:
        given = self.headers.get("Retry-After", "")
        return min(float(given), _LONGEST_WAIT) if given.isdecimal() else None

    def _words(self, request: Request, said: Manifest) -> str:
        reason = str(said.get("reason") or f"HTTP {self.status}")
        if request.secret:
            return ", ".join([reason, *_fields(said)])
        return shortened(str(said.get("message") or "")) or reason


_NOT_ACCEPTED = (
    "{server} does not accept the kubeconfig's credentials: they have expired or are wrong; "
    "log in to the cluster again, the way you got the kubeconfig, and retry"
)


def shortened(text: str) -> str:
    """Return the text in one line of at most 1,000 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LIMIT else f"{line[:_LIMIT]} ..."


def _forbidden(request: Request, said: Manifest, words: str) -> EngineError:
    message = str(said.get("message", ""))
    denied = _USER.search(message)
    if denied and denied["user"] == "system:anonymous":
        return Forbidden(
            f"the cluster was asked to {request.words} without credentials: the kubeconfig's user "
            "has none, or its login program failed; log in to the cluster again"
        )
    if denied:
        return Forbidden(
            f"{denied['user']} may not {request.words}: {words}; "
            "ask the cluster's administrator for this right"
        )
    if _ESCALATION in message or not message:
        return Forbidden(f"you may not {request.words}: {words}")
    return EngineError(f"the cluster refused to {request.words}: {words}")


def _status(body: bytes) -> Manifest:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) and said.get("kind") == "Status" else {}


def _fields(said: Manifest) -> list[str]:
    causes = (said.get("details") or {}).get("causes") or []
    return [shortened(str(cause["field"])) for cause in causes if cause.get("field")]
