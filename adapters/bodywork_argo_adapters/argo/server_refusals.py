"""What goes wrong with an Argo Server, as errors of ours in words for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests

from bodywork_argo.errors import AlreadyExists, EngineError, Forbidden, Unreachable
from bodywork_argo_adapters.argo.server import ArgoServer

_PASSING = frozenset({429, 502, 503, 504})
_LIMIT = 1000


class Missing(EngineError):
    """The server has no such thing."""


class Passing(Unreachable):
    """A failure that may be over the next time."""

    def __init__(self, message: str, *, arrived: bool) -> None:
        super().__init__(message)
        self.arrived = arrived
        """Whether the server may have done what it was asked to."""


def failure(server: ArgoServer, error: Exception) -> EngineError:
    """Translate what came instead of an answer, or in the middle of one."""
    where = f"the Argo Server at {server.address}"
    match error:
        case requests.exceptions.SSLError():
            return EngineError(
                f"no TLS connection to {where}: its certificate is not trusted, or it speaks "
                "without TLS; set REQUESTS_CA_BUNDLE to its authority's certificate, "
                "ARGO_INSECURE_SKIP_VERIFY=true, or ARGO_SECURE=false"
            )
        case requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema():
            return EngineError(f"ARGO_SERVER is no HOST:PORT: {server.address}")
        case requests.ConnectTimeout() | requests.exceptions.ProxyError():
            return Passing(f"{where} does not answer", arrived=False)
        case requests.Timeout():
            return Passing(f"{where} is silent", arrived=True)
        case requests.ConnectionError() if _not_connected(error):
            return Passing(f"{where} can't be reached; check ARGO_SERVER", arrived=False)
        case _:
            return Passing(f"the connection to {where} was lost", arrived=True)


def refusal(server: ArgoServer, what: str, response: requests.Response) -> EngineError:
    """Translate an answer other than a good one; `what` was asked for."""
    status = response.status_code
    kind = response.headers.get("Content-Type", "")
    own = "application/json" in kind or "text/event-stream" in kind
    words = _words(server, _message(response))
    match status:
        case 401 | 403:
            return _forbidden(server, what, status, words)
        case _ if status in _PASSING:
            return Passing(
                f"the Argo Server at {server.address} can't {what} now: {words}",
                arrived=status != 429,
            )
        case _ if not own:
            return nonsense(server)
        case 404:
            return Missing(f"the Argo Server can't {what}: {words}")
        case 409:
            return AlreadyExists(f"the Argo Server can't {what}: {words}")
        case _:
            return EngineError(f"the Argo Server refused to {what}: {words}")


def broken_off(server: ArgoServer, what: str, said: Mapping[str, Any]) -> EngineError:
    """Translate an error within a stream; most often it is the end of the server's own watch."""
    words = _words(server, str(said.get("message", "")))
    status = int(said.get("http_code", 0))
    if status in (401, 403):
        return _forbidden(server, what, status, words)
    return Passing(f"the Argo Server ended its answer: {words}", arrived=True)


def nonsense(server: ArgoServer) -> Unreachable:
    """Return the error for an answer of something else, such as a page to log in."""
    return Unreachable(
        f"{server.address} does not answer as an Argo Server does; "
        "check ARGO_SERVER, ARGO_SECURE and ARGO_BASE_HREF"
    )


def _forbidden(server: ArgoServer, what: str, status: int, words: str) -> Forbidden:
    if status == 401:
        return Forbidden(
            f"the Argo Server at {server.address} does not accept the token in ARGO_TOKEN: it is "
            "wrong or has expired; get another, such as from the server's page of users, or by "
            "`kubectl create token`"
        )
    return Forbidden(
        f"with the token in ARGO_TOKEN you may not {what}: {words}; "
        "ask the cluster's administrator for this right"
    )


def _message(response: requests.Response) -> str:
    """Return what the server says; in the form of an event when events were asked for."""
    nothing = f"HTTP {response.status_code}"
    try:
        said = json.loads(response.text.strip().removeprefix("data:"))
    except (ValueError, requests.RequestException):
        return nothing
    if not isinstance(said, dict):
        return nothing
    return str(said.get("message") or (said.get("error") or {}).get("message") or nothing)


def _words(server: ArgoServer, said: str) -> str:
    """Return what the server said in one line, without the token, whatever it repeats."""
    line = " ".join(said.split())
    token = server.authorization.rpartition(" ")[2]
    if token:
        line = line.replace(token, "***")
    return line if len(line) <= _LIMIT else f"{line[:_LIMIT]} ..."


def _not_connected(error: Exception) -> bool:
    """Return whether nothing was sent; only the text of requests' error tells."""
    text = repr(error)
    return "NewConnectionError" in text or "NameResolutionError" in text
