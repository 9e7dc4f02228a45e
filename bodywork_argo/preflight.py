"""A first look: whether a cluster has all that a run needs, before anything is sent to it.

Every check says what is wrong and how to mend it; errors forbid to submit, warnings tell what will
be missed. Values of the stages' secrets are never read.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bodywork_argo.access import (
    EXECUTOR_ACCOUNT,
    EXECUTOR_TOKEN,
    RELEASE_ACCOUNT,
    STAGE_ACCOUNT,
    SUBMITTER,
    SUBMITTER_GRANTS,
    Grant,
)
from bodywork_argo.backend import Backend, InCluster
from bodywork_argo.cluster import NAMESPACE, SECRET, SERVICE_ACCOUNT, Cluster, Resource
from bodywork_argo.errors import (
    EngineError,
    Forbidden,
    GitError,
    GitHostUnreachable,
    Problem,
    Unreachable,
)
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Accounts, Plan
from bodywork_argo.planner import SSH_KEY
from bodywork_argo.repo import check_access, is_url
from bodywork_argo.secret_lookup import Group, look_for_secrets

_SETUP_FOR = "argo"
"""The engine that `setup` prepares a namespace for unless another one is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one look at a cluster found."""

    name: str
    found: str = ""
    """What is there; for people."""
    problems: tuple[Problem, ...] = ()
    """Those on the cluster name it in place of a file; the others have no place yet."""
    upcoming: tuple[str, ...] = ()
    """What a run would do first, as ``copy secret db from group prod``."""

    @property
    def blocks(self) -> bool:
        """Whether a run can't go on from here."""
        return any(problem.severity == "error" for problem in self.problems)


def look(
    backend: InCluster,
    cluster: Cluster,
    settle: Callable[[], Plan] | None = None,
    *,
    group: Group | None = None,
    scheduled: bool = False,
    thorough: bool = False,
) -> Iterator[Check]:
    """Yield each check when it is done; one without which the others make no sense ends it.

    `settle` gives the plan that would be submitted; it is called when the cluster has answered.
    `group` is where its secrets come from, if they do. With `scheduled` the plan is not submitted
    but its schedule kept. A thorough look asks for every right that any command needs.
    """
    for first in (partial(_reached, backend), partial(_engine, backend)):
        check = first(cluster)
        yield _on(cluster, check)
        if check.blocks:
            return
    yield _on(
        cluster, _rights(backend, cluster, _needed(backend, scheduled=scheduled, thorough=thorough))
    )
    plan = settle() if settle else None
    yield _on(cluster, _accounts(backend, cluster, plan))
    if plan is not None:
        yield _on(cluster, _secrets(plan, cluster, group))
        yield _on(cluster, _repository(plan, cluster, group))


def looked_through(checks: Sequence[Check]) -> bool:
    """Return whether a look with a plan went to its end: a plan can be settled there."""
    return bool(checks) and checks[-1].name == "repository"


def _on(cluster: Cluster, check: Check) -> Check:
    """Return the check with the cluster as the place of what is of no file."""
    problems = tuple(
        problem.at(cluster.server, 0) if problem.key == check.name else problem
        for problem in check.problems
    )
    return replace(check, problems=problems)


def in_cluster(backend: Backend) -> InCluster:
    """Return the backend as one whose engine runs in a cluster.

    Raises:
        EngineError: it runs elsewhere, so there is nothing to look at.
    """
    if not isinstance(backend, InCluster):
        raise EngineError(f"the backend {backend.name} needs no cluster: there is nothing to check")
    return backend


def accounts_there(cluster: Cluster) -> Accounts:
    """Return the accounts that `setup` makes where all of them are there, else none."""
    try:
        stage = cluster.get(SERVICE_ACCOUNT, STAGE_ACCOUNT, metadata_only=True)
        executor = cluster.get(SERVICE_ACCOUNT, EXECUTOR_ACCOUNT, metadata_only=True)
        token = cluster.get(SECRET, EXECUTOR_TOKEN, metadata_only=True)
    except Forbidden:
        return Accounts()
    if stage is None or executor is None or token is None:
        return Accounts()
    return Accounts(
        stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT, release=release_account_there(cluster)
    )


def release_account_there(cluster: Cluster) -> str | None:
    """Return the account that `setup` makes for releasing services, if it is there."""
    return _account_there(cluster, RELEASE_ACCOUNT)


def submitter_account_there(cluster: Cluster) -> str | None:
    """Return the account that `setup` makes for starting runs, if it is there."""
    return _account_there(cluster, SUBMITTER)


