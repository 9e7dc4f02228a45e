"""Host keys of the public forges, so that nobody has to believe the first server that answers.

Each key is here with the fingerprint that its forge publishes; a test computes it anew. Looked up
on 25 November 2026. GitHub's RSA key of before March 2023 and Bitbucket's keys of before June 2023
were withdrawn and are not here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A public key by which a forge's servers prove who they are."""

    kind: str
    """Such as ``ssh-ed25519``."""
    key: str
    """Base64, as in known_hosts."""
    fingerprint: str
    """``SHA256:...``, as the forge publishes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """A public host of repositories."""

    name: str
    hosts: tuple[str, ...]
    """Its servers for SSH, as known_hosts names them."""
    source: str
    """Where the fingerprints, and the hosts, are published."""
    keys: tuple[HostKey, ...]


_SSH_URL = r"ssh://(?:[^/]*@)?(?:\[([^]/]+)\]|([^][/:@]+))(?::(\d+))?(?:/.*)?"
_SCP_FORM = r"(?:[^/:]*@)?(?:\[([^]/]+)\]|([^][/:@]+)):(?!//).*"


def known_hosts_name(repository: str) -> str | None:
    """Return how known_hosts names the host of an address; None when it is not reached by SSH.

    >>> known_hosts_name("git@GitHub.com:team/models.git")
    'github.com'
    >>> known_hosts_name("ssh://git@git.example.org:2222/team/models.git")
    '[git.example.org]:2222'
    """
    if match := re.fullmatch(_SSH_URL, repository):
        in_brackets, plain, port = match.groups()
    elif (match := re.fullmatch(_SCP_FORM, repository)) and match[2] != "file":
        (in_brackets, plain), port = match.groups(), None
    else:
        return None
    return host_name(in_brackets or plain, int(port or 22))


def host_name(host: str, port: int) -> str:
    """Return how known_hosts names a host; 22 is the port that needs no telling.

    >>> host_name("git.example.org", 2222)
    '[git.example.org]:2222'
    """
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def host_keys(repository: str) -> tuple[str, ...]:
    """Return the lines of known_hosts for an address on a public forge; none for other hosts."""
    name = known_hosts_name(repository)
    return () if name is None else keys_of_host(name)


def keys_of_host(name: str) -> tuple[str, ...]:
    """Return the lines of known_hosts for a host that is named as there."""
    return tuple(
        f"{name} {key.kind} {key.key}"
        for forge in FORGES
        if name in forge.hosts
        for key in forge.keys
    )


def fingerprint(key: str) -> str:
    """Return the fingerprint of a public key in base64. Raises ValueError when it is none.

    >>> fingerprint("AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl")
    'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU'
    """
    import base64
    import hashlib  # loads OpenSSL; whoever only looks keys up needs neither

    digest = hashlib.sha256(base64.b64decode(key, validate=True)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


# A key that a host turns out not to have makes ssh refuse it, never trust it.
FORGES = (
    Forge(
        name="GitHub",
        hosts=("github.com", "[ssh.github.com]:443"),
        source="docs.github.com: GitHub's SSH key fingerprints; Using SSH over the HTTPS port",
        keys=(
            HostKey(
                kind="ssh-ed25519",
                key=("AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"),
                fingerprint="SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
            ),
            HostKey(
                kind="ecdsa-sha2-nistp256",
                key=(
                    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKg"
                    "wFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
                ),
                fingerprint="SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
            ),
            HostKey(
                kind="ssh-rsa",
                key=(
                    "AAAAB3NzaC1yc2EAAAADAQABAAABgQCj7ndNxQowgcQnjshcLrqPEiiphnt+VTTvDP6mHBL9j1aN"
                    "UkY4Ue1gvwnGLVlOhGeYrnZaMgRK6+PKCUXaDbC7qtbW8gIkhL7aGCsOr/C56SJMy/BCZfxd1nWz"
                    "AOxSDPgVsmerOBYfNqltV9/hWCqBywINIR+5dIg6JTJ72pcEpEjcYgXkE2YEFXV1JHnsKgbLWNlh"
                    "Scqb2UmyRkQyytRLtL+38TGxkxCflmO+5Z8CSSNY7GidjMIZ7Q4zMjA2n1nGrlTDkzwDCsw+wqFP"
                    "GQA179cnfGWOWRVruj16z6XyvxvjJwbz0wQZ75XK5tKSb7FNyeIEs4TT4jk+S4dhPeAUC5y+bDYi"
                    "rYgM4GC7uEnztnZyaVWQ7B381AK4Qdrwt51ZqExKbQpTUNn+EjqoTwvqNj4kqx5QUCI0ThS/YkOx"
                    "JCXmPUWZbhjpCg56i+2aB6CmK2JGhn57K5mj0MNdBXA4/WnwH6XoPWJzK5Nyu2zB3nAZp+S5hpQs"
                    "+p1vN1/wsjk="
                ),
                fingerprint="SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s",
            ),
        ),
    ),
    Forge(
        name="GitLab",
        hosts=("gitlab.com", "[altssh.gitlab.com]:443"),
        source=(
            "bitbucket.org/blog/ssh-host-key-changes; for RSA confluence.atlassian.com: The"
            " authenticity of host can't be established; for the second host"
            " community.atlassian.com: Upcoming change to Bitbucket Cloud SSH access"
        ),
        keys=(
            HostKey(
                kind="ssh-ed25519",
                key=("AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO"),
                fingerprint="SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM",
            ),
            HostKey(
                kind="ecdsa-sha2-nistp256",
                key=(
                    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPIQmuzMBuKdWeF4+a2sjSSp"
                    "BK0iqitSQ+5BM9KhpexuGt20JpTVM7u5BDZngncgrqDMbWdxMWWOGtZ9UgbqgZE="
                ),
                fingerprint="SHA256:FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0",
            ),
            HostKey(
                kind="ssh-rsa",
                key=(
                    "AAAAB3NzaC1yc2EAAAADAQABAAABgQDQeJzhupRu0u0cdegZIa8e86EG2qOCsIsD1Xw0xSeiPDlC"
                    "r7kq97NLmMbpKTX6Esc30NuoqEEHCuc7yWtwp8dI76EEEB1VqY9QJq6vk+aySyboD5QF61I/1WeT"
                    "wu+deCbgKMGbUijeXhtfbxSxm6JwGrXrhBdofTsbKRUsrN1WoNgUa8uqN1Vx6WAJw1JHPhglEGGH"
                    "ea6QICwJOAr/6mrui/oB7pkaWKHj3z7d1IC4KWLtY47elvjbaTlkN04Kc/5LFEirorGYVbt15kAU"
                    "lqGM65pk6ZBxtaO3+30LVlORZkxOh+LKL/BvbZ/iRNhItLqNyieoQj/uh/7Iv4uyH/cV/0b4WDSd"
                    "3DptigWq84lJubb9t/DnZlrJazxyDCulTmKdOR7vs9gMTo+uoIrPSb8ScTtvw65+odKAlBj59dhn"
                    "Vp9zd7QUojOpXlL62Aw56U4oO+FALuevvMjiWeavKhJqlR7i5n9srYcrNV7ttmDw7kf/97P5zauI"
                    "hxcjX+xHv4M="
                ),
                fingerprint="SHA256:46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E",
            ),
        ),
    ),
    Forge(
        name="Azure DevOps",
        hosts=("ssh.dev.azure.com",),
        source='learn.microsoft.com: Use SSH key authentication, "Test the connection"',
        keys=(
            HostKey(
                kind="ssh-rsa",
                key=(
                    "AAAAB3NzaC1yc2EAAAADAQABAAABAQC7Hr1oTWqNqOlzGJOfGJ4NakVyIzf1rXYd4d7wo6jBlkLv"
                    "CA4odBlL0mDUyZ0/QUfTTqeu+tm22gOsv+VrVTMk6vwRU75gY/y9ut5Mb3bR5BV58dKXyq9A9UeB"
                    "5Cakehn5Zgm6x1mKoVyf+FFn26iYqXJRgzIZZcZ5V6hrE0Qg39kZm4az48o0AUbf6Sp4SLdvnuMa"
                    "2sVNwHBboS7EJkm57XQPVU3/QpyNLHbWDdzwtrlS+ez30S3AdYhLKEOxAG8weOnyrtLJAUen9mTk"
                    "ol8oII1edf7mWWbWVf0nBmly21+nZcmCTISQBtdcyPaEno7fFQMDD26/s0lfKob4Kw8H"
                ),
                fingerprint="SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og",
            ),
        ),
    ),
)
