"""A pipeline is told alike wherever it runs: here really, on Argo as it was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from bodywork_argo.backend import RunStatus
from bodywork_argo.plan import Pinned, Plan, Source
from bodywork_argo.spec import BatchStage, RunOptions
from bodywork_argo.testing import Publish
from bodywork_argo_adapters.local import LocalBackend
from bodywork_argo_adapters.local.runtime import LocalRuntime
from tests.argo.recorded import recorded
from tests.projects import batch, plan_of

SLEEPS = "import time; print('up', flush=True); time.sleep(100)"
NO_COMMIT = "0" * 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What the recorded run of the same name was made of; modules without code are empty."""

    dag: str
    stages: tuple[BatchStage, ...]
    code: dict[str, str]
    tell: bool = False
    change: Callable[[Plan], Plan] = lambda plan: plan
    end: str = ""
    """How somebody ends it once its first stage runs."""

    def plan(self, source: Source) -> Plan:
        stages = (*self.stages, batch("tell", module="tell.py")) if self.tell else self.stages
        on_failure = "tell" if self.tell else None
        return self.change(plan_of(self.dag, *stages, on_failure=on_failure, source=source))


def module(name: str, *, limit: int = 60, retries: int = 0, path: str = "") -> BatchStage:
    return batch(name, module=path or f"{name}.py", limit=limit, retries=retries)


def limited(plan: Plan) -> Plan:
    return replace(plan, run=RunOptions(run_timeout_seconds=10))


def of_no_commit(plan: Plan) -> Plan:
    return replace(plan, source=replace(plan.source, revision=Pinned(commit=NO_COMMIT)))


A, B = module("a"), module("b")
PACKAGE = batch("a", module="a.py", requirements=("there-is-no-such-package==1",))
PIPELINES = {
    "succeeded": Pipeline(dag="a >> b", stages=(A, B), code={}, tell=True),
    "failed": Pipeline(
        dag="a, good >> later",
        stages=(module("a", retries=1), module("good"), module("later")),
        code={"a": "raise SystemExit(3)"},
        tell=True,
    ),
    "failed-twice": Pipeline(
        dag="slow, quick",
        stages=(module("slow"), module("quick")),
        code={"slow": "import time; time.sleep(2); raise SystemExit(4)", "quick": "exit(5)"},
        tell=True,
    ),
    "failure-stage-failed": Pipeline(
        dag="a", stages=(A,), code={"a": "exit(2)", "tell": "exit(9)"}, tell=True
    ),
    "time-limit": Pipeline(dag="a", stages=(module("a", limit=1),), code={"a": SLEEPS}),
    "run-time-limit": Pipeline(
        dag="a >> b", stages=(A, B), code={"a": SLEEPS}, tell=True, change=limited
    ),
    "failed-install": Pipeline(dag="a", stages=(PACKAGE,), code={}),
    "failed-clone": Pipeline(dag="a", stages=(A,), code={}, change=of_no_commit),
    "no-module": Pipeline(dag="a", stages=(module("a", path="no/such.py"),), code={}),
    "killed": Pipeline(dag="a", stages=(A,), code={"a": "import os; os.kill(os.getpid(), 9)"}),
    "stopped": Pipeline(dag="a >> b", stages=(A, B), code={"a": SLEEPS}, tell=True, end="stop"),
    "terminated": Pipeline(
        dag="a >> b", stages=(A, B), code={"a": SLEEPS}, tell=True, end="terminate"
    ),
}


def told(status: RunStatus, repository: str) -> str:
    """Return all that people read of a run's end, without what is another in each."""
    rows = [f"{status.phase.value}: {status.reason}"]
    for each in status.stages:
        where = (each.stage, each.phase.value, each.attempt, each.exit_code)
        rows.append(f"{where}: {each.reason}")
    text = "\n".join(rows).replace(repository, "REPOSITORY")
    return text if status.commit is None else text.replace(status.commit, "COMMIT")


@pytest.mark.parametrize("name", PIPELINES)
def test_every_backend_tells_the_same_end_in_the_same_words(
    name: str, make_runtime: Callable[..., LocalRuntime], publish: Publish
) -> None:
    pipeline = PIPELINES[name]
    runtime = make_runtime({"PIP_NO_INDEX": "1"})
    files = [stage.name for stage in pipeline.stages] + ["tell"]
    source = publish({f"{file}.py": pipeline.code.get(file, "") for file in files})
    compiled = LocalBackend().compile(pipeline.plan(source), "run-1")

    ref = runtime.submit(compiled)
    if pipeline.end:
        next(runtime.logs(ref, follow=True))
        (runtime.stop if pipeline.end == "stop" else runtime.terminate)(ref)
    *_, here = runtime.watch(ref)

    on_argo = recorded(name).status()
    assert told(here, source.repository or "") == told(on_argo, "https://git.example/team/repo.git")
