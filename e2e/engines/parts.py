"""The processes of the engines, in the order of their start."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from e2e.engines.api import Api
from e2e.engines.certificates import SERVER, controller_kubeconfig, pki
from e2e.engines.gitservers import HTTP_PORT, SSH_PORT
from e2e.engines.images import ARGOEXEC_IMAGE, RUNNER_IMAGE, TEKTON_PROGRAMS, image_name
from e2e.engines.modules import ARGO, COREDNS, ETCD, KUBERNETES, TEKTON
from e2e.engines.network import NODE, SERVER_PORT, SERVICES, tables
from e2e.engines.places import Places
from e2e.engines.processes import Part
from e2e.engines.settings import NODE_NAME, corefile

ETCD_URL = "http://127.0.0.1:23790"
# Losing one of these loses the state of the cluster, so that all start anew.
CORE = ("containerd", "etcd", "kube-apiserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may choose at `up`: the one namespace that Argo watches, or None for all."""

    argo_namespace: str | None = None


def api(places: Places) -> Api:
    """Talk to the API server as the administrator."""
    made = pki(places)
    return Api(server=SERVER, certificate=made.folder / "ca.crt", token=made.admin_token)


def parts(places: Places, options: Options) -> tuple[Part, ...]:
    """Give every process, in the order of start."""
    return (
        _containerd(places),
        _etcd(places),
        _apiserver(places),
        *_control_plane(places),
        _kubelet(places),
        _kube_proxy(places),
        _coredns(places),
        _argo_controller(places, options),
        _argo_server(places),
        _tekton(places),
        _git_http(places),
        _git_ssh(places),
    )


def _part(
    name: str,
    ready: Callable[[], bool],
    *command: str,
    environment: Mapping[str, str] | None = None,
) -> Part:
    return Part(name=name, command=command, ready=ready, environment=environment or {})


def answers(url: str) -> Callable[[], bool]:
    """Make a question: does this address answer with a success?"""

    def ask() -> bool:
        # Only addresses of this machine are asked, with certificates that a part made for itself.
        context = ssl._create_unverified_context()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, http.client.HTTPException):
            return False

    return ask


def listens(port: int, greeting: bytes) -> Callable[[], bool]:
    """Make a question: does the node's port greet like this?"""

    def ask() -> bool:
        try:
            with socket.create_connection((NODE, port), timeout=2) as connection:
                return connection.recv(len(greeting)) == greeting
        except OSError:
            return False

    return ask


def _containerd(places: Places) -> Part:
    socket_path = str(places.containerd_socket)

    def ready() -> bool:
        asked = ["ctr", "--address", socket_path, "--connect-timeout", "2s", "plugins", "ls"]
        done = subprocess.run(asked, capture_output=True, text=True)
        lines = [line.split() for line in done.stdout.splitlines()]
        return any(line[1:2] == ["cri"] and line[-1] == "ok" for line in lines)

    return _part("containerd", ready, "containerd", "--config", str(places.run / "containerd.toml"))


