"""Compiled PipelineRuns do on a real Tekton what their plans say. They are sent as they are."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from bodywork_argo.backend import Phase, Prunes, RunRef, RunStatus, Runtime, errors_of
from bodywork_argo.dag import parse_dag
from bodywork_argo.errors import TimedOut
from bodywork_argo.follow import Patience, follow
from bodywork_argo.kube import connect
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
from bodywork_argo_adapters.tekton import TektonBackend
from e2e.conftest import MakeRepository
from e2e.engines.gitservers import HTTP_PASSWORD, HTTP_USER
from e2e.support.cluster import Manifest, collection
from e2e.support.pods import RUNNER, RUNNER_WITHOUT_GIT
from e2e.support.spaces import EXECUTOR_ACCOUNT, STAGE_ACCOUNT, Space
from e2e.support.tekton import let_executor_look
from tests.tekton.projects import FEATURES, compiled, plan_of_feature
from tests.test_corpus import FILES, NOT_VALID, plan_of_file

POD = {"apiVersion": "v1", "kind": "Pod"}
SET_UP = Accounts(stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT)
AWKWARD = (
    "$(params.x)", "$(tasks.a.status)", "$(PATH)", "$(", "$$", "$$HOME", "$HOME", "{{x}}", '"',
    "\\", "\\n", "a\nb\tc", "é", "\x7f", "", " ", "'", '{"a": "b"}', "[1]", "1e3", "--flag", "-",
    "*", "`id`", "%s",
)  # fmt: skip
ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"
TELL = "import os; print(os.environ['EXCEPTION_MESSAGE'])"


def stage(name: str, **more: object) -> BatchStage:
    given: dict[str, object] = {"max_completion_time_seconds": 60, "retries": 0, **more}
    return BatchStage(name=name, module=f"{name}.py", **given)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Compiles projects and runs them in a namespace."""

    space: Space
    runtime: Runtime
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
        return replace(make_plan(project, source), accounts=SET_UP)

    def start(self, plan: Plan) -> RunRef:
        assert errors_of(TektonBackend().check(plan)) == ()
        return self.runtime.submit(TektonBackend("e2e").compile(plan, None))

    def end(self, ref: RunRef) -> RunStatus:
        *_, last = self.runtime.watch(ref)
        return last

    def said(self, ref: RunRef, stage: str) -> str:
        return b"".join(piece.data for piece in self.runtime.logs(ref, stage)).decode()


@pytest.fixture
def runs(namespace: Space, make_git_repository: MakeRepository) -> Runs:
    let_executor_look(namespace)
    kubeconfig = str(namespace.cluster.kubeconfig)
    cluster = connect(kubeconfig=kubeconfig, context=None, namespace=namespace.name)
    runtime = TektonBackend().runtime(lambda: cluster)
    return Runs(space=namespace, runtime=runtime, make_git_repository=make_git_repository)


@pytest.mark.smoke
def test_any_text_reaches_the_module(runs: Runs) -> None:
    env = PodOptions(env=(("AWKWARD", "$(params.x) $$ {{y}}"),))
    echo = f"{ECHO}\nimport os; print(os.environ['AWKWARD'])"
    plan = runs.plan("a", stage("a", args=AWKWARD, pod=env), files={"a.py": echo})

    ref = runs.start(plan)
    ended = runs.end(ref)

    assert ended.phase is Phase.SUCCEEDED, ended
    arguments, variable = runs.said(ref, "a").splitlines()
    assert json.loads(arguments) == list(AWKWARD)
    assert variable == "$(params.x) $$ {{y}}"


