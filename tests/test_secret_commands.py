"""`secret`, `ssh-key` and `git-token` as a user gives them, against an API of secrets."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bodywork_argo.access import SECRETS_NAMESPACE
from bodywork_argo.cli import main
from bodywork_argo.cluster import SECRET
from bodywork_argo.forges import fingerprint
from bodywork_argo.memory_cluster import MemoryCluster
from tests.repositories import make_repository
from tests.secrets_api import secrets_api
from tests.ssh_server import SshServer, running_sshd

Run = Callable[..., tuple[int, str, str]]
GROUPS = SECRETS_NAMESPACE


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryCluster]:
    memory = MemoryCluster("team")
    kubeconfig = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.chdir(tmp_path)
    with secrets_api(memory, kubeconfig):
        yield memory


@pytest.fixture
def call(cluster: MemoryCluster, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let commands read these bytes from standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def held(cluster: MemoryCluster, name: str, namespace: str = "team") -> dict[str, bytes]:
    found = cluster.within(namespace).get(SECRET, name)
    assert found is not None
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


# --- secret create --------------------------------------------------------------------------------


def test_a_secret_is_made_of_files_and_standard_input_and_no_value_is_printed(
    call: Run, cluster: MemoryCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db.env").write_text("# ours\nUSER=hunter1\nPASSWORD='hunter2'\n")
    (tmp_path / "ca").write_bytes(b"\x00\xffhunter3\n")
    piped(monkeypatch, b"hunter4\n")
    code, out, err = call(
        *("secret", "create", "db", "--from-env-file", "db.env"),
        *("--from-file", "ca.crt=ca", "--stdin", "TOKEN"),
    )

    assert (code, err) == (0, "")
    assert out == "created secret db in namespace team: keys USER, PASSWORD, ca.crt, TOKEN\n"
    assert held(cluster, "db") == {
        "USER": b"hunter1",
        "PASSWORD": b"hunter2",
        "ca.crt": b"\x00\xffhunter3\n",
        "TOKEN": b"hunter4",
    }


def test_a_secret_of_a_group_lies_where_groups_are_under_the_groups_name(
    call: Run, cluster: MemoryCluster, tmp_path: Path
) -> None:
    (tmp_path / "x.env").write_text("USER=me\n")
    make = ("secret", "create", "db", "--group", "prod", "--from-env-file", "x.env")

    assert call(*make)[0] == 0
    assert call(*make, "--secrets-namespace", "elsewhere")[0] == 0
    assert held(cluster, "prod-db", GROUPS) == held(cluster, "prod-db", "elsewhere")
    found = cluster.within(GROUPS).get(SECRET, "prod-db")
    assert found is not None
    assert found["metadata"]["labels"]["group"] == "prod"


def test_a_secret_that_is_there_is_left_unless_it_is_to_be_replaced(
    call: Run, cluster: MemoryCluster, tmp_path: Path
) -> None:
    (tmp_path / "one.env").write_text("A=1\nB=2\n")
    (tmp_path / "two.env").write_text("B=3\nC=4\n")
    call("secret", "create", "db", "--from-env-file", "one.env")
    again = ("secret", "create", "db", "--from-env-file", "two.env")
    code, _, err = call(*again)

    assert code == 4
    assert "there is a secret db in namespace team: give --replace" in err
    assert held(cluster, "db") == {"A": b"1", "B": b"2"}
    assert call(*again, "--replace")[:2] == (0, "replaced secret db in namespace team: keys B, C\n")
    assert held(cluster, "db") == {"B": b"3", "C": b"4"}


def test_a_copy_of_a_groups_secret_is_changed_in_its_group_only(
    call: Run, cluster: MemoryCluster, tmp_path: Path
) -> None:
    labels = {"bodywork-argo/secrets-group": "prod", "group": "prod"}
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "labels": labels}}
    cluster.create({**document, "data": {}})
    (tmp_path / "x.env").write_text("A=1\n")
    code, _, err = call("secret", "create", "db", "--replace", "--from-env-file", "x.env")

    assert code == 4
    assert "is a copy" in err
    assert "--group prod" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("db",), "name what it holds"),
        (("db", "--from-env-file", "none"), "none can't be read: No such file"),
        (("db", "--from-env-file", "bad.env"), "bad.env:2: is not KEY=VALUE"),
        (("db", "--from-env-file", "binary"), "binary is not text"),
        (("db", "--from-file", "a"), "--from-file takes KEY=PATH"),
        (("db", "--from-file", "a b=bad.env"), "a key has letters"),
        (("db", "--from-file", "A=bad.env", "--from-file", "A=bad.env"), "A is given twice"),
        (("DB", "--from-file", "A=bad.env"), "no secret can be called 'DB'"),
        (("db", "--from-file", "A=bad.env", "--group", "A_b"), "no group can be called"),
        (("db", "--from-file", "A=bad.env", "--group", "g", "-n", "x"), "leave --namespace out"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_sent(
    call: Run, cluster: MemoryCluster, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "bad.env").write_text("A=1\nhunter2\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    code, out, err = call("secret", "create", *words)

    assert (code, out) == (2, "")
    assert message in err
    assert "hunter2" not in err
    assert cluster.list(SECRET, {}) == ()


# --- secret list and delete -----------------------------------------------------------------------


@pytest.fixture
def some(call: Run, cluster: MemoryCluster, tmp_path: Path) -> None:
    """Secrets of a namespace and of two groups, and a stranger's."""
    (tmp_path / "x.env").write_text("USER=hunter1\nPASSWORD=hunter2\n")
    for name, group in (("db", ""), ("db", "prod"), ("store", "prod"), ("db", "staging")):
        where = ("--group", group) if group else ()
        call("secret", "create", name, "--from-env-file", "x.env", *where)
    stranger = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}, "data": {}}
    cluster.create(stranger)


