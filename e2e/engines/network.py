"""The bridge of the pods, and the rules that keep every packet on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

BRIDGE = "bwk0"
HARDWARE_ADDRESS = "02:62:77:6b:00:01"
"""Of the bridge; locally administered."""
NODE = "10.88.0.1"
PODS = "10.88.0.0/16"
SERVICES = "10.96.0.0/16"
SERVER_PORT = 2746
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
TABLE = "bodywork_argo_e2e"
# The guard below lets the machine itself out, so whatever would ask a registry (containerd for an
# image that nobody loaded, a controller for an image's command) is sent to a port of nobody's.
DEAD_END = "http://127.0.0.1:9"
STAY_INSIDE = {
    **{"HTTP_PROXY": DEAD_END, "HTTPS_PROXY": DEAD_END},
    "NO_PROXY": f"127.0.0.1,localhost,{PODS},{SERVICES},.svc,.cluster.local",
}

# Belt and braces: without these, a packet for a Service that kube-proxy does not know yet, or a
# pod that asks for the internet, would leave through the default route.
GUARD = f"""
table inet {TABLE} {{
  chain forward {{
    type filter hook forward priority -10; policy accept;
    iifname "{BRIDGE}" oifname != "{BRIDGE}" counter reject
    oifname "{BRIDGE}" iifname != "{BRIDGE}" counter drop
  }}
  chain output {{
    type filter hook output priority -10; policy accept;
    ip daddr {{ {PODS}, {SERVICES} }} oifname != {{ "{BRIDGE}", "lo" }} counter reject
  }}
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname != {{ "{BRIDGE}", "lo" }} tcp dport {{ 6060, {SERVER_PORT} }} counter drop
  }}
}}
"""
# kube-proxy's own tables stay after it has ended.
TABLES = (("inet", TABLE), ("ip", "kube-proxy"), ("ip6", "kube-proxy"))


def _run(*command: str, stdin: str | None = None) -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(
        command,
        input=stdin,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    return done.stdout


def interfaces() -> list[str]:
    """Name the bridge, if it is there, and what hangs on it."""
    links: Sequence[dict[str, str]] = json.loads(_run("ip", "-j", "link", "show"))
    bridge = [link["ifname"] for link in links if link["ifname"] == BRIDGE]
    return bridge + [link["ifname"] for link in links if link.get("master") == BRIDGE]


def routes() -> list[str]:
    """Give the routes to pods and Services."""
    listed: Sequence[dict[str, str]] = json.loads(_run("ip", "-j", "route", "show"))
    return [f"{r['dst']} dev {r.get('dev')}" for r in listed if r["dst"] in (PODS, SERVICES)]


def tables() -> list[str]:
    """Name the nft tables that are ours or our kube-proxy's."""
    listed = {tuple(line.split()[1:3]) for line in _run("nft", "list", "tables").splitlines()}
    return [f"{family} {name}" for family, name in TABLES if (family, name) in listed]


def create(made: Path) -> None:
    """Make the bridge, the route and the guard; then `made`, whose time tells when that was."""
    if BRIDGE not in interfaces():
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
    # Without an address of its own a bridge takes the lowest of its ports': with pods that come and
    # go it would change, and others send to the former one for seconds.
    _run("ip", "link", "set", BRIDGE, "address", HARDWARE_ADDRESS)
    _run("ip", "addr", "replace", f"{NODE}/16", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    _run("ip", "route", "replace", SERVICES, "dev", BRIDGE)
    if f"inet {TABLE}" not in tables():
        _run("nft", "-f", "-", stdin=GUARD)
    FORWARDING.write_text("1\n", encoding="ascii")
    made.touch()


def remove() -> None:
    """Undo `create`, and kube-proxy's tables; what is not there is no error."""
    for name in reversed(interfaces()):
        _remove_link(name)
    for table in tables():
        _run("nft", "delete", "table", *table.split())


def _remove_link(name: str) -> None:
    try:
        _run("ip", "link", "delete", name)
    except subprocess.CalledProcessError:
        # A killed pod's link goes with its namespace, which the kernel takes down in its own time.
        if name in interfaces():
            raise
