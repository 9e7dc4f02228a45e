"""Bring the engines up and down."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from e2e.engines import certificates, gitservers, kernel, leftovers, network, settings
from e2e.engines.debian import install_packages, require_packages, require_root
from e2e.engines.failure import EngineError
from e2e.engines.golang import build_programs, missing_programs
from e2e.engines.images import build_python_layers, built_images
from e2e.engines.install import (
    Containerd,
    established,
    install_base,
    install_manifests,
    let_everybody_read_tektons_version,
)
from e2e.engines.parts import CORE, Options, api, parts
from e2e.engines.places import Places
from e2e.engines.processes import Part, Processes
from e2e.engines.progress import Progress

KUBELET_TRIES = 10


@contextmanager
def locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock; who comes second waits and says so. A dead holder holds nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"another command holds {path}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(places: Places, progress: Progress, *, with_packages: bool) -> None:
    """Build programs and image layers that the cache lacks."""
    require_root()
    with locked(places.cache / "build.lock", progress):
        if with_packages:
            install_packages(places, progress)
        require_packages()
        build_programs(places, progress)
        build_python_layers(places, progress)


def up(places: Places, options: Options, progress: Progress) -> None:
    """Start what does not run, and wait until all is ready. Doing it twice changes nothing."""
    require_root()
    require_packages()
    missing = missing_programs(places)
    if missing:
        raise EngineError(
            f"not built yet: {', '.join(missing)}. Build with:  python3 -m e2e.engines build"
        )
    with locked(places.lock, progress):
        _Start(places, options, progress).run()


def down(places: Places, progress: Progress, *, purge: bool = False) -> None:
    """Stop everything; only the cache, images and logs stay (with `purge` only the cache)."""
    require_root()
    with locked(places.lock, progress):
        sweep(places, progress)
        if purge:
            shutil.rmtree(places.data, ignore_errors=True)


def sweep(places: Places, progress: Progress) -> None:
    """Undo an `up`, however far it came and however it ended."""
    found = {kind: items for kind, items in leftovers.leftovers(places).items() if items}
    if not found:
        progress.say("nothing runs")
    with progress.phase("stop the engines"):
        running = Processes(places)
        # The kubelet first, which would start pods anew; the state of the cluster is thrown away,
        # so nobody needs the time to write it down.
        running.stop(["kubelet"], patience=1.0)
        names = list(running.records())
        running.stop([name for name in names if name not in CORE], patience=2.0)
        leftovers.end_containers(places)
        running.stop(CORE, patience=2.0)
        leftovers.end_containers(places)
        leftovers.clear(places)
    left = {kind: items for kind, items in leftovers.leftovers(places).items() if items}
    if left:
        raise EngineError(f"left behind: {left}")


class _Start:
    """One `up`, under the lock."""

    def __init__(self, places: Places, options: Options, progress: Progress) -> None:
        self.places, self.options, self.progress = places, options, progress
        self.processes = Processes(places)

    def run(self) -> None:
        self._prepare()
        self.parts = {part.name: part for part in parts(self.places, self.options)}
        self._start("containerd", "etcd")
        with ThreadPoolExecutor(max_workers=2) as pool:
            images_given = pool.submit(self._give_images)
            self._start_ready("kube-apiserver")
            self._start("kube-controller-manager", "kube-scheduler", "git-http", "git-ssh")
            self._await("containerd")
            installed = pool.submit(self._once, "manifests", self._install)
            images_given.result()
            # The kubelet makes the node that kube-proxy looks for; the first pod comes only after
            # both, because until then nobody has asked for one.
            self._start("kubelet", "kube-proxy", "coredns")
            installed.result()
        self._start_kubelet()
        self._start_ready("kube-proxy")
        self._start("argo-controller", "argo-server", "tekton-controller")
        self._await(*self.parts)
        self.progress.say(f"all is ready: export KUBECONFIG={self.places.kubeconfig}")

    def _prepare(self) -> None:
        records = self.processes.records()
        if all(name in records and records[name].alive for name in CORE):
            return
        if any(leftovers.leftovers(self.places).values()):
            self.progress.say("an earlier run was broken off: clearing it away")
            sweep(self.places, self.progress)
        self.places.run.mkdir(parents=True)
        self.places.run.chmod(0o711)
        # The guard, bridge and route before anything that could send a packet.
        kernel.save(self.places.kernel_settings)
        network.create(self.places.network_made)
        leftovers.make_control_groups()
        certificates.make(self.places)
        settings.write(self.places)
        self.places.git.mkdir(parents=True, exist_ok=True)
        gitservers.prepare_ssh(self.places.run / "ssh", self.places.git, network.NODE)

    def _start(self, *names: str) -> None:
        for name in names:
            part = self.parts[name]
            if self.processes.runs(part):
                continue
            self.processes.stop([name], patience=2.0)
            self.progress.say(f"start {name}")
            self.processes.start(part)

    def _await(self, *names: str) -> None:
        for name in names:
            self.processes.await_ready(self.parts[name])

    def _start_ready(self, name: str) -> None:
        self._start(name)
        self._await(name)

    def _start_kubelet(self) -> None:
        # It ends when a containerd that was just started still recovers its pods ("server is not
        # initialized yet"). Elsewhere systemd starts it again.
        for left in reversed(range(KUBELET_TRIES)):
            try:
                self._start_ready("kubelet")
            except EngineError:
                if not left or self.processes.runs(self.parts["kubelet"]):
                    raise
                time.sleep(1)
            else:
                break

    def _give_images(self) -> None:
        wanted = built_images(self.places)
        self._await("containerd")
        containerd = Containerd(self.places)
        old = containerd.containers() if "kubelet" not in self.processes.records() else []
        if old:
            containerd.forget(old)
            self.processes.stop(["containerd"], patience=5.0)
            self._start_ready("containerd")
        outdated = containerd.outdated(wanted)
        if outdated:
            with self.progress.phase(f"import {len(outdated)} of {len(wanted)} images"):
                containerd.give(outdated)

    def _install(self) -> None:
        client = api(self.places)
        with self.progress.phase("install custom resources"):
            install_base(client)
            install_manifests(client, self.places)
            let_everybody_read_tektons_version(client)
            _await_true("the custom resources", established(client, self.places))

    def _once(self, name: str, step: Callable[[], None]) -> None:
        done = self.places.run / "done" / name
        if not done.exists():
            step()
            done.parent.mkdir(exist_ok=True)
            done.touch()


def _await_true(what: str, ask: Callable[[], bool], patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not ask():
        if time.monotonic() > deadline:
            raise EngineError(f"{what} are not ready after {patience:.0f} s")
        time.sleep(0.2)


def status(places: Places, options: Options) -> list[tuple[Part, str]]:
    """Give each part and whether it is ready, running or stopped."""
    if not places.kubeconfig.exists():
        return []
    records = Processes(places).records()
    answers = []
    for part in parts(places, options):
        record = records.get(part.name)
        if record is None or not record.alive:
            answers.append((part, "stopped"))
        else:
            answers.append((part, "ready" if part.ready() else "running, not ready"))
    return answers
