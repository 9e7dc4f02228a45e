"""Connections that die without a word, as behind a NAT that forgets or on a laptop that sleeps."""

from __future__ import annotations

import threading

import pytest

from bodywork_argo.errors import Unreachable
from bodywork_argo.kube.connection import Connection
from bodywork_argo.kube.refusals import Silent
from bodywork_argo.kube.requests import Request
from bodywork_argo.kube.settings import find_settings
from tests.kube.api import Answer, Api, Asked, Handler, SkippedTime, chunks, document
from tests.kube.conftest import MakeKubeconfig

FOUND = document({"kind": "ConfigMap"})
ASK = Request(verb="get", resource="configmaps", path="/api/v1/namespaces/a/configmaps/one")


@pytest.fixture
def connection(make_kubeconfig: MakeKubeconfig, skipped: SkippedTime) -> Connection:
    return Connection(find_settings(str(make_kubeconfig()), None, None, {}), skipped.time)


def dead(until: threading.Event) -> Answer:
    """Answer nothing."""

    def answer(handler: Handler, asked: Asked) -> None:
        until.wait()
        handler.close_connection = True

    return answer


def wait(until: threading.Event) -> None:
    """Wait, and tell nothing."""
    until.wait()


def noting(ports: list[int], answer: Answer) -> Answer:
    """Note on which connection a request came."""

    def note(handler: Handler, asked: Asked) -> None:
        ports.append(handler.client_address[1])
        answer(handler, asked)

    return note


def test_a_request_that_gets_no_answer_is_asked_once_more(api: Api, connection: Connection) -> None:
    over = threading.Event()
    api.will(FOUND, dead(over), FOUND)
    connection.ask(ASK)

    found = connection.ask(ASK, patience=1.0)

    over.set()
    assert (found["kind"], len(api.asked)) == ("ConfigMap", 3)


def test_a_server_that_never_answered_is_not_asked_for_long(
    api: Api, connection: Connection
) -> None:
    over = threading.Event()
    api.will(dead(over))

    with pytest.raises(Unreachable, match="does not answer in time"):
        connection.ask(ASK, patience=1.0)

    over.set()
    assert len(api.asked) == 1


def test_with_one_dead_connection_the_unused_ones_are_given_up(
    api: Api, connection: Connection
) -> None:
    ports: list[int] = []
    over = threading.Event()
    silent = chunks(b"first", end=lambda _: wait(over))
    api.will(silent, noting(ports, FOUND), noting(ports, FOUND), noting(ports, FOUND))

    with connection.stream(ASK, idle_seconds=0.5) as pieces:
        assert next(pieces) == b"first"
        connection.ask(ASK)
        connection.ask(ASK)
        with pytest.raises(Silent):
            next(pieces)
    connection.ask(ASK)

    over.set()
    assert ports[0] == ports[1]
    assert ports[2] != ports[1]
