"""Runs are followed over a bad connection to the API server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import MakeRepository
from e2e.support.cluster import Cluster, await_state
from e2e.support.commands import CommandLine
from e2e.support.followed import Followed, followed
from e2e.support.program import prepare
from e2e.support.proxy import ApiProxy, api_proxy
from e2e.support.spaces import Space

pytestmark = pytest.mark.full

AWAY_SECONDS = 60
"""As long as the restart of an API server takes that is the only one of its cluster."""


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[ApiProxy]:
    with api_proxy(cluster.kubeconfig) as proxy:
        yield proxy


@pytest.fixture
def run(
    namespace: Space, proxy: ApiProxy, make_git_repository: MakeRepository, tmp_path: Path
) -> Iterator[Followed]:
    """A run whose onlookers go through the proxy."""
    prepare(namespace)
    original = namespace.cluster.kubeconfig
    commands = CommandLine(kubeconfig=original, namespace=namespace.name, folder=tmp_path)
    onlookers = proxy.kubeconfig(original, tmp_path)
    with followed(namespace, make_git_repository, commands, onlookers) as run:
        yield run


def test_onlookers_outlive_a_lost_connection(proxy: ApiProxy, run: Followed) -> None:
    proxy.cut()
    run.await_written()
    proxy.passing()
    run.await_shown()
    proxy.cut()
    proxy.passing()
    run.await_shown()

    run.end()


def test_onlookers_outlive_a_server_that_is_away_for_a_minute(
    proxy: ApiProxy, run: Followed
) -> None:
    proxy.cut()
    time.sleep(AWAY_SECONDS)
    proxy.passing()
    run.await_shown()

    run.end()


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("429 Too Many Requests", {"Retry_After": "1"}),
        ("500 Internal Server Error", {}),
        ("503 Service Unavailable", {}),
    ],
)
def test_onlookers_outlive_a_server_that_refuses_for_a_while(
    proxy: ApiProxy, run: Followed, status: str, headers: dict[str, str]
) -> None:
    proxy.answer(status, **headers)
    await_state(lambda: proxy.refused, lambda count: count > 6, "requests that are refused")
    proxy.passing()
    run.await_shown()

    run.end()


def test_onlookers_outlive_connections_that_die_without_a_word(
    proxy: ApiProxy, run: Followed
) -> None:
    proxy.hang()
    run.await_written()

    run.await_shown()

    run.end()
