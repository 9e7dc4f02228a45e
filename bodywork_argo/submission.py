"""Sending a run to an engine in a cluster: what is settled there, looked at and sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bodywork_argo.backend import Compiled
from bodywork_argo.cluster import Cluster
from bodywork_argo.deploy import Planned
from bodywork_argo.errors import EngineError, UsageError
from bodywork_argo.plan import Accounts
from bodywork_argo.preflight import Check, accounts_there
from bodywork_argo.secret_groups import sync_group


def settle(
    planned: Planned,
    cluster: Cluster,
    *,
    service_account: str | None = None,
    require_no_token: bool = False,
) -> Planned:
    """Return the plan with what only the cluster knows: namespace, accounts, who we are.

    Without an account that was asked for, those that `setup` makes are taken if they are there,
    else the namespace's default one.

    Raises:
        UsageError: an account was asked for together with `require_no_token`.
        EngineError: `require_no_token`, and the accounts of `setup` are not all there.
    """
    if service_account is not None and require_no_token:
        raise UsageError("--service-account brings its token: leave out --require-no-token")
    accounts = Accounts(stage=service_account)
    if service_account is None:
        accounts = accounts_there(cluster)
    if require_no_token and accounts.executor is None:
        raise EngineError(
            "stages would hold a token of the API, since the accounts of `setup` are missing: "
            f"run `bodywork-argo setup --namespace {cluster.namespace} --apply`"
        )
    plan = replace(
        planned.plan,
        namespace=cluster.namespace,
        accounts=accounts,
        submitted_by=cluster.who() or None,
    )
    return replace(planned, plan=plan)


def fetch_group(planned: Planned, source: Cluster, target: Cluster) -> tuple[str, ...]:
    """Copy the secrets that the stages use from the file's group; return what was done to which.

    Without a group nothing is copied. Raises what `sync_group` raises.
    """
    group = planned.loaded.parsed.project.secrets_group
    if group is None:
        return ()
    done = sync_group(group, planned.plan, source=source, target=target)
    return tuple(
        f"{what} secret {name} from group {group}"
        for what, names in (
            ("copied", done.created),
            ("refreshed", done.updated),
            ("removed", done.pruned),
        )
        for name in names
    )


def refuse(checks: Iterable[Check]) -> None:
    """Raise EngineError when a check forbids to go on; its problems are told by the caller."""
    blocked = [check.name for check in checks if check.blocks]
    if blocked:
        raise EngineError(f"nothing was submitted: {', '.join(blocked)} must be mended first")


def rehearse(compiled: Compiled, cluster: Cluster) -> None:
    """Have the API server check the documents as if they were sent. Raises EngineError."""
    for document in compiled.documents:
        cluster.create(document, dry_run=True)
