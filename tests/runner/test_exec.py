"""`exec`: what the module gets and what is the module's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bodywork_argo import runner
from tests.runner.lab import RUNNER, Lab, encoded, found_interpreters, terminate, until, without

SHOW = """
import json, os, sys
print(json.dumps({"argv": sys.argv, "cwd": os.getcwd(), "env": dict(os.environ),
                  "executable": sys.executable, "path": sys.path, "pid": os.getpid()}))
"""

TEXTS = [
    "plain",
    "",
    "{{workflow.name}}",
    "{{=1+1}}",
    "{{tasks.a.status}}",
    "$$HOME",
    "$HOME",
    "$(PATH)",
    "$(params.x)",
    "`id`",
    "it's",
    'a "quoted" text',
    "two\nlines\n",
    "tab\there",
    "grün 数据 🎉",
    "-x",
    "--workspace=elsewhere",
    "--",
    "trailing  ",
    "  leading",
    "a=b",
    "back\\slash",
    "*",
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A prepared stage that shows what it got."""
    lab = Lab(tmp_path_factory.mktemp("stage"))
    lab.ready({"stage/main.py": SHOW})
    return lab


def show(lab: Lab, *options: str, **env: str) -> Any:
    done = lab.run("exec", "--module=stage/main.py", *options, **env)
    assert done.code == 0, done
    return json.loads(done.out)


def test_arguments_arrive_unchanged(stage: Lab) -> None:
    assert show(stage, *(f"--arg={text}" for text in TEXTS))["argv"][1:] == TEXTS


def test_encoded_arguments_arrive_unchanged(stage: Lab) -> None:
    assert show(stage, *(f"--arg64={encoded(text)}" for text in TEXTS))["argv"][1:] == TEXTS


def test_arguments_arrive_unchanged_in_a_locale_without_unicode(lab: Lab) -> None:
    lab.ready({"stage/main.py": "import os, sys\nprint(os.fsencode(sys.argv[1]).hex())"})
    for locale in ("C", "POSIX", "C.UTF-8"):
        for option in ("--arg=é数", f"--arg64={encoded('é数')}"):
            done = lab.run("exec", "--module=stage/main.py", option, LC_ALL=locale)
            assert done.out == "é数".encode().hex() + "\n"


def test_the_order_of_plain_and_encoded_arguments_is_kept(stage: Lab) -> None:
    shown = show(stage, "--arg=a", f"--arg64={encoded('b')}", "--arg=c")
    assert shown["argv"][1:] == ["a", "b", "c"]


def test_both_alphabets_of_base64_and_missing_padding_are_read(stage: Lab) -> None:
    shown = show(stage, "--arg64=w7_Dvw==", "--arg64=w7/Dvw==", "--arg64=w7_Dvw")
    assert shown["argv"][1:] == ["ÿÿ"] * 3


@pytest.mark.parametrize("text", ["%%%", "/w==", "YQ==YQ==", "AA=="])
def test_what_is_not_encoded_text_is_wrong_usage(lab: Lab, text: str) -> None:
    assert lab.run("exec", "--module=main.py", f"--arg64={text}").code == 2


def test_encoded_environment_variables_are_set(stage: Lab) -> None:
    env = show(stage, *(f"--env64=V{n}={encoded(t)}" for n, t in enumerate(TEXTS)))["env"]
    assert [env[f"V{number}"] for number in range(len(TEXTS))] == TEXTS


def test_the_module_runs_in_its_own_folder_by_its_absolute_path(stage: Lab) -> None:
    shown = show(stage)
    folder = str(stage.workspace / "repository/stage")
    assert shown["cwd"] == folder
    assert shown["argv"] == [f"{folder}/main.py"]
    assert shown["env"]["PWD"] == folder


def test_an_encoded_module_path_is_read(lab: Lab) -> None:
    lab.ready({"my {{stage}}/$(main).py": "print('ran')"})
    done = lab.run("exec", f"--module64={encoded('my {{stage}}/$(main).py')}")
    assert done.out == "ran\n"


def test_the_repository_is_on_the_path_before_the_images_own(stage: Lab) -> None:
    env = show(stage, PYTHONPATH="/image/modules")["env"]
    assert env["PYTHONPATH"] == f"{stage.workspace}/repository:/image/modules"
    assert show(stage)["env"]["PYTHONPATH"] == f"{stage.workspace}/repository"