def _account_there(cluster: Cluster, name: str) -> str | None:
    try:
        found = cluster.get(SERVICE_ACCOUNT, name, metadata_only=True)
    except Forbidden:
        return None
    return None if found is None else name


def setup_command(backend: InCluster, cluster: Cluster, *words: str) -> str:
    """Return the command that prepares the cluster's namespace for an engine."""
    engine = () if backend.name == _SETUP_FOR else ("--backend", backend.name)
    call = ("bodywork-argo", "setup", *engine, "--namespace", cluster.namespace, *words, "--apply")
    return f"`{' '.join(call)}`"


def holds_token(backend: InCluster, accounts: Accounts) -> bool:
    """Return whether stages hold a token of the API under these accounts."""
    if accounts.executor is not None:
        return False
    return accounts.stage is not None or not backend.needs.without_executor


def _reached(backend: InCluster, cluster: Cluster) -> Check:
    """See whether the API answers and the namespace exists."""
    try:
        found = f"Kubernetes {cluster.version()} at {cluster.server}, namespace {cluster.namespace}"
    except Unreachable as error:
        remedy = "check --kubeconfig and --context (`kubectl config get-contexts`), VPN and proxies"
        return _failed("cluster", str(error), remedy)
    except Forbidden as error:
        return _failed("cluster", str(error), "`kubectl auth whoami` has to answer first")
    try:
        missing = cluster.get(NAMESPACE, cluster.namespace, metadata_only=True) is None
    except Forbidden:  # an ordinary right of nobody; what follows will tell
        missing = False
    if missing:
        remedy = (
            "name another with --namespace, or create it: "
            f"{setup_command(backend, cluster, '--create-namespace')}"
        )
        return _failed("cluster", f"there is no namespace {cluster.namespace}", remedy)
    return Check(name="cluster", found=found)


def _engine(backend: InCluster, cluster: Cluster) -> Check:
    kinds = [Resource(api_version=version, kind=kind) for version, kind in backend.needs.kinds]
    for kind in kinds:
        if not cluster.serves(kind):
            return _failed(
                "engine",
                f"the cluster does not know {kind.kind} ({kind.api_version})",
                f"install {backend.title} {backend.oldest} or later, or choose another cluster "
                f"with --context (`kubectl config get-contexts`)",
            )
    version = backend.installed(cluster)
    if version is None:
        remedy = f"ask who runs the cluster; needed is {backend.oldest} or later"
        what = f"the version of {backend.title} can't be told from here"
        return Check(
            name="engine", found=backend.title, problems=(_warning("engine", what, remedy),)
        )
    found = f"{backend.title} {version.text} ({version.found_in})"
    if not version.supported:
        return _failed("engine", f"{found} is too old", f"upgrade to {backend.oldest} or later")
    return Check(name="engine", found=found)


def _needed(backend: InCluster, *, scheduled: bool, thorough: bool) -> tuple[Grant, ...]:
    needs = backend.needs
    if thorough:
        return (*needs.submitter, *needs.schedules, *SUBMITTER_GRANTS)
    return needs.schedules if scheduled else _first_of(needs.submitter)


def _rights(backend: InCluster, cluster: Cluster, grants: tuple[Grant, ...]) -> Check:
    missing = [
        (verb, grant.group, resource)
        for grant in grants
        for resource in grant.resources
        for verb in grant.verbs
        if not cluster.may(verb, grant.group, resource)
    ]
    who = cluster.who() or "you"
    problems = tuple(_may_not(backend, cluster, who, *each) for each in missing)
    return Check(name="rights", found=f"{who} may submit and follow runs", problems=problems)


