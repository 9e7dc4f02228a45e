"""What runs on Tekton need in a test's namespace beside what Argo's do."""

from __future__ import annotations

from bodywork_argo_adapters.tekton import TektonBackend
from e2e.support.spaces import EXECUTOR_ACCOUNT, Space, binding, role


def let_executor_look(space: Space) -> None:
    """Give the engine's account the rights that the backend asks for."""
    rules = [
        {"apiGroups": [each.group], "resources": [*each.resources], "verbs": [*each.verbs]}
        for each in TektonBackend.needs.executor
    ]
    space.create(role("tekton-executor", rules))
    account = {"kind": "ServiceAccount", "name": EXECUTOR_ACCOUNT}
    space.create(binding("tekton-executor", account))
