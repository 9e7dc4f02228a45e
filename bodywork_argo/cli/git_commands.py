"""Commands for what opens private repositories to pods: a key, or a token."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bodywork_argo.cli.storing import from_stdin, replace, store, where
from bodywork_argo.errors import UsageError

if TYPE_CHECKING:
    from bodywork_argo.ssh_keys import PrivateKey

_check = click.option(
    "--check/--no-check",
    default=True,
    help="Whether to try it on the repository first, if one is named.",
)


@click.group()
def ssh_key() -> None:
    """Keep the key that opens repositories to pods by SSH."""


@ssh_key.command("create")
@click.argument("file", metavar="FILE")
@click.argument("name", required=False)
@click.option("--repository", metavar="URL", help="The repository that it opens.")
@click.option(
    "--host",
    "hosts",
    metavar="HOST[:PORT]",
    multiple=True,
    help="A further host that it may meet, such as that of a submodule; may be repeated.",
)
@click.option("--known-hosts", metavar="FILE", help="File in which ssh knows the hosts.")
@click.option(
    "--fingerprint",
    "fingerprints",
    metavar="SHA256:...",
    multiple=True,
    help="What the host's operator publishes: take the host's key as it shows it now, if it has "
    "this fingerprint; may be repeated.",
)
@_check
@replace
@where
def create_ssh_key(
    file: str,
    name: str | None,
    repository: str | None,
    hosts: tuple[str, ...],
    known_hosts: str | None,
    fingerprints: tuple[str, ...],
    check: bool,
    replace: bool,
    **place: Any,
) -> None:
    """Put a private key, and the hosts that it may meet, into a secret.

    It is called ssh-git-private-key unless NAME says otherwise. Hosts of GitHub, GitLab, Bitbucket
    and Azure DevOps are known. For any other give --known-hosts or --fingerprint: no host is
    trusted because it answers.
    """
    from bodywork_argo.planner import SSH_SECRET
    from bodywork_argo.repo import check_access
    from bodywork_argo.ssh_keys import read_private_key, secret_values, trusted_lines

    key = read_private_key(Path(file))
    _warn(key, file)
    list_of_hosts = Path(known_hosts) if known_hosts else None
    lines = [
        line
        for host in _hosts(repository, hosts)
        for line in trusted_lines(host, file=list_of_hosts, fingerprints=fingerprints)
    ]
    values = secret_values(key, lines)
    if repository and check:
        check_access(repository, values)
    store(name or SSH_SECRET, _encoded(values), replace=replace, place=place)
    _tell_use(name, SSH_SECRET)


@click.group()
def git_token() -> None:
    """Keep the token that opens repositories to pods by HTTPS."""


@git_token.command("create")
@click.argument("name", required=False)
@click.option("--stdin", "piped", is_flag=True, help="Take the token from standard input.")
@click.option("--from-env", metavar="VARIABLE", help="Take the token from a variable.")
@click.option("--username", metavar="USER", help="The user that it belongs to, if that matters.")
@click.option("--repository", metavar="URL", help="A repository that it opens.")
@_check
@replace
@where
def create_git_token(
    name: str | None,
    piped: bool,
    from_env: str | None,
    username: str | None,
    repository: str | None,
    check: bool,
    replace: bool,
    **place: Any,
) -> None:
    """Put a token into a secret, which is called git-token unless NAME says otherwise."""
    from bodywork_argo.planner import TOKEN_SECRET
    from bodywork_argo.repo import check_access

    if piped == bool(from_env):
        raise UsageError("say where the token comes from: --stdin or --from-env VARIABLE")
    token = from_stdin("the token").decode() if piped else os.environ.get(from_env or "", "")
    if not token.strip():
        raise UsageError(f"there is no token in {from_env or 'standard input'}")
    values = {"BODYWORK_GIT_TOKEN": token.strip()}
    if username:
        values["BODYWORK_GIT_USERNAME"] = username
    if repository and not repository.startswith(("https://", "http://")):
        raise UsageError(f"a token opens addresses with https:// only, not {repository}")
    if repository and check:
        check_access(repository, values)
    store(name or TOKEN_SECRET, _encoded(values), replace=replace, place=place)
    _tell_use(name, TOKEN_SECRET)


def _encoded(values: Mapping[str, str]) -> dict[str, bytes]:
    return {key: value.encode() for key, value in values.items()}


def _hosts(repository: str | None, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts that are asked for as known_hosts names them, each once."""
    from bodywork_argo.forges import known_hosts_name
    from bodywork_argo.ssh_keys import parse_host

    names = [parse_host(host) for host in hosts]
    if repository is not None:
        name = known_hosts_name(repository)
        if name is None:
            raise UsageError(f"{repository} is not reached by SSH: use `git-token create`")
        names.insert(0, name)
    if not names:
        raise UsageError("say which host it is for: --repository URL or --host HOST")
    return tuple(dict.fromkeys(names))


def _warn(key: PrivateKey, file: str) -> None:
    from bodywork_argo.terminal import Terminal

    if key.exposed:
        Terminal().say(
            f"warning: others on this machine can read {file}: `chmod 600 {file}`", colour="yellow"
        )


def _tell_use(name: str | None, default: str) -> None:
    from bodywork_argo.terminal import Terminal

    if name not in (None, default):
        Terminal().say(f"runs take it with --git-secret {name}")
