"""A first look at a cluster finds what a run would miss, and says how to mend it."""

from __future__ import annotations

import base64
import socket
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from bodywork_argo.access import (
    EXECUTOR_ACCOUNT,
    RELEASE_ACCOUNT,
    STAGE_ACCOUNT,
    access_manifests,
)
from bodywork_argo.backend import ENTRY_POINT_GROUP, Backend, InCluster
from bodywork_argo.cluster import SECRET, Resource
from bodywork_argo.deploy import Planned, placed
from bodywork_argo.errors import EngineError, UsageError
from bodywork_argo.fakes import InstantBackend
from bodywork_argo.loader import Loaded
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.plan import Accounts, Plan, SecretEnv
from bodywork_argo.preflight import Check, in_cluster, look, looked_through
from bodywork_argo.schema import parse_project
from bodywork_argo.secret_lookup import Group
from bodywork_argo.spec import SecretRef
from bodywork_argo.submission import refuse, settle
from tests.files import bodywork_yaml
from tests.projects import PINNED, batch, five_stages, plan_of
from tests.repositories import make_repository

WORKFLOW = Resource(api_version="argoproj.io/v1alpha1", kind="Workflow")
PLAN = plan_of("a", batch("a"))
TOKEN = (
    SecretEnv(
        name="BODYWORK_GIT_TOKEN", secret="git-token", key="BODYWORK_GIT_TOKEN", optional=True
    ),
)


def engine(name: str) -> InCluster:
    (entry,) = entry_points(group=ENTRY_POINT_GROUP, name=name)
    backend: Backend = entry.load()()
    return in_cluster(backend)


def argo() -> InCluster:
    return engine("argo")


def cluster(*, set_up: bool = True) -> MemoryCluster:
    found = MemoryCluster("team")
    found.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    if set_up:
        for document in access_manifests("team", [argo().needs]):
            found.create(document)
    return found


def checks(found: MemoryCluster, plan: Plan | None = None) -> dict[str, Check]:
    settled = None if plan is None else lambda: plan
    return {check.name: check for check in look(argo(), found, settled, thorough=True)}


def planned(plan: Plan) -> Planned:
    parsed = parse_project(bodywork_yaml())
    loaded = Loaded(parsed=parsed, source=PINNED, notes=(), label="bodywork.yaml")
    return Planned(plan=plan, loaded=loaded)


def with_secrets(stage: str, *keys: str) -> Plan:
    """Return a plan whose stage takes these keys of the secret chat."""
    secrets = tuple(SecretRef(variable=key, secret="chat") for key in keys)
    return plan_of(stage, batch(stage, secrets=secrets))


def test_where_all_is_there_nothing_blocks() -> None:
    found = checks(cluster())
    assert list(found) == ["cluster", "engine", "rights", "accounts"]
    assert not any(check.blocks for check in found.values())
    assert "hold no token" in found["accounts"].found


def test_without_the_engine_nothing_else_is_looked_at() -> None:
    bare = cluster()
    bare.served = {Resource(api_version="v1", kind="Namespace")}
    found = checks(bare)
    assert list(found) == ["cluster", "engine"]
    assert "does not know Workflow" in str(found["engine"].problems[0])


def test_an_engine_whose_version_is_unknown_is_a_warning_that_names_what_is_needed() -> None:
    (problem,) = checks(cluster())["engine"].problems
    assert problem.severity == "warning"
    assert problem.remedy == "ask who runs the cluster; needed is v3.6 or later"


def test_whoever_may_not_create_runs_is_told_whom_to_ask() -> None:
    poor = cluster()
    poor.denied.add(("create", "argoproj.io", "workflows"))
    rights = checks(poor)["rights"]
    assert rights.blocks
    assert "somebody may not create workflows.argoproj.io" in rights.problems[0].what
    assert "setup --namespace team --bind User:somebody --apply" in rights.problems[0].remedy


def test_a_right_that_only_following_needs_is_a_warning() -> None:
    poor = cluster()
    poor.denied.add(("get", "", "pods/log"))
    (problem,) = checks(poor)["rights"].problems
    assert (problem.severity, "pods/log" in problem.what) == ("warning", True)


