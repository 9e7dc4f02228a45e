"""Prints reference/parity.md: what each backend does with each feature, by its own ``check``.

Write it anew with ``python docs/_ext/parity.py > docs/reference/parity.md``.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bodywork_argo.backend import Backend, HasServer, InCluster, Prunes
from bodywork_argo.cluster import Cluster
from bodywork_argo.errors import Problem
from bodywork_argo.plan import Parameter, Pinned, Plan, Source
from bodywork_argo.planner import PlanOptions, make_plan
from bodywork_argo.registry import installed, load_backend
from bodywork_argo.scheduling import HasSchedules
from bodywork_argo.schema import parse_project
from bodywork_argo.schema.fields import Field, Section
from bodywork_argo.schema.kubernetes_keys import (
    INGRESS_SECTION,
    PIPELINE_KUBERNETES_SECTION,
    PROBES_SECTION,
    STAGE_KUBERNETES_SECTION,
)
from bodywork_argo.schema.pod_parts import INSTALL_SECTION, VOLUME_SECTION

BACKENDS = ("local", "argo", "tekton")

HEAD = """\
# What each backend does

<!-- Made by docs/_ext/parity.py from the backends' own checks; edit those. -->

Each row is a small `bodywork.yaml` that each backend was asked about, as `compile`, `run` and
`submit` ask it.

- **yes**: it does what the key says.
- **told**: it does something else, or has no use for the key, and says so before the run. The note
  stands below.
- **refused**: it can't, and nothing is sent. The reason stands below.
- **not used**: there is nothing to do on this machine, which has no images, pods and ingresses.
"""

CAPABILITIES_HEAD = """\
## What is no key of the file

| feature | local | Argo Workflows | Tekton |
|---|---|---|---|
"""

TAIL = """\

Runs by the clock are refused on Tekton before anything is sent. There a CronJob, or the CI of the
repository, calls `bodywork-argo submit --backend tekton`.

How the same thing comes about on each engine, and where that shows, stands on pages of its own:
[what all backends agree on](../explanation/pipeline-semantics.md),
[Argo Workflows](../explanation/argo-workflow.md), [Tekton](../explanation/tekton-pipelinerun.md),
[releases](../explanation/releases.md).
"""

SOURCE = Source(
    revision=Pinned(commit="0123456789abcdef0123456789abcdef01234567"),
    repository="https://git.example/team/shop.git",
    ref="main",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something that a pipeline may ask for."""

    title: str
    pipeline: dict[str, Any] = field(default_factory=dict)
    stage: dict[str, Any] = field(default_factory=dict)
    """Keys of one of its stages."""
    service: bool = False
    """Whether that stage is a service."""
    source: Source = SOURCE
    exclusive: bool = False
    """Asked for by `submit`, which is for clusters."""
    key: Field | None = None
    """Whose table tells which backends act on it."""


def _own(section: Section, name: str) -> Field:
    (found,) = (each for each in section.fields if each.name == name)
    return found


def _pod(name: str, value: Any) -> Feature:
    """Return a feature that is one key under ``kubernetes`` of a stage."""
    found = _own(STAGE_KUBERNETES_SECTION, name)
    return Feature(title=f"`{name}`", stage={"kubernetes": {name: value}}, key=found)


def _run(name: str, value: Any, *, service: bool = False) -> Feature:
    """Return a feature that is one key under ``kubernetes`` of the pipeline."""
    found = _own(PIPELINE_KUBERNETES_SECTION, name)
    keys = {"kubernetes": {name: value}}
    return Feature(title=f"`{name}`", pipeline=keys, key=found, service=service)


def _inner(section: Section, within: str, name: str, value: Any, **more: Any) -> Feature:
    """Return a feature that is a key inside of one under ``kubernetes`` of a stage."""
    keys = {"kubernetes": {within: {name: value}}, **more}
    title = f"`{within}: {{{name}: ...}}`"
    service = section in (PROBES_SECTION, INGRESS_SECTION)
    return Feature(title=title, stage=keys, service=service, key=_own(section, name))


def _volume(name: str, source: Any) -> Feature:
    volumes = [{"name": "data", "path": "/data", name: source}]
    found = _own(VOLUME_SECTION, name)
    title = f"`volumes: [{{{name}: ...}}]`"
    return Feature(title=title, stage={"kubernetes": {"volumes": volumes}}, key=found)


def _exposed(name: str, value: Any) -> Feature:
    return _inner(INGRESS_SECTION, "ingress", name, value, service={"ingress": True})


