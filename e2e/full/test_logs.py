"""What modules write comes out as they wrote it, however much it is and whoever reads it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest

from bodywork_argo.cluster import Resource
from bodywork_argo.errors import EngineError, OutputClosed
from e2e.conftest import MakeRepository
from e2e.support.cluster import Cluster, await_state
from e2e.support.commands import CommandLine, Ended, ending, megabytes
from e2e.support.followed import followed, pods_of
from e2e.support.identities import as_administrator
from e2e.support.program import pipeline, prepare, stage
from e2e.support.repositories import GitServer, make_repository
from e2e.support.spaces import Space, make_space

pytestmark = pytest.mark.full

AWKWARD = """
import sys
out = sys.stdout.buffer
for number in range(50_000):
    out.write(b"%06d one of many lines\\n" % number)
out.write(b"\\n\\x00nul \\xff\\xfe \\xe2\\x82\\n windows \\r\\n time=2026 argo=true\\n")
for number in range(75_000):
    out.write(b"\\r%06d progress" % number)
out.write(b"\\nlast, without an end")
"""
BIG = """
import sys
for number in range(50_000):
    sys.stdout.buffer.write(b"%06d" % number + b"." * 1000 + b"\\n")
"""
FAILING = "import socket; print('attempt on', socket.gethostname()); raise SystemExit(3)"
KIND = Resource(api_version="argoproj.io/v1alpha1", kind="Workflow")


def output_of(code: str) -> bytes:
    """Run a module here, and give what a node keeps of the output.

    containerd takes a carriage return before a newline for a part of the line's end.
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return done.stdout.replace(b"\r\n", b"\n")