def test_without_the_accounts_of_setup_a_run_starts_with_one_warning() -> None:
    plain = cluster(set_up=False)
    settled = settle(planned(PLAN), plain).plan
    (problem,) = checks(plain, settled)["accounts"].problems
    assert settled.accounts == Accounts()
    assert problem.severity == "warning"
    assert "bodywork-argo setup --namespace team --apply" in problem.remedy


def test_the_accounts_of_setup_are_taken_where_they_are() -> None:
    settled = settle(planned(PLAN), cluster()).plan
    assert settled.accounts == Accounts(
        stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT, release=RELEASE_ACCOUNT
    )
    assert (settled.namespace, settled.submitted_by) == ("team", "somebody")


def test_services_can_not_be_released_without_their_account() -> None:
    plain = cluster(set_up=False)
    settled = settle(planned(five_stages()), plain).plan
    accounts = checks(plain, settled)["accounts"]
    assert accounts.blocks
    (problem,) = accounts.problems
    assert "bodywork-argo-release is missing" in problem.what
    assert "bodywork-argo setup --namespace team --apply" in problem.remedy
    assert not checks(cluster(), settle(planned(five_stages()), cluster()).plan)["accounts"].blocks


def test_an_account_of_ones_own_releases_services_where_there_is_no_other() -> None:
    settled = settle(planned(PLAN), cluster(set_up=False), service_account="mine").plan
    assert settled.accounts == Accounts(stage="mine", release="mine")


def test_stages_without_a_token_can_be_insisted_on() -> None:
    with pytest.raises(EngineError, match="stages would hold a token"):
        settle(planned(PLAN), cluster(set_up=False), no_token_on=argo())
    with pytest.raises(UsageError, match="leave out --require-no-token"):
        settle(planned(PLAN), cluster(), service_account="mine", no_token_on=argo())
    assert settle(planned(PLAN), cluster(), service_account="mine").plan.accounts.executor is None


def test_what_is_missing_without_the_accounts_is_the_engines_own() -> None:
    plain, tekton = cluster(set_up=False), engine("tekton")
    settled = settle(planned(PLAN), plain, no_token_on=tekton).plan
    found = {check.name: check for check in look(tekton, plain, lambda: settled)}
    (problem,) = found["accounts"].problems
    assert problem.what == (
        "failure stages are told which stages failed, but no exit codes, since the accounts of"
        " `setup` are missing"
    )
    assert "bodywork-argo setup --backend tekton --namespace team --apply" in problem.remedy


def test_an_account_that_was_asked_for_brings_its_token_on_tekton_as_well() -> None:
    tekton = engine("tekton")
    plan = replace(PLAN, accounts=Accounts(stage="mine"))
    found = {check.name: check for check in look(tekton, cluster(), lambda: plan)}
    (problem,) = found["accounts"].problems
    assert "stages run as mine and hold its token" in problem.what


def test_a_missing_secret_is_named_by_stage_and_key() -> None:
    secrets = checks(cluster(), with_secrets("a", "TOKEN"))["secrets"]
    assert secrets.blocks
    text = str(secrets.problems[0])
    assert "stages.a" in text
    assert "chat" in text
    with pytest.raises(EngineError, match="nothing was submitted: secrets must be mended"):
        refuse([secrets])


def test_what_is_wrong_with_the_cluster_names_it_and_what_a_stage_lacks_the_file() -> None:
    poor = cluster(set_up=False)
    poor.denied.add(("create", "argoproj.io", "workflows"))
    plan = with_secrets("a", "TOKEN")
    found = checks(poor, plan)
    loaded = planned(plan).loaded

    def told(name: str) -> list[str]:
        return [str(problem) for problem in placed(found[name].problems, loaded)]

    for name in ("engine", "rights", "accounts"):
        assert told(name)
        assert all(text.startswith(f"https://memory.example: {name}: ") for text in told(name))
    (missing,) = told("secrets")
    assert missing.startswith("bodywork.yaml")
    assert ": stages.a.secrets.TOKEN: there is no secret chat" in missing


def closed_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}/x.git"


