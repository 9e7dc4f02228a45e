"""A first look: whether a cluster has all that a run needs, before anything is sent to it.

Every check says what is wrong and how to mend it; errors forbid to submit, warnings tell what will
be missed. Values of the stages' secrets are never read.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bodywork_argo.access import (
    EXECUTOR_ACCOUNT,
    EXECUTOR_TOKEN,
    STAGE_ACCOUNT,
    SUBMITTER_GRANTS,
    Grant,
)
from bodywork_argo.backend import Backend, InCluster
from bodywork_argo.cluster import NAMESPACE, SECRET, SERVICE_ACCOUNT, Cluster, Resource
from bodywork_argo.errors import EngineError, Forbidden, GitError, Problem, Unreachable
from bodywork_argo.plan import Accounts, Plan
from bodywork_argo.planner import SSH_KEY
from bodywork_argo.repo import check_access, is_url
from bodywork_argo.secret_uses import missing_secrets

SET_UP = "run `bodywork-argo setup --namespace {0} --apply`, or give its output to who may apply it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one look at a cluster found."""

    name: str
    found: str = ""
    """What is there; for people."""
    problems: tuple[Problem, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether a run can't go on from here."""
        return any(problem.severity == "error" for problem in self.problems)


def look(
    backend: InCluster,
    cluster: Cluster,
    settle: Callable[[], Plan] | None = None,
    *,
    thorough: bool = False,
) -> Iterator[Check]:
    """Yield each check when it is done; one without which the others make no sense ends it.

    `settle` gives the plan that would be submitted; it is called when the cluster has answered.
    A thorough look asks for every right that any command needs, not only to submit.
    """
    for check in (_reached(cluster), _engine(backend, cluster)):
        yield check
        if check.blocks:
            return
    yield _rights(backend, cluster, thorough=thorough)
    plan = settle() if settle else None
    yield _accounts(cluster, plan)
    if plan is not None:
        yield Check(name="secrets", found="all are there", problems=missing_secrets(plan, cluster))
        yield _repository(plan, cluster)


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
    return Accounts(stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT)


def _reached(cluster: Cluster) -> Check:
    """See whether the API answers and the namespace exists."""
    try:
        found = f"Kubernetes {cluster.version()} at {cluster.server}, namespace {cluster.namespace}"
    except Unreachable as error:
        return _failed("cluster", str(error), "check --kubeconfig and --context, VPN and proxies")
    except Forbidden as error:
        return _failed("cluster", str(error), "log in to the cluster again")
    try:
        missing = cluster.get(NAMESPACE, cluster.namespace, metadata_only=True) is None
    except Forbidden:  # an ordinary right of nobody; what follows will tell
        missing = False
    if missing:
        remedy = (
            f"name another with --namespace, or create it: "
            f"`bodywork-argo setup --namespace {cluster.namespace} --create-namespace --apply`"
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
                f"install {backend.title}, or choose another cluster with --context",
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


def _rights(backend: InCluster, cluster: Cluster, *, thorough: bool) -> Check:
    grants = backend.needs.submitter
    grants = (*grants, *SUBMITTER_GRANTS) if thorough else _first_of(grants)
    missing = [
        (verb, grant.group, resource)
        for grant in grants
        for resource in grant.resources
        for verb in grant.verbs
        if not cluster.may(verb, grant.group, resource)
    ]
    who = cluster.who() or "you"
    problems = tuple(_may_not(cluster, who, *each) for each in missing)
    return Check(name="rights", found=f"{who} may submit and follow runs", problems=problems)


def _first_of(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """Return the right without which nothing starts: to create a run."""
    return (replace(grants[0], resources=grants[0].resources[:1], verbs=("create",)),)


def _may_not(cluster: Cluster, who: str, verb: str, group: str, resource: str) -> Problem:
    name = f"{resource}.{group}" if group else resource
    what = f"{who} may not {verb} {name} in namespace {cluster.namespace}"
    remedy = (
        f"bind the role of submitters: `bodywork-argo setup --namespace {cluster.namespace} "
        f"--bind User:{who} --apply`, or give its output to who may apply it"
    )
    if verb == "create":
        return Problem(key="rights", what=what, remedy=remedy)
    return _warning("rights", what, remedy)


def _accounts(cluster: Cluster, plan: Plan | None) -> Check:
    chosen = accounts_there(cluster) if plan is None else plan.accounts
    if chosen.executor is not None:
        found = f"stages run as {chosen.stage} and hold no token of the API"
        return Check(name="accounts", found=found)
    account = chosen.stage or "the namespace's default account"
    what = f"stages run as {account} and hold its token, since the accounts of `setup` are missing"
    remedy = SET_UP.format(cluster.namespace)
    return Check(
        name="accounts",
        found=f"stages run as {account}",
        problems=(_warning("accounts", what, remedy),),
    )


def _repository(plan: Plan, cluster: Cluster) -> Check:
    """See whether what pods are given opens the repository, from here."""
    address = plan.source.repository
    if address is None or not is_url(address):
        return Check(name="repository", found="opened by each pod by itself")
    try:
        given = _git_secrets(plan, cluster)
    except Forbidden as error:
        what = f"nobody can tell whether pods may fetch {address}: {error}"
        remedy = "ask for the right to get secrets, or check it yourself"
        return Check(name="repository", problems=(_warning("repository", what, remedy),))
    if plan.git.env and plan.git.env[0].name == SSH_KEY and SSH_KEY not in given:
        secret = plan.git.env[0].secret
        return _failed(
            "repository",
            f"pods have no key for {address}: secret {secret} with the key {SSH_KEY} is missing",
            f"`bodywork-argo ssh-key create FILE {secret} --repository {address} "
            f"-n {cluster.namespace}`",
        )
    try:
        check_access(address, given, plan.git.host_keys)
    except GitError as error:
        return _failed("repository", f"with what pods are given: {error}", "mend the secret")
    return Check(name="repository", found=f"{address} opens with what pods are given")


def _git_secrets(plan: Plan, cluster: Cluster) -> dict[str, str]:
    """Read the key or token that prepare will get; it goes to git alone."""
    names = dict.fromkeys(env.secret for env in plan.git.env)
    data = {name: (cluster.get(SECRET, name) or {}).get("data") or {} for name in names}
    return {
        env.name: base64.b64decode(data[env.secret][env.key]).decode("utf-8", "replace")
        for env in plan.git.env
        if env.key in data[env.secret]
    }


def _failed(check: str, what: str, remedy: str) -> Check:
    return Check(name=check, problems=(Problem(key=check, what=what, remedy=remedy),))


def _warning(check: str, what: str, remedy: str) -> Problem:
    return Problem(key=check, what=what, remedy=remedy, severity="warning")
