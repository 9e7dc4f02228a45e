"""Which cluster, as whom, in which namespace."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from bodywork_argo.errors import EngineError
from bodywork_argo.kube import connect
from bodywork_argo.kube.settings import find_settings
from tests.kube.api import Api, document
from tests.kube.conftest import TOKEN, MakeKubeconfig

PLUGIN = """
import json, pathlib, sys
counter = pathlib.Path(sys.argv[1])
number = int(counter.read_text() or 0) + 1 if counter.exists() else 1
counter.write_text(str(number))
status = {"token": f"token-{number}", "expirationTimestamp": "2020-01-01T00:00:00Z"}
kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
print(json.dumps({**kind, "status": status}))
"""


def test_without_any_configuration_it_is_said_what_to_do(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": str(tmp_path / "none")}

    with pytest.raises(EngineError, match=r"no kubeconfig at .*none.* --kubeconfig"):
        connect(kubeconfig=None, context=None, namespace=None, environ=environ)


def test_a_kubeconfig_that_was_asked_for_has_to_be_there(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}

    with pytest.raises(EngineError, match="no kubeconfig at"):
        connect(kubeconfig=str(tmp_path / "none"), context=None, namespace=None, environ=environ)


@pytest.mark.parametrize(
    ("asked", "own", "namespace", "source"),
    [
        ("mine", "theirs", "mine", "as asked for"),
        (None, "theirs", "theirs", "the kubeconfig's context config"),
        (None, "", "default", "Kubernetes' default"),
    ],
)
def test_the_namespace_and_where_it_comes_from(
    make_kubeconfig: MakeKubeconfig, asked: str | None, own: str, namespace: str, source: str
) -> None:
    path = make_kubeconfig(**({"namespace": own} if own else {}))

    cluster = connect(kubeconfig=str(path), context=None, namespace=asked, environ={})

    assert (cluster.namespace, cluster.namespace_from) == (namespace, source)


def test_several_files_are_read_as_one(make_kubeconfig: MakeKubeconfig, tmp_path: Path) -> None:
    files = [make_kubeconfig("one"), tmp_path / "absent", make_kubeconfig("two", namespace="b")]
    environ = {"KUBECONFIG": os.pathsep.join(map(str, files))}

    cluster = connect(kubeconfig=None, context="two", namespace=None, environ=environ)

    assert cluster.namespace_from == "the kubeconfig's context two"


def test_an_unknown_context_is_an_error(make_kubeconfig: MakeKubeconfig) -> None:
    with pytest.raises(EngineError, match="nowhere"):
        connect(kubeconfig=str(make_kubeconfig()), context="nowhere", namespace=None, environ={})


@pytest.mark.parametrize("content", [": : :\n- {", "", "[]", "just text"])
def test_a_broken_kubeconfig_is_an_error_without_its_content(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(f"{content}\n# {TOKEN}")

    with pytest.raises(EngineError) as refused:
        connect(kubeconfig=str(path), context=None, namespace=None, environ={})

    assert TOKEN not in str(refused.value)


def test_a_file_that_the_kubeconfig_names_has_to_be_there(
    make_kubeconfig: MakeKubeconfig,
) -> None:
    user = {"client-certificate": "absent.pem", "client-key": "absent.key"}
    path = make_kubeconfig(user=user, server="https://127.0.0.1:1")

    with pytest.raises(EngineError, match=r"absent\.pem"):
        connect(kubeconfig=str(path), context=None, namespace=None, environ={})


def test_a_login_program_is_run_again_when_its_token_has_expired(
    api: Api, make_kubeconfig: MakeKubeconfig, tmp_path: Path
) -> None:
    program = tmp_path / "login.py"
    program.write_text(PLUGIN)
    run = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(program), str(tmp_path / "counter")],
        "interactiveMode": "Never",
    }
    api.will(document({"gitVersion": "v1.35.4"}))
    path = make_kubeconfig(user={"exec": run})
    cluster = connect(kubeconfig=str(path), context=None, namespace=None, environ={})

    cluster.version()
    cluster.version()

    first, second = [asked.headers["authorization"] for asked in api.asked]
    assert first.startswith("Bearer token-")
    assert int(second.rpartition("-")[2]) > int(first.rpartition("-")[2])


def test_in_a_pod_its_own_account_is_used(tmp_path: Path) -> None:
    for name, content in {"token": TOKEN, "ca.crt": "x", "namespace": "home"}.items():
        (tmp_path / name).write_text(content)
    environ = {
        "KUBECONFIG": str(tmp_path / "none"),
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
    }

    settings = find_settings(None, None, None, environ, account=tmp_path)

    assert settings.configuration.host == "https://10.96.0.1:443"
    assert (settings.namespace, settings.namespace_from) == ("home", "the pod that this runs in")


def test_the_token_of_a_kubeconfig_is_sent(api: Api, make_kubeconfig: MakeKubeconfig) -> None:
    api.will(document({"gitVersion": "v1.35.4"}))
    path = make_kubeconfig()

    connect(kubeconfig=str(path), context=None, namespace=None, environ={}).version()

    assert api.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN in json.loads(path.read_text())["users"][0]["user"]["token"]
