"""Runs through the Argo Server's HTTP API, by hera, over a real socket."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo.backend import Compiled, Phase, RunRef
from bodywork_argo.errors import EngineError, Forbidden, Unreachable
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.argo.connections import through_cluster
from bodywork_argo_adapters.argo.exchanges import Exchanges
from bodywork_argo_adapters.argo.runtime import ArgoRuntime
from bodywork_argo_adapters.argo.served import ServedWorkflows
from bodywork_argo_adapters.argo.server import ArgoServer, find_server
from tests.argo.live_cluster import LiveCluster, node, workflow
from tests.kube.api import Answer, Api, Asked, Handler, chunks, cut, document, reset, text

RUN = RunRef(backend="argo", name="run-1", namespace="team")
TOKEN = "the-token-that-nobody-may-see"
DONE = {"phase": "Succeeded", "nodes": {"n": node("run-1", "one", "Succeeded")}}
PATH = "/api/v1/workflows/team/run-1"


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        yield server


def at(api: Api, **words: str) -> ArgoServer:
    environ = {"ARGO_SERVER": f"127.0.0.1:{api.port}", "ARGO_SECURE": "false"}
    server = find_server({**environ, "ARGO_TOKEN": TOKEN, **words})
    assert server is not None
    return server


def runtime(api: Api, *, patience: float = 5.0, **words: str) -> ArgoRuntime:
    server = at(api, **words)
    return ArgoRuntime(lambda: ServedWorkflows(Exchanges(server, patience=patience), "team"))


def refused(status: int, message: str = "no") -> Answer:
    return document({"code": 1, "message": message}, status, Content_Type="application/json")


def compiled(digest: str = "abc") -> Compiled:
    made = workflow("run-1", "one")
    made["metadata"]["annotations"]["bodywork-argo/digest"] = digest
    made["spec"] = {"fieldOfTomorrow": {"deep": [None, "", 0, False]}}
    return Compiled(backend="argo", run_name="run-1", documents=(made,))


def run(**status: Any) -> Manifest:
    made = workflow("run-1", "one", **status)
    made["metadata"]["namespace"] = "team"
    return made


def events(*states: Manifest, kind: str = "MODIFIED") -> list[bytes]:
    return [event({"result": {"type": kind, "object": state}}) for state in states]


def event(said: Manifest) -> bytes:
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def test_what_is_sent_is_the_very_document(api: Api) -> None:
    sent = compiled()
    api.will(document(sent.documents[0]))

    assert runtime(api).submit(sent) == RUN

    (asked,) = api.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/workflows/team")
    assert asked.body == {"namespace": "team", "workflow": sent.documents[0]}


@pytest.mark.parametrize("token", [TOKEN, f"Bearer {TOKEN}"])
def test_the_token_is_sent_with_one_bearer(api: Api, token: str) -> None:
    api.will(document(run()))
    runtime(api, ARGO_TOKEN=token).status(RUN)
    assert api.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_nothing_of_netrc_is_sent(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    api.will(document(run()))
    runtime(api).status(RUN)
    assert api.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_server_below_a_path_is_asked_there(api: Api) -> None:
    api.will(document(run()))
    runtime(api, ARGO_BASE_HREF="/argo/").status(RUN)
    assert api.asked[0].path == f"/argo{PATH}"


def test_names_stay_within_their_place(api: Api) -> None:
    api.will(refused(404))
    ref = RunRef(backend="argo", name="../secrets?x", namespace="team")
    with pytest.raises(EngineError, match="there is no run"):
        runtime(api).status(ref)
    assert api.asked[0].path == "/api/v1/workflows/team/..%2Fsecrets%3Fx"


def test_a_run_that_an_attempt_of_ours_made_is_ours(api: Api) -> None:
    sent = compiled()
    api.will(reset, refused(409, "already exists"), document(sent.documents[0]))

    assert runtime(api).submit(sent) == RUN
    assert [asked.method for asked in api.asked] == ["POST", "POST", "GET"]
    assert api.asked[2].query == {"fields": "metadata"}


def test_a_run_of_that_name_with_other_documents_is_refused(api: Api) -> None:
    api.will(refused(409, "already exists"), document(compiled("other").documents[0]))

    with pytest.raises(EngineError, match="there is another run run-1"):
        runtime(api).submit(compiled())


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_asked_again(api: Api, status: int) -> None:
    api.will(text(b"busy", status), reset, document(run(**DONE)))
    assert runtime(api).status(RUN).phase is Phase.SUCCEEDED
    assert len(api.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_what_will_not_pass_is_asked_once(api: Api, status: int) -> None:
    api.will(refused(status))
    with pytest.raises(EngineError):
        runtime(api).submit(compiled())
    assert len(api.asked) == 1


def test_a_run_without_a_name_is_not_sent_twice_once_it_may_have_arrived(api: Api) -> None:
    made = workflow("", "one")
    made["metadata"] = {"generateName": "run-"}
    api.will(text(b"", 504))
    with pytest.raises(Unreachable):
        runtime(api).submit(Compiled(backend="argo", run_name=None, documents=(made,)))
    assert len(api.asked) == 1


def test_a_token_that_is_not_accepted_is_told_without_the_token(api: Api) -> None:
    api.will(refused(401, f"bad {TOKEN}"))
    with pytest.raises(Forbidden, match="does not accept the token in ARGO_TOKEN") as error:
        runtime(api).status(RUN)
    assert TOKEN not in str(error.value)


def test_a_right_that_is_missing_is_told_without_the_token(api: Api) -> None:
    api.will(refused(403, f"somebody with {TOKEN} cannot create workflows"))
    with pytest.raises(Forbidden, match="create workflows in namespace team") as error:
        runtime(api).submit(compiled())
    assert TOKEN not in str(error.value)


def test_why_argo_refuses_a_document_is_told(api: Api) -> None:
    api.will(refused(400, "spec.templates[0].name is required"))
    with pytest.raises(EngineError, match=r"spec\.templates\[0\]\.name is required"):
        runtime(api).submit(compiled())


@pytest.mark.parametrize(
    "answer",
    [
        text(b"<html>log in</html>", 200, Content_Type="text/html"),
        text(b"<html>no</html>", 404, Content_Type="text/html"),
        text(b"", 302, Location="https://login.example/"),
        document(["no", "object"]),
    ],
)
def test_what_is_no_argo_server_is_told(api: Api, answer: Answer) -> None:
    api.will(answer)
    with pytest.raises(Unreachable, match="does not answer as an Argo Server does"):
        runtime(api).status(RUN)
    assert len(api.asked) == 1


def test_a_server_that_is_away_is_told(api: Api) -> None:
    api.stop()
    with pytest.raises(Unreachable, match="can't be reached; check ARGO_SERVER"):
        runtime(api, patience=0.3).status(RUN)


def test_a_server_without_tls_is_told_to_be_one(api: Api) -> None:
    with pytest.raises(EngineError, match="ARGO_SECURE=false"):
        runtime(api, ARGO_SECURE="true").status(RUN)


def test_stop_and_terminate_are_calls_of_their_own(api: Api) -> None:
    for verb in ("stop", "terminate"):
        api.will(document(run(phase="Running")), document(run(phase="Running")))
        getattr(runtime(api), verb)(RUN)
        assert (api.asked[-1].method, api.asked[-1].path) == ("PUT", f"{PATH}/{verb}")
        api.answers.clear()


def test_a_run_that_ends_while_it_is_stopped_is_left(api: Api) -> None:
    api.will(
        document(run(phase="Running")),
        refused(400, "cannot shutdown a completed workflow"),
        document(run(**DONE)),
    )
    runtime(api).stop(RUN)
    assert len(api.asked) == 3


def test_a_run_of_others_is_none(api: Api) -> None:
    foreign = run(phase="Running")
    foreign["metadata"]["labels"] = {}
    api.will(document(foreign))
    with pytest.raises(EngineError, match="there is no run run-1 of ours"):
        runtime(api).stop(RUN)


def test_runs_are_listed_page_by_page_without_their_stages(api: Api) -> None:
    def named(name: str, created: str) -> Manifest:
        made = workflow(name, "one")
        made["metadata"]["creationTimestamp"] = created
        return {"metadata": made["metadata"]}

    first = [named("old", "2026-01-01T00:00:00Z")]
    second = [named("new", "2026-01-02T00:00:00Z")]
    api.will(
        document({"metadata": {"continue": "1"}, "items": first}),
        document({"metadata": {}, "items": second}),
    )

    assert [status.ref.name for status in runtime(api).list("shop")] == ["new", "old"]
    assert [asked.query.get("listOptions.continue") for asked in api.asked] == [None, "1"]
    assert api.asked[0].query["fields"] == "metadata,items.metadata"
    assert "bodywork-argo/pipeline=shop" in api.asked[0].query["listOptions.labelSelector"]


def test_no_runs_are_no_items(api: Api) -> None:
    api.will(document({"metadata": {}, "items": None}))
    assert runtime(api).list() == ()


def test_a_run_is_deleted_after_its_end(api: Api) -> None:
    api.will(document(run(**DONE)), document(run(**DONE)), document({}))
    runtime(api).delete(RUN)
    assert (api.asked[-1].method, api.asked[-1].path) == ("DELETE", PATH)


def test_a_run_is_watched_through_events(api: Api) -> None:
    running = run(phase="Running", nodes={"n": node("run-1", "one", "Running")})
    api.will(
        document(run(phase="Running")),
        document(running),
        chunks(b": alive\n\n", *events(running, run(**DONE))),
    )

    phases = [status.phase for status in runtime(api).watch(RUN)]

    assert phases[-1] is Phase.SUCCEEDED
    watched = api.asked[-1]
    assert watched.path == "/api/v1/workflow-events/team"
    assert watched.query == {"listOptions.fieldSelector": "metadata.name=run-1"}
    assert watched.headers["accept"] == "text/event-stream"


def test_a_watch_goes_on_after_a_lost_connection(api: Api) -> None:
    running = document(run(phase="Running"))
    half = events(run(**DONE))[0][:40]
    api.will(running, running, chunks(half, end=cut), running, chunks(*events(run(**DONE))))
    *_, last = runtime(api).watch(RUN)
    assert last.phase is Phase.SUCCEEDED


def test_without_the_right_to_watch_a_run_is_asked_for(api: Api) -> None:
    running = document(run(phase="Running"))
    forbidden = event({"error": {"http_code": 403, "message": "cannot watch"}})
    api.will(
        running,
        running,
        text(forbidden, 403, Content_Type="text/event-stream"),
        running,
        document(run(**DONE)),
    )
    *_, last = runtime(api).watch(RUN)
    assert last.phase is Phase.SUCCEEDED
    assert api.asked[-1].path == PATH


def test_stages_in_argos_database_are_read_through_the_server(api: Api) -> None:
    cluster = LiveCluster()
    cluster.create(workflow("run-1", "one", phase="Succeeded", offloadNodeStatusVersion="fnv:1"))
    api.will(document(run(**DONE)))
    environ = {"ARGO_SERVER": f"127.0.0.1:{api.port}", "ARGO_SECURE": "false", "ARGO_TOKEN": "x"}

    status = through_cluster(lambda: cluster, environ).status(RUN)

    assert [stage.phase for stage in status.stages] == [Phase.SUCCEEDED]
    assert api.asked[0].path == PATH


def test_stages_in_argos_database_are_told_where_no_server_is_known() -> None:
    cluster = LiveCluster()
    cluster.create(workflow("run-1", "one", phase="Succeeded", offloadNodeStatusVersion="fnv:1"))
    with pytest.raises(EngineError, match="in the database of Argo's server"):
        through_cluster(lambda: cluster, {"ARGO_SERVER": "a:1"}).status(RUN)


def entry(line: str, task: str = "one", attempt: int = 0) -> bytes:
    number = node("run-1", task, "", attempt)["id"].rpartition("-")[2]
    return event({"result": {"content": line, "podName": f"run-1-{task}-{number}"}})


def said(pieces: Iterator[Any]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def test_output_comes_line_by_line_without_the_executors_lines(api: Api) -> None:
    executors = 'time=2026-11-25T07:17:14.659Z level=INFO msg="waiting for signals" argo=true'
    api.will(
        document(run(**DONE)), chunks(entry(executors), entry("10 %\r20 %"), entry("zwei \u2713"))
    )

    assert said(runtime(api).logs(RUN)) == "10 %\r20 %\nzwei \u2713\n".encode()
    assert api.asked[-1].path == f"{PATH}/log"
    assert api.asked[-1].query == {
        "logOptions.container": "main",
        "selector": "bodywork-argo/stage=one",
    }


def test_output_is_followed_across_lost_connections_each_line_once(api: Api) -> None:
    running = document(run(phase="Running", nodes={"n": node("run-1", "one", "Running")}))
    api.will(
        running,
        chunks(entry("a"), entry("b"), end=cut),
        chunks(entry("a"), entry("b"), entry("c")),
        running,  # the server ended its answer before the run did
        chunks(entry("a"), entry("b"), entry("c"), entry("d")),
        document(run(**DONE)),
    )

    assert said(runtime(api).logs(RUN, follow=True)) == b"a\nb\nc\nd\n"
    assert api.asked[1].query["logOptions.follow"] == "true"


def test_the_attempts_of_a_stage_are_told_apart(api: Api) -> None:
    nodes = {str(n): node("run-1", "one", "Succeeded", attempt=n) for n in (1, 2)}
    api.will(
        document(run(phase="Succeeded", nodes=nodes)),
        chunks(entry("first", attempt=1), entry("second", attempt=2)),
    )
    pieces = list(runtime(api).logs(RUN))
    assert [(piece.attempt, piece.data) for piece in pieces] == [(1, b"first\n"), (2, b"second\n")]


def test_of_a_failed_preparation_its_own_output_is_read(api: Api) -> None:
    failed = run(phase="Failed", nodes={"n": node("run-1", "one", "Failed")})
    api.will(document(failed), chunks(), chunks(), chunks(entry("no such package")))
    assert said(runtime(api).logs(RUN)) == b"no such package\n"
    assert api.asked[-1].query["logOptions.container"] == "prepare"


def test_logs_that_may_not_be_read_are_refused(api: Api) -> None:
    forbidden = event({"error": {"http_code": 403, "message": "cannot get pods/log"}})
    api.will(document(run(**DONE)), text(forbidden, 403, Content_Type="text/event-stream"))
    with pytest.raises(Forbidden, match="pods/log in namespace team"):
        list(runtime(api).logs(RUN))


def test_threads_share_a_connection(api: Api) -> None:
    def answer(handler: Handler, asked: Asked) -> None:
        name = asked.path.rpartition("/")[2]
        time.sleep(0.02)
        made = workflow(name, "one", phase="Running")
        document(made)(handler, asked)

    api.will(answer)
    shared = ServedWorkflows(Exchanges(at(api)), "team")
    wrong: list[str] = []

    def ask(name: str) -> None:
        for _ in range(5):
            found = shared.get(name)
            if found is None or found["metadata"]["name"] != name:
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(f"run-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