def test_a_git_host_that_cannot_be_asked_from_here_is_a_warning() -> None:
    plan = replace(PLAN, source=replace(PINNED, repository=closed_address()))
    repository = checks(cluster(), plan)["repository"]
    (problem,) = repository.problems
    assert problem.severity == "warning"
    assert "nobody can tell from here whether pods may fetch http://127.0.0.1" in problem.what
    assert "refuses connections" in problem.what or "can't be reached" in problem.what


@pytest.mark.parametrize("public", [True, False])
def test_who_may_see_no_secret_is_warned_of_a_repository_unless_it_opens_to_everybody(
    tmp_path: Path, public: bool
) -> None:
    make_repository(tmp_path / "open", {"a.py": ""})
    address = f"file://{tmp_path / ('open' if public else 'none')}"
    poor = cluster()
    poor.denied.add(("get", "", "secrets"))
    source = replace(PINNED, repository=address)
    plan = replace(PLAN, source=source, git=replace(PLAN.git, env=TOKEN))

    repository = checks(poor, plan)["repository"]

    assert not repository.blocks
    assert [problem.what.partition(":")[0] for problem in repository.problems] == (
        [] if public else ["nobody can tell whether pods may fetch file"]
    )


def test_a_missing_ssh_key_is_told_with_the_command_that_stores_it() -> None:
    repository = "ssh://git@git.example/team/shop.git"
    plan = plan_of("a", batch("a"), source=replace(PINNED, repository=repository))
    found = checks(cluster(), plan)["repository"]
    assert found.blocks
    assert found.problems[0].remedy == (
        "`bodywork-argo ssh-key create FILE ssh-git-private-key "
        f"--repository {repository} --known-hosts FILE -n team`"
    )


def test_a_repository_that_does_not_open_blocks_and_says_where_its_key_is_kept(
    tmp_path: Path,
) -> None:
    plan = replace(PLAN, source=replace(PINNED, repository=f"file://{tmp_path}/none"))
    group = Group(name="prod", source=cluster().within("groups"))
    token = {"BODYWORK_GIT_TOKEN": base64.b64encode(b"x").decode()}
    labels = {"group": "prod"}
    document = {"apiVersion": "v1", "kind": "Secret", "data": token}
    group.source.create({**document, "metadata": {"name": "prod-git-token", "labels": labels}})

    def remedy(group: Group | None) -> str:
        found = list(look(argo(), cluster(), lambda: plan, group=group))[-1]
        assert found.blocks
        return found.problems[0].remedy

    make = f"`bodywork-argo git-token create git-token --stdin --repository file://{tmp_path}/none"
    assert remedy(None).endswith(f"{make} -n team --replace`")
    assert remedy(group).endswith(f"{make} --group prod --secrets-namespace groups --replace`")


def test_what_a_run_would_copy_from_its_group_is_told_and_opens_the_repository() -> None:
    found = cluster()
    group = Group(name="prod", source=found.within("groups"))
    document = {"apiVersion": "v1", "kind": "Secret", "data": {"TOKEN": "eA=="}}
    metadata = {"name": "prod-chat", "labels": {"group": "prod"}}
    group.source.create({**document, "metadata": metadata})
    plan = with_secrets("a", "TOKEN")
    plan = replace(plan, source=replace(PINNED, repository=closed_address()))

    told = {check.name: check for check in look(argo(), found, lambda: plan, group=group)}

    assert told["secrets"].upcoming == ("copy secret chat from group prod",)
    assert told["secrets"].problems == ()
    assert found.get(SECRET, "chat") is None


def test_a_look_with_a_plan_is_through_only_where_the_cluster_and_its_engine_are_there() -> None:
    bare = cluster()
    bare.served = {Resource(api_version="v1", kind="Namespace")}
    assert looked_through(list(look(argo(), cluster(), lambda: PLAN)))
    assert not looked_through(list(look(argo(), bare, lambda: PLAN)))


def test_a_backend_without_a_cluster_has_nothing_to_look_at() -> None:
    with pytest.raises(EngineError, match="instant needs no cluster"):
        in_cluster(InstantBackend())
