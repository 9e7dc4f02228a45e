"""Requests to an Argo Server, made by hera, and sent again where that may help."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
import tenacity
from hera.workflows.service import WorkflowsService

from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.argo.server import ArgoServer
from bodywork_argo_adapters.argo.server_refusals import (
    Passing,
    broken_off,
    failure,
    nonsense,
    refusal,
)

PATIENCE = 90.0
"""Seconds for which a server that can't be reached is asked again; a restart takes less."""
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0

Call = Callable[[Any], object]
"""Calls one method of hera's `WorkflowsService`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent, in place of hera's models: these drop every field that they don't know."""

    document: Manifest

    def json(self, **_: object) -> str:
        """Return the text that is sent."""
        return json.dumps(self.document)


class Exchanges:
    """Sends requests to one server under one identity; threads may share it."""

    def __init__(self, server: ArgoServer, *, patience: float = PATIENCE) -> None:
        self._server = server
        self._patience = patience
        self._http = requests.Session()
        self._http.auth = self._sign
        if not server.verify:  # as asked for; Python would warn of it once for each place
            warnings.filterwarnings("ignore", message="Unverified HTTPS request")

    def ask(self, what: str, call: Call, *, repeatable: bool = True) -> Manifest:
        """Have hera make one request, and return the answer's document.

        `what` names it for people, such as ``get workflows in namespace team``. One that is not
        `repeatable` is not sent again once it may have arrived.

        Raises:
            Missing: there is no such thing.
            AlreadyExists: there is one of that name.
            Forbidden: the token is wrong, or has not the right.
            Unreachable: no answer, or none that makes sense, also after retries.
            EngineError: refused for another reason.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, Passing) and (repeatable or not error.arrived)
            ),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
            stop=tenacity.stop_after_delay(self._patience),
            reraise=True,
        )
        return retrying(self._ask_once, what, call)

    @contextmanager
    def stream(
        self, what: str, path: str, query: Mapping[str, str], *, idle_seconds: float
    ) -> Iterator[Iterator[Manifest]]:
        """Open a stream and give its results as they come, once and without retries.

        hera reads no streams. `Passing` is raised when the connection is lost, or when nothing
        comes for so many seconds.
        """
        response = self._send(
            what,
            method="get",
            url=f"{self._server.address}/{path}",
            params=query,
            headers={"Accept": "text/event-stream"},
            stream=True,
            verify=self._server.verify,
            timeout=(_CONNECT_SECONDS, idle_seconds),
        )
        try:
            yield self._events(what, response)
        finally:
            response.close()

    def take(self, what: str, **words: Any) -> Manifest:
        """Send a request that hera has made, and return the answer's document."""
        response = self._send(what, timeout=(_CONNECT_SECONDS, _READ_SECONDS), **words)
        try:
            document = response.json()
        except ValueError as error:
            raise nonsense(self._server) from error
        if not isinstance(document, dict):
            raise nonsense(self._server)
        return document

    def _ask_once(self, what: str, call: Call) -> Manifest:
        exchange = _Exchange(self, what)
        service = WorkflowsService(
            host=f"{self._server.address}/",
            verify_ssl=self._server.verify,
            session=exchange,  # type: ignore[arg-type, unused-ignore]
        )
        call(service)
        return exchange.document

    def _send(self, what: str, **words: Any) -> requests.Response:
        try:
            # A redirection leads to a page to log in, or from http to https; neither answers.
            response = self._http.request(allow_redirects=False, **words)
        except (requests.RequestException, OSError, ValueError) as error:
            raise failure(self._server, error) from error
        if response.status_code == 200:
            return response
        with response:
            raise refusal(self._server, what, response)

    def _events(self, what: str, response: requests.Response) -> Iterator[Manifest]:
        try:
            for line in _lines(response.iter_content(chunk_size=None)):
                if not line.startswith(b"data:"):
                    continue
                event = json.loads(line.removeprefix(b"data:"))
                if "error" in event:
                    raise broken_off(self._server, what, event["error"])
                yield event["result"]
        except (requests.RequestException, OSError, ValueError) as error:
            raise failure(self._server, error) from error

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token; without this, requests would send what ~/.netrc has for the host."""
        request.headers.pop("Authorization", None)
        if self._server.authorization:
            request.headers["Authorization"] = self._server.authorization
        return request


class _Exchange:
    """One request and its answer, in the place of the session that hera sends by."""

    def __init__(self, exchanges: Exchanges, what: str) -> None:
        self.document: Manifest = {}
        self._exchanges = exchanges
        self._what = what

    def request(self, method: str, **words: Any) -> _Taken:
        """Send what hera has made of a call."""
        self.document = self._exchanges.take(self._what, method=method, **words)
        return _Taken()


class _Taken:
    """What hera makes its model of, in place of the answer.

    Its models refuse what they don't expect, drop what they don't know, and take long for the
    status of a long run.
    """

    ok = True

    def json(self) -> Manifest:
        """Return the least that every model takes."""
        return {"metadata": {}, "spec": {}, "items": []}


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; one that was cut is dropped."""
    parts: list[bytes] = []
    for piece in pieces:
        *ends, rest = piece.split(b"\n")
        for end in ends:
            yield b"".join([*parts, end])
            parts = []
        parts.append(rest)
