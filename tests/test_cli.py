"""Commands as a user gives them, against real files, repositories and processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bodywork_argo.cli import main
from tests.files import bodywork_yaml
from tests.repositories import is_alive, make_repository

GOLDEN = Path(__file__).parent / "golden"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: a repository with one commit; runs are kept elsewhere."""
    folder = tmp_path / "repository"
    files = {"bodywork.yaml": bodywork_yaml("a >> s", on_failure="f"), "a.py": "print('ran')"}
    files |= {"s.py": "", "f.py": ""}
    make_repository(folder, files)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BODYWORK_ARGO_HOME", str(tmp_path / "home"))
    return folder


def test_a_valid_file_is_said_to_be_valid(call: Run, repository: Path) -> None:
    code, out, _ = call("validate")
    assert (code, out) == (0, "bodywork.yaml is valid: pipeline shop, 2 stages in 2 steps\n")


def test_validate_reads_the_file_as_it_stands_and_plan_the_committed_one(
    call: Run, repository: Path
) -> None:
    (repository / "bodywork.yaml").write_text("version: x\n")
    assert call("validate")[0] == 3
    assert call("validate", "--ref", "main")[0] == 0
    code, _, err = call("plan", "-o", "json")
    assert code == 0
    assert "1 file differs from commit" in err


def test_a_module_that_is_not_in_the_commit_is_found_before_a_run(
    call: Run, repository: Path
) -> None:
    (repository / "a.py").unlink()
    (repository / "f.py").unlink()
    (repository / "f.py").symlink_to("/etc/passwd")
    make_repository(repository, {})
    code, out, err = call("run")
    assert (code, out) == (3, "")
    assert (
        "error: bodywork.yaml:9: stages.a.executable_module_path: 'a.py' is not a file of the "
        "repository; commit it or mend the path\n"
    ) in err
    assert "stages.f.executable_module_path: 'f.py' leads out of the repository" in err


def test_validate_checks_files_only_when_asked_and_then_of_all_stages(
    call: Run, repository: Path
) -> None:
    make_repository(repository, {"bodywork.yaml": bodywork_yaml("a")})
    (repository / "s.py").unlink()
    assert call("validate")[0] == 0
    assert "'s.py' is not a file" in call("validate", "--check-files")[2]
    assert call("validate", "--check-files", "--ref", "main")[0] == 0
    (repository / "s.py").symlink_to("/etc/passwd")
    assert "'s.py' leads out of the repo" in call("validate", "--check-files")[2]
    make_repository(repository, {})
    assert call("validate", "--ref", "main")[0] == 0
    assert "'s.py' leads out of the repo" in call("validate", "--check-files", "--ref", "main")[2]


def test_all_problems_are_printed_with_place_and_remedy(call: Run, repository: Path) -> None:
    text = bodywork_yaml("a >> nope").replace("port: 5000", "port: 70000")
    (repository / "bodywork.yaml").write_text(text)
    code, out, err = call("validate")
    assert (code, out) == (3, "")
    lines = err.splitlines()
    assert lines[-1] == "2 errors found"
    assert [line.split(": ")[:3] for line in lines if line.startswith("error")] == [
        ["error", "bodywork.yaml:5", "pipeline.DAG"],
        ["error", "bodywork.yaml:28", "stages.s.service.port"],
    ]


def test_one_file_alone_is_validated_planned_drawn_and_compiled(
    call: Run, repository: Path
) -> None:
    for command in ("validate", "plan", "graph", "compile"):
        code, out, _ = call(command, "--file", "bodywork.yaml")
        assert code == 0, command
        assert out, command
    documents = yaml.safe_load(call("compile", "--file", "bodywork.yaml")[1])
    assert "commit" not in documents["spec"]


