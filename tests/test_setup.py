"""`setup` as it is called, where it needs no cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bodywork_argo.access import access_manifests, parse_subject
from bodywork_argo.cli import main
from bodywork_argo_adapters.argo.needs import ARGO_NEEDS

Call = Callable[..., tuple[int, str, str]]
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: work
clusters: [{name: work, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {token: "none"}}]
contexts: [{name: work, context: {cluster: work, user: me, namespace: from-context}}]
"""


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def run(*argv: str) -> tuple[int, str, str]:
        code = main(["setup", *argv])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def test_it_prints_what_access_manifests_makes(call: Call) -> None:
    code, out, _ = call(
        "--namespace", "team", "--bind", "Group:data", "--bind", "User:ana", "--secret-groups"
    )

    subjects = [parse_subject("Group:data"), parse_subject("User:ana")]
    expected = access_manifests("team", [ARGO_NEEDS], subjects=subjects, secret_groups=True)
    assert code == 0
    assert tuple(yaml.safe_load_all(out)) == expected


def test_printing_asks_no_cluster_for_the_namespace_of_the_context(
    call: Call, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)

    code, out, _ = call("--kubeconfig", str(kubeconfig))

    assert code == 0
    assert next(yaml.safe_load_all(out))["metadata"]["namespace"] == "from-context"


def test_a_namespace_is_printed_only_when_asked_for(call: Call) -> None:
    _, plain, _ = call("--namespace", "team")
    _, asked, _ = call("--namespace", "team", "--create-namespace")

    assert "Namespace" not in {each["kind"] for each in yaml.safe_load_all(plain)}
    assert next(yaml.safe_load_all(asked))["kind"] == "Namespace"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--dry-run"], "--dry-run needs --apply"),
        (["--bind", "ana"], "'ana' names nobody; write User:NAME"),
        (["--backend", "local"], "the backend local runs in no cluster"),
        (["--namespace", "Team_1"], "no namespace is called 'Team_1'"),
    ],
)
def test_wrong_words_are_refused(call: Call, argv: list[str], told: str) -> None:
    code, out, err = call("--namespace", "team", *argv)

    assert (code, out) == (2, "")
    assert told in err
