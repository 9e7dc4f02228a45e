"""What holds for the text of the runner, since it travels."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.lab import RUNNER, found_interpreters


def test_no_engine_finds_anything_to_substitute() -> None:
    text = RUNNER.read_text()
    assert "{{" not in text
    assert "$(" not in text
    assert "$$" not in text


def test_it_is_small_enough_for_an_annotation_of_every_object() -> None:
    assert RUNNER.stat().st_size < 48 * 1024


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
