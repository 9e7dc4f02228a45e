"""Whatever the file holds, parsing ends in a `Parsed` or a `SpecError`, the same each time.

BODYWORK_ARGO_FUZZ_CASES sets how many files each property tries.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodywork_argo.errors import SpecError
from bodywork_argo.schema import Parsed, parse_project
from tests.schema.cases import FILE, meaning
from tests.schema.test_extensions import ALL, with_blocks

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
SEEDS = [
    FILE.encode(),
    with_blocks(ALL, ALL, "probes: {startup: /up}, ingress: {host: example.org}").encode(),
    *(path.read_bytes() for path in sorted(CORPUS.glob("*.yaml"))),
]
VALID_TREES = [yaml.safe_load(seed) for seed in SEEDS if seed.strip()]

Change: TypeAlias = Callable[[object, object], None]

fuzz = settings(
    max_examples=int(os.environ.get("BODYWORK_ARGO_FUZZ_CASES", "60")),
    suppress_health_check=list(HealthCheck),
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.text(max_size=20)
    | st.sampled_from(
        ["1.1", "1.0", "500m", "1e3", "no", "a >> b", ">>", ",", "", " ", "x.py", "../x.py", "~"]
    )
)
KEYS = [
    "version", "pipeline", "project", "stages", "logging", "name", "docker_image", "DAG", "args",
    "run_on_failure", "namespace", "secrets_group", "usage_stats", "executable_module_path",
    "cpu_request", "memory_request_mb", "requirements", "secrets", "batch", "service", "retries",
    "max_completion_time_seconds", "max_startup_time_seconds", "replicas", "port", "ingress",
    "log_level", "kubernetes", "<<", "patch", "volumes", "tolerations", "install", "env", "labels",
    "probes", "containers", "name", "path", "secret", "gpu", "cpu_limit", "$patch",
]  # fmt: skip
names = st.sampled_from(KEYS) | scalars
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def outcome(text: str | bytes) -> Parsed | SpecError:
    try:
        return parse_project(text)
    except SpecError as error:
        return error


def check(text: str | bytes) -> None:
    first, second = outcome(text), outcome(text)
    if isinstance(first, Parsed):
        assert isinstance(second, Parsed)
        assert meaning(first) == meaning(second)
        return
    assert str(first) == str(second)
    assert any(problem.severity == "error" for problem in first.problems), "a refusal says why"
    assert all(str(problem).isprintable() for problem in first.problems)


def paths(tree: object, here: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Return the way to every value below the root."""
    children = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    found: list[tuple[object, ...]] = []
    for key, value in children:
        found += [(*here, key), *paths(value, (*here, key))]
    return found


def copied(
    tree: object, path: tuple[object, ...], change: Callable[[object, object], None]
) -> object:
    """Return the tree with `change(container, key)` done to a copy of what `path` leads to."""
    if isinstance(tree, dict):
        container: object = dict(tree)
    else:
        assert isinstance(tree, list)
        container = list(tree)
    if len(path) == 1:
        change(container, path[0])
    else:
        container[path[0]] = copied(container[path[0]], path[1:], change)  # type: ignore[index]
    return container


@st.composite
def mutated_trees(draw: st.DrawFn) -> object:
    """A published file with some keys dropped, renamed, retyped, or filled with nonsense."""
    tree = draw(st.sampled_from(VALID_TREES))
    for _ in range(draw(st.integers(1, 4))):
        ways = paths(tree)
        if not ways:
            break
        tree = copied(tree, draw(st.sampled_from(ways)), draw(mutations))
    return tree


def drop(container: object, key: object) -> None:
    del container[key]  # type: ignore[attr-defined]


def rename_to(name: object) -> Change:
    def rename(container: object, key: object) -> None:
        if isinstance(container, dict):
            container[name] = container.pop(key)

    return rename


def replace_by(value: object) -> Change:
    def replace(container: object, key: object) -> None:
        container[key] = value  # type: ignore[index]

    return replace


mutations = st.just(drop) | names.map(rename_to) | values.map(replace_by)


@fuzz
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    check(data)


@fuzz
@given(st.text(max_size=400) | st.text("{}[]:,-?&*!|>'\"%@`#\n\t ab1~<", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    check(text)


@fuzz
@given(values)
def test_any_yaml_is_read_or_refused(value: object) -> None:
    check(yaml.safe_dump(value))


@fuzz
@given(mutated_trees())
def test_a_file_with_changed_keys_is_read_or_refused(tree: object) -> None:
    check(yaml.safe_dump(tree, sort_keys=False))


@fuzz
@given(st.sampled_from(SEEDS), st.data())
def test_a_file_with_changed_lines_is_read_or_refused(seed: bytes, data: st.DataObject) -> None:
    lines = seed.splitlines(keepends=True) or [b""]
    place = st.integers(0, len(lines) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(place)
        match data.draw(st.sampled_from(["drop", "twice", "swap", "cut", "noise"])):
            case "drop":
                lines[at] = b""
            case "twice":
                lines[at] *= 2
            case "swap":
                other = data.draw(place)
                lines[at], lines[other] = lines[other], lines[at]
            case "cut":
                lines[at] = lines[at][: data.draw(st.integers(0, 40))]
            case _:
                lines[at] += data.draw(st.binary(max_size=8))
    check(b"".join(lines))