def _etcd(places: Places) -> Part:
    peer = ETCD_URL.replace("23790", "23800")
    return _part(
        "etcd",
        answers(f"{ETCD_URL}/health"),
        str(ETCD.program(places, "etcd")),
        f"--data-dir={places.data / 'etcd'}",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def _apiserver(places: Places) -> Part:
    made = pki(places)

    def ready() -> bool:
        return bool(api(places).get("/readyz") == "ok")

    return _part(
        "kube-apiserver",
        ready,
        str(KUBERNETES.program(places, "kube-apiserver")),
        f"--etcd-servers={ETCD_URL}",
        f"--advertise-address={NODE}",
        f"--bind-address={NODE}",
        f"--service-cluster-ip-range={SERVICES}",
        f"--tls-cert-file={made.file('server.crt')}",
        f"--tls-private-key-file={made.file('server.key')}",
        f"--client-ca-file={made.file('ca.crt')}",
        f"--token-auth-file={made.file('tokens.csv')}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={made.file('accounts.pub')}",
        f"--service-account-signing-key-file={made.file('accounts.key')}",
        f"--kubelet-client-certificate={made.file('kubelet-client.crt')}",
        f"--kubelet-client-key={made.file('kubelet-client.key')}",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
        # The big custom resources keep it busy collecting garbage; memory is what there is.
        environment={"GOGC": "300"},
    )


def _control_plane(places: Places) -> tuple[Part, Part]:
    made = pki(places)
    manager = _part(
        "kube-controller-manager",
        answers("https://127.0.0.1:10257/healthz"),
        str(KUBERNETES.program(places, "kube-controller-manager")),
        f"--kubeconfig={places.kubeconfig}",
        f"--service-account-private-key-file={made.file('accounts.key')}",
        f"--root-ca-file={made.file('ca.crt')}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    )
    scheduler = _part(
        "kube-scheduler",
        answers("https://127.0.0.1:10259/healthz"),
        str(KUBERNETES.program(places, "kube-scheduler")),
        f"--kubeconfig={places.kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    )
    return manager, scheduler


def _kubelet(places: Places) -> Part:
    def ready() -> bool:
        node = api(places).get(f"/api/v1/nodes/{NODE_NAME}")
        conditions = (node["status"].get("conditions") or []) if node else []
        return any((c["type"], c["status"]) == ("Ready", "True") for c in conditions)

    return _part(
        "kubelet",
        ready,
        str(KUBERNETES.program(places, "kubelet")),
        f"--config={places.run / 'kubelet.json'}",
        f"--kubeconfig={places.kubeconfig}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE}",
        f"--root-dir={places.data / 'kubelet'}",
        f"--cert-dir={places.run / 'kubelet-pki'}",
    )


def _kube_proxy(places: Places) -> Part:
    healthy = answers("http://127.0.0.1:10256/healthz")
    return _part(
        "kube-proxy",
        lambda: healthy() and "ip kube-proxy" in tables(),
        str(KUBERNETES.program(places, "kube-proxy")),
        f"--config={places.run / 'kube-proxy.json'}",
    )


def _coredns(places: Places) -> Part:
    return _part(
        "coredns",
        answers(f"http://{NODE}:8181/ready"),
        str(COREDNS.program(places, "coredns")),
        "-conf",
        str(corefile(places)),
    )


def _argo_controller(places: Places, options: Options) -> Part:
    scope: tuple[str, ...] = ()
    if options.argo_namespace is not None:
        scope = ("--namespaced", f"--managed-namespace={options.argo_namespace}")
    return _part(
        "argo-controller",
        answers("http://127.0.0.1:6060/healthz"),
        str(ARGO.program(places, "workflow-controller")),
        f"--kubeconfig={controller_kubeconfig(places, 'argo')}",
        f"--executor-image={ARGOEXEC_IMAGE}",
        "--executor-image-pull-policy=Never",
        "--qps=100",
        "--burst=200",
        *scope,
        environment={
            "LEADER_ELECTION_DISABLE": "true",
            # With the default of 10 s every level of a DAG waits for a tick.
            "DEFAULT_REQUEUE_TIME": "1s",
        },
    )


def _argo_server(places: Places) -> Part:
    return _part(
        "argo-server",
        answers(f"http://127.0.0.1:{SERVER_PORT}/"),
        str(ARGO.program(places, "argo")),
        "server",
        "--auth-mode=client",
        "--secure=false",
        f"--port={SERVER_PORT}",
        # With a client's token the server reads this variable and not its own option.
        environment={"KUBECONFIG": str(controller_kubeconfig(places, "argo"))},
    )


def _tekton(places: Places) -> Part:
    images = [
        argument
        for program in TEKTON_PROGRAMS
        for argument in (f"-{program}-image", image_name(program))
    ]
    return _part(
        "tekton-controller",
        answers("http://127.0.0.1:18080/readiness"),
        str(TEKTON.program(places, "controller")),
        *("-kubeconfig", str(controller_kubeconfig(places, "tekton-pipelines"))),
        "-disable-ha",
        *images,
        *("-shell-image", RUNNER_IMAGE, "-shell-image-win", RUNNER_IMAGE),
        *("-kube-api-qps", "100", "-kube-api-burst", "200"),
        environment={
            "SYSTEM_NAMESPACE": "tekton-pipelines",
            "KUBERNETES_MIN_VERSION": "v1.28.0",
            "CONFIG_DEFAULTS_NAME": "config-defaults",
            "CONFIG_LOGGING_NAME": "config-logging",
            "CONFIG_OBSERVABILITY_NAME": "config-observability",
            "CONFIG_FEATURE_FLAGS_NAME": "feature-flags",
            "CONFIG_LEADERELECTION_NAME": "config-leader-election-controller",
            "CONFIG_SPIRE": "config-spire",
            "METRICS_DOMAIN": "tekton.dev/pipeline",
            "PROBES_PORT": "18080",
            "METRICS_PROMETHEUS_PORT": "19090",
        },
    )


def _git_http(places: Places) -> Part:
    return _part(
        "git-http",
        answers(f"http://{NODE}:{HTTP_PORT}/healthz"),
        sys.executable,
        *("-m", "e2e.engines.gitservers"),
        *("--address", NODE, "--port", str(HTTP_PORT), "--root", str(places.git)),
    )


def _git_ssh(places: Places) -> Part:
    command = ("/usr/sbin/sshd", "-D", "-e", "-f", str(places.run / "ssh/sshd_config"))
    return _part("git-ssh", listens(SSH_PORT, b"SSH-2.0-"), *command)
