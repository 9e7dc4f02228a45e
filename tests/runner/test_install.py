"""`prepare`: the environment and its packages."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from bodywork_argo.runner import install_reason
from tests.runner.lab import Lab, processes_with, terminate, until

USE = "import greeting; greeting.main()"


def greeting(lab: Lab) -> None:
    lab.wheel("greeting", {"greeting.py": "def main(): print('hello')"}, "greet=greeting:main")


SCRIPT = "import subprocess; subprocess.run(['greet'], check=True)"
CHILD = "import os; os.system('python -c \"import greeting; greeting.main()\"')"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A prepared stage with one requirement."""
    lab = Lab(tmp_path_factory.mktemp("installed"))
    greeting(lab)
    modules = {"imports.py": USE, "script.py": SCRIPT, "child.py": CHILD}
    lab.ready(modules, "--requirement=greeting==1.0")
    return lab


def test_a_requirement_can_be_imported(installed: Lab) -> None:
    assert installed.run("exec", "--module=imports.py").out == "hello\n"


def test_a_console_script_of_a_requirement_is_found(installed: Lab) -> None:
    assert installed.run("exec", "--module=script.py").out == "hello\n"


def test_a_child_python_finds_the_requirements(installed: Lab) -> None:
    assert installed.run("exec", "--module=child.py").out == "hello\n"


def test_each_requirement_is_one_argument(lab: Lab) -> None:
    greeting(lab)
    commit = lab.repository.commit({"a": ""})
    requirement = 'greeting >= 1.0 ; python_version >= "3.0"'
    assert lab.prepare(commit, f"--requirement={requirement}").code == 0


def test_files_and_folders_of_the_repository_can_be_required(lab: Lab) -> None:
    greeting(lab)
    lab.ready(
        {"sub/needs.txt": "greeting\n", "sub/main.py": USE},
        "--directory=sub",
        "--requirement=-r needs.txt",
    )
    assert lab.run("exec", "--directory=sub", "--module=main.py").out == "hello\n"


def test_a_requirements_file_is_installed(lab: Lab) -> None:
    greeting(lab)
    lab.ready(
        {"needs.txt": "greeting\n", "main.py": USE},
        "--requirements-file=needs.txt",
    )
    assert lab.run("exec", "--module=main.py").out == "hello\n"


@pytest.mark.parametrize("path", ["../needs.txt", "/etc/passwd", "absent.txt"])
def test_a_requirements_file_outside_the_repository_is_refused(lab: Lab, path: str) -> None:
    commit = lab.repository.commit({"a": ""})
    done = lab.prepare(commit, f"--requirements-file={path}")
    assert done.code == 1
    assert f"requirements file '{path}'" in done.reason


def test_the_failing_line_of_pip_is_the_reason(lab: Lab) -> None:
    commit = lab.repository.commit({"a": ""})
    done = lab.prepare(commit, "--requirement=not-there==1.0")
    assert done.code == 1
    assert "ERROR: No matching distribution found for not-there==1.0" in done.reason
    assert "None" not in done.reason


def test_the_output_of_pip_is_shown(lab: Lab) -> None:
    greeting(lab)
    commit = lab.repository.commit({"a": ""})
    assert "Successfully installed greeting" in lab.prepare(commit, "--requirement=greeting").out


def test_without_requirements_no_pip_is_started(lab: Lab) -> None:
    commit = lab.repository.commit({"main.py": "print('ran')"})
    hide(lab)
    assert lab.prepare(commit, PYTHONPATH=str(lab.root / "hidden")).code == 0
    assert lab.run("exec", "--module=main.py").out == "ran\n"


def hide(lab: Lab) -> None:
    """Make a folder that, on PYTHONPATH, makes a Python one without pip."""
    (lab.root / "hidden").mkdir()
    code = "import sys; sys.modules['pip'] = sys.modules['ensurepip'] = None"
    (lab.root / "hidden/sitecustomize.py").write_text(code)


def test_without_pip_and_ensurepip_one_sentence_says_so(lab: Lab) -> None:
    hide(lab)
    commit = lab.repository.commit({"a": ""})
    done = lab.prepare(commit, "--requirement=x", PYTHONPATH=str(lab.root / "hidden"))
    assert done.code == 1
    assert done.reason == "the Python here has neither pip nor ensurepip: use an image with pip"


def test_without_pip_ensurepip_is_used(lab: Lab) -> None:
    venv.create(lab.root / "bare", with_pip=False)
    lab.python = str(lab.root / "bare/bin/python")
    greeting(lab)
    lab.ready({"main.py": USE}, "--requirement=greeting")
    assert lab.run("exec", "--module=main.py").out == "hello\n"


def test_packages_of_an_image_whose_python_is_a_virtual_environment_are_seen(lab: Lab) -> None:
    venv.create(lab.root / "image", with_pip=False)
    lab.python = str(lab.root / "image/bin/python")
    site = next((lab.root / "image/lib").glob("python*/site-packages"))
    (site / "of_the_image.py").write_text("print('seen')")
    (site / "linked.pth").write_text(f"{lab.root}/linked\n")
    (lab.root / "linked").mkdir()
    (lab.root / "linked/editable.py").write_text("print('seen too')")
    lab.ready({"main.py": "import of_the_image, editable"})
    assert lab.run("exec", "--module=main.py").out == "seen\nseen too\n"


