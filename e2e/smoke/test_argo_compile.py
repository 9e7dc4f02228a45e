"""What the Argo backend compiles is valid for Argo's own linter and for a real API server."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bodywork_argo.backend import errors_of
from bodywork_argo.manifests import Manifest, to_yaml
from bodywork_argo_adapters.argo import ArgoBackend
from bodywork_argo_adapters.argo.size import forecast
from e2e.engines.modules import ARGO
from e2e.engines.places import Places
from e2e.support.cluster import collection
from e2e.support.spaces import Space
from tests.argo.projects import FEATURES, TIMED, compiled, compiled_schedule, plan_of_feature
from tests.argo.test_size import plan_of_size
from tests.test_corpus import FILES, NOT_VALID, plan_of_file

pytestmark = pytest.mark.smoke


def documents() -> dict[str, Manifest]:
    """Compile every feature, every real file, and wide pipelines."""
    plans = {feature: plan_of_feature(feature) for feature in FEATURES}
    plans |= {name: plan_of_file(name) for name in FILES if name not in NOT_VALID}
    plans |= {"many-alike": plan_of_size(300, 10), "very-wide": plan_of_size(401, 10, width=400)}
    plans |= {"many-steps": plan_of_size(250, 10, width=1)}
    good = {name: plan for name, plan in plans.items() if not errors_of(ArgoBackend().check(plan))}
    return {name: compiled(replace(plan, namespace=None), None) for name, plan in good.items()}


def schedules() -> dict[str, Manifest]:
    return {feature: compiled_schedule(feature) for feature in TIMED}


def test_argos_own_linter_finds_nothing(own_engines: Places, tmp_path: Path) -> None:
    for name, document in {**documents(), **schedules()}.items():
        (tmp_path / f"{Path(name).stem}.yaml").write_text(to_yaml([document]), encoding="utf-8")
    program = ARGO.built(own_engines) / "bin" / "argo"

    done = subprocess.run(
        [program, "lint", "--offline", "--no-color", tmp_path],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "no linting errors found" in done.stdout


def test_the_api_server_takes_and_keeps_every_field(namespace: Space) -> None:
    for name, document in documents().items():
        path = collection(document, namespace.name)
        kept = namespace.cluster.request(
            "POST", path, document, dryRun="All", fieldValidation="Strict"
        )
        assert kept["spec"] == document["spec"], name
        assert forecast(document).document == pytest.approx(
            len(json.dumps({key: kept[key] for key in document}, separators=(",", ":")))
            - len(json.dumps(kept["metadata"]["managedFields"], separators=(",", ":"))),
            rel=0.02,
        )


def test_the_api_server_takes_and_keeps_every_field_of_schedules(namespace: Space) -> None:
    for name, document in schedules().items():
        path = collection(document, namespace.name)
        kept = namespace.cluster.request(
            "POST", path, document, dryRun="All", fieldValidation="Strict"
        )
        assert kept["spec"] == document["spec"], name
