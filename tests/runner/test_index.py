"""`prepare`: a private package index, its credentials, proxies and authorities."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bodywork_argo.runner import index_url
from tests.runner.lab import Lab
from tests.runner.test_install import USE, greeting, uv_path

WHO = "team:p@ss/w:rd"


@dataclass
class Index:
    """A server that has one package, for who gives the right password."""

    address: str = ""
    seen: list[str] = field(default_factory=list)


class Handler(SimpleHTTPRequestHandler):
    """Ask for a password; then list and send files: a folder's listing is an index's page."""

    def __init__(self, index: Index, *args: object, **words: object) -> None:
        self.index = index
        super().__init__(*args, **words)  # type: ignore[arg-type] # handed on as they come

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "").partition(" ")[2]
        self.index.seen.append(base64.b64decode(given).decode())
        if self.index.seen[-1] != WHO:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def index(lab: Lab) -> Iterator[Index]:
    greeting(lab)
    (lab.root / "links").rename(lab.root / "files")
    (lab.root / "simple").mkdir()
    (lab.root / "files").rename(lab.root / "simple" / "greeting")
    del lab.env["PIP_NO_INDEX"], lab.env["PIP_FIND_LINKS"]
    found = Index()
    make = partial(Handler, found, directory=str(lab.root))
    with ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        found.address = f"http://127.0.0.1:{server.server_port}/simple"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def test_a_private_index_gets_its_credentials_and_nobody_else_does(lab: Lab, index: Index) -> None:
    commit = lab.repository.commit({"main.py": "import os, greeting; print(dict(os.environ))"})
    user, _, password = WHO.partition(":")
    secrets = {"BODYWORK_INDEX_USERNAME": user, "BODYWORK_INDEX_PASSWORD": password}
    wanted = [f"--index-url={index.address}", "--requirement=greeting"]
    done = lab.prepare(commit, *wanted, **secrets)
    assert done.code == 0, done
    assert password not in done.out + done.err
    ran = lab.run("exec", "--module=main.py", **secrets)
    assert ran.code == 0
    assert password not in ran.out
    left = [path for path in lab.workspace.rglob("*") if path.is_file()]
    assert not [path for path in left if b"p%40ss" in path.read_bytes()]


def test_a_refused_password_is_not_repeated(lab: Lab, index: Index) -> None:
    commit = lab.repository.commit({"a": ""})
    wanted = [f"--index-url={index.address}", "--requirement=greeting"]
    done = lab.prepare(commit, *wanted, BODYWORK_INDEX_PASSWORD="wr0ng-one")
    assert done.code == 1
    assert "x-access-token:wr0ng-one" in index.seen
    assert "wr0ng-one" not in done.out + done.err + done.reason


@pytest.mark.skipif(not uv_path(), reason="no uv here")
def test_uv_uses_the_same_index(lab: Lab, index: Index) -> None:
    commit = lab.repository.commit({"main.py": USE})
    user, _, password = WHO.partition(":")
    path = f"{uv_path().rpartition('/')[0]}:{lab.env['PATH']}"
    wanted = [f"--index-url={index.address}", "--requirement=greeting", "--installer=uv"]
    done = lab.prepare(
        commit,
        *wanted,
        PATH=path,
        BODYWORK_INDEX_USERNAME=user,
        BODYWORK_INDEX_PASSWORD=password,
    )
    assert done.code == 0, done
    assert password not in done.out + done.err
    assert lab.run("exec", "--module=main.py").out == "hello\n"


def test_an_index_without_password_is_asked_as_it_is() -> None:
    assert index_url("https://i.example/s", {}) == "https://i.example/s"


SHOW = "import os; print({k: v for k, v in os.environ.items() if 'prox' in k.lower()})"


def test_proxies_reach_what_prepare_starts_and_not_the_module(lab: Lab) -> None:
    leak = lab.root / "leak"
    setup = f"import os\nopen({str(leak)!r}, 'w').write(str(dict(os.environ)))\nraise SystemExit(1)"
    commit = lab.repository.commit({"pkg/setup.py": setup, "main.py": SHOW})
    lab.prepare(
        commit,
        "--requirement=--no-build-isolation",
        "--requirement=./pkg",
        "--http-proxy=http://p.example:1",
        "--https-proxy=http://p.example:2",
        "--no-proxy=127.0.0.1",
    )
    seen = leak.read_text()
    assert "'HTTPS_PROXY': 'http://p.example:2'" in seen
    assert "'http_proxy': 'http://p.example:1'" in seen
    assert "'no_proxy': '127.0.0.1'" in seen
    assert lab.run("exec", "--module=main.py").out == "{}\n"


def test_a_missing_bundle_of_certificates_is_named(lab: Lab) -> None:
    commit = lab.repository.commit({"a": ""})
    done = lab.prepare(commit, "--ca-bundle=/no/such/ca.crt")
    assert done.code == 1
    assert "no certificates at /no/such/ca.crt" in done.reason
