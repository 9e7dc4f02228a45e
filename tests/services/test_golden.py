"""What a cluster is sent of services, feature by feature, reviewed like code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bodywork_argo.manifests import to_yaml
from tests.services.projects import FEATURES, GOLDEN, for_readers, objects_of, plan_of_feature


@pytest.mark.parametrize("feature", FEATURES)
def test_objects_are_the_reviewed_ones(
    feature: str, check_golden: Callable[[Path, str], None]
) -> None:
    documents = [for_readers(each) for each in objects_of(plan_of_feature(feature))]
    check_golden(GOLDEN / feature / "objects.yaml", to_yaml(documents))
