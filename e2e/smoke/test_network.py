"""No packet of the engines leaves this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from e2e.engines import network
from e2e.engines.places import Places
from e2e.engines.processes import Processes
from e2e.support.cluster import Cluster

pytestmark = pytest.mark.smoke


def run(*command: str) -> str:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout


def seconds_since_boot(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    ticks = int(stat.rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


def test_service_addresses_lead_to_the_bridge(own_engines: Places) -> None:
    assert f"{network.SERVICES} dev {network.BRIDGE}" in network.routes()


def test_the_address_of_the_bridge_stays_while_pods_come_and_go(own_engines: Places) -> None:
    link = Path(f"/sys/class/net/{network.BRIDGE}")
    assert (link / "address").read_text(encoding="ascii").strip() == network.HARDWARE_ADDRESS
    was_set = "3"  # NET_ADDR_SET; the kernel moves others to the lowest address of a port
    assert (link / "addr_assign_type").read_text(encoding="ascii").strip() == was_set


def test_the_guard_stands(own_engines: Places) -> None:
    rules = run("nft", "list", "table", "inet", network.TABLE)

    assert f'iifname "{network.BRIDGE}" oifname != "{network.BRIDGE}"' in rules
    assert f"{network.SERVICES}" in rules


def test_the_route_was_there_before_the_first_process(own_engines: Places) -> None:
    made = own_engines.network_made.stat().st_mtime
    stat = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    boot = next(int(line.split()[1]) for line in stat if line.startswith("btime "))

    starts = {
        record.name: boot + seconds_since_boot(record.pid)
        for record in Processes(own_engines).records().values()
    }

    # The boot time is in whole seconds.
    assert all(start > made - 1 for start in starts.values()), (made, starts)


def test_kube_proxy_was_there_before_the_first_pod(own_engines: Places, cluster: Cluster) -> None:
    record = Processes(own_engines).records()["kube-proxy"]
    stat = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    boot = next(int(line.split()[1]) for line in stat if line.startswith("btime "))
    started = boot + seconds_since_boot(record.pid)

    pods = cluster.core.list_pod_for_all_namespaces().items

    made = [pod.metadata.creation_timestamp.timestamp() for pod in pods]
    assert all(moment >= started - 1 for moment in made), (started, made)
