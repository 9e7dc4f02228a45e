"""Commands for the secrets that stages use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from bodywork_argo.cli.options import output, s
from bodywork_argo.cli.storing import cluster_at, content, from_stdin, replace, store, where
from bodywork_argo.errors import EngineError, UsageError

if TYPE_CHECKING:
    from bodywork_argo.secret_groups import Stored


@click.group()
def secret() -> None:
    """Keep the secrets that stages use."""


@secret.command("create")
@click.argument("name")
@click.option("--from-env-file", metavar="FILE", help="Take keys and values from KEY=VALUE lines.")
@click.option(
    "--from-file",
    "files",
    metavar="KEY=PATH",
    multiple=True,
    help="Take the content of a file as the value of KEY; may be repeated.",
)
@click.option(
    "--stdin",
    "stdin_key",
    metavar="KEY",
    help="Take the value of KEY from standard input, without the newline at its end.",
)
@replace
@where
def create(
    name: str,
    from_env_file: str | None,
    files: tuple[str, ...],
    stdin_key: str | None,
    replace: bool,
    **place: Any,
) -> None:
    """Create a secret. Its keys are the names of the variables that stages get.

    In a file of KEY=VALUE lines, blank lines and those that begin with # are left, and quotes
    around a whole value are taken off.
    """
    values: dict[str, bytes] = {}
    for key, value in _sources(from_env_file, files, stdin_key):
        if key in values:
            raise UsageError(f"the key {key} is given twice")
        values[key] = value
    if not values:
        raise UsageError("name what it holds: --from-env-file, --from-file or --stdin")
    store(name, values, replace=replace, place=place)


@secret.command("list")
@where
@output("table", "json")
def list_(output: str, **place: Any) -> None:
    """List secrets of a namespace, or of a group, with their keys.

    Those are listed that this program made, and those of groups. No value is read.
    """
    from bodywork_argo.secret_groups import stored_secrets
    from bodywork_argo.terminal import Terminal

    found = stored_secrets(cluster_at(**place), place["group"])
    if output == "json":
        Terminal().result(json.dumps([_document(each) for each in found], indent=2))
        return
    now = datetime.now(timezone.utc)
    Terminal().table(
        ("name", "group", "keys", "age"),
        [(each.name, _group(each), _keys(each), _age(each.created, now)) for each in found],
    )


@secret.command("delete")
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@where
def delete(name: str | None, yes: bool, **place: Any) -> None:
    """Delete a secret that this program made, one of a group, or a whole group.

    Copies that runs have made of a group's secrets go with the next run that uses the group.
    """
    from bodywork_argo.cluster import SECRET
    from bodywork_argo.secret_groups import object_name, stored_secret, stored_secrets
    from bodywork_argo.secret_uses import listed
    from bodywork_argo.terminal import Terminal

    group = place["group"]
    if name is None and group is None:
        raise UsageError("name a secret, or a group with --group")
    cluster = cluster_at(**place)
    if name is None:
        found = stored_secrets(cluster, group)
    else:
        one = stored_secret(cluster, name, group)
        found = (one,) if one else ()
    if not found:
        what = f"group {group}" if name is None else f"secret {object_name(name, group)}"
        raise EngineError(
            f"namespace {cluster.namespace} has no {what} that this program made or that belongs "
            f"to a group"
        )
    names = [each.object_name for each in found]
    question = f"Delete secret{s(len(names))} {', '.join(names)} in {cluster.namespace}?"
    if not yes:
        click.confirm(question, abort=True, err=True)
    left = []
    for each in found:
        name = each.object_name
        gone = cluster.delete(SECRET, name, only=each.read)
        if gone or cluster.get(SECRET, name, metadata_only=True) is None:
            Terminal().result(f"deleted secret {name} in namespace {cluster.namespace}")
        else:
            left.append(name)
    if left:
        raise EngineError(
            f"{listed('secret', left)} in namespace {cluster.namespace} changed while you were "
            f"asked, and nothing that others wrote is deleted: look again, and repeat"
        )


def _sources(
    env_file: str | None, files: tuple[str, ...], stdin_key: str | None
) -> Iterator[tuple[str, bytes]]:
    from bodywork_argo.env_files import check_key, parse_env_file

    if env_file is not None:
        try:
            text = content(env_file).decode()
        except UnicodeDecodeError:
            raise UsageError(f"{env_file} is not text in UTF-8") from None
        for key, value in parse_env_file(text, env_file).items():
            yield key, value.encode()
    for each in files:
        key, equals, path = each.partition("=")
        if not equals or not path:
            raise UsageError(f"--from-file takes KEY=PATH, not {each!r}")
        check_key(key, "--from-file")
        yield key, content(path)
    if stdin_key is not None:
        check_key(stdin_key, "--stdin")
        yield stdin_key, from_stdin(f"the value of {stdin_key}")


def _group(secret: Stored) -> str:
    return f"{secret.group} (copy)" if secret.copy else secret.group


def _keys(secret: Stored) -> str:
    return ", ".join((*secret.keys, *(() if secret.all_keys else ("?",))))


def _document(secret: Stored) -> dict[str, Any]:
    return {
        "name": secret.name,
        "group": secret.group or None,
        "copy": secret.copy,
        "keys": list(secret.keys),
        "all_keys": secret.all_keys,
        "created": secret.created or None,
    }


def _age(created: str, now: datetime) -> str:
    from bodywork_argo.terminal import age

    return age(datetime.fromisoformat(created.replace("Z", "+00:00")), now) if created else ""
