"""Real files, as people published them, compile or are refused for their services alone."""

from __future__ import annotations

import pytest

from bodywork_argo.manifests import to_yaml
from bodywork_argo_adapters.argo import ArgoBackend
from tests.test_corpus import FILES, NOT_VALID, plan_of_file

pytestmark = pytest.mark.skipif(not FILES, reason="no corpus of real files beside this checkout")


@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_VALID])
def test_a_valid_file_compiles_or_is_refused_for_its_services(name: str) -> None:
    plan, backend = plan_of_file(name), ArgoBackend()
    errors = [problem for problem in backend.check(plan) if problem.severity == "error"]
    assert len(errors) == any(plan.services())
    assert all(error.key.endswith(".service") for error in errors)
    if not errors:
        first, second = (to_yaml(backend.compile(plan, "run").documents) for _ in range(2))
        assert first == second