def measured(data: bytes) -> tuple[int, str]:
    """Return what tells two outputs apart in a short message."""
    return len(data), hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A run that has ended, and its logs as read while it ran and afterwards."""

    run: str
    commands: CommandLine
    live: Ended
    live_of_all: Ended
    after: Ended
    after_of_all: Ended


def commands_for(space: Space, folder: Path) -> CommandLine:
    """Set a namespace up, and give the command line as its administrator has it."""
    prepare(space)
    return CommandLine(kubeconfig=space.cluster.kubeconfig, namespace=space.name, folder=folder)


@pytest.fixture
def commands(namespace: Space, tmp_path: Path) -> CommandLine:
    return commands_for(namespace, tmp_path)


@pytest.fixture(scope="module")
def awkward(
    cluster: Cluster, git_server: GitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Read]:
    """Two stages at once that write what is hard to carry."""
    space = make_space(cluster)
    files = pipeline("a, b", {"a": stage(AWKWARD), "b": stage(AWKWARD.replace("many", "more"))})
    commands = commands_for(space, tmp_path_factory.mktemp("awkward"))
    run = commands.submit(make_repository(git_server, space.name, files).url)
    # Both start before there is a pod: a stage's first seconds go for its repository.
    live, live_of_all = commands.start("logs", run, "a", "-f"), commands.start("logs", run, "-f")
    with ending(live, live_of_all):
        yield Read(
            run=run,
            commands=commands,
            live=live.end(),
            live_of_all=live_of_all.end(),
            after=commands.run("logs", run, "a"),
            after_of_all=commands.run("logs", run),
        )
    cluster.core.delete_namespace(space.name, propagation_policy="Background")


@pytest.mark.parametrize("when", ["live", "after"])
def test_of_one_stage_logs_are_the_bytes_that_it_wrote(awkward: Read, when: str) -> None:
    read = awkward.live if when == "live" else awkward.after

    assert (read.code, read.err) == (0, "")
    assert measured(read.out) == measured(output_of(AWKWARD))


@pytest.mark.parametrize("when", ["live_of_all", "after_of_all"])
def test_of_several_stages_each_line_is_whole_and_has_its_stage_in_front(
    awkward: Read, when: str
) -> None:
    read = awkward.live_of_all if when == "live_of_all" else awkward.after_of_all
    written = {"a": output_of(AWKWARD), "b": output_of(AWKWARD.replace("many", "more"))}

    assert (read.code, read.err) == (0, "")
    lines = read.out.removesuffix(b"\n").split(b"\n")
    assert {line[:4] for line in lines} == {b"a | ", b"b | "}
    for name, wanted in written.items():
        own = b"\n".join(line[4:] for line in lines if line.startswith(name.encode()))
        assert measured(own) == measured(wanted)


def test_the_logs_of_all_attempts_are_shown(
    commands: CommandLine, make_git_repository: MakeRepository
) -> None:
    files = pipeline("failing", {"failing": stage(FAILING, retries=1)})
    run = commands.submit(make_git_repository(files).url)

    live = commands.run("logs", run, "failing", "-f")
    after = commands.run("logs", run, "failing")

    assert len(set(live.out.splitlines())) == 2
    assert live.out == after.out
    assert (live.code, after.code) == (0, 0)


def test_a_log_of_50_mb_takes_little_memory(
    commands: CommandLine, make_git_repository: MakeRepository
) -> None:
    run = commands.submit(make_git_repository(pipeline("big", {"big": stage(BIG)})).url)
    calls = [commands.start("logs", run, "big", "-f"), commands.start("logs", run, "-f")]

    with ending(*calls):
        live, of_all = (call.end() for call in calls)
    after = commands.run("logs", run, "big")

    wrote = output_of(BIG)
    assert measured(live.out) == measured(wrote)
    # Of what its kubelet has rotated meanwhile, a node gives the last file alone.
    assert after.out
    assert measured(after.out) == measured(wrote[-len(after.out) :])
    assert len(of_all.out) == len(live.out) + 50_000 * len("big | ")
    assert max(each.megabytes for each in (live, of_all, after)) < 100


def test_a_slow_reader_makes_the_program_wait_instead_of_remember(
    commands: CommandLine, make_git_repository: MakeRepository
) -> None:
    run = commands.submit(make_git_repository(pipeline("big", {"big": stage(BIG)})).url)
    with commands.piped("logs", run, "big", "-f", out=PIPE) as slow:
        assert slow.stdout is not None
        first = slow.stdout.read(1)
        assert commands.run("watch", run).code == 0
        highest = megabytes(slow.pid)

        rest = slow.stdout.read()

    assert measured(first + rest) == measured(output_of(BIG))
    assert highest < 100


def test_a_reader_that_has_seen_enough_of_old_logs_ends_the_program(awkward: Read) -> None:
    for words in (("a",), ("a", "-f"), ("-f",)):
        with awkward.commands.piped("logs", awkward.run, *words, out=PIPE, err=PIPE) as call:
            assert call.stdout is not None
            assert call.stderr is not None
            call.stdout.readline()
            call.stdout.close()

            assert call.stderr.read() == b""
        assert call.returncode == OutputClosed.exit_code


def test_a_reader_that_has_seen_enough_of_a_run_ends_the_program(
    namespace: Space, commands: CommandLine, make_git_repository: MakeRepository
) -> None:
    with followed(namespace, make_git_repository, commands) as run:
        logs = commands.piped("logs", run.name, "-f", out=PIPE, err=PIPE)
        watch = commands.piped("watch", run.name, out=PIPE, err=STDOUT)
        with logs, watch:
            for call in (logs, watch):
                assert call.stdout is not None
                call.stdout.readline()
                call.stdout.close()
            assert logs.stderr is not None
            assert logs.stderr.read() == b""
            run.end()

    assert (logs.returncode, watch.returncode) == (OutputClosed.exit_code,) * 2


def test_what_pods_wrote_is_shown_though_argo_deletes_them_at_once(
    namespace: Space, commands: CommandLine, make_git_repository: MakeRepository
) -> None:
    with followed(namespace, make_git_repository, commands) as run:
        at_once = {"strategy": "OnPodCompletion", "deleteDelayDuration": "0s"}
        as_administrator(namespace).patch(KIND, run.name, {"spec": {"podGC": at_once}})

        run.end()

        await_state(lambda: pods_of(run.name, namespace), lambda found: not found, "no pods")
        after = commands.run("logs", run.name)
    assert (after.code, after.out) == (EngineError.exit_code, b"")
    assert after.err == "error: the log of writer is gone with its pod\n"


def test_logs_that_are_gone_are_told_after_those_that_are_there(
    namespace: Space, commands: CommandLine, make_git_repository: MakeRepository
) -> None:
    stages = {"one": stage(FAILING, retries=1), "two": stage("print('two is there')")}
    run = commands.submit(make_git_repository(pipeline("one, two", stages)).url)
    commands.run("watch", run)
    for pod in pods_of(run, namespace):
        if pod["metadata"]["labels"]["bodywork-argo/stage"] == "one":
            namespace.cluster.core.delete_namespaced_pod(pod["metadata"]["name"], namespace.name)
    await_state(lambda: len(pods_of(run, namespace)), lambda count: count == 1, "deleted pods")

    for words in ((), ("-f",)):
        read = commands.run("logs", run, *words)

        assert (read.code, read.out) == (EngineError.exit_code, b"two | two is there\n")
        assert read.err == ("error: the logs of one, one (attempt 2) are gone with their pods\n")
