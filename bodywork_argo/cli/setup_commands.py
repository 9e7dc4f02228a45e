"""The command for whoever prepares a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bodywork_argo.cli.options import backend_of, cluster_of, connection, s
from bodywork_argo.cli.options import secrets_namespace as with_secrets_namespace
from bodywork_argo.errors import EngineError, Forbidden, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bodywork_argo.access import Needs
    from bodywork_argo.cluster import Cluster
    from bodywork_argo.manifests import Manifest


@click.command()
@click.option(
    "--namespace", "-n", metavar="NAME", help="Namespace; default: the kubeconfig context's."
)
@click.option(
    "--create-namespace", is_flag=True, help="Make the namespace too, if it is not there."
)
@click.option(
    "--backend",
    "backend_names",
    metavar="NAME",
    multiple=True,
    default=("argo",),
    help="The engine, argo unless given; may be repeated.",
)
@click.option(
    "--bind",
    "binds",
    metavar="SUBJECT",
    multiple=True,
    help="Who else may submit: User:NAME, Group:NAME or ServiceAccount:NAMESPACE:NAME; "
    "may be repeated.",
)
@click.option("--secret-groups", is_flag=True, help="Add the rights for groups of secrets.")
@with_secrets_namespace
@click.option("--apply", is_flag=True, help="Send it to the cluster instead of printing it.")
@click.option("--dry-run", is_flag=True, help="With --apply: let the server check it only.")
@connection
def setup(
    namespace: str | None,
    create_namespace: bool,
    backend_names: tuple[str, ...],
    binds: tuple[str, ...],
    secret_groups: bool,
    secrets_namespace: str | None,
    apply: bool,
    dry_run: bool,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Print the accounts and roles that runs need in a namespace, as YAML.

    Read it and give it to whoever may apply it, or apply it with --apply. Nothing is ever deleted,
    and applying it again changes nothing. Who is bound is what the last call says: repeat all
    --bind each time.
    """
    from bodywork_argo.access import SECRETS_NAMESPACE, access_manifests, parse_subject
    from bodywork_argo.manifests import to_yaml
    from bodywork_argo.names import dns_label
    from bodywork_argo.terminal import Terminal

    if dry_run and not apply:
        raise UsageError("--dry-run needs --apply: without it nothing is sent")
    for name in (namespace, secrets_namespace):
        if name and dns_label(name) != name:
            raise UsageError(f"no namespace is called {name!r}")
    subjects = [parse_subject(bind) for bind in binds]
    needs = [_needs_of(name) for name in dict.fromkeys(backend_names)]
    factory = cluster_of(kubeconfig, context, namespace)
    documents = access_manifests(
        namespace or factory().namespace,
        needs,
        subjects=subjects,
        secret_groups=secret_groups,
        secrets_namespace=secrets_namespace or SECRETS_NAMESPACE,
        create_namespace=create_namespace,
    )
    if apply:
        _apply(factory(), documents, dry_run=dry_run)
    else:
        Terminal().result(to_yaml(documents).rstrip("\n"))


def _needs_of(name: str) -> Needs:
    from bodywork_argo.backend import InCluster

    backend = backend_of(name)
    if not isinstance(backend, InCluster):
        raise UsageError(f"the backend {name} runs in no cluster, so it needs no setup")
    return backend.needs


def _apply(cluster: Cluster, documents: Sequence[Manifest], *, dry_run: bool) -> None:
    from bodywork_argo.provision import Outcome, missing_namespaces, provision
    from bodywork_argo.terminal import Terminal

    missing = missing_namespaces(cluster, documents)
    if missing:
        names = " and ".join(missing)
        raise EngineError(
            f"namespace{s(len(missing))} {names} not found at {cluster.server}; "
            f"create with --create-namespace, or name another"
        )
    terminal = Terminal()
    refused = []
    for applied in provision(cluster, documents, dry_run=dry_run):
        terminal.result(f"{applied} (dry run)" if dry_run else str(applied))
        if applied.outcome is Outcome.FORBIDDEN:
            terminal.say(f"error: {applied.reason}", colour="red")
            refused.append(applied)
    if refused:
        raise Forbidden(
            f"{len(refused)} of {len(documents)} objects may not be applied by you; give what the "
            f"same command prints without --apply to whoever runs the cluster"
        )
