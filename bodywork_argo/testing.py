"""For authors of backends: the promises of `bodywork_argo.backend` as tests.

Subclass `CompileContract` and `RuntimeContract` in a pytest module and provide the fixtures that
their methods name: ``backend`` (a `Backend`), ``runtime`` (a `Runtime` of it) and ``publish``
(stores files in a Git repository that the engine reaches and returns the `Source` of that commit).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import yaml

from bodywork_argo.backend import (
    Backend,
    Phase,
    RunRef,
    RunStatus,
    Runtime,
    errors_of,
)
from bodywork_argo.cluster import Cluster
from bodywork_argo.dag import parse_dag
from bodywork_argo.errors import EngineError
from bodywork_argo.manifests import to_yaml
from bodywork_argo.names import dns_label
from bodywork_argo.plan import Pinned, Plan, Source
from bodywork_argo.planner import make_plan
from bodywork_argo.spec import BatchStage, Dialect, Project

Publish: TypeAlias = Callable[[Mapping[str, str]], Source]
"""Files by their path -> where the commit that holds them is found."""

_COMMIT = "0123456789abcdef0123456789abcdef01234567"


def batch_stage(
    name: str, *, args: tuple[str, ...] = (), limit: int = 60, retries: int = 0
) -> BatchStage:
    """Return a small batch stage whose module is ``NAME.py``."""
    return BatchStage(
        name=name,
        module=f"{name}.py",
        args=args,
        max_completion_time_seconds=limit,
        retries=retries,
    )


def batch_project(dag: str, *stages: BatchStage, on_failure: str | None = None) -> Project:
    """Return a project of batch stages."""
    return Project(
        name="contract",
        dialect=Dialect.V1_1,
        docker_image="python:3.12-slim",
        dag=parse_dag(dag),
        stages=stages,
        log_level="INFO",
        run_on_failure=on_failure,
    )


class CompileContract:
    """What holds for the pure half of every backend."""

    def plan(self) -> Plan:
        """Return a plan with barriers, awkward text and a failure stage."""
        stages = (
            batch_stage("first", args=("{{workflow.name}}", "$(PATH)", "$$HOME", "a\nb", "é")),
            batch_stage("left", retries=2),
            batch_stage("right", limit=0),
            batch_stage("tell"),
        )
        project = batch_project("first >> left, right", *stages, on_failure="tell")
        return make_plan(
            project, Source(revision=Pinned(commit=_COMMIT), repository="https://git.example/r")
        )

    def test_the_name_can_be_part_of_object_names(self, backend: Backend) -> None:
        """Tables, labels and options carry it."""
        assert dns_label(backend.name) == backend.name

    def test_a_plain_plan_is_supported(self, backend: Backend) -> None:
        """Batch stages, barriers, retries, limits and a failure stage are the least."""
        assert errors_of(backend.check(self.plan())) == ()

    def test_compiling_twice_gives_the_same_bytes(self, backend: Backend) -> None:
        """Compile is pure."""
        first, second = (backend.compile(self.plan(), "run-1") for _ in range(2))
        assert to_yaml(first.documents) == to_yaml(second.documents)

    def test_the_documents_come_back_the_same_from_yaml(self, backend: Backend) -> None:
        """What is printed is what is sent."""
        documents = backend.compile(self.plan(), "run-1").documents
        assert tuple(yaml.safe_load_all(to_yaml(documents))) == documents

    def test_a_run_name_is_the_name_of_a_document(self, backend: Backend) -> None:
        """It makes sending idempotent."""
        compiled = backend.compile(self.plan(), "run-1")
        assert compiled.run_name == "run-1"
        assert "run-1" in [document["metadata"].get("name") for document in compiled.documents]

    def test_without_a_run_name_the_engine_makes_one(self, backend: Backend) -> None:
        """It begins with the pipeline's name."""
        compiled = backend.compile(self.plan(), None)
        assert compiled.run_name is None
        assert "contract-" in [
            document["metadata"].get("generateName") for document in compiled.documents
        ]

    def test_no_user_text_that_engines_substitute_is_in_a_document(self, backend: Backend) -> None:
        """Argo, the kubelet and Tekton would change it."""
        text = to_yaml(backend.compile(self.plan(), "run-1").documents)
        assert not any(mark in text for mark in ("{{workflow.name}}", "$(PATH)", "$$HOME"))

    def test_connecting_contacts_nothing(self, backend: Backend) -> None:
        """A cluster is asked for when it is used."""

        def unreachable() -> Cluster:
            raise AssertionError("contacted")

        assert backend.runtime(unreachable) is not None


