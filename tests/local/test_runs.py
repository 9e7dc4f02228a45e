"""Runs of real repositories as real processes, beyond what the contract asks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bodywork_argo.backend import Compiled, Phase, RunRef, RunStatus, StageStatus
from bodywork_argo.errors import EngineError
from bodywork_argo.plan import Plan
from bodywork_argo.planner import PlanOptions
from bodywork_argo.spec import RunOptions, SecretRef, ServiceOptions
from bodywork_argo.testing import Publish
from bodywork_argo_adapters.local import LocalBackend, processes
from bodywork_argo_adapters.local.folder import RunFolder
from bodywork_argo_adapters.local.runtime import KEPT_RUNS, LocalRuntime, default_root
from bodywork_argo_adapters.local.supervisor import _told
from tests.local.conftest import ENVIRONMENT, wait_until
from tests.projects import batch, plan_of, service
from tests.repositories import is_alive

SERVE = """
import http.server, sys
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", {port}), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def compiled(plan: Plan, name: str = "try-1") -> Compiled:
    return LocalBackend().compile(plan, name)


def finish(runtime: LocalRuntime, plan: Plan, name: str = "try-1") -> RunStatus:
    *_, last = runtime.watch(runtime.submit(compiled(plan, name)))
    return last


def said(runtime: LocalRuntime, ref: RunRef) -> bytes:
    return b"".join(piece.data for piece in runtime.logs(ref))


def test_a_module_gets_exactly_the_arguments_that_its_author_wrote(
    runtime: LocalRuntime, publish: Publish
) -> None:
    args = (
        "{{workflow.name}}", "{{=1+1}}", "$$HOME", "$(PATH)", "'", '"', "a\nb", "é 漢 🎈", "",
        " x ", "-v", "--", "\\", "*", "1e3", "`ls`", "$HOME", "%s", "#", "\t",
    )  # fmt: skip
    source = publish({"a/main.py": "import json, sys; print(json.dumps(sys.argv[1:]))"})
    last = finish(runtime, plan_of("a", batch("a", args=args), source=source))
    assert json.loads(said(runtime, last.ref)) == list(args)


def test_a_module_sees_the_planned_environment_and_little_of_the_callers(
    make_runtime: Callable[..., LocalRuntime], publish: Publish
) -> None:
    runtime = make_runtime({"TOKEN": "s3cret", "OTHER": "x", "PYTHONPATH": "/nowhere"})
    source = publish({"a/main.py": "import json, os; print(json.dumps(dict(os.environ)))"})
    stage = batch("a", secrets=(SecretRef(variable="TOKEN", secret="chat"),))
    last = finish(
        runtime, plan_of("a >> s", stage, service("s", port=1234, replicas=0), source=source)
    )
    environment = json.loads(said(runtime, last.ref).splitlines()[0])
    assert environment["TOKEN"] == "s3cret"
    assert environment["BODYWORK_RUN"] == "try-1"
    assert environment["BODYWORK_SERVICE_S_URL"] == "http://127.0.0.1:1234"
    assert environment["BODYWORK_GIT_COMMIT"] == last.commit
    assert "OTHER" not in environment
    assert "/nowhere" not in environment["PYTHONPATH"]


def test_no_secret_value_is_written_to_the_run_folder(
    make_runtime: Callable[..., LocalRuntime], publish: Publish, home: Path
) -> None:
    runtime = make_runtime({"TOKEN": "s3cret-value"})
    stage = batch("a", secrets=(SecretRef(variable="TOKEN", secret="chat"),))
    finish(runtime, plan_of("a", stage, source=publish({"a/main.py": ""})))
    assert [p for p in home.rglob("*") if p.is_file() and b"s3cret-value" in p.read_bytes()] == []


def test_a_missing_secret_is_found_before_the_start(
    runtime: LocalRuntime, publish: Publish
) -> None:
    stage = batch("a", secrets=(SecretRef(variable="TOKEN", secret="chat"),))
    with pytest.raises(EngineError, match=r"set TOKEN \(stage 'a', secret 'chat'\)"):
        runtime.submit(compiled(plan_of("a", stage, source=publish({"a/main.py": ""}))))
    assert runtime.list() == ()


