"""Our compiler beside Hera's own builder: time and size for the same pipeline, and `argo lint`.

Hera's half is written as its documentation shows: context managers for the Workflow and the DAG,
a Container for each stage, a Task for each call. Its stages hold what ours hold, and its tasks
depend on all of the step before. It writes YAML with its own `to_yaml`, we with ours.

    python -m bench.builder [ARGO]

ARGO is the program that lints; without it nothing is linted. Each measurement has a process of its
own, since Hera's import is part of what its users wait for.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.scale import SIZES, SOURCE, file_of

WIDTH = 10
PREPARE = f"""\
git clone --quiet https://git.example/bench.git /code && git -C /code checkout -q {"0" * 40} &&
pip install --target=/code/packages numpy==2.0.0 pandas==2.2.3"""
_BY = ("ours", "hera")


def main(arguments: list[str]) -> None:
    """Print the table."""
    print(f"{'stages':>6}  {'by':5}{'import s':>9}{'build s':>9}{'YAML s':>8}{'KB':>8}  lint")
    with tempfile.TemporaryDirectory() as folder:
        for stages in SIZES:
            for by in _BY:
                file = Path(folder, f"{by}-{stages}.yaml")
                command = [sys.executable, "-m", "bench.builder", by, str(stages), str(file)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                times = "{:9.2f}{:9.2f}{:8.2f}".format(*json.loads(done.stdout))
                lint = _lint(arguments[0], file) if arguments else "-"
                print(f"{stages:6}  {by:5}{times}{file.stat().st_size / 1000:8.0f}  {lint}")


def _lint(argo: str, file: Path) -> str:
    command = [argo, "lint", "--offline", "--kinds=workflows", str(file)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode == 0:
        return f"good, {seconds:.1f} s"
    return f"refused: {(done.stdout + done.stderr).strip().splitlines()[-1][:60]}"


def _measure(by: str, stages: int, file: str) -> None:
    """Write one document and print how long import, building and writing took."""
    marks = [time.perf_counter()]
    build = {"ours": _ours, "hera": _hera}[by]()
    marks.append(time.perf_counter())
    write = build(stages)
    marks.append(time.perf_counter())
    text = write()
    marks.append(time.perf_counter())
    Path(file).write_text(text, encoding="utf-8")
    print(json.dumps([after - before for before, after in itertools.pairwise(marks)]))


def _ours() -> Callable[[int], Callable[[], str]]:
    from bodywork_argo.manifests import to_yaml
    from bodywork_argo.planner import make_plan
    from bodywork_argo.schema import parse_project
    from bodywork_argo_adapters.argo import ArgoBackend

    backend = ArgoBackend()
    with_models = parse_project(file_of(1)).project
    backend.compile(make_plan(with_models, SOURCE), "bench-1")  # imports the models

    def build(stages: int) -> Callable[[], str]:
        plan = make_plan(parse_project(file_of(stages)).project, SOURCE)
        documents = backend.compile(plan, "bench-1").documents
        return lambda: to_yaml(documents)

    return build


def _hera() -> Callable[[int], Callable[[], str]]:
    from hera.workflows import DAG, Container, Task, UserContainer, Workflow
    from hera.workflows import models as m

    resources = m.ResourceRequirements(
        requests={"cpu": m.Quantity("500m"), "memory": m.Quantity("100M")}
    )

    mounts = [m.VolumeMount(name="code", mount_path="/code")]
    prepare = UserContainer(
        name="prepare",
        image="python:3.12",
        command=["sh", "-c", PREPARE],
        resources=resources,
        volume_mounts=mounts,
    )

    def stage(number: int) -> Container:
        command = ["python3", f"/code/stage_{number}/main.py", f"--part={number}"]
        return Container(
            name=f"stage-{number}",
            image="python:3.12",
            command=command,
            resources=resources,
            retry_strategy=m.RetryStrategy(limit=m.IntOrString("1"), retry_policy="Always"),
            active_deadline_seconds=30,
            init_containers=[prepare],
            volume_mounts=mounts,
        )

    def build(stages: int) -> Callable[[], str]:
        volumes = [m.Volume(name="code", empty_dir=m.EmptyDirVolumeSource())]
        with Workflow(name="bench-1", entrypoint="pipeline", volumes=volumes) as workflow:
            containers = [stage(number) for number in range(stages)]
            with DAG(name="pipeline", fail_fast=False):
                before: list[Task] = []
                for start in range(0, stages, WIDTH):
                    step = [
                        Task(
                            name=f"stage-{number}",
                            template=containers[number],
                            dependencies=[task.name for task in before],
                        )
                        for number in range(start, min(start + WIDTH, stages))
                    ]
                    before = step
        return lambda: str(workflow.to_yaml())

    return build


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in _BY:
        _measure(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    else:
        main(sys.argv[1:])
