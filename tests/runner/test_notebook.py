"""Notebooks: parameters, streamed output, failures, kernels that end."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from typing import Any

import pytest

from bodywork_argo.runner import notebook_arguments
from tests.runner.lab import Lab, Outcome, encoded, processes_with, terminate, until

needs_papermill = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ["papermill", "ipykernel"])),
    reason="no papermill or ipykernel here",
)


def notebook(*cells: str, language: str = "python", parameters: bool = True) -> str:
    def cell(source: str, *tags: str) -> dict[str, Any]:
        return {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{abs(hash(source))}",
            "metadata": {"tags": list(tags)},
            "outputs": [],
            "source": source,
        }

    metadata = {"kernelspec": {"name": "some-kernel", "display_name": "x", "language": language}}
    first = [cell("alpha = 1", "parameters")] if parameters else []
    cells_ = [*first, *map(cell, cells)]
    return json.dumps({"cells": cells_, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def test_assignments_are_parameters_and_the_rest_are_arguments() -> None:
    given = ["a=1", "b=", "--c=2", "plain", "d-e=3", "f=g=h"]
    parameters, others = notebook_arguments(given)
    assert parameters == ["-p", "a", "1", "-p", "b", "", "-p", "f", "g=h"]
    assert others == ["--c=2", "plain", "d-e=3"]


SHOW = """
import os, sys
print(repr(alpha), repr(beta), repr(gamma), os.environ["BODYWORK_ARGS"])
print("err", file=sys.stderr)
os.system("echo subprocess")
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Outcome]:
    """A notebook that ran to its end."""
    lab = Lab(tmp_path_factory.mktemp("finished"))
    folder = lab.home / ".local/share/jupyter/kernels/python3"
    folder.mkdir(parents=True)
    kernel = {"argv": ["/no/such/python"], "display_name": "x", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(kernel))
    lab.ready({"stage/nb.ipynb": notebook(SHOW)})
    options = ["--arg=alpha=-5", f"--arg64={encoded('beta={{x}} $(y)')}", "--arg=gamma=True"]
    return lab, lab.run("exec", "--module=stage/nb.ipynb", *options, "--arg=--other")


@needs_papermill
def test_another_kernel_of_the_same_name_is_not_used(finished: tuple[Lab, Outcome]) -> None:
    assert finished[1].code == 0, finished[1]


@needs_papermill
def test_parameters_and_arguments_arrive(finished: tuple[Lab, Outcome]) -> None:
    assert finished[1].out.splitlines()[0] == "-5 '{{x}} $(y)' True [\"--other\"]"


@needs_papermill
def test_output_of_subprocesses_comes_once(finished: tuple[Lab, Outcome]) -> None:
    assert finished[1].out.splitlines()[1:] == ["subprocess"]


@needs_papermill
def test_stderr_stays_apart(finished: tuple[Lab, Outcome]) -> None:
    assert finished[1].err == "err\n"


@needs_papermill
def test_the_executed_notebook_is_kept_and_nothing_else(finished: tuple[Lab, Outcome]) -> None:
    output = finished[0].workspace / "output"
    assert "subprocess" in (output / "nb.ipynb").read_text()
    assert [path.name for path in output.iterdir()] == ["nb.ipynb"]


@needs_papermill
def test_a_notebook_has_the_environment_of_a_module(lab: Lab) -> None:
    lab.wheel("greeting", {"greeting.py": "def main(): print('hello')"})
    code = "import os, sys, greeting, shared\ngreeting.main()\nprint(sys.executable, os.getcwd())"
    commit = lab.ready(
        {"stage/nb.ipynb": notebook(code, parameters=False), "shared.py": ""},
        "--requirement=greeting",
        "--notebook",
    )
    done = lab.run("exec", "--module=stage/nb.ipynb", "--time-limit=60")
    assert done.out == (
        f"hello\n{lab.workspace}/venv/bin/python {lab.workspace}/repository/stage\n"
    ), done
    assert commit