@pytest.mark.smoke
def test_what_failed_is_told_to_the_failure_stage_and_by_the_status(runs: Runs) -> None:
    files = {
        "bad_1.py": "raise SystemExit(3)",
        "slow.py": "import time; time.sleep(60)",
        "broken.py": "",
        "fine.py": "import time; time.sleep(3); print('finished')",
        "later.py": "",
        "tell.py": TELL,
    }
    plan = runs.plan(
        "bad_1, slow, broken, fine >> later",
        stage("bad_1", retries=1),
        stage("slow", max_completion_time_seconds=1),
        stage("broken", requirements=("there-is-no-such-package==1",)),
        *(stage(name) for name in ("fine", "later", "tell")),
        files=files,
        on_failure="tell",
    )

    ref = runs.start(plan)
    ended = runs.end(ref)

    first, *lines = runs.said(ref, "tell").splitlines()
    assert first == "3 stages failed: bad_1, slow, broken"
    told = dict(line.split(": ", 1) for line in lines)
    assert told["bad_1"] == "exit code 3"
    assert told["slow"] == "time limit of 1 s exceeded"
    assert told["broken"].startswith("installing the requirements failed: ERROR: ")
    assert ended.phase is Phase.FAILED
    assert ended.reason == first
    stages = {each.stage: each for each in ended.stages}
    assert (stages["bad_1"].attempt, stages["bad_1"].reason) == (2, "exit code 3")
    assert stages["slow"].reason == told["slow"]
    assert stages["broken"].reason.startswith("installing the requirements failed: ERROR: ")
    assert (stages["fine"].phase, stages["later"].phase) == (Phase.SUCCEEDED, Phase.SKIPPED)
    assert runs.said(ref, "fine") == "finished\n"


@pytest.mark.smoke
def test_without_the_engines_account_the_failure_stage_still_knows_who_failed(runs: Runs) -> None:
    files = {"bad.py": "raise SystemExit(3)", "tell.py": TELL}
    plan = runs.plan("bad", stage("bad"), stage("tell"), files=files, on_failure="tell")

    ref = runs.start(replace(plan, accounts=Accounts()))
    ended = runs.end(ref)

    assert runs.said(ref, "tell").splitlines()[0] == "1 stage failed: bad"
    assert ended.stages[0].exit_code == 3


@pytest.mark.smoke
def test_a_stage_whose_image_is_not_there_ends_the_run_in_time(runs: Runs) -> None:
    nowhere = PodOptions(image_pull_policy="Never")
    bad = stage("a", image="docker.io/local/no-such-image:1", pod=nowhere)
    plan = runs.plan(
        "a", bad, stage("tell"), files={"a.py": "", "tell.py": TELL}, on_failure="tell"
    )
    ref = runs.start(plan)
    waits = (status.stages[0].reason for status in runs.runtime.watch(ref))
    assert next(reason for reason in waits if "can't be pulled" in reason)

    with pytest.raises(TimedOut, match=r"a could not start within 2 s: image .* can't be"):
        follow(runs.runtime, ref, lambda _: None, Patience(pending_seconds=2), time.monotonic)

    ended = runs.runtime.status(ref)
    assert ended.phase is Phase.STOPPED
    assert runs.said(ref, "tell").splitlines() == ["1 stage failed: a", "a: stopped"]


LOOK = """
import json, os
from pathlib import Path
places = ("/var/run/secrets/kubernetes.io", "/bodywork/token", "/data", "/conf/k", "/keys/k")
found = [path for path in places if os.path.exists(path)]
ours = {k: v for k, v in os.environ.items() if k.startswith(("BODYWORK", "MINE"))}
git = Path(__file__).parent.joinpath(".git/config").read_text()
print(json.dumps({"found": found, "env": ours, "git": "password" in git or "@" in git}))
"""


