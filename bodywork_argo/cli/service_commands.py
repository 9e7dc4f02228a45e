"""Commands that look after released services."""

from __future__ import annotations

import gc
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from bodywork_argo.cli.options import cluster_of, connection, namespace, output
from bodywork_argo.cli.releasing import claim_of, pending, release_of
from bodywork_argo.errors import EngineError

if TYPE_CHECKING:
    from bodywork_argo.cluster import Cluster
    from bodywork_argo.release_records import Record

_SERVICE = click.argument("name", metavar="SERVICE")
_PIPELINE = click.argument("pipeline", metavar="PIPELINE")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def service() -> None:
    """Look after the services that runs and `release` have released."""


@service.command("list")
@click.option("--pipeline", metavar="NAME", help="Services of this pipeline alone.")
@namespace
@connection
@output("table", "json")
def list_(pipeline: str | None, output: str, **words: Any) -> None:
    """List the services of a namespace: whether they serve, and where they are reached."""
    from bodywork_argo.cli.service_tables import SERVICES, service_document, service_row
    from bodywork_argo.service_status import read_services
    from bodywork_argo.terminal import Terminal

    now = _now()
    found = read_services(_cluster(**words), now, pipeline)
    if output == "json":
        Terminal().result(json.dumps([service_document(each) for each in found], indent=2))
        return
    Terminal().table(SERVICES, [service_row(each, now) for each in found])


@service.command()
@_SERVICE
@namespace
@connection
@output("table", "json")
def status(name: str, output: str, **words: Any) -> None:
    """Show how a service and its pods stand, and what became of its pipeline's last release."""
    from bodywork_argo.cli import service_tables as tables
    from bodywork_argo.release_records import read_records
    from bodywork_argo.service_status import read_service
    from bodywork_argo.terminal import Terminal

    cluster, now, terminal = _cluster(**words), _now(), Terminal()
    found = read_service(cluster, name, now)
    records = read_records(cluster, found.pipeline)
    last = records[-1] if records else None
    if output == "json":
        told = tables.release_document(last) if last else None
        document = {**tables.service_document(found), "last_release": told}
        terminal.result(json.dumps(document, indent=2))
        return
    terminal.table(tables.SERVICES, [tables.service_row(found, now)])
    terminal.result("")
    terminal.table(tables.PODS, [tables.pod_row(each, now) for each in found.pods])
    if last is not None:
        terminal.result(f"\n{tables.release_words(last)}")


@service.command()
@_SERVICE
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C, also with new pods.")
@namespace
@connection
def logs(name: str, follow: bool, **words: Any) -> None:
    """Print what the module of a service writes, in all its pods.

    Of one pod its very bytes; of several each line with the pod's name in front.
    """
    from bodywork_argo.run_views import PodLogWriter
    from bodywork_argo.service_logs import following, written
    from bodywork_argo.terminal import Terminal

    gc.enable()
    cluster = _cluster(**words)
    pods: tuple[str, ...] = ()
    pieces = following(cluster, name) if follow else None
    if pieces is None:
        pods, pieces = written(cluster, name)
    writer = PodLogWriter(Terminal(), prefixed=len(pods) > 1)
    for piece in pieces:
        writer.write(piece)
    writer.close()


@service.command()
@_PIPELINE
@namespace
@connection
@output("table", "json")
def history(pipeline: str, output: str, **words: Any) -> None:
    """List the releases of a pipeline's services that are remembered, newest first."""
    from bodywork_argo.cli.service_tables import RELEASES, release_document, release_row
    from bodywork_argo.terminal import Terminal

    _, records = _records(_cluster(**words), pipeline)
    if output == "json":
        documents = [release_document(each) for each in reversed(records)]
        Terminal().result(json.dumps(documents, indent=2))
        return
    Terminal().table(RELEASES, [release_row(each) for each in reversed(records)])


@service.command()
@_PIPELINE
@click.option("--to", "number", type=int, metavar="NUMBER", help="Release; `history` lists them.")
@_YES
@pending
@namespace
@connection
def rollback(
    pipeline: str, number: int | None, yes: bool, pending_timeout: float, **words: Any
) -> None:
    """Release an earlier version of all services of a pipeline again, and wait until they serve.

    Without --to it is the good version before the present one, so a second rollback takes the
    first one back. Ends with exit code 1 when a service does not serve.
    """
    from bodywork_argo.release_records import earlier

    gc.enable()
    cluster = _cluster(**words)
    name, records = _records(cluster, pipeline)
    record = earlier(name, records, number)
    what = f"release {record.number} of pipeline {name}, commit {record.commit[:7]}"
    if not yes:
        question = f"Go back to {what}, in namespace {cluster.namespace}?"
        click.confirm(question, abort=True, err=True)
    release_of(cluster, name, _called(name, "rollback"), pending_timeout).go_back_to(record)
    _tell(f"{what}, serves again")


@service.command()
@_SERVICE
@pending
@namespace
@connection
def restart(name: str, pending_timeout: float, **words: Any) -> None:
    """Start the pods of a service anew, and wait until they serve; no request is lost.

    Ends with exit code 1 when they do not.
    """
    from bodywork_argo.service_status import own_deployment, pipeline_of

    gc.enable()
    cluster = _cluster(**words)
    pipeline = pipeline_of(own_deployment(cluster, name))
    release_of(cluster, pipeline, _called(pipeline, "restart"), pending_timeout).restart(name)


@service.command()
@_SERVICE
@_YES
@namespace
@connection
def delete(name: str, yes: bool, **words: Any) -> None:
    """Delete a service: its Deployment, its addresses, aliases included, and its Ingress.

    The next release of its pipeline brings it back unless bodywork.yaml lost it.
    """
    from bodywork_argo.release import SystemClock
    from bodywork_argo.service_removal import objects_of_service, remove_service

    gc.enable()
    cluster = _cluster(**words)
    pipeline, found = objects_of_service(cluster, name)
    if not yes:
        what = ", ".join(map(str, found))
        question = f"Delete {what} of pipeline {pipeline} in namespace {cluster.namespace}?"
        click.confirm(question, abort=True, err=True)
    claim = claim_of(pipeline, f"delete {name}")
    remove_service(cluster, name, claim, SystemClock(), _tell)


def _records(cluster: Cluster, pipeline: str) -> tuple[str, tuple[Record, ...]]:
    """Return the name that a pipeline has in the cluster, and its releases, oldest first."""
    from bodywork_argo.names import dns_label
    from bodywork_argo.release_records import read_records

    name = dns_label(pipeline)
    records = read_records(cluster, name)
    if not records:
        raise EngineError(
            f"no release of a pipeline {pipeline} is known in namespace {cluster.namespace}: "
            "`service list` tells which pipelines have services"
        )
    return name, records


def _called(pipeline: str, what: str) -> str:
    """Return what this call is known by, as a run is by its name."""
    import secrets

    from bodywork_argo.names import dns_label

    return dns_label(f"{pipeline}-{what}-{secrets.token_hex(3)}")


def _cluster(*, kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    return cluster_of(kubeconfig, context, namespace)()


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _tell(text: str) -> None:
    from bodywork_argo.terminal import Terminal

    Terminal().say(text)
