"""How long commands take beside the least that they could: ``python -c "import click"``.

Prints medians and ratios of runs that alternate, so that both meet the same machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15
FILE = """\
version: "1.1"
pipeline: {name: bench, docker_image: python:3.12, DAG: a >> b >> c >> d >> e}
stages:
  a: &stage
    executable_module_path: a.py
    requirements: [numpy==2.0.0]
    cpu_request: 0.5
    memory_request_mb: 100
    batch: {max_completion_time_seconds: 30, retries: 1}
  b: *stage
  c: *stage
  d: *stage
  e: *stage
logging: {log_level: INFO}
"""


def main() -> None:
    """Print the table."""
    script = "from bodywork_argo.cli import script; script()"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bodywork.yaml")
        file.write_text(FILE)
        commands = {
            "import click": [sys.executable, "-c", "import click"],
            "--help": [sys.executable, "-c", script, "--help"],
            "validate": [sys.executable, "-c", script, "validate", "--file", str(file)],
            "plan -o json": [
                *(sys.executable, "-c", script),
                *("plan", "-o", "json", "--file", str(file)),
            ],
            "compile (argo)": [
                *(sys.executable, "-c", script),
                *("compile", "--backend", "argo", "--file", str(file)),
            ],
            "import hera": [sys.executable, "-c", "import hera.workflows"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                times[name].append(time.perf_counter() - start)
    least = statistics.median(times["import click"])
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"{name:14} {median * 1000:7.0f} ms   {median / least:4.1f} x import click")


if __name__ == "__main__":
    main()
