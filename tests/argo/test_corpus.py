"""Real files, as people published them, compile."""

from __future__ import annotations

import pytest

from bodywork_argo.manifests import to_yaml
from bodywork_argo_adapters.argo import ArgoBackend
from tests.test_corpus import FILES, NOT_VALID, plan_of_file

pytestmark = pytest.mark.skipif(not FILES, reason="no corpus of real files beside this checkout")


@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_VALID])
def test_a_valid_file_compiles_to_the_same_bytes_each_time(name: str) -> None:
    plan, backend = plan_of_file(name), ArgoBackend()
    assert [problem for problem in backend.check(plan) if problem.severity == "error"] == []
    first, second = (to_yaml(backend.compile(plan, "run").documents) for _ in range(2))
    assert first == second
