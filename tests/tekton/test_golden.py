"""What Tekton is sent, feature by feature, reviewed like code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bodywork_argo.backend import errors_of
from bodywork_argo.manifests import to_yaml
from bodywork_argo_adapters.tekton import TektonBackend
from tests.tekton.projects import FEATURES, GOLDEN, compiled, for_readers, plan_of_feature


@pytest.mark.parametrize("feature", FEATURES)
def test_documents_are_the_reviewed_ones(
    feature: str, check_golden: Callable[[Path, str], None]
) -> None:
    plan = plan_of_feature(feature)
    assert errors_of(TektonBackend().check(plan)) == ()
    check_golden(GOLDEN / feature / "tekton.yaml", to_yaml([for_readers(compiled(plan))]))
