"""Fixtures of the end-to-end tests. They run only with `--e2e`, and then never skip."""

from __future__ import annotations

import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from e2e.engines.failure import tail
from e2e.engines.gitservers import HTTP_PASSWORD, GitHandler, SshFiles
from e2e.engines.lifecycle import status
from e2e.engines.network import NODE
from e2e.engines.parts import Options
from e2e.engines.places import Places, places_from
from e2e.support.cluster import Cluster, connect
from e2e.support.leaks import LeakScan, check_said, leak_scan, of_key
from e2e.support.repositories import GitServer, Repository, make_repository
from e2e.support.spaces import Space, binding, describe, make_space, role

HERE = Path(__file__).parent
NEEDS_ENGINES = ("smoke", "full", "heavy", "lifecycle")
FAILED = pytest.StashKey[bool]()

MakeRepository = Callable[..., Repository]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--e2e", action="store_true", help="run the tests against real engines")


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "smoke: a short test against real engines, run for every change",
        "full: a long test against real engines",
        "heavy: fills the machine, so it runs apart from those that look at the clock",
        "lifecycle: starts, kills and stops the engines, so it has to run alone",
        "plants_openly: the test itself puts a planted secret where none belongs",
    ):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--e2e"):
        return
    reason = pytest.mark.skip(reason="needs real engines: give --e2e, or run scripts/e2e")
    for item in items:
        if HERE in item.path.parents and any(item.get_closest_marker(m) for m in NEEDS_ENGINES):
            item.add_marker(reason)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    said = "".join((report.capstdout, report.capstderr, report.caplog)).encode()
    if report.passed and not _planted_openly(item):
        try:
            check_said(said)
        except AssertionError as error:
            report.outcome, report.longrepr = "failed", str(error)
    if report.failed:
        item.stash[FAILED] = True


def _planted_openly(item: pytest.Item) -> bool:
    return item.get_closest_marker("plants_openly") is not None


@pytest.fixture(scope="session")
def places() -> Places:
    """Where the engines of this machine lie."""
    return places_from(os.environ)


@pytest.fixture(scope="session")
def own_engines(places: Places) -> Places:
    """The engines of this machine, all ready; for tests that somebody's cluster cannot answer."""
    if os.environ.get("E2E_KUBECONFIG"):
        pytest.skip("only on the project's own engines, and E2E_KUBECONFIG names another cluster")
    answers = {part.name: answer for part, answer in status(places, Options())}
    wrong = {name: answer for name, answer in answers.items() if answer != "ready"}
    if wrong or not answers:
        pytest.fail(
            f"the engines are not up ({wrong or 'all down'}): run python3 -m e2e.engines up",
            pytrace=False,
        )
    return places


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The cluster as its administrator: ours, or the one that E2E_KUBECONFIG names."""
    given = os.environ.get("E2E_KUBECONFIG")
    if given:
        return connect(Path(given))
    engines: Places = request.getfixturevalue("own_engines")
    return connect(engines.kubeconfig)


@pytest.fixture(scope="session")
def leaks(cluster: Cluster, places: Places) -> LeakScan:
    """Finds planted secrets, the Git servers' password and key included, in a namespace."""
    key = SshFiles(folder=places.run / "ssh").private_key
    keys = [of_key(key.read_text(encoding="utf-8"))] if key.exists() else []
    return leak_scan(cluster, [HTTP_PASSWORD, *keys])


@pytest.fixture
def make_namespace(
    cluster: Cluster, places: Places, leaks: LeakScan, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Space]]:
    """Make further namespaces: `make_namespace({"label": "value"})`.

    In none of them may a planted secret be anywhere but in Secrets when the test is over.
    """
    made: list[Space] = []

    def make(labels: Mapping[str, str] | None = None) -> Space:
        made.append(make_space(cluster, labels))
        return made[-1]

    yield make
    leaked = []
    for space in made:
        try:
            if request.node.stash.get(FAILED, False):
                told = describe(space, lambda part: tail(places.log(part), 2000))
                sys.stderr.write(f"{told}\n")
            if not _planted_openly(request.node):
                leaked += [f"{place} in {space.name}" for place in leaks.namespace(space.name)]
        finally:
            cluster.core.delete_namespace(space.name, propagation_policy="Background")
    if leaked:
        pytest.fail(f"planted secrets are in the open: {', '.join(leaked)}", pytrace=False)


@pytest.fixture
def namespace(make_namespace: Callable[..., Space]) -> Space:
    """A fresh namespace with the accounts that workflows need."""
    return make_namespace()


@pytest.fixture
def developer(own_engines: Places, namespace: Space) -> Cluster:
    """A user who may run things in the namespace, but make no accounts and no roles."""
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
    groups = ["", "apps", "batch", "argoproj.io", "tekton.dev"]
    resources = ["pods", "pods/log", "services", "configmaps", "deployments", "workflows"]
    resources += ["workflowtemplates", "cronworkflows", "pipelines", "pipelineruns", "taskruns"]
    rules = [{"apiGroups": groups, "resources": resources, "verbs": verbs}]
    namespace.create(role("developer", rules))
    namespace.create(binding("developer", {"kind": "User", "name": "developer"}))
    return connect(own_engines.developer_kubeconfig)


@pytest.fixture(scope="session")
def git_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GitServer]:
    """The engines' Git server, or for E2E_KUBECONFIG one in this process."""
    if not os.environ.get("E2E_KUBECONFIG"):
        engines: Places = request.getfixturevalue("own_engines")
        yield GitServer(root=engines.git, address=NODE)
        return
    address = os.environ.get("E2E_GIT_ADDRESS")
    if not address:
        pytest.fail(
            "E2E_KUBECONFIG needs E2E_GIT_ADDRESS too: this machine's address as pods see it",
            pytrace=False,
        )
    root = tmp_path_factory.mktemp("git")
    handler = type("Handler", (GitHandler,), {"root": root})
    with ThreadingHTTPServer((address, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield GitServer(root=root, address=address, port=server.server_port)
        server.shutdown()


@pytest.fixture
def make_git_repository(git_server: GitServer) -> MakeRepository:
    """Make a repository to commit to: `make_git_repository(files, private=True)`."""

    def make(files: Mapping[str, str], *, private: bool = False) -> Repository:
        name = f"repository-{uuid.uuid4().hex[:10]}"
        return make_repository(git_server, name, files, private=private)

    return make


@pytest.fixture
def git_repo(make_git_repository: MakeRepository) -> Callable[[Mapping[str, str]], str]:
    """Make a public repository of some files and give its URL."""
    return lambda files: make_git_repository(files).url


@pytest.fixture
def ssh_files(own_engines: Places) -> SshFiles:
    """The key that the SSH server lets in, and the server's own public key."""
    return SshFiles(folder=own_engines.run / "ssh")
