"""Every finding of a first look at secrets and repositories, on a real cluster.

Each is told by `doctor` as text and as JSON, with what to do about it. Where that is a command, it
is carried out, and the finding is gone.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bodywork_argo.access import (
    SUBMITTER,
)
from e2e.engines.gitservers import HTTP_PASSWORD, HTTP_USER, SSH_PORT, SshFiles
from e2e.support.identities import (
    as_account,
    await_right,
    kubeconfig_of,
    make_account,
)
from e2e.support.leaks import planted
from e2e.support.looks import SUBMITTERS_RULES, Commands, env_file
from e2e.support.repositories import Repository
from e2e.support.spaces import Space

pytestmark = pytest.mark.smoke

SECRET = {"apiVersion": "v1", "kind": "Secret"}
SSH_VARIABLE, HOSTS_VARIABLE = "BODYWORK_GIT_SSH_PRIVATE_KEY", "BODYWORK_GIT_KNOWN_HOSTS"


# --- Secrets --------------------------------------------------------------------------------------


def test_a_stages_secret_that_is_missing_and_then_its_key(
    submitter: Commands,
    administrator: Commands,
    clone: Callable[..., str],
    namespace: Space,
    tmp_path: Path,
) -> None:
    folder = clone(secrets={"TOKEN": "chat"})

    absent = submitter.finding("secrets", folder)
    _, err = submitter("submit", folder, code=4)
    administrator.mend(absent["remedy"], FILE=env_file(tmp_path, OTHER=planted()))
    lacking = submitter.finding("secrets", folder)
    administrator.mend(lacking["remedy"], FILE=env_file(tmp_path, TOKEN=planted()))
    submitter.nothing("secrets", folder)

    place = "stages.a.secrets.TOKEN"
    assert (absent["where"], absent["key"]) == ("bodywork.yaml", place)
    assert absent["what"].startswith(f"there is no secret chat in namespace {namespace.name}; ")
    assert f"error: bodywork.yaml:{absent['line']}: {place}: there is no secret chat" in err
    assert "nothing was submitted: secrets must be mended first" in err
    assert lacking["what"].startswith(f"secret chat in namespace {namespace.name} has no key TOKEN")


def test_keys_that_cannot_be_told_are_a_warning(
    submitter: Commands, clone: Callable[..., str], namespace: Space
) -> None:
    path = f"/api/v1/namespaces/{namespace.name}/secrets/chat"
    namespace.create({**SECRET, "metadata": {"name": "chat"}, "stringData": {"TOKEN": planted()}})
    document = namespace.cluster.request("GET", path)
    document["metadata"]["managedFields"] = [{}]
    namespace.cluster.request("PUT", path, document)
    where = ("-n", submitter.namespace, clone(secrets={"TOKEN": "chat"}))

    out, _ = submitter("doctor", *where)

    assert "warning  bodywork.yaml:" in out
    assert "has key TOKEN can't be told without reading its values" in out


def test_whoever_may_not_look_at_secrets_gets_warnings(
    commands_of: Callable[[Path], Commands],
    clone: Callable[..., str],
    private: Repository,
    namespace: Space,
    tmp_path: Path,
) -> None:
    rules = [rule for rule in SUBMITTERS_RULES if "secrets" not in rule["resources"]]
    make_account(namespace, "poor", rules)
    await_right(as_account(namespace, "poor", tmp_path), "create", "argoproj.io", "workflows")
    poor = commands_of(kubeconfig_of(namespace, "poor", tmp_path))
    where = ("-n", namespace.name, clone(private.url, secrets={"TOKEN": "chat"}), "-o", "json")

    checks = {each["check"]: each for each in json.loads(poor("doctor", *where)[0])}

    for name, told in (("secrets", "secrets are not known"), ("repository", "nobody can tell")):
        (problem,) = checks[name]["problems"]
        assert (problem["severity"], told in problem["what"]) == ("warning", True)
        assert "may not get secrets" in problem["what"]


# --- Groups of secrets ----------------------------------------------------------------------------


@pytest.fixture
def vault(make_namespace: Callable[..., Space]) -> Space:
    """Where groups are kept."""
    return make_namespace()


def test_a_group_is_looked_at_before_anything_is_copied(
    administrator: Commands,
    clone: Callable[..., str],
    namespace: Space,
    vault: Space,
    tmp_path: Path,
) -> None:
    where = (clone(secrets={"TOKEN": "chat"}, group="prod"), "--secrets-namespace", vault.name)

    absent = administrator.finding("secrets", *where)
    administrator.mend(absent["remedy"], FILE=env_file(tmp_path, OTHER=planted()))
    lacking = administrator.finding("secrets", *where)
    administrator.mend(lacking["remedy"], FILE=env_file(tmp_path, TOKEN=planted()))
    administrator.nothing("secrets", *where)
    out, err = administrator("submit", *where, "-n", namespace.name, "--dry-run")

    assert absent["key"] == lacking["key"] == "stages.a.secrets.TOKEN"
    assert absent["what"].startswith("group prod has no secret chat")
    told = f"secret prod-chat in namespace {vault.name} has no key TOKEN"
    assert lacking["what"].startswith(told)
    assert "would copy secret chat from group prod\n" in err
    assert "kind: Workflow" in out.replace('"', "")
    names = [each["metadata"]["name"] for each in namespace.find(SECRET)]
    assert "chat" not in names


def test_whoever_may_not_copy_a_group_may_after_what_the_remedy_says(
    submitter: Commands,
    administrator: Commands,
    clone: Callable[..., str],
    namespace: Space,
    vault: Space,
    tmp_path: Path,
) -> None:
    where = (clone(secrets={"TOKEN": "chat"}, group="prod"), "--secrets-namespace", vault.name)
    labels = {"group": "prod"}
    metadata = {"name": "prod-chat", "labels": labels}
    vault.create({**SECRET, "metadata": metadata, "stringData": {"TOKEN": planted()}})

    out, _ = submitter("doctor", "-n", namespace.name, *where, "-o", "json", code=4)

    (found,) = [each for each in json.loads(out) if each["check"] == "secrets"]
    problems = found["problems"]
    assert "may not get secrets prod-chat in namespace" in problems[0]["what"]
    assert {each["severity"] for each in problems} == {"error", "warning"}
    administrator.mend(problems[0]["remedy"])
    await_right(as_account(namespace, SUBMITTER, tmp_path), "list", "", "secrets")
    submitter.nothing("secrets", *where)


def test_what_is_in_the_way_of_a_groups_secret_is_told_and_left(
    administrator: Commands, clone: Callable[..., str], namespace: Space, vault: Space
) -> None:
    where = (clone(secrets={"TOKEN": "chat"}, group="prod"), "--secrets-namespace", vault.name)
    metadata = {"name": "prod-chat", "labels": {"group": "prod"}}
    vault.create({**SECRET, "metadata": metadata, "stringData": {"TOKEN": planted()}})
    theirs = namespace.create({**SECRET, "metadata": {"name": "chat"}})

    problem = administrator.finding("secrets", *where)
    administrator("submit", *where, "-n", namespace.name, code=4)

    assert "is in the way of the one of group prod" in problem["what"]
    assert namespace.get({**SECRET, "metadata": {"name": "chat"}}) == theirs


# --- Repositories ---------------------------------------------------------------------------------


def test_a_git_host_that_cannot_be_reached_from_here_is_a_warning(
    submitter: Commands, clone: Callable[..., str], closed_port: int
) -> None:
    folder = clone(f"http://127.0.0.1:{closed_port}/team/shop.git")

    problem = submitter.finding("repository", folder, code=0)

    assert problem["what"].startswith("nobody can tell from here whether pods may fetch http://127")
    assert problem["where"].startswith("https://")


def test_a_repository_that_is_not_there(
    submitter: Commands, clone: Callable[..., str], private: Repository
) -> None:
    folder = clone(f"{private.url.rpartition('/private/')[0]}/none.git")

    problem = submitter.finding("repository", folder)

    assert "not found" in problem["what"]


def test_a_token_that_is_missing_or_refused_is_mended_by_what_the_remedy_says(
    submitter: Commands,
    administrator: Commands,
    clone: Callable[..., str],
    private: Repository,
    namespace: Space,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = clone(private.url)
    missing = submitter.finding("repository", folder)
    wrong = {"BODYWORK_GIT_TOKEN": planted()}
    namespace.create({**SECRET, "metadata": {"name": "git-token"}, "stringData": wrong})
    refused = submitter.finding("repository", folder)
    monkeypatch.setenv("E2E_TOKEN", HTTP_PASSWORD)
    words = ("--from-env", "E2E_TOKEN", "--username", HTTP_USER)
    remedy = refused["remedy"].replace("--stdin", shlex.join(words))
    administrator.mend(remedy)
    submitter.nothing("repository", folder)

    assert "give it as BODYWORK_GIT_TOKEN" in missing["what"]
    assert "did not accept the token" in refused["what"]
    assert missing["remedy"] == refused["remedy"]


@pytest.fixture
def known_hosts(ssh_files: SshFiles, private: Repository, tmp_path: Path) -> Path:
    """What tells the SSH server's own key."""
    path = tmp_path / "known_hosts"
    path.write_text(host_line(private, ssh_files.host_key))
    return path