STAGES = (
    Feature(title="batch stages in steps, with `retries` and time limits"),
    Feature(title="`run_on_failure`", pipeline={"run_on_failure": "tell"}),
    Feature(title="notebooks", stage={"executable_module_path": "train.ipynb"}),
    Feature(title="`args`, of any text", stage={"args": ["--day", "$(date)", "{{today}}"]}),
    Feature(title="`secrets`", stage={"secrets": {"TOKEN": "api"}}),
    Feature(title="`requirements`", stage={"requirements": ["numpy==2.0.2"]}),
    _pod("requirements_file", "requirements.txt"),
    _pod("image", "python:3.13-slim"),
    _pod("env", {"OMP_NUM_THREADS": "4"}),
    _inner(INSTALL_SECTION, "install", "timeout_seconds", 1800),
    _inner(INSTALL_SECTION, "install", "index_url", "https://index.example/simple"),
    _inner(INSTALL_SECTION, "install", "index_secret", "index", requirements=["numpy==2.0.2"]),
    _inner(INSTALL_SECTION, "install", "ca_bundle", "authorities"),
    _inner(INSTALL_SECTION, "install", "http_proxy", "http://proxy.example:3128"),
    _inner(INSTALL_SECTION, "install", "https_proxy", "http://proxy.example:3128"),
    _inner(INSTALL_SECTION, "install", "no_proxy", ".example.org"),
    _inner(INSTALL_SECTION, "install", "tool", "uv"),
)
PODS = (
    _pod("cpu_limit", 2),
    _pod("memory_limit_mb", 1000),
    _pod("gpu", 1),
    Feature(
        title="`gpu_resource`",
        stage={"kubernetes": {"gpu": 1, "gpu_resource": "amd.com/gpu"}},
        key=_own(STAGE_KUBERNETES_SECTION, "gpu_resource"),
    ),
    _pod("node_selector", {"disk": "ssd"}),
    _pod("tolerations", [{"key": "gpu", "operator": "Exists"}]),
    _pod("image_pull_secrets", ["registry"]),
    _pod("image_pull_policy", "Always"),
    _pod("service_account", "trainer"),
    _pod("labels", {"team": "ml"}),
    _pod("annotations", {"example.org/owner": "ml"}),
    _volume("claim", "training-data"),
    _volume("secret", "keys"),
    _volume("config_map", "settings"),
    _volume("empty_mb", 100),
    _pod("patch", {"priorityClassName": "low"}),
)
RUNS = (
    _run("run_timeout_seconds", 86400),
    Feature(
        title="`run_timeout_seconds` with `run_on_failure`",
        pipeline={"run_on_failure": "tell", "kubernetes": {"run_timeout_seconds": 86400}},
    ),
    _run("parallelism", 4),
    _run("ttl_seconds", 604800),
    Feature(title="a batch pipeline with `--exclusive`", exclusive=True),
    Feature(
        title="a private repository, by SSH or token",
        source=Source(
            revision=SOURCE.revision, repository="ssh://git@git.example/team/shop.git", ref="main"
        ),
    ),
    Feature(
        title="a repository on this machine alone",
        source=Source(revision=SOURCE.revision, repository="/home/ann/shop", ref="main"),
    ),
    Feature(
        title="documents that take the commit as an argument",
        source=Source(revision=Parameter()),
    ),
)
SERVICES = (
    Feature(title="services, with `--allow-parallel`", service=True),
    Feature(
        title="runs that release services wait for each other",
        service=True,
        exclusive=True,
    ),
    Feature(title="`replicas: 2`", service=True, stage={"service": {"replicas": 2}}),
    Feature(title="`ingress: true`", service=True, stage={"service": {"ingress": True}}),
    _exposed("class", "nginx"),
    _exposed("host", "scores.example.org"),
    _exposed("path", "/scores"),
    _exposed("tls_secret", "scores-tls"),
    _exposed("rewrite", True),
    _inner(PROBES_SECTION, "probes", "startup", "/health"),
    _inner(PROBES_SECTION, "probes", "readiness", "/ready"),
    _inner(PROBES_SECTION, "probes", "liveness", "/health"),
    _run("rollback", "step", service=True),
    Feature(
        title="`run_timeout_seconds` with services",
        pipeline={"kubernetes": {"run_timeout_seconds": 86400}},
        service=True,
    ),
)
SECTIONS = (
    ("Stages", STAGES),
    ("Pods of stages", PODS),
    ("Runs", RUNS),
    ("Services", SERVICES),
)


def missing_keys() -> Iterator[str]:
    """Yield the keys of `kubernetes` blocks that no feature is about."""
    shown = {feature.key for _, features in SECTIONS for feature in features}
    sections = (
        PIPELINE_KUBERNETES_SECTION,
        STAGE_KUBERNETES_SECTION,
        INSTALL_SECTION,
        VOLUME_SECTION,
        PROBES_SECTION,
        INGRESS_SECTION,
    )
    for section in sections:
        for each in section.fields:
            if each not in shown and each.name not in _SHOWN_BY_WHAT_IS_INSIDE:
                yield f"{section.path}.{each.name}"