def test_output_is_kept_byte_for_byte(runtime: LocalRuntime, publish: Publish) -> None:
    code = "import sys; sys.stdout.buffer.write(b'\\xff\\r50%\\r100%\\n' + b'x' * 1000000)"
    last = finish(runtime, plan_of("a", batch("a"), source=publish({"a/main.py": code})))
    assert said(runtime, last.ref) == b"\xff\r50%\r100%\n" + b"x" * 1_000_000


def test_a_later_stage_reaches_a_service_by_its_variable(
    runtime: LocalRuntime, publish: Publish, free_port: int
) -> None:
    call = "import os, urllib.request as u; print(u.urlopen(os.environ['BODYWORK_SERVICE_S_URL']))"
    source = publish({"s/main.py": SERVE.format(port=free_port), "a/main.py": call})
    plan = plan_of("s >> a", service("s", port=free_port), batch("a"), source=source)
    last = finish(runtime, plan)
    assert last.phase is Phase.SUCCEEDED
    assert last.stages[0].reason == f"serves at http://127.0.0.1:{free_port}"
    wait_until(lambda: processes.marked(str(runtime.root)) == [])


def test_a_service_that_never_listens_fails_within_its_start_up_time(
    runtime: LocalRuntime, publish: Publish, free_port: int
) -> None:
    source = publish({"s/main.py": "import time; time.sleep(60)"})
    plan = plan_of("s", service("s", port=free_port, startup=1), source=source)
    last = finish(runtime, plan)
    assert last.phase is Phase.FAILED
    assert last.stages[0].reason == f"port {free_port} did not answer within 1 s"


