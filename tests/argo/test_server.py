"""Variables name the Argo Server as they do for Argo's own command line."""

from __future__ import annotations

import pytest

from bodywork_argo.backend import Compiled, RunRef
from bodywork_argo.errors import EngineError
from bodywork_argo_adapters.argo import ArgoBackend
from bodywork_argo_adapters.argo.server import find_server
from bodywork_argo_adapters.argo.watching import WORKFLOW
from bodywork_argo_adapters.argo.workflows import INSTANCE_LABEL
from tests.argo.live_cluster import LiveCluster, workflow

RUN = RunRef(backend="argo", name="run-1", namespace="team")


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({"ARGO_SERVER": "argo.example:443"}, "https://argo.example:443"),
        ({"ARGO_SERVER": "localhost:2746", "ARGO_SECURE": "false"}, "http://localhost:2746"),
        ({"ARGO_SERVER": "a:1", "ARGO_SECURE": "true"}, "https://a:1"),
        ({"ARGO_SERVER": "a:1", "ARGO_BASE_HREF": "argo"}, "https://a:1/argo"),
        ({"ARGO_SERVER": "a:1", "ARGO_BASE_HREF": "/team/argo/"}, "https://a:1/team/argo"),
        ({"ARGO_SERVER": "http://a:1/"}, "http://a:1"),
        ({"ARGO_SERVER": "https://a", "ARGO_SECURE": "false"}, "https://a"),
        ({"ARGO_SERVER": "a:1", "ARGO_HTTP1": "true"}, "https://a:1"),
    ],
)
def test_the_address_is_made_of_host_scheme_and_base(environ: dict[str, str], address: str) -> None:
    server = find_server(environ)
    assert server is not None
    assert server.address == address


@pytest.mark.parametrize("environ", [{}, {"ARGO_SERVER": ""}, {"ARGO_TOKEN": "Bearer x"}])
def test_without_an_address_there_is_no_server(environ: dict[str, str]) -> None:
    assert find_server(environ) is None


@pytest.mark.parametrize(
    ("token", "header"),
    [
        ("abc", "Bearer abc"),
        ("Bearer abc", "Bearer abc"),
        ("Bearer v2:abc", "Bearer v2:abc"),
        ("  Bearer   abc\n", "Bearer abc"),
        ("Basic dTpw", "Basic dTpw"),
        ("", ""),
        (" ", ""),
    ],
)
def test_the_word_bearer_may_be_left_out(token: str, header: str) -> None:
    server = find_server({"ARGO_SERVER": "a:1", "ARGO_TOKEN": token})
    assert server is not None
    assert server.authorization == header


def test_the_certificate_is_checked_unless_somebody_says_otherwise() -> None:
    asked = {"ARGO_SERVER": "a:1", "ARGO_INSECURE_SKIP_VERIFY": "true"}
    careful, careless = find_server({"ARGO_SERVER": "a:1"}), find_server(asked)
    assert careful is not None
    assert careful.verify
    assert careless is not None
    assert not careless.verify


def test_a_server_does_not_show_its_token() -> None:
    assert "abc" not in repr(find_server({"ARGO_SERVER": "a:1", "ARGO_TOKEN": "abc"}))


def test_without_a_token_the_server_is_where_people_see_runs_and_no_more() -> None:
    cluster = LiveCluster()
    cluster.create(workflow("run-1", "one"))
    backend = ArgoBackend(environ={"ARGO_SERVER": "argo.example", "ARGO_BASE_HREF": "argo"})

    assert backend.served("team") is None
    where = backend.runtime(lambda: cluster).status(RUN).ref.where
    assert where == "https://argo.example/argo/workflows/team/run-1"


def test_the_namespace_is_the_one_given_before_that_of_the_variable() -> None:
    environ = {"ARGO_SERVER": "a:1", "ARGO_TOKEN": "abc", "ARGO_NAMESPACE": "mine"}
    served = [ArgoBackend(environ=environ).served(given) for given in ("team", None)]
    assert [each.namespace for each in served if each] == ["team", "mine"]


def test_without_any_namespace_there_is_no_connection() -> None:
    environ = {"ARGO_SERVER": "a:1", "ARGO_TOKEN": "abc"}
    with pytest.raises(EngineError, match="give --namespace, or set ARGO_NAMESPACE"):
        ArgoBackend(environ=environ).served(None)


def test_through_the_server_no_cluster_is_asked() -> None:
    environ = {"ARGO_SERVER": "a:1", "ARGO_TOKEN": "abc"}
    served = ArgoBackend(environ=environ).served("team")
    assert served is not None
    assert (served.address, served.runtime.attached) == ("https://a:1", False)


def test_new_runs_carry_the_controllers_name_where_there_are_several() -> None:
    cluster = LiveCluster()
    backend = ArgoBackend(environ={"ARGO_INSTANCEID": "second"})

    compiled = Compiled(backend="argo", run_name="run-1", documents=(workflow("run-1", "one"),))
    backend.runtime(lambda: cluster).submit(compiled)

    (stored,) = cluster.list(WORKFLOW, {INSTANCE_LABEL: "second"})
    assert stored["metadata"]["name"] == "run-1"
