"""A first look at a cluster finds what a run would miss, and says how to mend it."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import entry_points

import pytest

from bodywork_argo.access import EXECUTOR_ACCOUNT, STAGE_ACCOUNT, access_manifests
from bodywork_argo.backend import ENTRY_POINT_GROUP, Backend, InCluster
from bodywork_argo.cluster import Resource
from bodywork_argo.deploy import Planned
from bodywork_argo.errors import EngineError, UsageError
from bodywork_argo.fakes import InstantBackend
from bodywork_argo.loader import Loaded
from bodywork_argo.memory_cluster import MemoryCluster
from bodywork_argo.plan import Accounts, Plan, SecretEnv
from bodywork_argo.preflight import Check, in_cluster, look
from bodywork_argo.schema import parse_project
from bodywork_argo.submission import refuse, settle
from tests.files import bodywork_yaml
from tests.projects import PINNED, batch, plan_of

WORKFLOW = Resource(api_version="argoproj.io/v1alpha1", kind="Workflow")
PLAN = plan_of("a", batch("a"))


def argo() -> InCluster:
    (entry,) = entry_points(group=ENTRY_POINT_GROUP, name="argo")
    backend: Backend = entry.load()()
    return in_cluster(backend)


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
    assert settled.accounts == Accounts(stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT)
    assert (settled.namespace, settled.submitted_by) == ("team", "somebody")


def test_stages_without_a_token_can_be_insisted_on() -> None:
    with pytest.raises(EngineError, match="stages would hold a token"):
        settle(planned(PLAN), cluster(set_up=False), require_no_token=True)
    with pytest.raises(UsageError, match="leave out --require-no-token"):
        settle(planned(PLAN), cluster(), service_account="mine", require_no_token=True)
    assert settle(planned(PLAN), cluster(), service_account="mine").plan.accounts.executor is None


def test_a_missing_secret_is_named_by_stage_and_key() -> None:
    (step,) = PLAN.steps
    (task,) = step.tasks
    env = (SecretEnv(name="TOKEN", secret="chat", key="TOKEN"),)
    container = replace(task.container, env=env)
    plan = replace(PLAN, steps=(replace(step, tasks=(replace(task, container=container),)),))  # type: ignore[arg-type]
    secrets = checks(cluster(), plan)["secrets"]
    assert secrets.blocks
    text = str(secrets.problems[0])
    assert "stages.a" in text
    assert "chat" in text
    with pytest.raises(EngineError, match="nothing was submitted: secrets must be mended"):
        refuse([secrets])


def test_a_backend_without_a_cluster_has_nothing_to_look_at() -> None:
    with pytest.raises(EngineError, match="instant needs no cluster"):
        in_cluster(InstantBackend())