PICKY = """
import http.server, time
born = time.monotonic()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/health" and time.monotonic() - born > 1
        self.send_response(200 if ready else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""


@pytest.mark.parametrize(("path", "phase"), [("/health", "succeeded"), ("/other", "failed")])
def test_a_start_up_path_has_to_answer_well(
    runtime: LocalRuntime, publish: Publish, free_port: int, path: str, phase: str
) -> None:
    stage = replace(
        service("s", port=free_port, startup=4), options=ServiceOptions(startup_path=path)
    )
    source = publish({"s/main.py": PICKY.format(port=free_port)})
    last = finish(runtime, plan_of("s", stage, source=source))
    assert last.phase.value == phase
    if phase == "failed":
        assert f":{free_port}/other did not answer within 4 s" in last.stages[0].reason


def limited(plan: Plan, run: RunOptions) -> Plan:
    return replace(plan, run=run)


def test_a_run_over_its_time_limit_ends_and_tells_the_failure_stage(
    runtime: LocalRuntime, publish: Publish
) -> None:
    source = publish(
        {
            "a/main.py": "import time; time.sleep(60)",
            "f/main.py": "import os; print(os.environ['EXCEPTION_MESSAGE'])",
        }
    )
    plan = plan_of("a", batch("a"), batch("f"), on_failure="f", source=source)
    last = finish(runtime, limited(plan, RunOptions(run_timeout_seconds=2)))
    assert last.phase is Phase.FAILED
    assert last.reason == "run's time limit of 2 s exceeded while a ran"
    assert [stage.phase for stage in last.stages] == [Phase.STOPPED, Phase.SUCCEEDED]
    assert b"a: run's time limit of 2 s exceeded" in said(runtime, last.ref)


def test_no_more_stages_than_allowed_run_at_once(
    runtime: LocalRuntime, publish: Publish, tmp_path: Path
) -> None:
    lock = tmp_path / "lock"
    code = f"import os, time; os.mkdir({str(lock)!r}); time.sleep(0.3); os.rmdir({str(lock)!r})"
    source = publish({f"{name}/main.py": code for name in "abc"})
    plan = plan_of("a, b, c", batch("a"), batch("b"), batch("c"), source=source)
    last = finish(runtime, limited(plan, RunOptions(parallelism=1)))
    assert last.phase is Phase.SUCCEEDED


def test_a_service_that_crashes_is_started_again_and_its_exit_code_told(
    runtime: LocalRuntime, publish: Publish, free_port: int
) -> None:
    source = publish({"s/main.py": "raise SystemExit(7)"})
    plan = plan_of("s", service("s", port=free_port, startup=4), source=source)
    last = finish(runtime, plan)
    assert last.stages[0].exit_code == 7
    assert re.search(r"start [2-4], the last end: exit code 7", last.stages[0].reason)


def test_a_service_that_ends_after_its_start_is_started_again(
    runtime: LocalRuntime, publish: Publish, free_port: int
) -> None:
    once = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{free_port}')"
    serve = SERVE.format(port=free_port).replace("serve_forever", "handle_request")
    call = (
        "import time, urllib.request as u\n"
        f"for _ in range(300):\n  time.sleep(0.1)\n  try:\n    {once}\n    break\n"
        "  except OSError: pass\nelse: raise SystemExit(1)"
    )
    source = publish({"s/main.py": serve, "a/main.py": call})
    plan = plan_of("s >> a", service("s", port=free_port), batch("a"), source=source)
    last = finish(runtime, plan)
    assert last.phase is Phase.SUCCEEDED
    assert said(runtime, last.ref).count(b"listening\n") >= 2


def test_a_service_without_replicas_is_done_at_once(
    runtime: LocalRuntime, publish: Publish, free_port: int
) -> None:
    plan = plan_of("s", service("s", port=free_port, replicas=0), source=publish({}))
    assert finish(runtime, plan).phase is Phase.SUCCEEDED


def test_a_port_in_use_is_refused_before_the_start(runtime: LocalRuntime, publish: Publish) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        plan = plan_of("s", service("s", port=port), source=publish({}))
        with pytest.raises(EngineError, match=f"port {port} of service 's' is in use"):
            runtime.submit(compiled(plan))
    assert runtime.list() == ()


def test_kept_services_answer_after_the_run_until_it_is_terminated(
    runtime: LocalRuntime, publish: Publish, free_port: int
) -> None:
    source = publish({"s/main.py": SERVE.format(port=free_port)})
    stage = service("s", port=free_port)
    plan = plan_of("s", stage, source=source, options=PlanOptions(keep_services=True))
    last = finish(runtime, plan)
    assert last.phase is Phase.SUCCEEDED
    time.sleep(0.5)
    assert len(processes.marked(str(runtime.root))) == 1
    runtime.terminate(last.ref)
    wait_until(lambda: processes.marked(str(runtime.root)) == [])
    assert runtime.status(last.ref) == last


def test_services_of_a_failed_run_are_not_kept(
    runtime: LocalRuntime, publish: Publish, free_port: int
) -> None:
    source = publish({"s/main.py": SERVE.format(port=free_port), "a/main.py": "raise ValueError"})
    keep = PlanOptions(keep_services=True)
    plan = plan_of("s >> a", service("s", port=free_port), batch("a"), source=source, options=keep)
    last = finish(runtime, plan)
    assert last.phase is Phase.FAILED
    wait_until(lambda: processes.marked(str(runtime.root)) == [])


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
left = "import os, time; os.setsid(); print('left the group', flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", left])
time.sleep({seconds})
"""


def test_a_child_that_left_its_group_does_not_outlive_the_stage(
    runtime: LocalRuntime, publish: Publish
) -> None:
    source = publish({"a/main.py": STUBBORN.format(seconds=1)})
    assert finish(runtime, plan_of("a", batch("a"), source=source)).phase is Phase.SUCCEEDED
    assert processes.marked(str(runtime.root)) == []


def test_a_child_without_group_and_environment_does_not_outlive_the_run(
    runtime: LocalRuntime, publish: Publish
) -> None:
    code = (
        "import subprocess\n"
        "child = subprocess.Popen(['env', '-i', '/bin/sleep', '300'], start_new_session=True)\n"
        "print(child.pid)\nchild.returncode = 0"
    )
    source = publish({"a/main.py": code})
    last = finish(runtime, plan_of("a", batch("a"), source=source))
    pid = int(said(runtime, last.ref))
    wait_until(lambda: RunFolder(runtime.root / last.ref.name).supervisor() is None)
    assert not is_alive(pid) or not sys.platform.startswith("linux")


