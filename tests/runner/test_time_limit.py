"""`exec --time-limit`: the watchdog."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from bodywork_argo.runner import Life
from tests.runner.lab import RUNNER, Lab, alive, processes_with, until

SLEEP = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""

LEAVES_A_CHILD = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
print(child.pid, flush=True)
time.sleep(60)
"""


def limited(lab: Lab, code: str, *options: str) -> tuple[str, int, str]:
    lab.ready({"main.py": code})
    done = lab.run("exec", "--module=main.py", *options)
    return done.out, done.code, done.reason


def watchdogs(lab: Lab) -> list[str]:
    return [line for line in processes_with(str(lab.root)) if " exec " in line]


def test_at_the_limit_the_module_gets_term(lab: Lab) -> None:
    code = SLEEP.replace("import time", "import time, signal, sys\n").replace(
        "print", "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); print"
    )
    assert limited(lab, code, "--time-limit=0.8")[1:] == (5, "time limit of 0.8 s exceeded")


def test_a_module_that_ignores_term_is_killed_with_its_children_after_the_grace(lab: Lab) -> None:
    before = time.monotonic()
    out, code, _ = limited(lab, STUBBORN, "--time-limit=0.8", "--grace=0.5")
    assert code == -signal.SIGKILL
    assert time.monotonic() - before > 1.3
    until(lambda: not alive(int(out)), "the child was killed")


def test_a_child_that_outlives_a_module_that_term_ended_is_killed(lab: Lab) -> None:
    out, code, _ = limited(lab, LEAVES_A_CHILD, "--time-limit=0.8")
    assert code == -signal.SIGTERM
    until(lambda: not alive(int(out)), "the child was killed")


def test_the_reason_is_written_before_the_module_is_told(lab: Lab) -> None:
    code = f"""
import signal, sys, time
def told(*_):
    print(open({str(lab.log)!r}).read())
    sys.exit(0)
signal.signal(signal.SIGTERM, told)
time.sleep(60)
"""
    out, _, _ = limited(lab, code, "--time-limit=0.8")
    assert out == "time limit of 0.8 s exceeded\n"


def test_a_module_that_led_no_group_leads_one_now(lab: Lab) -> None:
    lab.ready({"main.py": "import os; print(os.getpgrp() == os.getpid())"})
    shell = f"{sys.executable} {RUNNER} exec --workspace={lab.workspace} --module=main.py"
    done = subprocess.run(
        ["sh", "-c", f"{shell} --time-limit=30; exit 0"], capture_output=True, text=True
    )
    assert done.stdout == "True\n"


@pytest.mark.parametrize("limit", ["0", "", "0.0"])
def test_no_limit_means_no_watchdog(lab: Lab, limit: str) -> None:
    lab.ready({"main.py": SLEEP})
    process = lab.start("exec", "--module=main.py", f"--time-limit={limit}")
    assert process.stdout is not None
    process.stdout.readline()
    found = watchdogs(lab)
    process.kill()
    lab.finish(process)
    assert found == []


def test_the_watchdog_is_gone_when_the_module_is(lab: Lab) -> None:
    lab.ready({"main.py": "import time; print('up', flush=True); time.sleep(0.5)"})
    process = lab.start("exec", "--module=main.py", "--time-limit=30")
    assert process.stdout is not None
    process.stdout.readline()
    assert len(watchdogs(lab)) == 1
    lab.finish(process)
    ended = time.monotonic()
    until(lambda: not watchdogs(lab), "the watchdog went")
    assert time.monotonic() - ended < 1


def test_the_watchdog_holds_no_pipe_open(lab: Lab) -> None:
    lab.ready({"main.py": "print('done')"})
    before = time.monotonic()
    assert lab.run("exec", "--module=main.py", "--time-limit=30").out == "done\n"
    assert time.monotonic() - before < 10


def test_the_watchdog_holds_no_inherited_descriptor_open(lab: Lab) -> None:
    lab.ready({"main.py": SLEEP})
    source, target = os.pipe()
    os.set_inheritable(target, True)
    command = [sys.executable, str(RUNNER)]
    command += ["exec", f"--workspace={lab.workspace}", "--module=main.py", "--time-limit=30"]
    pid = os.posix_spawn(command[0], command, lab.env)
    os.close(target)
    until(lambda: len(processes_with(f"{lab.root}")) >= 2, "both run")
    until(lambda: processes_with(f"{lab.workspace}/venv/bin/python"), "the module runs")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert os.read(source, 1) == b""
    os.close(source)


def test_the_module_has_no_child_that_it_did_not_start(lab: Lab) -> None:
    code = """
import os, time
time.sleep(0.3)
try:
    os.wait()
except ChildProcessError:
    print("none")
"""
    assert limited(lab, code, "--time-limit=30")[0] == "none\n"


def test_the_module_has_no_descriptor_that_it_did_not_open(lab: Lab) -> None:
    code = "import os; print(len(os.listdir('/dev/fd')))"
    limit = limited(lab, code, "--time-limit=30")[0]
    assert limit == lab.run("exec", "--module=main.py").out


def test_the_watchdog_is_in_another_session(lab: Lab) -> None:
    lab.ready({"main.py": "import os, time\nprint('up', flush=True)\ntime.sleep(60)"})
    process = lab.start("exec", "--module=main.py", "--time-limit=30")
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)
    lab.finish(process)
    until(lambda: not watchdogs(lab), "the watchdog went by itself")
    assert not lab.log.exists()


def test_a_life_that_goes_on_is_not_taken_for_ended() -> None:
    assert Life(os.getpid()).ended(0.05) is False


def test_a_dead_process_that_nobody_reaped_has_ended() -> None:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exec sleep 0.2"], {"PATH": os.environ["PATH"]})
    life = Life(pid)
    assert life.ended(10) is True
    os.waitpid(pid, 0)