@pytest.mark.smoke
def test_a_pod_is_what_the_plan_says_and_holds_no_key_of_ours(runs: Runs) -> None:
    space = runs.space
    token = {"BODYWORK_GIT_TOKEN": HTTP_PASSWORD, "BODYWORK_GIT_USERNAME": HTTP_USER}
    for secret, data in (("git-token", token), ("mine", {"MINE": "m"}), ("keys", {"k": "v"})):
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
        volumes=(
            Volume(name="d", path="/data", kind=VolumeKind.EMPTY, source="10"),
            Volume(name="c", path="/conf", kind=VolumeKind.CONFIG_MAP, source="conf"),
            Volume(name="k", path="/keys", kind=VolumeKind.SECRET, source="keys", read_only=True),
        ),
    )
    own = stage(
        "look", pod=pod, cpu_request=0.1, secrets=(SecretRef(variable="MINE", secret="mine"),)
    )
    bare = stage("bare", image=RUNNER_WITHOUT_GIT)
    plan = runs.plan("look, bare", own, bare, files={"look.py": LOOK, "bare.py": ""}, private=True)
    plan = replace(plan, git=replace(plan.git, image=RUNNER))

    ref = runs.start(plan)
    ended = runs.end(ref)

    assert ended.phase is Phase.SUCCEEDED, ended
    seen = json.loads(runs.said(ref, "look"))
    assert seen["found"] == ["/data", "/conf/k", "/keys/k"]
    assert seen["git"] is False
    env = seen["env"]
    assert (env["MINE"], env["BODYWORK_PLAIN"], env["BODYWORK_RUN"]) == ("m", "p", ref.name)
    assert not [name for name in env if "GIT" in name and name != "BODYWORK_GIT_COMMIT"]
    (made,) = space.find(POD, "bodywork-argo/stage=look")
    assert made["metadata"]["labels"]["team"] == "ml"
    assert made["metadata"]["annotations"]["example.org/owner"] == "ml"
    asked = [each["resources"]["requests"]["cpu"] for each in made["spec"]["containers"]]
    assert sorted(asked) == ["0", "0", "100m"]


@pytest.mark.smoke
def test_only_the_newest_runs_of_a_pipeline_are_kept(runs: Runs) -> None:
    assert isinstance(runs.runtime, Prunes)
    plan = runs.plan("a", stage("a"), files={"a.py": ""})
    first, second = (TektonBackend("e2e").compile(plan, name) for name in ("first", "second"))
    old = runs.runtime.submit(first)
    runs.end(old)
    new = runs.runtime.submit(second)

    assert runs.runtime.prune(plan.pipeline, 1) == (old.name,)

    assert [each.ref for each in runs.runtime.list()] == [new]


@pytest.mark.full
def test_wide_steps_wait_for_each_other(runs: Runs) -> None:
    steps = [[stage(f"s{n}-{m}") for m in range(width)] for n, width in enumerate((9, 9, 1))]
    stages = [each for step in steps for each in step]
    dag = " >> ".join(", ".join(each.name for each in step) for step in steps)
    plan = runs.plan(dag, *stages, files={each.module: "" for each in stages})

    ended = runs.end(runs.start(plan))

    assert ended.phase is Phase.SUCCEEDED
    found = {each.stage: each for each in ended.stages}
    assert set(found) == {each.name for each in stages}
    for before, after in itertools.pairwise(steps):
        last = max(str(found[each.name].finished) for each in before)
        assert all(last <= str(found[each.name].started) for each in after)


def documents() -> dict[str, Manifest]:
    """Compile every feature, and every real file that Tekton takes."""
    plans = {feature: plan_of_feature(feature) for feature in FEATURES}
    plans |= {name: plan_of_file(name) for name in FILES if name not in NOT_VALID}
    good = {
        name: plan for name, plan in plans.items() if not errors_of(TektonBackend().check(plan))
    }
    return {name: compiled(replace(plan, namespace=None), None) for name, plan in good.items()}


@pytest.mark.smoke
def test_the_api_server_takes_and_keeps_every_field(namespace: Space) -> None:
    for name, document in documents().items():
        path = collection(document, namespace.name)
        kept = namespace.cluster.request(
            "POST", path, document, dryRun="All", fieldValidation="Strict"
        )
        assert kept["spec"] == document["spec"], name
