"""Compiled Workflows do on a real Argo what their plans say. They are sent as they are."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bodywork_argo.dag import parse_dag
from bodywork_argo.plan import Accounts, Pinned, Plan, Source
from bodywork_argo.planner import make_plan
from bodywork_argo.spec import (
    BatchStage,
    Dialect,
    PodOptions,
    Project,
    SecretRef,
    Volume,
    VolumeKind,
)
from bodywork_argo_adapters.argo import ArgoBackend
from bodywork_argo_adapters.argo.size import forecast
from e2e.conftest import MakeRepository
from e2e.engines.gitservers import HTTP_PASSWORD, HTTP_USER
from e2e.support.cluster import await_state
from e2e.support.leaks import planted
from e2e.support.pods import RUNNER, RUNNER_WITHOUT_GIT
from e2e.support.spaces import EXECUTOR_ACCOUNT, STAGE_ACCOUNT, Space

POD = {"apiVersion": "v1", "kind": "Pod"}
LOCKED_DOWN = Accounts(stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT)
AWKWARD = (
    "{{workflow.name}}", "{{=1+1}}", "{{", "}}", "$(PATH)", "$$", "$HOME", '"', "\\", "\\n", "\\\\",
    "a\nb\tc", "é", "\x7f", "", " ", "'", '{"a": "b"}', "1e3", "--flag", "-", "*", "`id`", "%s",
)  # fmt: skip
ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"
TELL = "import os; print(os.environ['EXCEPTION_MESSAGE']); print('BODYWORK_FAILURES' in os.environ)"


def stage(name: str, **more: Any) -> BatchStage:
    given = {"max_completion_time_seconds": 60, "retries": 0, **more}
    return BatchStage(name=name, module=f"{name}.py", **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that has ended."""

    space: Space
    workflow: Any

    @property
    def phases(self) -> dict[str, str]:
        """How each node ended, by the name that Argo shows."""
        nodes = self.workflow["status"]["nodes"].values()
        return {node["displayName"]: node["phase"] for node in nodes}

    def message(self, task: str) -> str:
        """Return what Argo shows beside a task."""
        nodes = self.workflow["status"]["nodes"].values()
        return next(str(node["message"]) for node in nodes if node["displayName"] == task)

    def said(self, task: str) -> str:
        """Return what the module of a task wrote."""
        (pod,) = self.space.find(POD, f"bodywork-argo/stage={task}")
        lines = self.space.logs(pod["metadata"]["name"], "main").splitlines(keepends=True)
        return "".join(line for line in lines if "argo=true" not in line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Compiles projects and runs them in a namespace."""

    space: Space
    make_git_repository: MakeRepository

    def plan(
        self,
        dag: str,
        *stages: BatchStage,
        files: Mapping[str, str],
        on_failure: str | None = None,
        private: bool = False,
    ) -> Plan:
        project = Project(
            name="pods",
            dialect=Dialect.V1_1,
            docker_image=RUNNER,
            dag=parse_dag(dag),
            stages=stages,
            log_level="INFO",
            run_on_failure=on_failure,
        )
        repository = self.make_git_repository({}, private=private)
        source = Source(
            revision=Pinned(commit=repository.commit(files)), repository=repository.url, ref="main"
        )
        return replace(make_plan(project, source), accounts=LOCKED_DOWN)

    def start(self, plan: Plan) -> str:
        (document,) = ArgoBackend("e2e").compile(plan, None).documents
        return str(self.space.create(document)["metadata"]["name"])

    def end(self, name: str) -> Ended:
        return Ended(space=self.space, workflow=self.space.finished_workflow(name))


@pytest.fixture
def runs(namespace: Space, make_git_repository: MakeRepository) -> Runs:
    return Runs(space=namespace, make_git_repository=make_git_repository)


@pytest.mark.smoke
def test_any_text_reaches_modules_through_a_shared_template(runs: Runs) -> None:
    texts = [AWKWARD[number::10] + AWKWARD[-1 - number :: -10] for number in range(10)]
    width = min(len(each) for each in texts)
    stages = [stage(f"s{n}", args=each[:width]) for n, each in enumerate(texts)]
    assert {text for each in texts for text in each[:width]} == set(AWKWARD)
    files = {each.module: ECHO for each in stages}

    ended = runs.end(runs.start(runs.plan(", ".join(s.name for s in stages), *stages, files=files)))

    assert ended.workflow["status"]["phase"] == "Succeeded", ended.phases
    assert len(ended.workflow["spec"]["templates"]) == 2
    for each in stages:
        assert json.loads(ended.said(each.name)) == list(each.args)


@pytest.mark.full
def test_what_failed_is_told_to_the_failure_stage_and_on_argos_pages(runs: Runs) -> None:
    strange = "open('/dev/termination-log', 'w').write('\\x7f{{x \\U000e0001{{workflow.name}}$$')"
    files = {
        "bad_1.py": "raise SystemExit(3)",
        "slow.py": "import time; time.sleep(60)",
        "strange.py": f"{strange}; raise SystemExit(4)",
        "broken.py": "",
        "fine.py": "import time; time.sleep(3); print('finished')",
        "later.py": "",
        "tell.py": TELL,
    }
    plan = runs.plan(
        "bad_1, slow, strange, broken, fine >> later",
        stage("bad_1", retries=1),
        stage("slow", max_completion_time_seconds=1),
        stage("strange"),
        stage("broken", requirements=("there-is-no-such-package==1",)),
        *(stage(name) for name in ("fine", "later", "tell")),
        files=files,
        on_failure="tell",
    )

    ended = runs.end(runs.start(plan))

    assert ended.workflow["status"]["phase"] == "Failed"
    first, *lines = ended.said("tell").splitlines()
    assert first.startswith("4 stages failed: ")
    told = dict(line.split(": ", 1) for line in lines[:-1])
    assert lines[-1] == "False"
    assert told["bad_1"] == "exit code 3"
    assert told["slow"] == "time limit of 1 s exceeded (exit code 143)"
    assert told["strange"] == "{{x {{workflow.name}}$$ (exit code 4)"
    assert told["broken"].startswith("installing the requirements failed: ERROR: ")
    assert "installing the requirements failed" in ended.message("broken")
    phases = ended.phases
    assert (phases["bad-1(0)"], phases["bad-1(1)"]) == ("Failed", "Failed")
    assert (phases["fine"], phases["later"]) == ("Succeeded", "Omitted")
    assert "finished" in ended.said("fine")


@pytest.mark.full
def test_a_run_that_is_stopped_runs_its_failure_stage(runs: Runs) -> None:
    files = {"slow.py": "import time; time.sleep(100)", "tell.py": TELL}
    plan = runs.plan("slow", stage("slow"), stage("tell"), files=files, on_failure="tell")
    name = runs.start(plan)
    await_state(
        lambda: runs.space.find(POD, "bodywork-argo/stage=slow"),
        lambda pods: any(pod["status"]["phase"] == "Running" for pod in pods),
        "the stage's pod",
    )

    path = f"/apis/argoproj.io/v1alpha1/namespaces/{runs.space.name}/workflows/{name}"
    change = {"spec": {"shutdown": "Stop"}}
    runs.space.cluster.request("PATCH", path, change, "application/merge-patch+json")

    ended = runs.end(name)
    assert ended.workflow["status"]["phase"] == "Failed"
    assert ended.said("tell").splitlines()[:2] == ["1 stage failed: slow", "slow: stopped"]


@pytest.mark.full
def test_a_good_run_leaves_its_failure_stage_alone(runs: Runs) -> None:
    plan = runs.plan("a", stage("a"), stage("tell"), files={"a.py": "print(1)"}, on_failure="tell")

    ended = runs.end(runs.start(plan))

    assert ended.workflow["status"]["phase"] == "Succeeded"
    assert ended.phases["tell"] == "Skipped"


LOOK = """
import json, os
from pathlib import Path
found = [p for p in ("/var/run/secrets/kubernetes.io", "/data", "/conf/k", "/keys/k", "/extra")
         if os.path.exists(p)]
ours = {k: v for k, v in os.environ.items() if k.startswith(("BODYWORK", "FIRST", "BOTH", "MINE"))}
try:
    Path("/keys/new").write_text("")
except OSError:
    found.append("read-only")
ours["MINE"] = ours["MINE"][::-1]  # no secret is printed as it is
git = Path(__file__).parent.joinpath(".git/config").read_text()
print(json.dumps({"found": found, "env": ours, "git": "password" in git or "@" in git}))
"""
PATCHES = (
    '{"containers":[{"env":[{"name":"FIRST","value":"1"},{"name":"BOTH","value":"1"}],"name":"main",'
    '"volumeMounts":[{"mountPath":"/extra","name":"extra"}]}],"volumes":[{"emptyDir":{},"name":"extra"}]}',
    '{"containers":[{"env":[{"name":"BOTH","value":"2"}],"name":"main"}],"hostname":"patched"}',
)


@pytest.mark.smoke
def test_a_pod_is_what_the_plan_says_and_holds_no_key_of_ours(runs: Runs) -> None:
    space, mine = runs.space, planted()
    token = {"BODYWORK_GIT_TOKEN": HTTP_PASSWORD, "BODYWORK_GIT_USERNAME": HTTP_USER}
    for secret, data in (
        ("git-token", token),
        ("mine", {"MINE": mine}),
        ("keys", {"k": planted()}),
    ):
        metadata = {"name": secret}
        space.create(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        )
    conf = {"name": "conf"}
    space.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": conf, "data": {"k": "v"}})
    pod = PodOptions(
        labels=(("team", "ml"),),
        annotations=(("example.org/owner", "ml"),),
        env=(("BODYWORK_PLAIN", "p"),),
        image_pull_policy="IfNotPresent",
        volumes=(
            Volume(name="d", path="/data", kind=VolumeKind.EMPTY, source="10"),
            Volume(name="c", path="/conf", kind=VolumeKind.CONFIG_MAP, source="conf"),
            Volume(name="k", path="/keys", kind=VolumeKind.SECRET, source="keys", read_only=True),
        ),
        patches=PATCHES,
    )
    own = stage("look", pod=pod, secrets=(SecretRef(variable="MINE", secret="mine"),))
    bare = stage("bare", image=RUNNER_WITHOUT_GIT)
    plan = runs.plan("look, bare", own, bare, files={"look.py": LOOK, "bare.py": ""}, private=True)
    plan = replace(plan, git=replace(plan.git, image=RUNNER), exclusive=True)

    ended = runs.end(runs.start(plan))

    assert ended.workflow["status"]["phase"] == "Succeeded", ended.phases
    seen = json.loads(ended.said("look"))
    assert seen["found"] == ["/data", "/conf/k", "/keys/k", "/extra", "read-only"]
    assert seen["git"] is False
    env = seen["env"]
    assert (env["FIRST"], env["BOTH"], env["MINE"], env["BODYWORK_PLAIN"]) == (
        "1",
        "2",
        mine[::-1],
        "p",
    )
    assert env["BODYWORK_RUN"] == ended.workflow["metadata"]["name"]
    assert not [name for name in env if "GIT" in name and name != "BODYWORK_GIT_COMMIT"]
    (made,) = space.find(POD, "bodywork-argo/stage=look")
    assert made["metadata"]["labels"]["team"] == "ml"
    assert made["metadata"]["annotations"]["example.org/owner"] == "ml"
    assert made["spec"]["hostname"] == "patched"


@pytest.mark.full
def test_wide_steps_wait_for_each_other_and_take_the_space_that_was_foretold(runs: Runs) -> None:
    steps = [[stage(f"s{n}-{m}") for m in range(width)] for n, width in enumerate((9, 9, 1))]
    stages = [each for step in steps for each in step]
    dag = " >> ".join(", ".join(each.name for each in step) for step in steps)
    plan = runs.plan(dag, *stages, files={each.module: "" for each in stages})
    (document,) = ArgoBackend("e2e").compile(plan, None).documents

    ended = runs.end(runs.start(plan))

    assert ended.workflow["status"]["phase"] == "Succeeded"
    nodes = {each["displayName"]: each for each in ended.workflow["status"]["nodes"].values()}
    for before, after in itertools.pairwise(steps):
        last = max(nodes[each.name]["finishedAt"] for each in before)
        assert all(last <= nodes[each.name]["startedAt"] for each in after)
    stored = json.dumps(ended.workflow["status"]["nodes"], separators=(",", ":"))
    assert forecast(document).status == pytest.approx(len(stored), rel=0.15)