def _first_of(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """Return the right without which nothing starts: to create a run."""
    return (replace(grants[0], resources=grants[0].resources[:1], verbs=("create",)),)


def _may_not(
    backend: InCluster, cluster: Cluster, who: str, verb: str, group: str, resource: str
) -> Problem:
    name = f"{resource}.{group}" if group else resource
    what = f"{who} may not {verb} {name} in namespace {cluster.namespace}"
    remedy = (
        f"bind the role of submitters: {setup_command(backend, cluster, '--bind', f'User:{who}')}, "
        "or give its output to who may apply it"
    )
    if verb == "create":
        return Problem(key="rights", what=what, remedy=remedy)
    return _warning("rights", what, remedy)


def _accounts(backend: InCluster, cluster: Cluster, plan: Plan | None) -> Check:
    chosen = accounts_there(cluster) if plan is None else plan.accounts
    remedy = f"run {setup_command(backend, cluster)}, or give its output to who may apply it"
    if plan is not None and chosen.release is None and any(True for _ in plan.services()):
        what = f"account {RELEASE_ACCOUNT} is missing, under which runs release services"
        return _failed("accounts", what, remedy)
    if chosen.executor is not None:
        found = f"stages run as {chosen.stage} and hold no token of the API"
        return Check(name="accounts", found=found)
    account = chosen.stage or "the namespace's default account"
    lacks = backend.needs.without_executor
    if holds_token(backend, chosen):
        lacks = f"stages run as {account} and hold its token"
    what = f"{lacks}, since the accounts of `setup` are missing"
    return Check(
        name="accounts",
        found=f"stages run as {account}",
        problems=(_warning("accounts", what, remedy),),
    )


def _secrets(plan: Plan, cluster: Cluster, group: Group | None) -> Check:
    looked = look_for_secrets(plan, cluster, group)
    upcoming = (
        tuple(f"copy secret {name} from group {group.name}" for name in looked.copies)
        if group
        else ()
    )
    return Check(name="secrets", found="all are there", problems=looked.problems, upcoming=upcoming)


def _repository(plan: Plan, cluster: Cluster, group: Group | None) -> Check:
    """See whether what pods are given opens the repository, from here."""
    address = plan.source.repository
    if address is None or not is_url(address):
        return Check(name="repository", found="opened by each pod by itself")
    try:
        given = _git_secrets(plan, cluster, group)
    except Forbidden as error:
        return _unseen(plan, address, error)
    if plan.git.env and plan.git.env[0].name == SSH_KEY and SSH_KEY not in given:
        secret = plan.git.env[0].secret
        return _failed(
            "repository",
            f"pods have no key for {address}: secret {secret} with the key {SSH_KEY} is missing",
            f"`{_making(plan, address)} -n {cluster.namespace}`",
        )
    try:
        check_access(address, given, plan.git.host_keys)
    except GitHostUnreachable as error:
        what = f"nobody can tell from here whether pods may fetch {address}: {error}"
        remedy = "where pods reach the host all the same, go on"
        return Check(name="repository", problems=(_warning("repository", what, remedy),))
    except GitError as error:
        remedy = _remedy_of_access(plan, cluster, group, address)
        return _failed("repository", f"with what pods are given: {error}", remedy)
    return Check(name="repository", found=f"{address} opens with what pods are given")


def _unseen(plan: Plan, address: str, refusal: Forbidden) -> Check:
    """Judge a repository where nobody may look for its key: one that opens without needs none."""
    try:
        check_access(address, {}, plan.git.host_keys)
    except GitError:
        what = f"nobody can tell whether pods may fetch {address}: {refusal}"
        remedy = "ask for the right to get secrets, or check it yourself"
        return Check(name="repository", problems=(_warning("repository", what, remedy),))
    return Check(name="repository", found=f"{address} opens to everybody")


def _remedy_of_access(plan: Plan, cluster: Cluster, group: Group | None, address: str) -> str:
    if not plan.git.env:
        return "check the address"
    where = f"-n {cluster.namespace}"
    if group and group.find(plan.git.env[0].secret, metadata_only=True):
        where = group.options
    return (
        "check the address, and what opens it; the secret is made anew by "
        f"`{_making(plan, address)} {where} --replace`"
    )


def _making(plan: Plan, address: str) -> str:
    """Return the command that stores what opens the repository, but for its place."""
    env = plan.git.env[0]
    if env.name != SSH_KEY:
        return f"bodywork-argo git-token create {env.secret} --stdin --repository {address}"
    hosts = "" if plan.git.host_keys else " --known-hosts FILE"
    return f"bodywork-argo ssh-key create FILE {env.secret} --repository {address}{hosts}"


def _git_secrets(plan: Plan, cluster: Cluster, group: Group | None) -> dict[str, str]:
    """Read the key or token that prepare will get; it goes to git alone."""
    names = dict.fromkeys(env.secret for env in plan.git.env)
    data = {name: _git_secret(name, cluster, group).get("data") or {} for name in names}
    return {
        env.name: base64.b64decode(data[env.secret][env.key]).decode("utf-8", "replace")
        for env in plan.git.env
        if env.key in data[env.secret]
    }


def _git_secret(name: str, cluster: Cluster, group: Group | None) -> Manifest:
    """Return the secret as a run will find it: as its group has it, if it does."""
    return (group and group.find(name)) or cluster.get(SECRET, name) or {}


def _failed(check: str, what: str, remedy: str) -> Check:
    return Check(name=check, problems=(Problem(key=check, what=what, remedy=remedy),))


def _warning(check: str, what: str, remedy: str) -> Problem:
    return Problem(key=check, what=what, remedy=remedy, severity="warning")