def host_line(repository: Repository, public: Path) -> str:
    kind, key = public.read_text(encoding="utf-8").split()[:2]
    return f"[{repository.server.address}]:{SSH_PORT} {kind} {key}\n"


@pytest.fixture
def another_key(tmp_path: Path) -> Path:
    """A key that opens nothing, and is nobody's."""
    path = tmp_path / "another"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f", str(path)]
    subprocess.run(make, check=True)
    return path


def store_key(space: Space, key: Path, hosts: str) -> None:
    data = {SSH_VARIABLE: key.read_text(encoding="utf-8"), HOSTS_VARIABLE: hosts}
    space.create({**SECRET, "metadata": {"name": "ssh-git-private-key"}, "stringData": data})


def test_a_key_that_is_missing_is_stored_by_what_the_remedy_says(
    submitter: Commands,
    administrator: Commands,
    clone: Callable[..., str],
    private: Repository,
    ssh_files: SshFiles,
    known_hosts: Path,
) -> None:
    folder = clone(private.ssh_url)
    problem = submitter.finding("repository", folder)

    assert f"pods have no key for {private.ssh_url}" in problem["what"]
    with_key = problem["remedy"].replace("create FILE", f"create {ssh_files.private_key}")
    administrator.mend(with_key, FILE=str(known_hosts))
    submitter.nothing("repository", folder)


def test_a_key_that_is_not_let_in(
    submitter: Commands,
    clone: Callable[..., str],
    private: Repository,
    namespace: Space,
    another_key: Path,
    known_hosts: Path,
) -> None:
    store_key(namespace, another_key, known_hosts.read_text())

    problem = submitter.finding("repository", clone(private.ssh_url))

    assert "did not accept the SSH key, or none was given" in problem["what"]
    assert "ssh-key create FILE ssh-git-private-key" in problem["remedy"]


def test_a_host_that_shows_another_key_than_the_known_one(
    submitter: Commands,
    clone: Callable[..., str],
    private: Repository,
    namespace: Space,
    ssh_files: SshFiles,
    another_key: Path,
) -> None:
    public = another_key.with_suffix(".pub")
    store_key(namespace, ssh_files.private_key, host_line(private, public))

    problem = submitter.finding("repository", clone(private.ssh_url))

    assert "is not the known one" in problem["what"]
