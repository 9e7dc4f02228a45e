"""Where secrets lie, where their values come from, and storing them.

No value is ever an argument, which would end up in process lists and the history of the shell, and
none is printed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bodywork_argo.cli.options import cluster_of, connection, s
from bodywork_argo.cli.options import secrets_namespace as with_secrets_namespace
from bodywork_argo.errors import UsageError

if TYPE_CHECKING:
    from bodywork_argo.cluster import Cluster

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OBJECT_NAME = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"


def where(command: _Command) -> _Command:
    """Add the options that say where a secret lies; `cluster_at` reads them."""
    decorators = (
        click.option("--group", metavar="GROUP", help="Group of secrets, which pipelines share."),
        click.option(
            "--namespace",
            "-n",
            metavar="NAME",
            help="Namespace of a secret outside of groups; default: the kubeconfig context's.",
        ),
        with_secrets_namespace,
        connection,
    )
    return reduce(lambda made, decorate: decorate(made), decorators[::-1], command)


replace = click.option(
    "--replace", is_flag=True, help="Replace all that the secret holds, if it is there."
)


def cluster_at(
    *,
    group: str | None,
    namespace: str | None,
    secrets_namespace: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> Cluster:
    """Return the cluster, seen from where the secret lies."""
    from bodywork_argo.access import SECRETS_NAMESPACE
    from bodywork_argo.names import label_value

    if group is not None:
        if namespace is not None:
            raise UsageError(
                "a group is shared by namespaces: leave --namespace out, or name the one where "
                "groups are kept with --secrets-namespace"
            )
        if label_value(group) != group or not re.fullmatch(_OBJECT_NAME, group):
            raise UsageError(f"no group can be called {group!r}: use a-z, 0-9, '-' and '.'")
    cluster = cluster_of(kubeconfig, context, namespace)()
    return cluster if group is None else cluster.within(secrets_namespace or SECRETS_NAMESPACE)


def store(
    name: str, values: Mapping[str, bytes], *, replace: bool, place: Mapping[str, Any]
) -> None:
    """Create or replace a secret and tell it. Raises UsageError for a name that can't be."""
    from bodywork_argo.secret_groups import object_name, store_secret
    from bodywork_argo.terminal import Terminal

    group = place["group"]
    if not re.fullmatch(_OBJECT_NAME, name) or len(object_name(name, group)) > 253:
        raise UsageError(f"no secret can be called {name!r}: use a-z, 0-9, '-' and '.'")
    cluster = cluster_at(**place)
    done = store_secret(cluster, name, values, group=group, replace=replace)
    Terminal().result(
        f"{'replaced' if done else 'created'} secret {object_name(name, group)} in namespace "
        f"{cluster.namespace}: key{s(len(values))} {', '.join(values)}"
    )


def content(path: str) -> bytes:
    """Return what a file holds. Raises UsageError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error


def from_stdin(what: str) -> bytes:
    """Return what is typed, unseen, or what is piped in, without the newline at its end."""
    if sys.stdin.isatty():
        typed: str = click.prompt(what, hide_input=True, err=True)
        return typed.encode()
    return sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")
