"""Host keys of the public forges."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from bodywork_argo import runner
from bodywork_argo.forges import FORGES, Forge, HostKey, fingerprint, host_keys, known_hosts_name

KEYS = [(forge, key) for forge in FORGES for key in forge.keys]
WITHDRAWN = {
    "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8": "GitHub, RSA, until March 2023",
    "SHA256:zzXQOXSRBEiUtuE8AikJYKwbHaxvSc0ojez9YXaGp1A": "Bitbucket, RSA, until June 2023",
}


@pytest.mark.parametrize(
    ("forge", "key"), KEYS, ids=[f"{forge.name} {key.kind}" for forge, key in KEYS]
)
def test_every_key_has_the_fingerprint_that_its_forge_publishes(forge: Forge, key: HostKey) -> None:
    raw = base64.b64decode(key.key, validate=True)
    digest = base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
    assert key.fingerprint == f"SHA256:{digest}" == fingerprint(key.key)
    length = int.from_bytes(raw[:4], "big")
    assert raw[4 : 4 + length].decode() == key.kind


def test_keys_that_were_withdrawn_are_not_here() -> None:
    assert not {key.fingerprint for _, key in KEYS} & set(WITHDRAWN)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("git@github.com:team/models.git", "github.com"),
        ("GitHub.com:team/models.git", "github.com"),
        ("ssh://git@github.com/team/models.git", "github.com"),
        ("ssh://git@github.com:22/team/models.git", "github.com"),
        ("ssh://git@ssh.github.com:443/team/models.git", "[ssh.github.com]:443"),
        ("ssh://git@git.example.org:2222/team/models.git", "[git.example.org]:2222"),
        ("ssh://git.example.org", "git.example.org"),
        ("ssh://me@there@git.example.org/x", "git.example.org"),
        ("ssh://git@[2001:db8::1]:2222/x", "[2001:db8::1]:2222"),
        ("git@[2001:db8::1]:x", "2001:db8::1"),
        ("git@host:x@y:z", "host"),
        ("https://github.com/team/models.git", None),
        ("http://git@github.com/x", None),
        ("file:///srv/git/x", None),
        ("/srv/git/x", None),
        ("./a:b", None),
        ("models", None),
    ],
)
def test_an_address_names_its_host_as_known_hosts_does(address: str, name: str | None) -> None:
    assert known_hosts_name(address) == name
    assert name is None or not runner.is_local(address)


def test_a_forge_is_known_under_all_its_hosts_and_under_no_other() -> None:
    assert len(host_keys("git@github.com:a/b")) == 3
    assert {line.split()[0] for line in host_keys("ssh://git@ssh.github.com:443/a/b")} == {
        "[ssh.github.com]:443"
    }
    for address in (
        "git@github.com.evil.example:a/b",
        "git@xgithub.com:a/b",
        "ssh://git@github.com:2222/a/b",
        "git@github.com@evil.example:a/b",
        "https://github.com/a/b",
    ):
        assert host_keys(address) == ()


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen here")
@pytest.mark.parametrize("forge", FORGES, ids=[forge.name for forge in FORGES])
def test_ssh_finds_the_lines_of_every_host(forge: Forge, tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    for host in forge.hosts:
        plain, _, port = host.strip("[").partition("]:")
        lines = host_keys(f"ssh://git@{plain}:{port or 22}/a/b")
        file.write_text("\n".join(lines) + "\n")
        found = subprocess.run(
            ["ssh-keygen", "-l", "-F", host, "-f", file], capture_output=True, text=True, check=True
        ).stdout
        assert all(key.fingerprint in found for key in forge.keys)
