"""What commands that release services, or change what was released, have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bodywork_argo.cluster import Cluster
    from bodywork_argo.lease import Claim
    from bodywork_argo.release import Release
    from bodywork_argo.spec import Rollback

pending = click.option(
    "--pending-timeout",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up when a service's pod has no node or no image for so long; 0: never.",
)


def holder_of(run: str) -> str:
    """Return who we are, for whoever has to wait for us."""
    import os
    import socket

    return f"{run} on {socket.gethostname()}, process {os.getpid()}"


def release_of(
    cluster: Cluster,
    pipeline: str,
    run: str,
    pending_seconds: float,
    mode: Rollback | None = None,
) -> Release:
    """Return what releases services, tells how it goes, and keeps others waiting meanwhile."""
    from bodywork_argo.release import Release, SystemClock
    from bodywork_argo.spec import Rollback
    from bodywork_argo.terminal import Terminal

    return Release(
        cluster=cluster,
        clock=SystemClock(),
        tell=Terminal().say,
        pipeline=pipeline,
        run=run,
        holder=holder_of(run),
        mode=mode or Rollback.RUN,
        pending_seconds=pending_seconds,
    )


def claim_of(pipeline: str, what: str) -> Claim:
    """Return who wants to be alone with a pipeline's services."""
    from bodywork_argo.lease import Claim

    return Claim(pipeline=pipeline, holder=holder_of(what))