def test_the_folder_of_bodywork_yaml_is_the_root(lab: Lab) -> None:
    lab.ready({"deep/stage/main.py": SHOW, "deep/shared.py": ""})
    shown = show(lab, "--directory=deep")
    assert shown["cwd"] == str(lab.workspace / "repository/deep/stage")
    assert shown["env"]["PYTHONPATH"] == str(lab.workspace / "repository/deep")


def test_the_environment_of_the_stage_is_first_on_the_path(stage: Lab) -> None:
    shown = show(stage, PYTHONHOME="")
    assert shown["env"]["PATH"].startswith(f"{stage.workspace}/venv/bin:")
    assert shown["env"]["VIRTUAL_ENV"] == f"{stage.workspace}/venv"
    assert shown["executable"] == f"{stage.workspace}/venv/bin/python"
    assert "PYTHONHOME" not in shown["env"]


def test_output_is_unbuffered_unless_the_user_chose(stage: Lab) -> None:
    assert show(stage)["env"]["PYTHONUNBUFFERED"] == "1"
    assert show(stage, PYTHONUNBUFFERED="")["env"]["PYTHONUNBUFFERED"] == ""


def test_the_commit_is_in_the_environment(stage: Lab) -> None:
    commit = stage.repository.git("rev-parse", "HEAD")
    env = show(stage)["env"]
    assert env["GIT_COMMIT_HASH"] == commit[:7]
    assert env["BODYWORK_GIT_COMMIT"] == commit


def test_git_credentials_do_not_reach_the_module(stage: Lab) -> None:
    names = [name for name in runner.SECRETS if name.startswith("BODYWORK_GIT_")]
    env = show(stage, **dict.fromkeys(names, "secret"))["env"]
    assert "secret" not in env.values()


def test_a_home_that_can_be_written_is_kept(stage: Lab) -> None:
    assert show(stage)["env"]["HOME"] == str(stage.home)


def test_a_home_that_is_not_there_is_replaced(stage: Lab) -> None:
    for home in ("/no/such/home", ""):
        assert show(stage, HOME=home)["env"]["HOME"] == str(stage.workspace / "home")
    assert (stage.workspace / "home").is_dir()


@pytest.mark.skipif(os.getuid() == 0, reason="root can write everywhere")
def test_a_home_that_cannot_be_written_is_replaced(stage: Lab) -> None:
    with without(stage.home, 0o500):
        assert show(stage)["env"]["HOME"] == str(stage.workspace / "home")


@pytest.mark.parametrize("module", ["absent.py", "stage/absent.py"])
def test_a_missing_module_is_named_with_its_commit(lab: Lab, module: str) -> None:
    commit = lab.ready({"stage/main.py": SHOW})
    done = lab.run("exec", f"--module={module}")
    assert done.code == 1
    assert done.reason == f"module '{module}' is not in the repository at commit {commit}"


@pytest.mark.parametrize("module", ["../outside.py", "stage/../../outside.py", "/etc/passwd"])
def test_a_module_outside_the_repository_is_refused(lab: Lab, module: str) -> None:
    (lab.workspace).mkdir()
    (lab.workspace / "outside.py").write_text("")
    lab.ready({"stage/main.py": SHOW})
    done = lab.run("exec", f"--module={module}")
    assert (done.code, "outside the repository" in done.reason) == (1, True)


def test_a_symbolic_link_that_leads_outside_is_refused(lab: Lab) -> None:
    outside = lab.root / "outside.py"
    outside.write_text("print('ran')")
    (lab.repository.path / "main.py").symlink_to(outside)
    lab.ready({})
    done = lab.run("exec", "--module=main.py")
    assert (done.code, "outside the repository" in done.reason) == (1, True)


def test_a_symbolic_link_inside_the_repository_is_followed(lab: Lab) -> None:
    (lab.repository.path / "main.py").symlink_to("real.py")
    lab.ready({"real.py": "print('ran')"})
    assert lab.run("exec", "--module=main.py").out == "ran\n"


