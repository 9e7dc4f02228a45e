"""The two ways to Argo: the Kubernetes API, and the Argo Server."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

from bodywork_argo.backend import Served
from bodywork_argo.cluster import ClusterFactory
from bodywork_argo.errors import EngineError
from bodywork_argo_adapters.argo.runtime import ArgoRuntime
from bodywork_argo_adapters.argo.server import ArgoServer, find_server
from bodywork_argo_adapters.argo.workflows import ClusterWorkflows, Workflows


def through_cluster(cluster: ClusterFactory, environ: Mapping[str, str]) -> ArgoRuntime:
    """Return a runtime that uses the Kubernetes API, from its first use on.

    ``ARGO_SERVER`` is where people see their runs; with ``ARGO_TOKEN`` it also tells the stages of
    runs that Argo keeps in a database. ``ARGO_INSTANCEID`` names the controller for new runs.
    """
    server = find_server(environ)

    @cache
    def connect() -> Workflows:
        connected = cluster()
        hydrated = None
        if server is not None and server.authorization:
            hydrated = cache(partial(_served, server, connected.namespace))
        instance = environ.get("ARGO_INSTANCEID", "")
        return ClusterWorkflows(connected, instance=instance, hydrated=hydrated)

    return ArgoRuntime(connect, server)


def through_server(environ: Mapping[str, str], namespace: str | None) -> Served | None:
    """Return the connection through the Argo Server, if there are ARGO_SERVER and ARGO_TOKEN.

    The namespace is the one given, else that of ``ARGO_NAMESPACE``. Raises EngineError without.
    """
    server = find_server(environ)
    if server is None or not server.authorization:
        return None
    place = namespace or environ.get("ARGO_NAMESPACE")
    if not place:
        raise EngineError(
            "no namespace is known for the runs on the Argo Server: "
            "give --namespace, or set ARGO_NAMESPACE"
        )
    return Served(
        runtime=ArgoRuntime(cache(partial(_served, server, place)), server),
        address=server.address,
        namespace=place,
    )


def _served(server: ArgoServer, namespace: str) -> Workflows:
    # It brings hera, which takes longer to import than all the rest.
    from bodywork_argo_adapters.argo.exchanges import Exchanges
    from bodywork_argo_adapters.argo.served import ServedWorkflows

    return ServedWorkflows(Exchanges(server), namespace)
