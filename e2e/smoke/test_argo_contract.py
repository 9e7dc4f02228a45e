"""Argo Workflows keeps the promises that every backend makes, on the real engine."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bodywork_argo.backend import Backend, Runtime
from bodywork_argo.kube import connect
from bodywork_argo.plan import Accounts, Pinned, Plan, Source
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.spec import Project
from bodywork_argo.testing import Publish, RuntimeContract
from bodywork_argo_adapters.argo import ArgoBackend
from e2e.conftest import MakeRepository
from e2e.support.pods import RUNNER
from e2e.support.spaces import EXECUTOR_ACCOUNT, STAGE_ACCOUNT, Space

pytestmark = pytest.mark.smoke


class TestArgo(RuntimeContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return ArgoBackend()

    @pytest.fixture
    def runtime(self, backend: Backend, namespace: Space) -> Runtime:
        kubeconfig = str(namespace.cluster.kubeconfig)
        cluster = connect(kubeconfig=kubeconfig, context=None, namespace=namespace.name)
        return backend.runtime(lambda: cluster)

    @pytest.fixture
    def publish(self, make_git_repository: MakeRepository) -> Publish:
        def store(files: Mapping[str, str]) -> Source:
            repository = make_git_repository({})
            commit = repository.commit(files)
            return Source(revision=Pinned(commit=commit), repository=repository.url)

        return store

    def plan_of(self, project: Project, source: Source) -> Plan:
        accounts = Accounts(stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT)
        return make_plan(project, source, PlanOptions(image=RUNNER, accounts=accounts))