def test_a_single_file_excludes_a_repository(call: Run, repository: Path) -> None:
    code, _, err = call("plan", ".", "--file", "bodywork.yaml")
    assert code == 2
    assert "--file reads one file alone" in err


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_the_plan_is_printed_as_data(call: Run, repository: Path, output: str) -> None:
    code, out, _ = call("plan", "--output", output, "--image", "mine:1")
    plan = json.loads(out) if output == "json" else yaml.safe_load(out)
    assert code == 0
    assert plan["source"]["repository"] == str(repository)
    assert plan["steps"][0]["tasks"][0]["container"]["image"] == "mine:1"


@pytest.mark.parametrize(
    ("name", "argv"),
    [
        ("plan.txt", ["plan"]),
        ("graph.txt", ["graph"]),
        ("graph.mermaid", ["graph", "-o", "mermaid"]),
        ("help.txt", ["--help"]),
        ("help-run.txt", ["run", "--help"]),
    ],
)
def test_what_people_see_is_the_reviewed_text(
    call: Run, repository: Path, name: str, argv: list[str],
    check_golden: Callable[[Path, str], None],
) -> None:  # fmt: skip
    source = [] if "--help" in argv else ["--file", "bodywork.yaml"]
    code, out, _ = call(*argv, *source)
    assert code == 0
    check_golden(GOLDEN / name, out)


def test_compile_prints_what_a_run_would_send(call: Run, repository: Path) -> None:
    code, out, err = call("compile", "--run-name", "shop-1")
    document = yaml.safe_load(out)
    assert code == 0
    assert document["metadata"]["name"] == "shop-1"
    assert document["spec"]["repository"] == str(repository)
    assert "note: bodywork.yaml:28: stages.s.service.replicas: is 2" in err


