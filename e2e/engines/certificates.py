"""Certificates, keys and tokens of one run of the engines; `down` throws them away."""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from e2e.engines.api import kubeconfig
from e2e.engines.network import NODE
from e2e.engines.places import Places

SERVER = f"https://{NODE}:6443"
SERVER_NAMES = (
    f"subjectAltName=IP:127.0.0.1,IP:10.96.0.1,IP:{NODE},"
    "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
    "DNS:kubernetes.default.svc.cluster.local"
)


@dataclass(frozen=True, slots=True)
class Pki:
    """The files of the cluster's identity."""

    folder: Path

    def file(self, name: str) -> str:
        """Give the path of `ca.crt`, `server.key` and so on."""
        return str(self.folder / name)

    @property
    def admin_token(self) -> str:
        """The bearer token of the administrator."""
        return (self.folder / "admin.token").read_text(encoding="ascii")


def pki(places: Places) -> Pki:
    """Where this run's certificates lie."""
    return Pki(places.run / "pki")


def make(places: Places) -> None:
    """Make certificates, keys, the token file and the kubeconfigs."""
    made = pki(places)
    made.folder.mkdir(parents=True, exist_ok=True)
    made.folder.chmod(0o700)
    _certificate(made, "ca", "/CN=e2e", None, "basicConstraints=critical,CA:TRUE")
    _certificate(made, "server", "/CN=kube-apiserver", "ca", SERVER_NAMES)
    # Without this group the kubelet gives nobody the logs of a pod.
    _certificate(made, "kubelet-client", "/O=system:masters/CN=kube-apiserver", "ca", None)
    _openssl("genrsa", "-out", made.file("accounts.key"), "2048")
    _openssl("rsa", "-in", made.file("accounts.key"), "-pubout", "-out", made.file("accounts.pub"))
    admin, developer = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    (made.folder / "admin.token").write_text(admin, encoding="ascii")
    (made.folder / "tokens.csv").write_text(
        f'{admin},admin,admin,"system:masters"\n{developer},developer,developer\n',
        encoding="ascii",
    )
    authority = made.folder / "ca.crt"
    for path, user, token in (
        (places.kubeconfig, "admin", admin),
        (places.developer_kubeconfig, "developer", developer),
    ):
        path.touch(mode=0o600)
        path.write_text(kubeconfig(SERVER, authority, user, token, "default"), encoding="ascii")
    for namespace in ("argo", "tekton-pipelines"):
        path = controller_kubeconfig(places, namespace)
        path.touch(mode=0o600)
        path.write_text(kubeconfig(SERVER, authority, "admin", admin, namespace), encoding="ascii")


def controller_kubeconfig(places: Places, namespace: str) -> Path:
    """The administrator's kubeconfig in another namespace, which a controller takes for its own."""
    return places.run / f"{namespace}.kubeconfig"


def _certificate(made: Pki, name: str, subject: str, issuer: str | None, more: str | None) -> None:
    command = ["req", "-x509", "-nodes", "-days", "30", "-subj", subject]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-keyout", made.file(f"{name}.key"), "-out", made.file(f"{name}.crt")]
    if issuer is not None:
        command += ["-CA", made.file(f"{issuer}.crt"), "-CAkey", made.file(f"{issuer}.key")]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    if more is not None:
        command += ["-addext", more]
    # An empty configuration: the machine's own would add a second basicConstraints.
    _openssl(*command, "-config", "/dev/stdin", stdin="[req]\ndistinguished_name=name\n[name]\n")


def _openssl(*arguments: str, stdin: str = "") -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True, input=stdin)
