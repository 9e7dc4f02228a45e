"""The search for leaked secrets finds what was planted; without that it would prove nothing."""

from __future__ import annotations

import base64

import pytest

from e2e.support.leaks import LeakScan, planted
from e2e.support.pods import pod
from e2e.support.spaces import Space

pytestmark = pytest.mark.smoke

ANNOTATION = "example.org/note"


@pytest.mark.plants_openly
def test_a_planted_secret_is_found_wherever_it_lies(namespace: Space, leaks: LeakScan) -> None:
    value = planted()
    encoded = base64.b64encode(f"token: {value}\n".encode()).decode()
    config_map = {"apiVersion": "v1", "kind": "ConfigMap"}
    annotated = {"name": "annotated", "annotations": {ANNOTATION: encoded}}
    namespace.create({**config_map, "metadata": {"name": "plain"}, "data": {"key": value}})
    namespace.create({**config_map, "metadata": annotated})
    namespace.create(pod("speaks", ["sh", "-c", f"echo {value[:8]}''{value[8:]}"]))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "where-it-belongs"}}
    namespace.create({**secret, "stringData": {"key": value}})
    namespace.finished_pod("speaks")

    found = leaks.namespace(namespace.name)

    assert sorted(found) == ["configmaps annotated", "configmaps plain", "log of speaks/main"]


def test_every_kind_of_object_but_secrets_is_searched(leaks: LeakScan) -> None:
    plurals = {each.split()[1] for each in leaks.collections}

    assert plurals >= {"configmaps", "events", "pods", "deployments", "workflows", "pipelineruns"}
    assert "secrets" not in plurals
