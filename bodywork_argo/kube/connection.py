"""Sending requests, again where that may help, with a time limit on each."""

from __future__ import annotations

import json
import math
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import tenacity
import urllib3
from kubernetes.config import ConfigException
from urllib3 import exceptions as http

from bodywork_argo.errors import EngineError, Forbidden, Unreachable
from bodywork_argo.kube.refusals import Passing, Refusal, Silent
from bodywork_argo.kube.requests import Request
from bodywork_argo.kube.settings import Settings
from bodywork_argo.manifests import Manifest

PATIENCE = 90.0
"""Seconds for which a server that has answered before is asked again; a restart takes less."""
FIRST_PATIENCE = 20.0
"""The same for one that has not: its address may be wrong."""
_SETTLING = 30.0
"""Seconds after a failure in which a server may have restarted and know nobody's rights yet."""
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 20.0
_WRITE_SECONDS = 60.0
"""Writes may have to pass webhooks, which Kubernetes gives up to 30 s each."""
_CHUNK = 65536
_backoff = tenacity.wait_random_exponential(multiplier=0.2, max=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """A clock and a sleep that go together."""

    now: Callable[[], float]
    """Seconds that never go back."""
    sleep: Callable[[float], None]


class Connection:
    """Sends requests under one identity; threads may share it."""

    def __init__(self, settings: Settings, time: Time) -> None:
        self.server = str(settings.configuration.host)
        self.time = time
        self._settings = settings
        self._lock = threading.Lock()
        self._answered = False
        self._failed_at = -math.inf

    def ask(self, request: Request, *, patience: float = PATIENCE) -> Manifest:
        """Return the answer's document.

        Raises `Missing` for 404, `Expired` for 410, `Passing` after so many seconds of retries,
        and other EngineErrors.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: _again(error, request)),
            wait=_wait,
            stop=lambda state: self._given_up(state, patience),
            sleep=self.time.sleep,
            reraise=True,
        )
        longest = _READ_SECONDS if request.verb in ("get", "list") else _WRITE_SECONDS
        return retrying(self._ask_once, request, min(longest, max(patience, 1.0)))

    @contextmanager
    def stream(self, request: Request, *, idle_seconds: float) -> Iterator[Iterator[bytes]]:
        """Open a stream and give its pieces as they arrive, once and without retries.

        The pieces end where the server ends them; `Passing` is raised when the connection is
        lost, or when nothing comes for so many seconds.
        """
        response = self._open(request, idle_seconds)
        try:
            yield self._pieces(response)
        finally:
            # Not given back to the pool: what is left unread would be the next answer.
            response.close()

    def _ask_once(self, request: Request, read_seconds: float) -> Manifest:
        response = self._open(request, read_seconds)
        body = b"".join(self._pieces(response))
        response.release_conn()
        try:
            document = json.loads(body)
        except ValueError as error:
            raise self._nonsense() from error
        if not isinstance(document, dict):
            raise self._nonsense()
        return document

    def _open(self, request: Request, read_seconds: float) -> urllib3.BaseHTTPResponse:
        """Send; return the response with its body unread when it is a good one."""
        try:
            response = self._settings.pool.request(
                request.method,
                f"{self.server.rstrip('/')}{request.target}",
                body=json.dumps(request.body).encode() if request.body is not None else None,
                headers=self._headers(request),
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=read_seconds),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (http.HTTPError, OSError) as error:
            raise self._failure(error) from error
        self._answered = True
        if 200 <= response.status < 300:
            return response
        raise self._refusal(request, response)

    def _refusal(self, request: Request, response: urllib3.BaseHTTPResponse) -> EngineError:
        body = b"".join(self._pieces(response))
        response.release_conn()
        refusal = Refusal(
            server=self.server, status=response.status, headers=response.headers, body=body
        )
        error = refusal.error(request)
        if isinstance(error, Forbidden) and self.time.now() - self._failed_at < _SETTLING:
            return Passing(str(error), arrived=False)
        return error

    def _pieces(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        try:
            yield from response.stream(_CHUNK)
        except (http.HTTPError, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> EngineError:
        failure = _failure(error, self.server)
        if isinstance(failure, Silent):
            # What killed this connection without a word, such as a NAT that forgot it or a laptop
            # that slept, has killed the unused ones as well: the next request takes a new one.
            self._settings.pool.clear()
        elif isinstance(failure, Passing):
            self._failed_at = self.time.now()
        return failure

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Accept": request.accept, "User-Agent": "bodywork-argo"}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        try:
            with self._lock:  # refreshing a token is not made for two threads at once
                credentials = self._settings.configuration.auth_settings().values()
        except ConfigException as error:
            raise EngineError(f"the credentials can't be renewed: {error}") from error
        headers.update({one["key"]: one["value"] for one in credentials if one["value"]})
        return headers

    def _given_up(self, state: tenacity.RetryCallState, patience: float) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if self._answered and isinstance(error, Silent) and state.attempt_number == 1:
            return False  # it may have been the connection's fault alone
        spent = max(state.seconds_since_start or 0.0, state.idle_for)
        return spent >= min(patience, PATIENCE if self._answered else FIRST_PATIENCE)

    def _nonsense(self) -> Unreachable:
        return Unreachable(
            f"{self.server} does not answer as a Kubernetes API does; "
            "check the server's address in the kubeconfig, and proxies on the way"
        )


def _again(error: BaseException, request: Request) -> bool:
    return isinstance(error, Passing) and (request.repeatable or not error.arrived)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, Passing) else None
    return _backoff(state) if asked is None else asked


def _failure(error: Exception, server: str) -> EngineError:
    """Translate what came instead of an answer, or in the middle of one."""
    cause = error.args[0] if isinstance(error, http.SSLError) and error.args else error
    match cause:
        case ssl.SSLCertVerificationError():
            return EngineError(
                f"the certificate of {server} is not trusted: {cause.verify_message}; "
                "check certificate-authority in the kubeconfig"
            )
        case http.LocationValueError() | http.URLSchemeUnknown():
            return EngineError(f"the server's address in the kubeconfig is no URL: {server}")
        case http.ReadTimeoutError():
            return Silent(f"{server} does not answer in time", arrived=True)
        case http.NameResolutionError():
            return Passing(f"{server}: no host of this name is known", arrived=False)
        case http.ClosedPoolError():  # cleared while this request was about to take of it
            return Passing(f"the connection to {server} was closed", arrived=False)
        case http.NewConnectionError():
            return Passing(f"{server} can't be reached: {_reason(cause)}", arrived=False)
        case http.ConnectTimeoutError():
            return Passing(f"{server} does not answer in time", arrived=False)
        case _:
            return Passing(f"the connection to {server} was lost: {_reason(cause)}", arrived=True)


def _reason(error: BaseException) -> str:
    inner = error.__cause__ or error.__context__ or error
    return getattr(inner, "strerror", None) or type(inner).__name__
