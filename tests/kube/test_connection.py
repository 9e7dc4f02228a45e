"""Requests to a server that is busy, restarts, refuses or is none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bodywork_argo.cluster import Resource
from bodywork_argo.errors import AlreadyExists, EngineError, Forbidden, Unreachable
from bodywork_argo.kube import KubeCluster
from tests.cluster_contract import CONFIG_MAP, SECRET, config_map
from tests.kube.api import (
    Answer,
    Api,
    Asked,
    Handler,
    SkippedTime,
    chunks,
    cut,
    document,
    refusal,
    reset,
    text,
)
from tests.kube.conftest import TOKEN

FOUND = document({**config_map("one"), "unknown": {"to": ["us"]}})
RBAC = 'configmaps "one" is forbidden: User "{user}" cannot get resource "configmaps" in API group'
ETCD = "etcdserver: leader changed"
GENERATED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}}


@pytest.mark.parametrize(
    "failure",
    [
        reset,
        chunks(b'{"kind":', end=cut),
        refusal(429, "TooManyRequests"),
        refusal(500, "InternalError", ETCD),
        refusal(500, "ServerTimeout"),
        text(b"<html>internal server error</html>", 500),
        text(b"<html>bad gateway</html>", 502),
        refusal(503, "ServiceUnavailable"),
        refusal(504, "Timeout"),
    ],
)
def test_what_may_pass_is_asked_again(api: Api, target: KubeCluster, failure: Answer) -> None:
    api.will(failure, failure, FOUND)

    found = target.get(CONFIG_MAP, "one")

    assert found is not None
    assert found["unknown"] == {"to": ["us"]}
    assert len(api.asked) == 3


def test_the_wait_is_as_long_as_the_server_asks(
    api: Api, target: KubeCluster, skipped: SkippedTime
) -> None:
    api.will(refusal(429, "TooManyRequests", Retry_After="7"), FOUND)

    target.get(CONFIG_MAP, "one")

    assert skipped.slept == [7.0]


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (refusal(400, "BadRequest", "the body is off"), EngineError, "the body is off"),
        (refusal(401, "Unauthorized"), Forbidden, "log in to the cluster again"),
        (refusal(403, "Forbidden", RBAC.format(user="jo")), Forbidden, "jo may not list conf"),
        (refusal(403, "Forbidden", "exceeded quota: a"), EngineError, "exceeded quota: a"),
        (refusal(404, "NotFound", "no such thing"), EngineError, "no such thing"),
        (refusal(409, "Conflict", "changed meanwhile"), EngineError, "changed meanwhile"),
        (refusal(422, "Invalid", "spec.x: wrong"), EngineError, "spec.x: wrong"),
        (refusal(500, "InternalError", "a bug"), EngineError, "a bug"),
        (text(b"<html>Log in</html>"), Unreachable, "does not answer as a Kubernetes API"),
        (text(b"[]"), Unreachable, "does not answer as a Kubernetes API"),
        (text(b"", 302, Location="/login"), Unreachable, "HTTP 302"),
    ],
)
def test_what_does_not_pass_is_said_at_once(
    api: Api, target: KubeCluster, answer: Answer, error: type[EngineError], said: str
) -> None:
    api.will(answer)

    with pytest.raises(error, match=said):
        target.list(CONFIG_MAP, {})

    assert len(api.asked) == 1


def test_a_refusal_that_is_about_no_right_is_not_forbidden(api: Api, target: KubeCluster) -> None:
    api.will(refusal(403, "Forbidden", "exceeded quota: a"))

    with pytest.raises(EngineError) as refused:
        target.create(config_map("one"))

    assert not isinstance(refused.value, Forbidden)


def test_who_has_no_credentials_is_told_so(api: Api, target: KubeCluster) -> None:
    api.will(refusal(403, "Forbidden", RBAC.format(user="system:anonymous")))

    with pytest.raises(Forbidden, match="without credentials"):
        target.get(CONFIG_MAP, "one")


def test_an_existing_object_is_told_apart(api: Api, target: KubeCluster) -> None:
    api.will(refusal(409, "AlreadyExists", "it exists"))

    with pytest.raises(AlreadyExists, match="configmaps one in namespace space"):
        target.create(config_map("one"))


def test_a_server_that_restarts_is_waited_for(
    api: Api, target: KubeCluster, skipped: SkippedTime
) -> None:
    api.will(FOUND)
    target.get(CONFIG_MAP, "one")
    api.stop()

    with pytest.raises(Unreachable, match="can't be reached: Connection refused"):
        target.get(CONFIG_MAP, "one")

    assert 85 < sum(skipped.slept) < 105


def test_a_server_that_never_answered_is_waited_for_less(
    api: Api, target: KubeCluster, skipped: SkippedTime
) -> None:
    api.stop()

    with pytest.raises(Unreachable):
        target.version()

    assert 15 < sum(skipped.slept) < 30


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_just_restarted_may_not_know_us_yet(
    api: Api, target: KubeCluster, status: int
) -> None:
    unknown = refusal(status, "Forbidden", RBAC.format(user="jo"))
    api.will(reset, unknown, unknown, FOUND)

    assert target.get(CONFIG_MAP, "one") is not None


def test_a_create_is_sent_again_under_its_name(api: Api, target: KubeCluster) -> None:
    api.will(reset, refusal(409, "AlreadyExists"))

    with pytest.raises(AlreadyExists):
        target.create(config_map("one"))


def test_a_create_without_a_name_is_not_sent_twice(api: Api, target: KubeCluster) -> None:
    api.will(reset, FOUND)

    with pytest.raises(Unreachable, match=r"the connection to .* was lost"):
        target.create(GENERATED)

    assert len(api.asked) == 1


def test_a_create_without_a_name_is_sent_again_when_it_was_not_taken(
    api: Api, target: KubeCluster
) -> None:
    api.will(refusal(429, "TooManyRequests"), FOUND)

    assert target.create(GENERATED)["metadata"]["name"] == "one"


def test_a_delete_takes_dependents_along(api: Api, target: KubeCluster) -> None:
    api.will(document({"kind": "Status", "status": "Success"}))

    assert target.delete(CONFIG_MAP, "one") is True

    (asked,) = api.asked
    assert (asked.method, asked.path) == ("DELETE", "/api/v1/namespaces/space/configmaps/one")
    assert asked.body["propagationPolicy"] == "Background"


def test_a_delete_of_what_was_read_names_it_and_is_not_done_when_it_has_changed(
    api: Api, target: KubeCluster
) -> None:
    read = {"metadata": {"name": "one", "uid": "u-1", "resourceVersion": "7", "labels": {}}}
    api.will(refusal(409, "Conflict"))

    assert target.delete(CONFIG_MAP, "one", only=read) is False

    (asked,) = api.asked
    assert asked.body["preconditions"] == {"uid": "u-1", "resourceVersion": "7"}


def test_selectors_are_written_as_the_api_reads_them(api: Api, target: KubeCluster) -> None:
    api.will(document({"metadata": {}, "items": []}))

    target.list(CONFIG_MAP, {"a/b": "c", "d": ""}, fields={"metadata.name": "x,y=z"})

    assert api.asked[0].query["labelSelector"] == "a/b=c,d="
    assert api.asked[0].query["fieldSelector"] == r"metadata.name=x\,y\=z"


def test_a_list_that_the_server_forgot_begins_anew(api: Api, target: KubeCluster) -> None:
    first = document({"metadata": {"continue": "more"}, "items": [config_map("one")]})
    last = document({"metadata": {}, "items": [config_map("two")]})
    api.will(first, refusal(410, "Expired"), first, last)

    found = target.list(CONFIG_MAP, {})

    assert [item["metadata"]["name"] for item in found] == ["one", "two"]
    assert [asked.query.get("continue") for asked in api.asked] == [None, "more", None, "more"]


def test_long_words_of_the_server_are_cut(api: Api, target: KubeCluster) -> None:
    api.will(refusal(422, "Invalid", "x" * 100_000))

    with pytest.raises(EngineError) as refused:
        target.create(config_map("one"))

    assert len(str(refused.value)) < 1200


def test_no_message_repeats_a_secret_or_our_token(api: Api, target: KubeCluster) -> None:
    said = {"kind": "Status", "reason": "Invalid", "message": "Invalid value: hunter2"}
    causes = {"causes": [{"field": "data[key]", "message": "hunter2"}]}
    api.will(document({**said, "details": causes}, 422))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"}}

    sends: list[Callable[[], object]] = [
        lambda: target.create(secret),
        lambda: target.apply(secret),
        lambda: target.patch(SECRET, "hidden", {}),
    ]

    for send in sends:
        with pytest.raises(EngineError, match=r"Invalid, data\[key\]") as refused:
            send()
        assert "hunter2" not in str(refused.value)
        assert TOKEN not in str(refused.value)

    assert api.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_threads_share_a_connection(api: Api, target: KubeCluster) -> None:
    def echo(handler: Handler, asked: Asked) -> None:
        document({"metadata": {"name": asked.path.rpartition("/")[2]}})(handler, asked)

    def name(number: int) -> str:
        found = target.get(CONFIG_MAP, f"number-{number}")
        return "" if found is None else str(found["metadata"]["name"])

    api.will(echo)
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(name, range(200)))

    assert names == [f"number-{number}" for number in range(200)]


def test_an_older_cluster_does_not_tell_who_we_are(api: Api, target: KubeCluster) -> None:
    api.will(refusal(404, "NotFound"))

    assert target.who() == ""


def test_names_are_kept_out_of_the_address(api: Api, target: KubeCluster) -> None:
    api.will(refusal(404, "NotFound"))

    target.get(Resource(api_version="apps/v1", kind="Deployment"), "a/../b?c")

    assert api.asked[0].path == "/apis/apps/v1/namespaces/space/deployments/a%2F..%2Fb%3Fc"