@pytest.mark.usefixtures("some")
def test_a_list_tells_names_groups_keys_and_age_and_no_value(call: Run) -> None:
    code, out, _ = call("secret", "list", "--group", "prod")
    rows = [line.split() for line in out.splitlines()]

    assert code == 0
    assert rows[0] == ["name", "group", "keys", "age"]
    assert [row[:4] for row in rows[1:]] == [
        ["db", "prod", "PASSWORD,", "USER"],
        ["store", "prod", "PASSWORD,", "USER"],
    ]
    assert "hunter" not in out


@pytest.mark.usefixtures("some")
def test_a_list_without_a_group_has_what_this_program_made_or_groups_hold(call: Run) -> None:
    here = json.loads(call("secret", "list", "-o", "json")[1])
    groups = json.loads(call("secret", "list", "-n", GROUPS, "-o", "json")[1])

    assert here == [
        {
            "name": "db",
            "group": None,
            "copy": False,
            "keys": ["PASSWORD", "USER"],
            "all_keys": True,
            "created": "2026-01-01T00:00:00Z",
        }
    ]
    assert [(each["group"], each["name"]) for each in groups] == [
        ("prod", "db"),
        ("prod", "store"),
        ("staging", "db"),
    ]


@pytest.mark.usefixtures("some")
def test_deleting_asks_first(
    call: Run, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, b"n\n")
    code, _, err = call("secret", "delete", "db")
    assert code == 130
    assert "Delete secret db in team?" in err
    assert cluster.get(SECRET, "db") is not None

    piped(monkeypatch, b"y\n")
    assert call("secret", "delete", "db")[:2] == (0, "deleted secret db in namespace team\n")
    assert cluster.get(SECRET, "db") is None


@pytest.mark.usefixtures("some")
def test_what_somebody_puts_in_its_place_while_you_are_asked_is_not_deleted(
    call: Run, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Thinking(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            """Take so long that the secret is another one by then."""
            if cluster.delete(SECRET, "db"):
                cluster.create(
                    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {}}
                )
            return super().read1(size)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Thinking(b"y\n")))
    code, out, err = call("secret", "delete", "db")

    assert (code, out) == (4, "")
    assert "secret db in namespace team changed while you were asked" in err
    assert cluster.get(SECRET, "db") is not None


@pytest.mark.usefixtures("some")
def test_a_group_is_deleted_as_a_whole_or_secret_by_secret(
    call: Run, cluster: MemoryCluster
) -> None:
    groups = cluster.within(GROUPS)
    assert call("secret", "delete", "db", "--group", "prod", "--yes")[0] == 0
    assert {each["metadata"]["name"] for each in groups.list(SECRET, {})} == {
        "prod-store",
        "staging-db",
    }
    assert call("secret", "delete", "--group", "prod", "--yes")[0] == 0
    assert [each["metadata"]["name"] for each in groups.list(SECRET, {})] == ["staging-db"]


@pytest.mark.usefixtures("some")
def test_what_is_a_strangers_or_not_there_is_not_deleted(call: Run, cluster: MemoryCluster) -> None:
    for words in (("theirs",), ("none",), ("db", "--group", "none"), ("--group", "none")):
        code, _, err = call("secret", "delete", *words, "--yes")
        assert code == 4
        assert "that this program made" in err
    assert call("secret", "delete", "--yes")[0] == 2
    assert cluster.get(SECRET, "theirs") is not None


