"""Runs of many stages on real engines, as submitters give them."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from bodywork_argo.runner import MESSAGE_BYTES
from bodywork_argo_adapters.argo.status import nodes_of
from e2e.conftest import MakeRepository
from e2e.support.backends import ARGO, TEKTON, Engine
from e2e.support.program import TELL, pipeline, set_up, stage
from e2e.support.spaces import WORKFLOW, Space

pytestmark = pytest.mark.heavy

POD = {"apiVersion": "v1", "kind": "Pod"}
# As much as the kubelet keeps of a container's last words, of what quoting makes longer.
LOUD = r"""
text = '"\\\\\x7f{{workflow.name}}$(A)$$\U000e0001' * 130
open("/dev/termination-log", "wb").write(text.encode())
raise SystemExit(7)
"""
FAILING = 300
AT_ONCE = 8
"""As many pods as a small node makes without harm to those who look on."""
SHAPES = [
    pytest.param(ARGO, 5, 40, {"parallelism": AT_ONCE}, id="argo"),
    # It starts all stages of a step at once.
    pytest.param(TEKTON, 20, 10, {}, id="tekton"),
]
ROWS = 40


def test_what_many_failed_stages_say_is_cut_to_what_a_container_takes(
    namespace: Space, make_git_repository: MakeRepository, tmp_path: Path
) -> None:
    submitter = set_up(namespace, tmp_path)
    stages = {f"bad-{number}": stage(LOUD) for number in range(FAILING)}
    files = pipeline(
        ", ".join(stages),
        {**stages, "tell": stage(TELL)},
        on_failure="tell",
        kubernetes={"parallelism": AT_ONCE},
    )
    repository = make_git_repository(files)

    said = submitter("submit", repository.url, "--wait", code=1, patience=1800)

    (name,) = said.lines
    nodes = nodes_of(namespace.get(WORKFLOW, name)).values()
    assert sum(len(node.get("message", "")) for node in nodes) > 128 * 1024
    told = submitter("logs", name, "tell").out
    assert len(told.encode()) <= MESSAGE_BYTES
    first, *lines, last = told.splitlines()
    assert first.startswith(f"{FAILING} stages failed: bad-")
    assert last == f"... and {FAILING - len(lines)} more"
    assert all(re.match(r"bad-\d+: .*\(exit code 7\)$", line) for line in lines)
    assert f"{FAILING} stages failed: bad-" in said.err.splitlines()[-1]


@pytest.mark.parametrize(("engine", "count", "width", "keys"), SHAPES)
def test_two_hundred_stages_in_wide_steps_end_well_and_are_shown_on_one_screen(
    namespace: Space,
    make_git_repository: MakeRepository,
    tmp_path: Path,
    engine: Engine,
    count: int,
    width: int,
    keys: dict[str, int],
) -> None:
    submitter = set_up(namespace, tmp_path, engine)
    steps = [[f"s{step}-{number}" for number in range(width)] for step in range(count)]
    stages = {name: stage("print(1)") for step in steps for name in step}
    dag = " >> ".join(", ".join(step) for step in steps)
    repository = make_git_repository(pipeline(dag, stages, kubernetes=keys))

    said = submitter.on_terminal("submit", repository.url, "--watch", rows=ROWS, columns=100)

    assert said.code == 0, said.err[-4000:]
    assert "error" not in said.err
    assert "warning" not in said.err
    # Over the picture before, and no further.
    moves = re.findall(r"(?:\x1b\[1A\x1b\[2K)+", said.err)
    assert 1 < max(each.count("\x1b[1A") for each in moves) < 2 * ROWS
    (name,) = said.lines
    assert len(namespace.find(POD)) == count * width == 200
    run = submitter("status", name, "-o", "json").data
    assert {each["phase"] for each in run["stages"]} == {"succeeded"}
    times = {each["stage"]: (each["started"], each["finished"]) for each in run["stages"]}
    for before, after in itertools.pairwise(steps):
        last = max(times[each][1] for each in before)
        assert all(last <= times[each][0] for each in after)