def test_requirements_are_installed_into_the_workspace_only(installed: Lab) -> None:
    found = list(installed.workspace.glob("venv/lib/python*/site-packages/greeting.py"))
    assert len(found) == 1


def test_the_users_pip_settings_for_the_user_site_do_not_break_it(lab: Lab) -> None:
    greeting(lab)
    (lab.home / ".config/pip").mkdir(parents=True)
    (lab.home / ".config/pip/pip.conf").write_text("[install]\nuser = true\n")
    lab.ready({"main.py": USE}, "--requirement=greeting")
    assert not list(lab.home.rglob("greeting.py"))


def test_build_scripts_do_not_see_git_credentials(lab: Lab) -> None:
    leak = lab.root / "leak"
    setup = f"import os\nopen({str(leak)!r}, 'w').write(str(dict(os.environ)))\nraise SystemExit(1)"
    commit = lab.repository.commit({"pkg/setup.py": setup})
    lab.prepare(
        commit,
        "--requirement=--no-build-isolation",
        "--requirement=./pkg",
        BODYWORK_GIT_TOKEN="s3cret",
        BODYWORK_GIT_SSH_PRIVATE_KEY="s3cret",
    )
    assert not leak.exists() or "s3cret" not in leak.read_text()


def uv_path() -> str:
    beside = Path(sys.executable).parent
    return shutil.which("uv", path=f"{beside}{os.pathsep}{os.environ['PATH']}") or ""


@pytest.mark.skipif(not uv_path(), reason="no uv here")
def test_uv_installs_when_asked(lab: Lab) -> None:
    greeting(lab)
    commit = lab.repository.commit({"main.py": USE})
    path = f"{Path(uv_path()).parent}{os.pathsep}{lab.env['PATH']}"
    options = ["--no-index", f"--find-links={lab.root / 'links'}", "greeting"]
    wanted = [f"--requirement={option}" for option in options]
    done = lab.prepare(commit, "--installer=uv", *wanted, PATH=path)
    assert done.code == 0, done
    assert lab.run("exec", "--module=main.py").out == "hello\n"


def test_an_option_that_can_not_be_split_is_told(lab: Lab) -> None:
    done = lab.prepare(lab.repository.commit({"a": ""}), "--requirement=-r 'foo")
    assert (done.code, "begins with '-' can't be read" in done.reason) == (1, True)


def test_without_uv_one_sentence_says_so(lab: Lab) -> None:
    commit = lab.repository.commit({"a": ""})
    path = lab.bin_without("uv")
    done = lab.prepare(commit, "--installer=uv", "--requirement=x", PATH=path)
    assert (done.code, "no uv here" in done.reason) == (1, True)


def test_another_installer_is_wrong_usage(lab: Lab) -> None:
    commit = lab.repository.commit({"a": ""})
    assert lab.prepare(commit, "--installer=conda", "--requirement=x").code == 2


SLOW_SETUP = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", ROOT])
pathlib.Path(ROOT, "started").touch()
time.sleep(60)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_during_pip_leaves_nothing(lab: Lab, number: int, code: int) -> None:
    backend = f"ROOT = {str(lab.root)!r}\n{SLOW_SETUP}"
    project = '[build-system]\nrequires = []\nbuild-backend = "slow"\nbackend-path = ["."]\n'
    commit = lab.repository.commit({"pkg/slow.py": backend, "pkg/pyproject.toml": project})
    address = f"--repository={lab.repository.path}"
    process = lab.start("prepare", address, f"--commit={commit}", "--requirement=./pkg")
    until((lab.root / "started").exists, "pip builds")
    terminate(process, number)
    done = lab.finish(process)
    assert done.code == code
    assert done.reason == f"stopped by {signal.Signals(number).name}"
    assert processes_with(str(lab.root)) == []


def test_the_reason_has_no_colours_and_names_all_errors() -> None:
    output = "noise\n\x1b[31mERROR: first\x1b[0m\n  error: second\nmore\n"
    assert install_reason(output).endswith("failed: ERROR: first\nerror: second")


def test_an_output_without_an_error_line_gives_its_end() -> None:
    assert install_reason("a\nb\n").endswith("failed: a\nb")


def test_a_long_reason_is_cut_for_the_termination_log(lab: Lab) -> None:
    commit = lab.repository.commit({"needs.txt": "é" * 5000})
    done = lab.prepare(commit, "--requirements-file=needs.txt")
    assert done.code == 1
    assert 0 < len(done.reason.encode()) <= 4096


def test_a_reason_is_cut_to_what_the_engine_keeps_of_it(lab: Lab) -> None:
    commit = lab.repository.commit({"needs.txt": "é" * 5000})
    done = lab.prepare(commit, "--requirements-file=needs.txt", "--termination-bytes=100")
    assert done.code == 1
    assert 0 < len(done.reason.encode()) <= 100


def test_the_environment_is_the_python_that_runs_us(lab: Lab) -> None:
    lab.ready({"main.py": "import sys; print(sys.version)"})
    shown = subprocess.run(
        [lab.python, "-c", "import sys; print(sys.version)"], capture_output=True
    )
    assert lab.run("exec", "--module=main.py").out == shown.stdout.decode()
