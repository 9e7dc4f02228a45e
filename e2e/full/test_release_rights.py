"""A release takes exactly the rights of the account that runs release under."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from bodywork_argo.access import RELEASE_ACCOUNT, RELEASE_GRANTS, access_manifests
from bodywork_argo.errors import PipelineFailed
from bodywork_argo.lease import Claim
from bodywork_argo.provision import provision
from bodywork_argo.release import SystemClock
from bodywork_argo.service_removal import remove_pipeline
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS
from e2e.conftest import MakeRepository
from e2e.support.identities import as_account, as_administrator, await_right
from e2e.support.recording import RecordingCluster
from e2e.support.shop import CRASH, Shop, server, stage
from e2e.support.spaces import Space

pytestmark = pytest.mark.full


def test_releases_take_exactly_the_rights_of_their_role(
    namespace: Space, make_git_repository: MakeRepository, tmp_path: Path
) -> None:
    list(provision(as_administrator(namespace), access_manifests(namespace.name, [ARGO_NEEDS])))
    account = as_account(namespace, RELEASE_ACCOUNT, tmp_path)
    await_right(account, "create", "apps", "deployments")
    cluster = RecordingCluster(account)
    shop = Shop(cluster, make_git_repository({}))

    shop.release({"serve.py": server("one")}, stage(ingress=True)).end(well=True)
    with pytest.raises(PipelineFailed):
        shop.release({"serve.py": CRASH}, stage(max_startup_time_seconds=5))
    shop.again("shop-2").end(well=False)
    for number in range(10):
        name = f"serve-{number % 2}"
        shop.release({f"{name}.py": ""}, stage(name, replicas=0)).end(well=True)
    claim = Claim(pipeline="shop", holder="whoever deletes it")
    remove_pipeline(cluster, claim, SystemClock(), lambda _: None)

    granted = {
        (grant.group, resource, verb)
        for grant in RELEASE_GRANTS
        for resource, verb in product(grant.resources, grant.verbs)
    }
    assert cluster.used == granted