class RuntimeContract:
    """What holds for the running half of every backend, on its real engine."""

    def plan_of(self, project: Project, source: Source) -> Plan:
        """Return the plan of a project; override it where images or accounts are others."""
        return make_plan(project, source)

    def test_a_good_run_ends_with_all_stages_succeeded(
        self, backend: Backend, runtime: Runtime, publish: Publish
    ) -> None:
        """Status, list, watch and logs agree; after delete the run is unknown."""
        source = publish({"a.py": "print('said by a')", "b.py": "print('said by b')"})
        project = batch_project("a >> b", batch_stage("a"), batch_stage("b"))
        ref = runtime.submit(backend.compile(self.plan_of(project, source), "contract-good"))
        last = _watch_to_the_end(runtime, ref)
        assert last.phase is Phase.SUCCEEDED
        assert [(s.stage, s.phase, s.attempt) for s in last.stages] == [
            ("a", Phase.SUCCEEDED, 1),
            ("b", Phase.SUCCEEDED, 1),
        ]
        assert runtime.status(ref) == last
        assert [s.ref for s in runtime.list("contract")] == [ref]
        assert runtime.list("another") == ()
        assert _said(runtime, ref, "b") == {"b": b"said by b\n"}
        assert _said(runtime, ref, None) == {"a": b"said by a\n", "b": b"said by b\n"}
        runtime.delete(ref)
        assert runtime.list() == ()
        _expect_engine_error(lambda: runtime.status(ref))

    def test_a_failed_stage_stops_the_later_steps_and_is_told(
        self, backend: Backend, runtime: Runtime, publish: Publish
    ) -> None:
        """Siblings finish; the failure stage runs once and knows which stage and code."""
        source = publish(
            {
                "bad.py": "raise SystemExit(3)",
                "slow.py": "import time; time.sleep(1); print('finished')",
                "later.py": "print('never')",
                "tell.py": "import os; print(os.environ['EXCEPTION_MESSAGE'])",
            }
        )
        stages = [batch_stage(name) for name in ("bad", "slow", "later", "tell")]
        project = batch_project("bad, slow >> later", *stages, on_failure="tell")
        ref = runtime.submit(backend.compile(self.plan_of(project, source), "contract-bad"))
        last = _watch_to_the_end(runtime, ref)
        assert last.phase is Phase.FAILED
        assert "bad" in last.reason
        assert {s.stage: s.phase for s in last.stages} == {
            "bad": Phase.FAILED,
            "slow": Phase.SUCCEEDED,
            "later": Phase.SKIPPED,
            "tell": Phase.SUCCEEDED,
        }
        assert next(s.exit_code for s in last.stages if s.stage == "bad") == 3
        assert _said(runtime, ref, "tell")["tell"] == b"1 stage failed: bad\nbad: exit code 3\n"

    def test_retries_are_further_attempts(
        self, backend: Backend, runtime: Runtime, publish: Publish
    ) -> None:
        """With two retries a stage has three attempts, each in a fresh checkout."""
        source = publish({"bad.py": "import os; print(os.listdir()); raise SystemExit(1)"})
        project = batch_project("bad", batch_stage("bad", retries=2))
        ref = runtime.submit(backend.compile(self.plan_of(project, source), "contract-retry"))
        last = _watch_to_the_end(runtime, ref)
        assert [(s.phase, s.attempt) for s in last.stages] == [(Phase.FAILED, 3)]
        attempts = [piece.attempt for piece in runtime.logs(ref)]
        assert sorted(set(attempts)) == [1, 2, 3]

    def test_a_module_over_its_time_limit_fails_with_the_reason(
        self, backend: Backend, runtime: Runtime, publish: Publish
    ) -> None:
        """The limit is the module's own."""
        source = publish({"slow.py": "import time; time.sleep(60)"})
        project = batch_project("slow", batch_stage("slow", limit=1))
        ref = runtime.submit(backend.compile(self.plan_of(project, source), "contract-limit"))
        last = _watch_to_the_end(runtime, ref)
        assert [s.phase for s in last.stages] == [Phase.FAILED]
        assert "time limit of 1 s exceeded" in last.stages[0].reason

    def test_stop_runs_the_failure_stage_and_terminate_does_not(
        self, backend: Backend, runtime: Runtime, publish: Publish
    ) -> None:
        """Both end the stages that run."""
        source = publish(
            {"slow.py": "import time; print('up'); time.sleep(60)", "tell.py": "print('told')"}
        )
        stages = (batch_stage("slow"), batch_stage("tell"))
        plan = self.plan_of(batch_project("slow", *stages, on_failure="tell"), source)
        for end, tell in ((runtime.stop, Phase.SUCCEEDED), (runtime.terminate, Phase.SKIPPED)):
            ref = runtime.submit(backend.compile(plan, f"contract-{end.__name__}"))
            next(piece for piece in runtime.logs(ref, "slow", follow=True))
            end(ref)
            last = _watch_to_the_end(runtime, ref)
            assert last.phase is Phase.STOPPED
            assert {s.stage: s.phase for s in last.stages} == {"slow": Phase.STOPPED, "tell": tell}
            end(ref)  # of a run that has ended changes nothing
            assert runtime.status(ref) == last

    def test_sending_the_same_documents_twice_is_one_run(
        self, backend: Backend, runtime: Runtime, publish: Publish
    ) -> None:
        """Other documents of the same name are refused."""
        source = publish({"a.py": "", "b.py": ""})
        one = self.plan_of(batch_project("a", batch_stage("a")), source)
        other = self.plan_of(batch_project("b", batch_stage("b")), source)
        ref = runtime.submit(backend.compile(one, "contract-same"))
        assert runtime.submit(backend.compile(one, "contract-same")) == ref
        _expect_engine_error(lambda: runtime.submit(backend.compile(other, "contract-same")))
        assert _watch_to_the_end(runtime, ref).phase is Phase.SUCCEEDED
        assert len(runtime.list()) == 1

    def test_an_unknown_run_is_an_engine_error(self, backend: Backend, runtime: Runtime) -> None:
        """Whatever is asked of it."""
        ref = RunRef(backend=backend.name, name="no-such-run")
        for ask in (runtime.status, runtime.stop, runtime.terminate, runtime.delete):
            _expect_engine_error(lambda ask=ask: ask(ref))  # type: ignore[misc]
        _expect_engine_error(lambda: list(runtime.logs(ref)))
        _expect_engine_error(lambda: list(runtime.watch(ref)))


def _watch_to_the_end(runtime: Runtime, ref: RunRef) -> RunStatus:
    *_, last = runtime.watch(ref)
    assert last.phase.final
    return last


def _said(runtime: Runtime, ref: RunRef, stage: str | None) -> dict[str, bytes]:
    said: dict[str, bytes] = {}
    for piece in runtime.logs(ref, stage):
        said[piece.stage] = said.get(piece.stage, b"") + piece.data
    return said


def _expect_engine_error(call: Callable[[], object]) -> None:
    try:
        call()
    except EngineError:
        return
    raise AssertionError("no EngineError was raised")
