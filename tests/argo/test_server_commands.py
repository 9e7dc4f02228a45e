"""Commands through an Argo Server, by somebody who has no kubeconfig."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bodywork_argo.access import EXECUTOR_ACCOUNT, RELEASE_ACCOUNT, STAGE_ACCOUNT
from bodywork_argo.backend import Served
from bodywork_argo.cli import main
from bodywork_argo.deploy import Planned
from bodywork_argo.errors import UsageError
from bodywork_argo.loader import Loaded
from bodywork_argo.plan import Accounts
from bodywork_argo.schema import parse_project
from bodywork_argo.submission import settle_unseen, unseen
from bodywork_argo_adapters.argo import ArgoBackend
from tests.argo.live_cluster import node, workflow
from tests.files import bodywork_yaml
from tests.kube.api import Api, document
from tests.projects import PINNED, batch, plan_of

TOKEN = "the-token-that-nobody-may-see"
DONE = {"phase": "Succeeded", "nodes": {"n": node("run-1", "one", "Succeeded")}}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    with Api() as server:
        for name, value in {
            "ARGO_SERVER": f"127.0.0.1:{server.port}",
            "ARGO_SECURE": "false",
            "ARGO_TOKEN": TOKEN,
            "ARGO_NAMESPACE": "team",
            "KUBECONFIG": str(tmp_path / "nowhere"),
            "HOME": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        yield server


def planned() -> Planned:
    loaded = Loaded(
        parsed=parse_project(bodywork_yaml()), source=PINNED, notes=(), label="bodywork.yaml"
    )
    return Planned(plan=plan_of("a", batch("a")), loaded=loaded)


def served() -> Served:
    environ = {"ARGO_SERVER": "argo.example", "ARGO_TOKEN": TOKEN}
    found = ArgoBackend(environ=environ).served("team")
    assert found is not None
    return found


def test_a_run_is_looked_at_with_no_kubeconfig(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.will(document(workflow("run-1", "one", **DONE)))

    assert main(["status", "run-1", "-o", "json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["phase"], found["namespace"]) == ("succeeded", "team")
    assert found["where"] == f"http://127.0.0.1:{api.port}/workflows/team/run-1"


def test_the_namespace_option_comes_before_the_variable(api: Api) -> None:
    api.will(document({"metadata": {}, "items": None}))
    assert main(["list", "-n", "other"]) == 0
    assert api.asked[0].path == "/api/v1/workflows/other"


def test_an_option_that_names_a_cluster_means_the_cluster(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "--kubeconfig", "nowhere"]) == 4
    assert api.asked == []
    assert "nowhere" in capsys.readouterr().err


def test_a_token_that_is_not_accepted_ends_with_exit_code_4(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.will(document({"message": TOKEN}, 401, Content_Type="application/json"))

    assert main(["stop", "run-1"]) == 4

    said = capsys.readouterr().err
    assert "does not accept the token in ARGO_TOKEN" in said
    assert TOKEN not in said


RELEASING = Accounts(release=RELEASE_ACCOUNT)


def test_without_a_wish_stages_run_under_the_default_account() -> None:
    settled = settle_unseen(planned(), served())
    assert (settled.plan.namespace, settled.plan.accounts) == ("team", RELEASING)
    assert unseen(settled, served()) == (
        "through the server https://argo.example: rights, accounts, secrets and the pods' way to "
        "the repository are not looked at; stages run as the namespace's default account"
    )


def test_stages_without_a_token_run_under_the_accounts_of_setup() -> None:
    settled = settle_unseen(planned(), served(), require_no_token=True)
    assert settled.plan.accounts == replace(
        RELEASING, stage=STAGE_ACCOUNT, executor=EXECUTOR_ACCOUNT
    )


def test_an_account_of_ones_own_comes_with_its_token() -> None:
    settled = settle_unseen(planned(), served(), service_account="mine")
    assert settled.plan.accounts == replace(RELEASING, stage="mine")
    assert unseen(settled, served()).endswith("stages run as mine")
    with pytest.raises(UsageError, match="brings its token"):
        settle_unseen(planned(), served(), service_account="mine", require_no_token=True)


def test_that_no_group_of_secrets_is_copied_is_told() -> None:
    before = planned()
    parsed = parse_project(bodywork_yaml("a\n  secrets_group: prod"))
    grouped = replace(before, loaded=replace(before.loaded, parsed=parsed))
    assert "no secret of group prod is copied" in unseen(grouped, served())
