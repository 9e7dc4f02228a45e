"""Private keys that a cluster may be given, and hosts that they may meet."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodywork_argo.errors import GitError, UsageError
from bodywork_argo.forges import fingerprint, host_keys
from bodywork_argo.ssh_keys import (
    parse_host,
    read_private_key,
    secret_values,
    trusted_lines,
)
from tests.ssh_server import SshServer, free_port, new_key, running_sshd

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen here")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    with running_sshd(tmp_path / "ssh") as running:
        yield running


def keygen(path: Path, *options: str) -> Path:
    command = ["ssh-keygen", "-q", "-f", str(path), *options]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


# --- Keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [("-t", "ed25519"), ("-t", "rsa", "-b", "2048", "-m", "PEM"), ("-t", "ecdsa", "-m", "PKCS8")],
    ids=["openssh", "pem", "pkcs8"],
)
def test_a_key_in_any_format_that_ssh_reads_is_taken(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = keygen(tmp_path / "key", "-N", "", *options)
    key = read_private_key(path)

    assert key.text == path.read_text()
    assert not key.exposed


def test_line_ends_of_windows_and_a_lost_last_newline_are_put_right(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key", "-N", "", "-t", "ed25519")
    text = path.read_text()
    path.write_bytes(text.strip().replace("\n", "\r\n").encode())

    assert read_private_key(path).text == text


def test_a_key_that_others_can_read_is_taken_and_told(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key", "-N", "", "-t", "ed25519")
    path.chmod(0o644)

    assert read_private_key(path).exposed


@pytest.mark.parametrize("form", [(), ("-m", "PEM")], ids=["openssh", "pem"])
def test_a_key_with_a_passphrase_is_refused_with_a_way_to_make_one_without(
    tmp_path: Path, form: tuple[str, ...]
) -> None:
    kind = ("-t", "rsa", "-b", "2048") if form else ("-t", "ed25519")
    path = keygen(tmp_path / "key", "-N", "a passphrase", *kind, *form)

    with pytest.raises(UsageError, match="ssh-keygen -t ed25519 -N ''") as caught:
        read_private_key(path)
    assert "passphrase, which nobody types in a pod" in str(caught.value)


def test_a_public_key_is_refused_as_what_it_is(tmp_path: Path) -> None:
    keygen(tmp_path / "key", "-N", "", "-t", "ed25519")
    pem = tmp_path / "pem"
    pem.write_text("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n")

    for path in (tmp_path / "key.pub", pem):
        with pytest.raises(UsageError, match="is a public key"):
            read_private_key(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a private key"),
        (b"hunter2\n", "is not a private key"),
        (b"\xff\xfe", "is not a private key"),
        (b"-----BEGIN CERTIFICATE-----\nx\n", "is not a private key"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\nhunter2\n", "puttygen .* -O private-openssh"),
        (
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n",
            "is it all there",
        ),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)

    with pytest.raises(UsageError, match=message) as caught:
        read_private_key(path)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match=f"{path} can't be read"):
            read_private_key(path)


# --- Hosts ----------------------------------------------------------------------------------------


def test_public_forges_are_known() -> None:
    address = "git@github.com:team/models.git"
    assert trusted_lines("github.com") == host_keys(address) != ()


def test_any_other_host_needs_somebody_who_vouches_for_it() -> None:
    with pytest.raises(GitError, match=r"nothing vouches for git\.example\.org") as caught:
        trusted_lines("git.example.org")
    assert "--fingerprint" in str(caught.value)
    assert "--known-hosts" in str(caught.value)


def test_a_list_gives_the_lines_of_the_host_hashed_ones_too(tmp_path: Path) -> None:
    one, two = new_key(tmp_path / "one"), new_key(tmp_path / "two")
    file = tmp_path / "known_hosts"
    file.write_text(
        f"# ours\nother.example {one}\n[git.example.org]:2222 {one}\n*.inner.example {two}\n"
    )

    assert trusted_lines("[git.example.org]:2222", file=file) == (f"[git.example.org]:2222 {one}",)
    assert trusted_lines("git.inner.example", file=file) == (f"*.inner.example {two}",)
    keygen_hashed = ["ssh-keygen", "-q", "-H", "-f", str(file)]
    subprocess.run(keygen_hashed, check=True, capture_output=True)
    (line,) = trusted_lines("[git.example.org]:2222", file=file)
    assert line.startswith("|1|")
    assert line.endswith(one)


def test_a_host_that_stands_without_its_port_is_known_as_ssh_has_it(tmp_path: Path) -> None:
    key = new_key(tmp_path / "one")
    file = tmp_path / "known_hosts"
    file.write_text(f"git.example.org {key}\n")

    assert trusted_lines("[git.example.org]:2222", file=file) == (f"git.example.org {key}",)


def test_a_list_that_does_not_know_the_host_or_revoked_it_is_refused(tmp_path: Path) -> None:
    key = new_key(tmp_path / "one")
    file = tmp_path / "known_hosts"
    file.write_text(f"[git.example.org]:2222 {key}\n@revoked bad.example {key}\n")

    for name in ("git.example.org", "[git.example.org]:22222", "bad.example", "github.com"):
        with pytest.raises(UsageError, match="does not know"):
            trusted_lines(name, file=file)
    with pytest.raises(UsageError, match="there is no file"):
        trusted_lines("git.example.org", file=tmp_path / "none")


def test_a_published_fingerprint_takes_exactly_that_key_from_the_host(server: SshServer) -> None:
    known = server.known_hosts.read_text().strip()
    name, _, key = known.split()
    other = fingerprint(server.wrong_hosts.read_text().split()[2])

    assert trusted_lines(name, fingerprints=(other, fingerprint(key))) == (known,)


def test_a_host_that_shows_another_key_is_refused_with_both_named(server: SshServer) -> None:
    name, _, key = server.known_hosts.read_text().split()
    other = fingerprint(server.wrong_hosts.read_text().split()[2])

    with pytest.raises(GitError, match="it may be another server") as caught:
        trusted_lines(name, fingerprints=(other,))
    assert fingerprint(key) in str(caught.value)
    assert other in str(caught.value)


def test_a_host_that_does_not_answer_is_told() -> None:
    with pytest.raises(GitError, match="shows no host key"):
        trusted_lines(f"[127.0.0.1]:{free_port()}", fingerprints=("SHA256:x",))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("git.example.org", "git.example.org"),
        ("Git.example.org:22", "git.example.org"),
        ("git.example.org:2222", "[git.example.org]:2222"),
        ("[2001:db8::1]:2222", "[2001:db8::1]:2222"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_a_host_is_named_with_or_without_a_port(text: str, name: str) -> None:
    assert parse_host(text) == name


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "git@host", "host/path", "a b", "h:p"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no host"):
        parse_host(text)


def test_the_secret_holds_bodyworks_key_and_each_line_once(tmp_path: Path) -> None:
    key = read_private_key(keygen(tmp_path / "key", "-N", "", "-t", "ed25519"))

    assert secret_values(key, ["a b c", "d e f", "a b c"]) == {
        "BODYWORK_GIT_SSH_PRIVATE_KEY": key.text,
        "BODYWORK_GIT_KNOWN_HOSTS": "a b c\nd e f\n",
    }