def test_without_prepare_a_sentence_says_so(lab: Lab) -> None:
    done = lab.run("exec", "--module=main.py")
    assert (done.code, "run `prepare` first" in done.reason) == (1, True)


@pytest.mark.parametrize("limit", ["", "30"])
def test_the_exit_code_is_the_modules_own(lab: Lab, limit: str) -> None:
    lab.ready({"main.py": "raise SystemExit(17)"})
    done = lab.run("exec", "--module=main.py", f"--time-limit={limit}")
    assert (done.code, done.reason) == (17, "")


def test_the_process_is_the_modules_own(lab: Lab) -> None:
    lab.ready({"main.py": "import os; print(os.getpid())"})
    process = lab.start("exec", "--module=main.py", "--time-limit=30")
    done = lab.finish(process)
    assert int(done.out) == process.pid


def test_a_signal_reaches_the_module_which_dies_of_it(lab: Lab) -> None:
    lab.ready({"main.py": "import time, pathlib\npathlib.Path('up').touch()\ntime.sleep(60)"})
    process = lab.start("exec", "--module=main.py", "--time-limit=30")
    until((lab.workspace / "repository/up").exists, "the module started")
    terminate(process)
    assert lab.finish(process).code == -signal.SIGTERM


def test_stdout_and_stderr_stay_apart(lab: Lab) -> None:
    lab.ready({"main.py": "import sys; print('out'); print('err', file=sys.stderr)"})
    done = lab.run("exec", "--module=main.py")
    assert (done.out, done.err) == ("out\n", "err\n")


def test_stdin_is_the_modules_own(lab: Lab) -> None:
    lab.ready({"main.py": "print(input())"})
    options = [f"--workspace={lab.workspace}", "--module=main.py", "--time-limit=30"]
    done = subprocess.run(
        [sys.executable, str(RUNNER), "exec", *options],
        input="typed\n",
        capture_output=True,
        text=True,
    )
    assert done.stdout == "typed\n"


FAILURES = json.dumps([{"stage": "train", "exit_code": 3, "reason": "grün 数据"}])


def test_the_failure_stage_is_told_what_failed(stage: Lab) -> None:
    known = {"BODYWORK_FAILURES": FAILURES, "BODYWORK_STAGES": "[]", "BODYWORK_RUN_LIMIT": "9"}
    env = show(stage, "--failure-stage", **known)["env"]
    assert env["EXCEPTION_MESSAGE"] == "1 stage failed: train\ntrain: grün 数据 (exit code 3)"
    assert not set(known) & set(env)


def test_the_failure_stage_is_told_by_a_file_where_that_is_named(stage: Lab) -> None:
    file = stage.root / "failures.json"
    file.write_text(FAILURES, encoding="utf-8")
    env = show(stage, "--failure-stage", f"--failures={file}")["env"]
    assert env["EXCEPTION_MESSAGE"] == "1 stage failed: train\ntrain: grün 数据 (exit code 3)"


def test_the_failure_stage_runs_though_the_file_is_missing(stage: Lab) -> None:
    env = show(stage, "--failure-stage", f"--failures={stage.root}/none.json")["env"]
    assert env["EXCEPTION_MESSAGE"] == ""


def test_the_failure_stage_runs_though_the_failures_are_unreadable(stage: Lab) -> None:
    env = show(stage, "--failure-stage", BODYWORK_FAILURES="{broken")["env"]
    assert env["EXCEPTION_MESSAGE"] == "{broken"


def test_other_stages_are_told_nothing(stage: Lab) -> None:
    assert "EXCEPTION_MESSAGE" not in show(stage)["env"]


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_a_whole_stage_runs_on_every_supported_python(tmp_path: Path, version: str) -> None:
    python = found_interpreters().get(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    lab = Lab(tmp_path, python)
    lab.wheel("greeting", {"greeting.py": "def main(): print('hello')"}, "greet=greeting:main")
    main = "import greeting, os, sys, time; greeting.main(); os.system('greet'); time.sleep(60)"
    lab.ready({"main.py": main}, "--requirement=greeting")
    done = lab.run("exec", "--module=main.py", "--time-limit=2")
    assert done.out == "hello\nhello\n"
    assert (done.code, done.reason) == (-signal.SIGTERM, "time limit of 2 s exceeded")
