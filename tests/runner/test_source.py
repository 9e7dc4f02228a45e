"""What holds for the text of the runner, since it travels."""

from __future__ import annotations

import ast
import base64
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from bodywork_argo.packed_runner import runner_text
from tests.runner.lab import RUNNER, Lab, found_interpreters

ROOT = Path(__file__).parents[2]


def test_no_engine_finds_anything_to_substitute() -> None:
    text = runner_text()
    assert "{{" not in text
    assert "$(" not in text
    assert "$$" not in text


def test_it_is_small_enough_for_an_annotation_of_every_pod() -> None:
    assert len(runner_text()) < 18 * 1024


def test_what_travels_is_the_runner_as_it_is_now(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "pack-runner", tmp_path], check=True)
    made = (tmp_path / "bodywork_argo" / "runner.packed").read_text()
    assert unpacked(runner_text()) == unpacked(made), "run scripts/pack-runner"


def test_what_travels_has_the_same_code(tmp_path: Path) -> None:
    def code(source: str) -> str:
        return ast.dump(without_docstrings(ast.parse(source)))

    assert code(unpacked(runner_text())) == code(RUNNER.read_text())


def test_what_travels_prepares_and_runs_a_stage(lab: Lab) -> None:
    packed = lab.root / "runner.py"
    packed.write_text(runner_text())
    commit = lab.repository.commit({"a.py": "import sys; print(__file__, sys.argv[1])"})
    given = [sys.executable, str(packed)]
    for words in (
        ("prepare", f"--repository={lab.repository.path}", f"--commit={commit}"),
        ("exec", "--module=a.py", "--arg=there"),
    ):
        done = subprocess.run(
            [*given, words[0], f"--workspace={lab.workspace}", *words[1:]],
            env=lab.env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == f"{lab.workspace}/repository/a.py there\n"


def unpacked(text: str) -> str:
    (packed,) = re.findall(r'b64decode\("([A-Za-z0-9+/=]+)"\)', text)
    return zlib.decompress(base64.b64decode(packed)).decode()


def without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return tree


def test_it_imports_the_standard_library_only() -> None:
    tree = ast.parse(RUNNER.read_text())
    names = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    assert names <= sys.stdlib_module_names


def test_it_does_nothing_when_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import runner; print(runner.main)"]
    done = subprocess.run(
        command,
        env={"PYTHONPATH": str(RUNNER.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("<function main")
    assert done.stderr == ""


@pytest.mark.parametrize("late", ["argparse", "subprocess", "typing", "signal", "re", "pathlib"])
def test_what_costs_time_to_import_is_imported_late(late: str) -> None:
    code = f"import sys, runner; print({late!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(RUNNER.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_supported_python_can_read_it(version: str) -> None:
    python = found_interpreters().get(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    done = subprocess.run([python, str(RUNNER)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "prepare, exec, notebook" in done.stderr
