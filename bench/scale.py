"""How plan and compile grow with the number of stages: time and size for 10, 100 and 1,000."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from bodywork_argo.manifests import to_yaml
from bodywork_argo.plan import Pinned, Source
from bodywork_argo.planner import make_plan
from bodywork_argo.registry import installed, load_backend
from bodywork_argo.schema import parse_project

SIZES = (10, 100, 1000)
STAGE = """\
  stage_{number}:
    executable_module_path: stage_{number}/main.py
    args: ["--part={number}"]
    requirements: [numpy==2.0.0, pandas==2.2.3]
    cpu_request: 0.5
    memory_request_mb: 100
    batch: {{max_completion_time_seconds: 30, retries: 1}}
"""
SOURCE = Source(revision=Pinned(commit="0" * 40), repository="https://git.example/bench.git")

_Result = TypeVar("_Result")


def file_of(stages: int) -> str:
    """Return a bodywork.yaml of that many stages in steps of ten."""
    names = [f"stage_{number}" for number in range(stages)]
    steps = [", ".join(names[start : start + 10]) for start in range(0, stages, 10)]
    return (
        'version: "1.1"\npipeline:\n  name: bench\n  docker_image: python:3.12\n'
        f"  DAG: {' >> '.join(steps)}\nstages:\n"
        + "".join(STAGE.format(number=number) for number in range(stages))
        + "logging: {log_level: INFO}\n"
    )


def timed(work: Callable[..., _Result], *arguments: object) -> tuple[float, _Result]:
    """Return the best of three times and what came out."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        result = work(*arguments)
        times.append(time.perf_counter() - start)
    return min(times), result


def main(names: list[str]) -> None:
    """Print a table for each backend named, or for all."""
    entries = installed()
    for name in names or [entry.name for entry in entries]:
        backend = load_backend(name, entries)
        print(f"{name}: stages   parse ms    plan ms  compile ms   yaml ms   yaml KB")
        for stages in SIZES:
            parse, parsed = timed(parse_project, file_of(stages))
            planning, plan = timed(make_plan, parsed.project, SOURCE)
            compiling, compiled = timed(backend.compile, plan, "bench-1")
            writing, written = timed(to_yaml, compiled.documents)
            row = (parse, planning, compiling, writing)
            print(
                f"{'':{len(name)}}  {stages:6}"
                + "".join(f"{seconds * 1000:11.1f}" for seconds in row)
                + f"{len(written) / 1000:10.1f}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