def test_a_retry_follows_a_stage_that_locked_its_own_folder(
    runtime: LocalRuntime, publish: Publish
) -> None:
    code = "import os; os.makedirs('d/e'); open('d/e/f', 'w'); os.chmod('d/e', 0o500); exit(1)"
    plan = plan_of("a", batch("a", retries=1), source=publish({"a/main.py": code}))
    last = finish(runtime, plan)
    assert [(stage.attempt, stage.reason) for stage in last.stages] == [(2, "exit code 1")]


def test_very_many_long_reasons_still_reach_the_failure_stage(
    runtime: LocalRuntime, publish: Publish
) -> None:
    names = [f"s{number}" for number in range(45)]
    long = tuple(f"./{'x' * 3000}{number}" for number in range(2))
    stages = [batch(name, requirements=long, module="f/main.py") for name in names]
    source = publish({"f/main.py": "import os; print(len(os.environ['EXCEPTION_MESSAGE']))"})
    plan = plan_of(", ".join(names), *stages, batch("f"), on_failure="f", source=source)
    status = [
        StageStatus(stage=n, task=n, phase=Phase.FAILED, reason="é" * 4000) for n in names * 40
    ]
    assert len(_told(status)["BODYWORK_FAILURES"].encode()) < 131_071
    assert plan.on_failure is not None
    failing = replace(plan_of("a", batch("a"), source=source), on_failure=plan.on_failure)
    assert finish(runtime, failing).stages[-1].phase is Phase.SUCCEEDED


def test_only_the_newest_runs_are_kept(runtime: LocalRuntime, publish: Publish) -> None:
    source = publish({"a/main.py": ""})
    plan = plan_of("a", batch("a"), source=source)
    finish(runtime, plan, "first")
    if supervisor := RunFolder(runtime.root / "first").supervisor():
        supervisor.wait()  # it tidies up after the last status, and its copies would look alive
    for number in range(KEPT_RUNS + 1):
        shutil.copytree(runtime.root / "first", runtime.root / f"copy-{number}")
    finish(runtime, plan, "last")
    names = {status.ref.name for status in runtime.list()}
    assert len(names) == KEPT_RUNS + 1
    assert "last" in names


def test_runs_that_start_at_the_same_time_leave_each_other_alone(
    runtime: LocalRuntime, publish: Publish
) -> None:
    plan = plan_of("a", batch("a"), source=publish({"a/main.py": ""}))
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(finish, runtime, plan, f"try-{n}") for n in range(3)]
    assert [run.result().reason for run in runs] == [""] * 3


def test_nothing_outlives_a_supervisor_that_was_killed(
    runtime: LocalRuntime, publish: Publish
) -> None:
    source = publish({"a/main.py": STUBBORN.format(seconds=60)})
    ref = runtime.submit(compiled(plan_of("a", batch("a"), source=source)))
    next(runtime.logs(ref, follow=True))
    supervisor = RunFolder(runtime.root / ref.name).supervisor()
    assert supervisor is not None
    supervisor.kill()
    *_, last = runtime.watch(ref)
    assert last.phase is Phase.FAILED
    assert "supervisor died" in last.reason
    wait_until(lambda: processes.marked(str(runtime.root)) == [])


CALLER = """
import sys, time
from pathlib import Path
from bodywork_argo.backend import Compiled
from bodywork_argo_adapters.local.runtime import LocalRuntime
import json
document = json.loads(sys.stdin.read())
LocalRuntime(Path(sys.argv[1])).submit(
    Compiled(backend="local", run_name="try-1", documents=(document,)))
print("submitted", flush=True)
time.sleep(60)
"""


def test_nothing_outlives_a_caller_that_was_killed(runtime: LocalRuntime, publish: Publish) -> None:
    source = publish({"a/main.py": "import time; print('up', flush=True); time.sleep(60)"})
    (document,) = compiled(plan_of("a", batch("a"), source=source)).documents
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(runtime.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True,
    )  # fmt: skip
    assert caller.stdin is not None
    assert caller.stdout is not None
    with caller.stdin as stdin:
        stdin.write(json.dumps(document))
    assert caller.stdout.readline() == "submitted\n"
    ref = RunRef(backend="local", name="try-1")
    next(runtime.logs(ref, follow=True))
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    caller.stdout.close()
    *_, last = runtime.watch(ref)
    assert (last.phase, last.reason) == (Phase.STOPPED, "terminated while a ran")
    wait_until(lambda: processes.marked(str(runtime.root)) == [])


