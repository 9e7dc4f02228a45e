"""What Argo is sent, feature by feature, reviewed like code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bodywork_argo.manifests import to_yaml
from bodywork_argo_adapters.argo import ArgoBackend
from tests.argo.projects import (
    FEATURES,
    GOLDEN,
    TIMED,
    compiled,
    compiled_schedule,
    for_readers,
    plan_of_feature,
    scheduled_plan,
)


@pytest.mark.parametrize("feature", FEATURES)
def test_documents_are_the_reviewed_ones(
    feature: str, check_golden: Callable[[Path, str], None]
) -> None:
    plan = plan_of_feature(feature)
    assert ArgoBackend().check(plan) == ()
    check_golden(GOLDEN / feature / "argo.yaml", to_yaml([for_readers(compiled(plan))]))


@pytest.mark.parametrize("feature", TIMED)
def test_schedules_are_the_reviewed_ones(
    feature: str, check_golden: Callable[[Path, str], None]
) -> None:
    assert ArgoBackend().check(scheduled_plan(feature)) == ()
    check_golden(GOLDEN / feature / "argo.yaml", to_yaml([for_readers(compiled_schedule(feature))]))
