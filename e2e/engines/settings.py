"""The configuration files of the parts. JSON throughout, which the YAML readers take as well."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.engines.certificates import pki
from e2e.engines.debian import CNI_PLUGINS
from e2e.engines.images import PAUSE_IMAGE
from e2e.engines.network import BRIDGE, NODE, PODS
from e2e.engines.places import NAME, Places

NODE_NAME = "e2e-node"
DOMAIN = "cluster.local"
CGROUP = f"/{NAME}"


def write(places: Places) -> None:
    """Write every configuration file into the run folder."""
    files = {
        "containerd.toml": _containerd(places),
        "cni/10-pods.conflist": json.dumps(_cni(places)),
        "kubelet.json": json.dumps(_kubelet(places)),
        "kube-proxy.json": json.dumps(_kube_proxy(places)),
        "Corefile": _corefile(places),
        # Names outside the cluster are nobody's business here.
        "resolv.conf": f"nameserver {NODE}\n",
    }
    for name, text in files.items():
        path = places.run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _containerd(places: Places) -> str:
    # restrict_oom_score_adj: a sandboxed root may not lower the score.
    # netns_mounts_under_state_dir: what is below our folder is found, and undone, by its path.
    return f"""
version = 2
root = "{places.data / "containerd"}"
state = "{places.run / "containerd"}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{places.containerd_socket}"
[ttrpc]
  address = "{places.containerd_socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{places.run / "cni"}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
  Root = "{places.run / "runc"}"
"""


def _cni(places: Places) -> object:
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        # No masquerading: a pod's packet for the internet would find its way there.
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": PODS, "rangeStart": "10.88.0.10"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(places.run / "addresses"),
        },
    }
    return {"cniVersion": "0.4.0", "name": NAME, "plugins": [bridge]}


def _kubelet(places: Places) -> object:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": pki(places).file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{places.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": CGROUP,
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "featureGates": {"KubeletInUserNamespace": True},
        "clusterDNS": [NODE],
        "clusterDomain": DOMAIN,
        "resolvConf": str(places.run / "resolv.conf"),
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "maxPods": 250,
        "registryPullQPS": 0,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "podLogsDir": str(places.data / "pod-logs"),
        "volumePluginDir": str(places.run / "volume-plugins"),
    }


def _kube_proxy(places: Places) -> object:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(places.kubeconfig)},
        "hostnameOverride": NODE_NAME,
        "clusterCIDR": PODS,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": {
            # Zero leaves the machine's own settings alone.
            **{"maxPerCore": 0, "min": 0},
            **{"tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        },
        # Replies come back through the node even where the kernel does not filter bridges.
        "nftables": {"masqueradeAll": True},
    }


def _corefile(places: Places) -> str:
    return f"""
.:53 {{
  bind {NODE}
  errors
  ready {NODE}:8181
  kubernetes {DOMAIN} in-addr.arpa {{
    kubeconfig {places.kubeconfig}
    ttl 1
  }}
}}
"""


def corefile(places: Places) -> Path:
    """Where CoreDNS reads its configuration."""
    return places.run / "Corefile"
