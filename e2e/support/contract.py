"""The contract of a runtime, with repositories and accounts of the test cluster."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bodywork_argo.plan import Accounts, Pinned, Plan, Source
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.spec import Project
from bodywork_argo.testing import Publish, RuntimeContract
from e2e.conftest import MakeRepository
from e2e.support.pods import RUNNER
from e2e.support.spaces import EXECUTOR_ACCOUNT, STAGE_ACCOUNT


class ContractInCluster(RuntimeContract):
    """What every engine of the test cluster promises, however it is reached."""

    @pytest.fixture
    def publish(self, make_git_repository: MakeRepository) -> Publish:
        """Make a repository that pods can fetch."""

        def store(files: Mapping[str, str]) -> Source:
            repository = make_git_repository({})
            commit = repository.commit(files)
            return Source(revision=Pinned(commit=commit), repository=repository.url)

        return store

    def plan_of(self, project: Project, source: Source) -> Plan:
        """Plan for the accounts of a `Space`."""
        accounts = Accounts(stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT)
        return make_plan(project, source, PlanOptions(image=RUNNER, accounts=accounts))
