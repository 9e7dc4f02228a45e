"""Sending a run to an engine in a cluster: what is settled there, looked at and sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bodywork_argo.access import (
    EXECUTOR_ACCOUNT,
    RELEASE_ACCOUNT,
    SECRETS_NAMESPACE,
    STAGE_ACCOUNT,
)
from bodywork_argo.backend import Compiled, InCluster, Served
from bodywork_argo.cluster import Cluster
from bodywork_argo.deploy import Planned
from bodywork_argo.errors import EngineError, UsageError
from bodywork_argo.plan import Accounts, Plan
from bodywork_argo.preflight import (
    Check,
    accounts_there,
    holds_token,
    release_account_there,
    setup_command,
)
from bodywork_argo.secret_groups import sync_group
from bodywork_argo.secret_lookup import Group


def settle(
    planned: Planned,
    cluster: Cluster,
    *,
    service_account: str | None = None,
    no_token_on: InCluster | None = None,
) -> Planned:
    """Return the plan with what only the cluster knows: namespace, accounts, who we are.

    Without an account that was asked for, those that `setup` makes are taken if they are there,
    else the namespace's default one. `no_token_on` is an engine on which stages must hold no token.

    Raises:
        UsageError: an account was asked for together with `no_token_on`.
        EngineError: stages would hold a token there, as the accounts of `setup` are not all there.
    """
    if service_account is not None and no_token_on is not None:
        raise UsageError("--service-account brings its token: leave out --require-no-token")
    if service_account is None:
        accounts = accounts_there(cluster)
    else:
        release = release_account_there(cluster) or service_account
        accounts = Accounts(stage=service_account, release=release)
    if no_token_on is not None and holds_token(no_token_on, accounts):
        raise EngineError(
            "stages would hold a token of the API, since the accounts of `setup` are missing: "
            f"run {setup_command(no_token_on, cluster)}"
        )
    plan = replace(
        planned.plan,
        namespace=cluster.namespace,
        accounts=accounts,
        submitted_by=cluster.who() or None,
    )
    return replace(planned, plan=plan)


def settle_unseen(
    planned: Planned,
    served: Served,
    *,
    service_account: str | None = None,
    require_no_token: bool = False,
) -> Planned:
    """Return the plan for a run through an engine's own server, which shows nothing but runs.

    With `require_no_token` the accounts that `setup` makes are taken; where they are missing, the
    engine fails the run. Without any wish the namespace's default account is taken.

    Raises:
        UsageError: an account was asked for together with `require_no_token`.
    """
    if service_account is not None and require_no_token:
        raise UsageError("--service-account brings its token: leave out --require-no-token")
    accounts = Accounts(stage=service_account, release=RELEASE_ACCOUNT)
    if require_no_token:
        accounts = replace(accounts, stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT)
    return replace(
        planned, plan=replace(planned.plan, namespace=served.namespace, accounts=accounts)
    )


def unseen(planned: Planned, served: Served) -> str:
    """Return what nobody looks at before a run through an engine's own server, in one line."""
    account = planned.plan.accounts.stage or "the namespace's default account"
    group = planned.loaded.parsed.project.secrets_group
    copied = f"; no secret of group {group} is copied" if group else ""
    return (
        f"through the server {served.address}: rights, accounts, secrets and the pods' way to the "
        f"repository are not looked at{copied}; stages run as {account}"
    )


def group_of(planned: Planned, cluster: Cluster, secrets_namespace: str | None) -> Group | None:
    """Return the group that the file's secrets come from, if it names one."""
    name = planned.loaded.parsed.project.secrets_group
    if name is None:
        return None
    return Group(name=name, source=cluster.within(secrets_namespace or SECRETS_NAMESPACE))


def fetch_group(plan: Plan, group: Group, target: Cluster) -> tuple[str, ...]:
    """Copy the secrets that the stages use from a group; return what was done to which.

    Raises what `sync_group` raises.
    """
    done = sync_group(group.name, plan, source=group.source, target=target)
    return tuple(
        f"{what} secret {name} from group {group.name}"
        for what, names in (
            ("copied", done.created),
            ("refreshed", done.updated),
            ("removed", done.pruned),
        )
        for name in names
    )


def refuse(checks: Iterable[Check], *, done: str = "submitted") -> None:
    """Raise EngineError when a check forbids to go on; its problems are told by the caller."""
    blocked = [check.name for check in checks if check.blocks]
    if blocked:
        raise EngineError(f"nothing was {done}: {', '.join(blocked)} must be mended first")


def rehearse(compiled: Compiled, cluster: Cluster) -> None:
    """Have the API server check the documents as if they were sent. Raises EngineError."""
    for document in compiled.documents:
        cluster.create(document, dry_run=True)
