"""A real SSH server on the loopback interface, for a test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runner.lab import until


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@dataclass(frozen=True, slots=True)
class SshServer:
    """An SSH server with one user, one user's key, one host's key."""

    port: int
    key: Path
    known_hosts: Path
    wrong_hosts: Path

    def address(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"


def new_key(path: Path) -> str:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@contextmanager
def running_sshd(folder: Path) -> Iterator[SshServer]:
    """Run a server whose files lie in a new folder; skip the test where there is none."""
    sshd = os.environ.get("BODYWORK_TEST_SSHD") or shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if not sshd or not shutil.which("ssh-keygen"):
        pytest.skip("no sshd here")
    port = free_port()
    folder.mkdir(mode=0o700)
    host, other = new_key(folder / "host"), new_key(folder / "other")
    (folder / "authorized").write_text(new_key(folder / "user") + "\n")
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host}\n")
    (folder / "wrong").write_text(f"[127.0.0.1]:{port} {other}\n")
    settings = f"""
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
SetEnv PATH={os.environ["PATH"]}
"""
    (folder / "config").write_text(settings)
    command = [sshd, "-D", "-e", "-f", str(folder / "config")]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as server:
        until(lambda: server.poll() is not None or listens(port), "sshd listens")
        if server.poll() is not None:
            pytest.skip(f"sshd does not start: {(folder / 'log').read_text()}")
        try:
            yield SshServer(
                port=port,
                key=folder / "user",
                known_hosts=folder / "known",
                wrong_hosts=folder / "wrong",
            )
        finally:
            server.terminate()


def listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0