def test_a_failing_failure_stage_is_told_and_the_run_ends(
    runtime: LocalRuntime, publish: Publish
) -> None:
    source = publish({"a/main.py": "raise SystemExit(2)", "f/main.py": "raise SystemExit(9)"})
    plan = plan_of("a", batch("a"), batch("f"), on_failure="f", source=source)
    last = finish(runtime, plan)
    assert last.reason == "1 stage failed: a; the failure stage f failed too: exit code 9"


ANSWERS_TERM = """
import signal, sys, time
def end(*_):
    print("saved", flush=True)
    sys.exit({code})
signal.signal(signal.SIGTERM, end)
time.sleep(60)
"""


def test_a_module_that_ends_well_when_its_time_is_over_has_ended_well(
    runtime: LocalRuntime, publish: Publish
) -> None:
    source = publish({"a/main.py": ANSWERS_TERM.format(code=0)})
    last = finish(runtime, plan_of("a", batch("a", limit=2), source=source))
    assert (last.phase, last.reason) == (Phase.SUCCEEDED, "")
    assert said(runtime, last.ref) == b"saved\n"


def test_a_module_that_ends_badly_when_its_time_is_over_fails_for_that(
    runtime: LocalRuntime, publish: Publish
) -> None:
    source = publish({"a/main.py": ANSWERS_TERM.format(code=5)})
    (stage,) = finish(runtime, plan_of("a", batch("a", limit=2), source=source)).stages
    assert (stage.phase, stage.exit_code) == (Phase.FAILED, 5)
    assert stage.reason == "time limit of 2 s exceeded"


def test_a_stage_that_can_not_be_prepared_says_why(runtime: LocalRuntime, publish: Publish) -> None:
    plan = plan_of("a", batch("a", module="no/such.py"), source=publish({"x": ""}))
    reason = finish(runtime, plan).stages[0].reason
    assert "no/such.py" in reason
    assert "is not in the repository" in reason


def test_work_folders_are_gone_after_the_run_and_logs_stay(
    runtime: LocalRuntime, publish: Publish
) -> None:
    last = finish(runtime, plan_of("a", batch("a"), source=publish({"a/main.py": "print(1)"})))
    supervisor = RunFolder(runtime.root / last.ref.name)
    wait_until(lambda: supervisor.supervisor() is None)
    left = sorted(p.relative_to(supervisor.path).as_posix() for p in supervisor.path.rglob("*.*"))
    assert left == ["logs/a.1.log", "run.json", "status.json", "supervisor.json", "supervisor.log"]
    assert not (supervisor.path / "work").exists()


def test_a_name_that_leads_out_of_the_folder_is_no_run(runtime: LocalRuntime) -> None:
    with pytest.raises(EngineError, match="there is no run"):
        runtime.status(RunRef(backend="local", name="../x"))


def test_a_process_that_is_not_the_supervisor_is_not_taken_for_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    other = psutil.Process(os.getpid())
    folder.write_supervisor(other)
    assert folder.supervisor() == other
    text = (tmp_path / "supervisor.json").read_text()
    earlier = json.loads(text) | {"started": other.create_time() - 100}
    (tmp_path / "supervisor.json").write_text(json.dumps(earlier))
    assert folder.supervisor() is None


@pytest.mark.parametrize(
    ("environment", "root"),
    [
        ({"BODYWORK_ARGO_HOME": "/b"}, Path("/b/runs")),
        ({"XDG_STATE_HOME": "/x"}, Path("/x/bodywork-argo/runs")),
        ({}, Path.home() / ".local/state/bodywork-argo/runs"),
    ],
)
def test_runs_are_kept_where_the_environment_says(environment: dict[str, str], root: Path) -> None:
    assert default_root(environment) == root
