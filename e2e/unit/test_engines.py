"""The parts of the engines' package that need no engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.engines.api import documents
from e2e.engines.debian import missing_packages, require_packages
from e2e.engines.failure import EngineError, tail
from e2e.engines.install import as_released, without_conversion
from e2e.engines.launch import start_time
from e2e.engines.modules import ARGO, KUBERNETES, MODULES, TEKTON, Module
from e2e.engines.places import Places, places_from
from e2e.engines.processes import Part, Processes, Record
from e2e.engines.progress import Progress, run_logged

FOREVER = (sys.executable, "-c", "import time; time.sleep(1000)")
RESOURCE = """# a licence
kind: CustomResourceDefinition
metadata:
  name: runs.tekton.dev
spec:
  group: tekton.dev
  conversion:
    strategy: Webhook
    webhook:
      clientConfig: {}
  scope: Namespaced
"""


def make_places(folder: Path) -> Places:
    return Places(cache=folder / "cache", run=folder / "run", data=folder / "data")


def make_part(*command: str, ready: bool = False) -> Part:
    return Part(name="sample", command=command, ready=lambda: ready, environment={}, patience=20.0)


def test_a_part_that_dies_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    processes = Processes(make_places(tmp_path))
    part = make_part("sh", "-c", "echo no luck; exit 1")
    processes.start(part)

    with pytest.raises(EngineError, match="sample ended") as failure:
        processes.await_ready(part)

    assert str(failure.value).endswith("no luck")


def test_a_part_is_stopped_and_forgotten(tmp_path: Path) -> None:
    processes = Processes(make_places(tmp_path))
    part = make_part(*FOREVER, ready=True)
    processes.start(part)
    pid = processes.records()["sample"].pid
    assert processes.runs(part)

    processes.stop(["sample"], patience=5.0)

    assert (start_time(pid), processes.records()) == (None, {})


def test_a_part_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    processes = Processes(make_places(tmp_path))
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    part = make_part(sys.executable, "-c", f"{deaf}; time.sleep(1000)")
    processes.start(part)
    pid = processes.records()["sample"].pid
    while tail(processes.places.log("sample")) != "1":
        assert start_time(pid) is not None

    processes.stop(["sample"], patience=0.2)

    assert start_time(pid) is None


def test_another_process_with_a_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    record = Record(name="old", pid=os.getpid(), started="another boot/1", fingerprint="")

    assert not record.alive


def test_a_changed_command_is_not_the_running_part(tmp_path: Path) -> None:
    processes = Processes(make_places(tmp_path))
    processes.start(make_part(*FOREVER))

    assert not processes.runs(make_part(*FOREVER, "more"))
    processes.stop(["sample"], patience=5.0)


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert "git" in missing_packages()
    with pytest.raises(EngineError, match=r"apt-get install .*\bgit\b"):
        require_packages()


def test_the_cache_folder_follows_xdg() -> None:
    found = places_from({"XDG_CACHE_HOME": "/somewhere"})

    assert found.cache == Path("/somewhere/bodywork-argo-e2e")


@pytest.mark.parametrize("module", MODULES[1:], ids=lambda module: module.folder)
def test_every_engine_is_pinned(module: Module) -> None:
    assert module.version.startswith("v")
    assert (module.sources / "go.sum").exists()


def test_engines_are_stamped_with_their_version() -> None:
    assert f"version.gitVersion={KUBERNETES.version}" in KUBERNETES.link_flags()
    assert f"v4.version={ARGO.version}" in ARGO.link_flags()


def test_comments_make_no_document() -> None:
    assert documents(f"# only this\n---\n{RESOURCE}---\n") == [RESOURCE]


def test_the_conversion_is_left_out() -> None:
    left = without_conversion(RESOURCE)

    assert "ebhook" not in left
    assert left.endswith("group: tekton.dev\n  scope: Namespaced\n")


def test_a_failed_step_of_the_build_is_told_with_its_output(tmp_path: Path) -> None:
    progress = Progress(sys.stderr)

    with pytest.raises(EngineError, match="exit status 3") as failure:
        run_logged("a step", ["sh", "-c", "echo why; exit 3"], tmp_path / "log", progress)

    assert "why" in str(failure.value)


def test_the_command_line_tells_its_commands() -> None:
    asked = [sys.executable, "-m", "e2e.engines", "--help"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout

    assert all(word in said for word in ("build", "up", "down", "status", "kubeconfig", "load"))


def test_tekton_tells_its_version_as_a_release_of_it_does() -> None:
    text = 'kind: ConfigMap\ndata:\n  version: "devel"\n'
    assert as_released(text).endswith(f'  version: "{TEKTON.version}"\n')
    assert as_released("data:\n  version: 3\n") == "data:\n  version: 3\n"
