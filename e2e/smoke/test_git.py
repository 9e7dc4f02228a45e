"""Pods fetch repositories from the Git servers of the tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from e2e.conftest import MakeRepository
from e2e.engines.gitservers import SSH_PORT, SshFiles
from e2e.support.pods import pod
from e2e.support.spaces import Space

pytestmark = pytest.mark.smoke

FILES = {"stage/main.py": "print('hello')\n", "bodywork.yaml": 'version: "1.1"\n'}
CLONE = 'set -e; git clone -q "$URL" /tmp/x; python3 /tmp/x/stage/main.py'
SHALLOW = """
set -e
git init -q /tmp/x && cd /tmp/x
git fetch -q --depth 1 "$URL" "$COMMIT" && git checkout -q FETCH_HEAD
python3 stage/main.py
"""
WITH_KEY = """
set -e
umask 077; mkdir -p /root/.ssh
printf '%s\n' "$KEY" > /root/.ssh/id_ed25519
printf '%s\n' "$HOST_KEY" > /root/.ssh/known_hosts
git clone -q "$URL" /tmp/x; python3 /tmp/x/stage/main.py
"""


def printed(namespace: Space, script: str, environment: Mapping[str, str]) -> str:
    namespace.create(pod("fetch", ["sh", "-c", script], environment=environment))
    namespace.finished_pod("fetch")
    return namespace.logs("fetch")


def test_a_public_repository_is_cloned(
    namespace: Space, git_repo: Callable[[Mapping[str, str]], str]
) -> None:
    assert printed(namespace, CLONE, {"URL": git_repo(FILES)}) == "hello\n"


def test_a_commit_is_fetched_by_its_hash(
    namespace: Space, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository(FILES)
    wanted = repository.commit({"stage/main.py": "print('the wanted one')\n"})
    repository.commit({"stage/main.py": "print('a later one')\n"})

    environment = {"URL": repository.url, "COMMIT": wanted}

    assert printed(namespace, SHALLOW, environment) == "the wanted one\n"


@pytest.mark.plants_openly
def test_a_private_repository_asks_for_a_password(
    namespace: Space, make_git_repository: MakeRepository
) -> None:
    repository = make_git_repository(FILES, private=True)

    refused = 'GIT_TERMINAL_PROMPT=0 git clone -q "$URL" /tmp/x 2>&1 && exit 1; set -e;'
    script = f"{refused} {CLONE.replace('$URL', '$URL_WITH_PASSWORD')}"
    environment = {"URL": repository.url, "URL_WITH_PASSWORD": repository.url_with_password}
    said = printed(namespace, script, environment)

    assert said.endswith("hello\n")
    assert "could not read Username" in said


@pytest.mark.plants_openly
def test_a_private_repository_is_cloned_over_ssh(
    namespace: Space, make_git_repository: MakeRepository, ssh_files: SshFiles
) -> None:
    repository = make_git_repository(FILES, private=True)
    kind, key = ssh_files.host_key.read_text().split()[:2]
    environment = {
        "URL": repository.ssh_url,
        "KEY": ssh_files.private_key.read_text().strip(),
        "HOST_KEY": f"[{repository.server.address}]:{SSH_PORT} {kind} {key}",
    }

    assert printed(namespace, WITH_KEY, environment) == "hello\n"