_SHOWN_BY_WHAT_IS_INSIDE = {"install", "volumes", "probes", "ingress", "name", "path", "read_only"}


class Footnotes:
    """Numbers notes in the order in which they are first needed; the same note has one number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, text: str) -> str:
        """Return the mark that leads to a note."""
        return f"[^{self._numbers.setdefault(text, len(self._numbers) + 1)}]"

    def lines(self) -> Iterator[str]:
        """Yield the notes."""
        for text, number in self._numbers.items():
            yield f"[^{number}]: {text}"


def plan_of(feature: Feature) -> Plan:
    """Return the plan of a small pipeline with a feature."""
    project = parse_project(json.dumps(_document(feature)).encode()).project
    return make_plan(project, feature.source, PlanOptions(exclusive=feature.exclusive))


def _document(feature: Feature) -> dict[str, Any]:
    limits = {"max_completion_time_seconds": 60, "retries": 1}
    sizes = {"cpu_request": 0.5, "memory_request_mb": 250}
    serves = {"max_startup_time_seconds": 30, "replicas": 1, "port": 5000, "ingress": False}
    kind = {"service": serves} if feature.service else {"batch": limits}
    others = ["prepare", *filter(None, [feature.pipeline.get("run_on_failure")])]
    return {
        "version": "1.1",
        "pipeline": {
            "name": "shop",
            "docker_image": "python:3.12-slim",
            "DAG": "prepare >> train",
            **feature.pipeline,
        },
        "stages": {
            "train": _merged(
                {"executable_module_path": "train.py", **sizes, **kind}, feature.stage
            ),
            **{
                name: {"executable_module_path": f"{name}.py", **sizes, "batch": limits}
                for name in others
            },
        },
        "logging": {"log_level": "INFO"},
    }


def _merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return both; mappings are joined."""
    joined = {
        key: _merged(base[key], value) if isinstance(base.get(key), dict) else value
        for key, value in more.items()
    }
    return {**base, **joined}


def cell(feature: Feature, backend: Backend, notes: Footnotes) -> str:
    """Return what a backend does with a feature."""
    problems = backend.check(plan_of(feature))
    marks = "".join(notes.mark(_text(each, backend)) for each in problems)
    if any(each.severity == "error" for each in problems):
        return f"refused{marks}"
    if problems:
        return f"told{marks}"
    engines = "all" if feature.key is None else feature.key.engines
    if feature.exclusive and not isinstance(backend, InCluster):
        return "not used"
    return "yes" if engines == "all" or backend.name in engines else "not used"


def _text(problem: Problem, backend: Backend) -> str:
    remedy = f"; {problem.remedy}" if problem.remedy else ""
    key = problem.key.removeprefix("stages.train.").removeprefix("pipeline.")
    named = f"`{key}`: " if key else ""
    return f"{backend.name}: {named}{problem.what}{remedy}."


def _capabilities(backends: list[Backend]) -> Iterator[str]:
    def nowhere() -> Cluster:
        raise AssertionError("nothing is asked of a cluster")

    runtimes = {each.name: each.runtime(nowhere) for each in backends}
    for title, has in (
        ("runs in a cluster, with `setup` and `doctor`", lambda it: isinstance(it, InCluster)),
        (
            "runs by the clock, `cron`",
            lambda it: isinstance(it, HasSchedules),
        ),
        (
            "`submit --keep N`: how many ended runs are kept",
            lambda it: isinstance(runtimes[it.name], Prunes),
        ),
        (
            "runs without a kubeconfig, through the engine's own server",
            lambda it: isinstance(it, HasServer),
        ),
    ):
        yield _row(title, ["yes" if has(each) else "no" for each in backends])


def _row(title: str, cells: list[str]) -> str:
    return f"| {title} | {' | '.join(cells)} |"


def page() -> str:
    """Return the whole page."""
    backends = [load_backend(name, installed()) for name in BACKENDS]
    notes = Footnotes()
    parts = [HEAD]
    for title, features in SECTIONS:
        rows = [_row(each.title, [cell(each, it, notes) for it in backends]) for each in features]
        head = f"## {title}\n\n| feature | local | Argo Workflows | Tekton |\n|---|---|---|---|\n"
        parts.append(head + "\n".join(rows) + "\n")
    parts.append(CAPABILITIES_HEAD + "\n".join(_capabilities(backends)) + "\n" + TAIL)
    parts.append("\n".join(notes.lines()))
    return "\n".join(parts)


if __name__ == "__main__":
    if missing := list(missing_keys()):
        sys.exit(f"no feature here is about {', '.join(missing)}")
    sys.stdout.write(page() + "\n")