@needs_papermill
def test_output_comes_while_the_notebook_runs(lab: Lab) -> None:
    gate = lab.root / "gate"
    wait = f"import os, time\nprint('waits')\nwhile not os.path.exists({str(gate)!r}):"
    lab.ready({"nb.ipynb": notebook(f"{wait}\n    time.sleep(0.05)")})
    process = lab.start("exec", "--module=nb.ipynb")
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    gate.touch()
    assert lab.finish(process).code == 0


@needs_papermill
def test_the_executed_notebook_goes_where_asked(lab: Lab) -> None:
    lab.ready({"nb.ipynb": notebook("print('kept')")})
    target = lab.root / "elsewhere/result.ipynb"
    assert lab.run("notebook", "--module=nb.ipynb", f"--output={target}").code == 0
    assert "kept" in target.read_text()


@needs_papermill
def test_a_failing_cell_is_the_reason(lab: Lab) -> None:
    lab.ready({"nb.ipynb": notebook("print('fine')", "1 / 0")})
    done = lab.run("exec", "--module=nb.ipynb")
    assert (done.code, done.out) == (1, "fine\n")
    assert done.reason == "nb.ipynb, cell 3: ZeroDivisionError: division by zero"
    assert "----> 1" in done.err
    assert "\x1b" not in done.err


@needs_papermill
def test_a_kernel_that_dies_is_a_failure(lab: Lab) -> None:
    lab.ready({"nb.ipynb": notebook("import os\nos._exit(3)")})
    done = lab.run("exec", "--module=nb.ipynb")
    assert done.code == 1
    assert "died" in done.reason.lower()


def test_without_papermill_a_sentence_says_so(lab: Lab) -> None:
    (lab.root / "hidden").mkdir()
    code = "import sys; sys.modules['papermill'] = None"
    (lab.root / "hidden/sitecustomize.py").write_text(code)
    lab.ready({"nb.ipynb": notebook()})
    done = lab.run("exec", "--module=nb.ipynb", PYTHONPATH=str(lab.root / "hidden"))
    assert done.code == 1
    assert "papermill" in done.reason


def test_a_file_that_is_no_notebook_gets_a_clear_sentence(lab: Lab) -> None:
    lab.ready({"nb.ipynb": "no json"})
    assert lab.run("exec", "--module=nb.ipynb").reason == "nb.ipynb is not a notebook"


SLEEP = "import os, time\nprint('up', flush=True)\ntime.sleep(60)"
BUSY = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    sum(range(10**8))
"""


@needs_papermill
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_kernel_too(lab: Lab, number: int) -> None:
    lab.ready({"nb.ipynb": notebook(SLEEP)})
    process = lab.start("exec", "--module=nb.ipynb")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    terminate(process, number)
    done = lab.finish(process)
    assert (done.code, done.reason) == (128 + number, f"stopped by {signal.Signals(number).name}")
    until(lambda: not processes_with(str(lab.root)), "all ended")


@needs_papermill
def test_a_kernel_that_ignores_everything_is_killed(lab: Lab) -> None:
    lab.ready({"nb.ipynb": notebook(BUSY)})
    process = lab.start("exec", "--module=nb.ipynb")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    terminate(process)
    assert lab.finish(process).code == 143
    until(lambda: not processes_with(str(lab.root)), "all ended")


@needs_papermill
def test_no_kernel_outlives_a_runner_that_was_killed(lab: Lab) -> None:
    lab.ready({"nb.ipynb": notebook(BUSY)})
    process = lab.start("exec", "--module=nb.ipynb")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not processes_with(str(lab.root)), "all ended")
    lab.finish(process)
    assert process.returncode == -signal.SIGKILL


@needs_papermill
def test_the_time_limit_holds_for_notebooks(lab: Lab) -> None:
    lab.ready({"nb.ipynb": notebook(SLEEP)})
    done = lab.run("exec", "--module=nb.ipynb", "--time-limit=4")
    assert done.code == 143
    assert "time limit of 4 s exceeded" in done.reason
    until(lambda: not processes_with(str(lab.root)), "all ended")
