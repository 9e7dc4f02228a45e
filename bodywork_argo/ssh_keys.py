"""Keys to fetch repositories by SSH with: what a cluster's secret may hold, and whom it trusts.

OpenSSH's own programs judge keys and lists of hosts, so nothing is accepted here that ssh would
refuse in a pod. No host is trusted because it answers.
"""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bodywork_argo.errors import GitError, UsageError
from bodywork_argo.forges import fingerprint, host_name, keys_of_host
from bodywork_argo.planner import SSH_KEY

KNOWN_HOSTS_KEY = "BODYWORK_GIT_KNOWN_HOSTS"
_PATIENCE_SECONDS = 60
_SCAN_SECONDS = 10
_PUBLIC = r"(ssh-|ecdsa-|sk-)\S+ AAAA|---- BEGIN SSH2 PUBLIC KEY|-----BEGIN (RSA )?PUBLIC KEY"
_PRIVATE = r"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----"
_WITHOUT_PASSPHRASE = "ssh-keygen -t ed25519 -N '' -f deploy_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A private key that ssh can use by itself."""

    text: str
    exposed: bool
    """Whether others on this machine may read its file."""


def read_private_key(path: Path) -> PrivateKey:
    """Return the private key of a file.

    Raises:
        UsageError: the file is no private key, or ssh in a pod could not use it; the message says
            how to make one that it can.
    """
    try:
        text = path.read_bytes().decode("ascii").replace("\r\n", "\n").strip() + "\n"
        mode = path.stat().st_mode
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a private key") from None
    if re.match(_PUBLIC, text):
        raise UsageError(f"{path} is a public key: give the private one, mostly without .pub")
    if text.startswith("PuTTY-User-Key-File"):
        raise UsageError(
            f"{path} is in PuTTY's format: write it in OpenSSH's, with "
            f"`puttygen {path} -O private-openssh -o deploy_key`"
        )
    if not re.match(_PRIVATE, text):
        raise UsageError(f"{path} is not a private key")
    _check_usable(text, path)
    exposed = bool(mode & (stat.S_IRWXG | stat.S_IRWXO))
    return PrivateKey(text=text, exposed=exposed)


def _check_usable(text: str, path: Path) -> None:
    """Have ssh-keygen open the key; of a copy, since it refuses files that others can read."""
    with tempfile.TemporaryDirectory(prefix="bodywork-argo-") as folder:
        copy = Path(folder, "key")
        copy.touch(mode=0o600)
        copy.write_text(text, encoding="ascii")
        done = _run("ssh-keygen", "-y", "-P", "", "-f", str(copy))
    if "passphrase" in done.stderr:
        raise UsageError(
            f"{path} is protected by a passphrase, which nobody types in a pod: make a key of its "
            f"own for the cluster with `{_WITHOUT_PASSPHRASE}`, and let it read the repository only"
        )
    if done.returncode:
        raise UsageError(f"{path} is not a private key that ssh can read; is it all there?")
    if done.stdout.startswith("sk-"):
        raise UsageError(
            f"{path} works with a security key that somebody touches: make a key for the cluster "
            f"with `{_WITHOUT_PASSPHRASE}`"
        )


def trusted_lines(
    name: str, *, file: Path | None = None, fingerprints: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the lines of known_hosts for a host, which is named as there.

    They come from `file`, or are what the host shows now with exactly these fingerprints, or, for a
    public forge, what comes with this program.

    Raises:
        UsageError: the file is not there or does not know the host.
        GitError: the host shows other keys or none, or nothing vouches for it.
    """
    if file is not None:
        return _lines_of_file(name, file)
    if fingerprints:
        return _lines_by_scan(name, fingerprints)
    lines = keys_of_host(name)
    if not lines:
        raise GitError(
            f"nothing vouches for {name}: get its fingerprint from who runs it and give it with "
            f"--fingerprint SHA256:..., or give a list that has it with --known-hosts FILE"
        )
    return lines


def _lines_of_file(name: str, file: Path) -> tuple[str, ...]:
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    # As ssh has it: a host on another port may stand there without the port.
    for candidate in dict.fromkeys((name, _split(name)[0])):
        found = _run("ssh-keygen", "-F", candidate, "-f", str(file)).stdout.splitlines()
        lines = tuple(line for line in found if line and not line.startswith("#"))
        if any(not line.startswith("@revoked") for line in lines):
            return lines
    raise UsageError(
        f"{file} does not know {name}: connect with ssh once, compare the fingerprint with the one "
        f"that its operator publishes, and take the file that ssh then writes"
    )


def _lines_by_scan(name: str, fingerprints: Sequence[str]) -> tuple[str, ...]:
    host, port = _split(name)
    scanned = _run("ssh-keyscan", "-T", str(_SCAN_SECONDS), "-p", str(port), "--", host).stdout
    shown = {}
    for line in scanned.splitlines():
        parts = line.split()
        if len(parts) == 3 and not line.startswith("#"):
            shown[fingerprint(parts[2])] = f"{name} {parts[1]} {parts[2]}"
    if not shown:
        raise GitError(f"{name} shows no host key: is it the right name, and reachable from here?")
    wanted = {each.rstrip("=") for each in fingerprints}
    lines = tuple(line for found, line in shown.items() if found in wanted)
    if not lines:
        raise GitError(
            f"{name} shows the host keys {', '.join(shown)}, none of which is "
            f"{', '.join(sorted(wanted))}: find out why, it may be another server"
        )
    return lines


def parse_host(text: str) -> str:
    """Return how known_hosts names ``HOST`` or ``HOST:PORT``. Raises UsageError.

    >>> parse_host("git.example.org:2222")
    '[git.example.org]:2222'
    """
    match = re.fullmatch(r"(?:\[([^][]+)\]|([^][:/@\s-][^][:/@\s]*))(?::(\d{1,5}))?", text)
    if match is None:
        raise UsageError(f"{text!r} is no host: write HOST or HOST:PORT")
    return host_name(match[1] or match[2], int(match[3] or 22))


def secret_values(key: PrivateKey, lines: Sequence[str]) -> Mapping[str, str]:
    """Return what the secret holds; Bodywork itself reads the first of the two."""
    return {SSH_KEY: key.text, KNOWN_HOSTS_KEY: "\n".join(dict.fromkeys(lines)) + "\n"}


def _split(name: str) -> tuple[str, int]:
    host, bracket, port = name.removeprefix("[").partition("]:")
    return host, int(port) if bracket else 22


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    if not shutil.which(command[0]):
        raise GitError(f"there is no {command[0]} here: install the client of OpenSSH")
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise GitError(f"{command[0]} did not end within {_PATIENCE_SECONDS} s") from error
