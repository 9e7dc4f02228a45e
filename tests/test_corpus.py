"""Real files, as people published them, are planned and compiled. They lie beside a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodywork_argo.errors import Problem, SpecError
from bodywork_argo.manifests import to_yaml
from bodywork_argo.names import LABEL_LIMIT
from bodywork_argo.plan import Plan, to_document
from bodywork_argo.planner import make_plan
from bodywork_argo.schema import parse_project
from bodywork_argo_adapters.local import LocalBackend
from tests.projects import PINNED

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
NOT_VALID = {
    "bad-stages-section.yaml",
    "empty-file.yaml",
    "missing-sections.yaml",
    "no-logging-v1-0.yaml",
    "underscored-name.yaml",
}
SAME_PORT = {
    "five-stages-two-services.yaml",
    "release-candidate-dialect.yaml",
    "rollback-two-services.yaml",
}
FILES = sorted(path.name for path in CORPUS.glob("*.yaml"))

pytestmark = pytest.mark.skipif(not FILES, reason="no corpus of real files beside this checkout")


def plan_of_file(name: str) -> Plan:
    return make_plan(parse_project((CORPUS / name).read_bytes(), name).project, PINNED)


@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_VALID])
def test_a_valid_file_is_planned_with_names_that_kubernetes_takes(name: str) -> None:
    plan = plan_of_file(name)
    names = [plan.name, *(task.name for task in plan.tasks())]
    assert all(len(text) <= LABEL_LIMIT and text.replace("-", "").isalnum() for text in names)
    assert to_document(plan) == to_document(plan_of_file(name))


@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_VALID])
def test_a_valid_file_compiles_for_this_machine_or_says_which_port_is_shared(name: str) -> None:
    plan, backend = plan_of_file(name), LocalBackend()
    errors = [problem for problem in backend.check(plan) if problem.severity == "error"]
    assert bool(errors) == (name in SAME_PORT)
    assert all(port_is_shared(problem) for problem in errors)
    first, second = (to_yaml(backend.compile(plan, "run").documents) for _ in range(2))
    assert first == second


def port_is_shared(problem: Problem) -> bool:
    return "both listen on port 5000" in problem.what


@pytest.mark.parametrize("name", sorted(NOT_VALID))
def test_a_file_that_bodywork_refuses_is_refused(name: str) -> None:
    with pytest.raises(SpecError):
        plan_of_file(name)