# --- ssh-key create -------------------------------------------------------------------------------

needs_keygen = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen here")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    with running_sshd(tmp_path / "ssh") as running:
        yield running


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "deploy_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@needs_keygen
def test_a_key_for_a_public_forge_needs_nothing_else(
    call: Run, cluster: MemoryCluster, key: Path
) -> None:
    code, out, err = call("ssh-key", "create", str(key), "--host", "github.com")

    assert (code, err) == (0, "")
    assert "created secret ssh-git-private-key in namespace team" in out
    holds = held(cluster, "ssh-git-private-key")
    assert holds["BODYWORK_GIT_SSH_PRIVATE_KEY"] == key.read_bytes()
    assert holds["BODYWORK_GIT_KNOWN_HOSTS"].startswith(b"github.com ssh-ed25519 AAAA")


def test_a_key_for_a_repository_is_tried_on_it_first(
    call: Run, cluster: MemoryCluster, tmp_path: Path, server: SshServer, key: Path
) -> None:
    make_repository(tmp_path / "source", {"a": "1"})
    address = server.address(tmp_path / "source")
    words = ("--repository", address, "--known-hosts", str(server.known_hosts))
    code, _, err = call("ssh-key", "create", str(key), *words)

    assert code == 5
    assert "did not accept the SSH key" in err
    assert cluster.list(SECRET, {}) == ()
    assert call("ssh-key", "create", str(key), "unchecked", *words, "--no-check")[0] == 0
    assert call("ssh-key", "create", str(server.key), *words)[0] == 0
    assert held(cluster, "ssh-git-private-key") == {
        "BODYWORK_GIT_SSH_PRIVATE_KEY": server.key.read_bytes(),
        "BODYWORK_GIT_KNOWN_HOSTS": server.known_hosts.read_bytes(),
    }


def test_a_fingerprint_vouches_for_a_host_that_no_list_knows(
    call: Run, cluster: MemoryCluster, server: SshServer
) -> None:
    published = fingerprint(server.known_hosts.read_text().split()[2])
    words = ("ssh-key", "create", str(server.key), "--host", f"127.0.0.1:{server.port}")

    assert call(*words)[0] == 5
    assert call(*words, "--fingerprint", published, "--group", "prod")[0] == 0
    holds = held(cluster, "prod-ssh-git-private-key", GROUPS)
    assert holds["BODYWORK_GIT_KNOWN_HOSTS"] == server.known_hosts.read_bytes()


@needs_keygen
def test_a_key_of_another_name_and_an_open_file_are_told(call: Run, key: Path) -> None:
    key.chmod(0o644)
    code, _, err = call("ssh-key", "create", str(key), "mine", "--host", "gitlab.com")

    assert code == 0
    assert f"others on this machine can read {key}" in err
    assert "--git-secret mine" in err


@needs_keygen
def test_a_key_needs_a_host_that_is_reached_by_ssh(call: Run, key: Path) -> None:
    assert "say which host" in call("ssh-key", "create", str(key))[2]
    code, _, err = call("ssh-key", "create", str(key), "--repository", "https://github.com/a/b")
    assert code == 2
    assert "use `git-token create`" in err


# --- git-token create -----------------------------------------------------------------------------


def test_a_token_comes_from_standard_input_or_a_variable(
    call: Run, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, b"hunter2\n")
    code, out, err = call("git-token", "create", "--stdin", "--username", "oauth2")

    assert code == 0
    assert "hunter2" not in out + err
    assert held(cluster, "git-token") == {
        "BODYWORK_GIT_TOKEN": b"hunter2",
        "BODYWORK_GIT_USERNAME": b"oauth2",
    }
    monkeypatch.setenv("MY_TOKEN", "hunter3")
    code, _, err = call("git-token", "create", "other", "--from-env", "MY_TOKEN")
    assert held(cluster, "other") == {"BODYWORK_GIT_TOKEN": b"hunter3"}
    assert "--git-secret other" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say where the token comes from"),
        (("--stdin", "--from-env", "X"), "say where the token comes from"),
        (("--from-env", "NO_SUCH_VARIABLE"), "there is no token in NO_SUCH_VARIABLE"),
        (("--from-env", "PATH", "--repository", "git@host:x"), "a token opens addresses with"),
    ],
)
def test_a_token_that_cannot_be_is_refused(
    call: Run, cluster: MemoryCluster, words: tuple[str, ...], message: str
) -> None:
    code, _, err = call("git-token", "create", *words)

    assert code == 2
    assert message in err
    assert cluster.list(SECRET, {}) == ()
