"""The connection to Argo Workflows."""

from __future__ import annotations

from typing import cast

from bodywork_argo.backend import Runtime
from bodywork_argo.cluster import ClusterFactory


class _Unfinished:
    attached = False


def ArgoRuntime(cluster: ClusterFactory) -> Runtime:  # noqa: N802 - becomes the class
    """Return a connection that can't do anything yet."""
    return cast(Runtime, _Unfinished())
