"""What the program does when nobody reads on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bodywork_argo.errors import OutputClosed

PROGRAM = Path(sys.executable).with_name("bodywork-argo")
BODYWORK = """
version: "1.1"
pipeline: {name: pipes, docker_image: python:3.12, DAG: only}
stages:
  only:
    executable_module_path: only.py
    cpu_request: 0.1
    memory_request_mb: 1
    batch: {max_completion_time_seconds: 1, retries: 0}
logging: {log_level: INFO}
"""


def call_unread(folder: Path, command: str) -> tuple[int, bytes]:
    """Call with an output that nobody reads; return the exit code and the errors."""
    path = folder / "bodywork.yaml"
    path.write_text(BODYWORK)
    reader, writer = os.pipe()
    os.close(reader)
    words = [str(PROGRAM), command, "--file", str(path)]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["plan", "graph", "compile"])
def test_a_reader_that_is_gone_ends_the_program_without_a_word(
    tmp_path: Path, command: str
) -> None:
    code, said = call_unread(tmp_path, command)

    assert (code, said) == (OutputClosed.exit_code, b"")