def test_what_an_engine_can_not_do_is_an_error_with_its_line(call: Run, repository: Path) -> None:
    second = bodywork_yaml().partition("  s:\n")[2].partition("logging")[0]
    text = bodywork_yaml("a >> s, t", extra=f"  t:\n{second}")
    assert "  t:\n    executable_module_path: s.py" in text
    make_repository(repository, {"bodywork.yaml": text})
    code, out, err = call("compile")
    assert (code, out) == (3, "")
    assert "error: bodywork.yaml:37: stages.t.service.port: services 's' and 't' both" in err


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["plan", "--ref", "nope"], 5, "has no ref or commit 'nope'"),
        (["plan", "/nowhere"], 5, "/nowhere does not exist"),
        (
            ["compile", "--run-name", "UP CASE"],
            2,
            "small letters, digits and dashes, such as up-ca",
        ),
        (["plan", "ext::x"], 5, "transport"),
        (
            ["compile", "--backend", "nope"],
            2,
            "there is no backend 'nope' (installed: argo, local, tekton)",
        ),
        (["validate", "--check-files", "--file", "x"], 2, "--check-files needs a repository"),
        (["plan", "--file", "nope.yaml"], 2, "nope.yaml can't be read: No such file"),
        (["validate", "--path", "nope"], 5, "has no file nope/bodywork.yaml"),
        (["nope"], 2, "No such command"),
        (["run", "--nope"], 2, "No such option"),
    ],
)
def test_bad_calls_end_with_their_code_and_a_sentence(
    call: Run, repository: Path, argv: list[str], code: int, message: str
) -> None:
    got, out, err = call(*argv)
    assert (got, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_backends_and_version_are_told(call: Run) -> None:
    assert "local" in call("backends")[1]
    assert call("version")[1].startswith("bodywork-argo 0")


def test_a_good_run_ends_with_0_and_shows_what_stages_said(call: Run, repository: Path) -> None:
    make_repository(repository, {"bodywork.yaml": bodywork_yaml()})
    code, out, err = call("run")
    assert (code, out) == (0, "a | ran\n")
    assert "succeeded after" in err.splitlines()[-1]


def test_a_failed_run_ends_with_1_and_says_why(call: Run, repository: Path) -> None:
    make_repository(
        repository,
        {
            "bodywork.yaml": bodywork_yaml(on_failure="f"),
            "a.py": "print('no newline', end=''); raise SystemExit(4)",
            "f.py": "import os; print(os.environ['EXCEPTION_MESSAGE'])",
        },
    )
    code, out, err = call("run")
    assert code == 1
    assert out.splitlines() == [
        "f | 1 stage failed: a", "f | a: exit code 4", "a | no newline", "a | no newline",
    ]  # fmt: skip
    assert "failed after" in err.splitlines()[-1]
    assert ": 1 stage failed: a (logs: " in err.splitlines()[-1]


def test_modules_beside_the_file_are_not_taken_for_our_own(call: Run, repository: Path) -> None:
    files = {"bodywork.yaml": bodywork_yaml(), "queue.py": "raise SystemExit('mine')"}
    make_repository(repository, {**files, "psutil.py": "raise SystemExit('mine')"})
    assert call("run")[:2] == (0, "a | ran\n")


@pytest.mark.parametrize("home", ["/proc/nowhere", "/etc/passwd"])
def test_a_folder_that_can_not_hold_runs_is_named(
    call: Run, repository: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("BODYWORK_ARGO_HOME", home)
    code, _, err = call("run")
    assert code == 4
    assert f"{home}/runs can't hold runs" in err
    assert "set BODYWORK_ARGO_HOME" in err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_can_not_be_written_is_one_sentence(repository: Path, unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from bodywork_argo.cli import script; script()", "validate"],
            stdout=full, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr == "error: [Errno 28] No space left on device\n"


def script(*argv: str) -> subprocess.Popen[str]:
    """Start the console script with a home of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", "from bodywork_argo.cli import script; script()", *argv],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_no_process_and_ends_with_130(
    repository: Path, number: signal.Signals
) -> None:
    make_repository(
        repository,
        {
            "bodywork.yaml": bodywork_yaml(on_failure="f"),
            "a.py": "import os, time; print(os.getpid(), flush=True); time.sleep(60)",
        },
    )
    with script("run") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().rpartition("| ")[2])
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted"
    assert "a      stopped" in err
    assert not is_alive(pid)


def test_a_run_ends_when_nobody_reads_its_output(repository: Path) -> None:
    code = "import time\nwhile True: print('x', flush=True); time.sleep(0.05)"
    make_repository(repository, {"bodywork.yaml": bodywork_yaml(), "a.py": code})
    with script("run") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode != 0
    assert "Traceback" not in said
    assert "a      stopped" in said


STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\n"


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_ctrl_c_leaves_nothing_of_a_stage_that_ignores_it(repository: Path, again: bool) -> None:
    text = bodywork_yaml().replace("  DAG", "  kubernetes: {run_timeout_seconds: 2}\n  DAG")
    code = STUBBORN.replace("'up'", "__import__('os').getpid()") + "time.sleep(300)"
    make_repository(repository, {"bodywork.yaml": text, "a.py": code})
    with script("run") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().rpartition("| ")[2])
        time.sleep(3)  # the run's time is over: its stage is in the grace after TERM
        process.send_signal(signal.SIGINT)
        if again:
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)
    assert process.returncode == 130
    assert not is_alive(pid)


def test_the_death_of_the_supervisor_ends_its_stages(repository: Path, tmp_path: Path) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
    make_repository(repository, {"bodywork.yaml": bodywork_yaml("a >> s"), "a.py": code})
    with script("run") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().rpartition("| ")[2])
        (folder,) = (tmp_path / "home" / "runs").iterdir()
        os.kill(json.loads((folder / "supervisor.json").read_text())["pid"], signal.SIGKILL)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "a      failed" in err
    assert "s      skipped" in err
    assert "its supervisor died" in err.splitlines()[-1]
    assert not (folder / "work").exists()
    assert not is_alive(pid)


def test_a_reader_that_has_seen_enough_causes_no_traceback(repository: Path) -> None:
    with script("plan", "-o", "json") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
