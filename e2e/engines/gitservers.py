"""Git servers for the tests: HTTP through git's own CGI program, SSH through OpenSSH.

Run as a program, this module is the HTTP server. Repositories below `private/` ask for a password.
"""

from __future__ import annotations

import argparse
import base64
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

HTTP_PORT = 3000
SSH_PORT = 2222
HTTP_USER, HTTP_PASSWORD = "git", "a-password-for-tests"
PRIVATE = "private"


class GitHandler(BaseHTTPRequestHandler):
    """Passes requests on to `git http-backend`."""

    protocol_version = "HTTP/1.1"
    root: Path

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, [("Content-Type", "text/plain")], b"ok\n")
        else:
            self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        user = self._user()
        if url.path.startswith(f"/{PRIVATE}/") and user is None:
            challenge = [("WWW-Authenticate", 'Basic realm="private repositories"')]
            self._answer(HTTPStatus.UNAUTHORIZED, challenge, b"")
            return
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "REMOTE_ADDR": self.client_address[0],
            "REMOTE_USER": user or "",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=b"".join(self._body()),
            env=environment,
            stdout=subprocess.PIPE,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = BytesHeaderParser().parsebytes(head)
        status = HTTPStatus(int(headers.get("Status", "200 OK").split()[0]))
        kept = [(name, value) for name, value in headers.items() if name.lower() != "status"]
        self._answer(status, kept, body)

    def _user(self) -> str | None:
        expected = base64.b64encode(f"{HTTP_USER}:{HTTP_PASSWORD}".encode()).decode()
        return HTTP_USER if self.headers.get("Authorization") == f"Basic {expected}" else None

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", "0")))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: HTTPStatus, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(address: str, port: int, root: Path) -> None:
    """Serve the repositories until the process is ended."""
    handler = type("Handler", (GitHandler,), {"root": root})
    ThreadingHTTPServer.request_queue_size = 128
    with ThreadingHTTPServer((address, port), handler) as server:
        server.serve_forever()


@dataclass(frozen=True, slots=True, kw_only=True)
class SshFiles:
    """Where the SSH server's files lie; a test reads the private key and the host key."""

    folder: Path

    @property
    def private_key(self) -> Path:
        """The key that is let in."""
        return self.folder / "id_ed25519"

    @property
    def host_key(self) -> Path:
        """The server's own public key."""
        return self.folder / "host_ed25519.pub"


def prepare_ssh(folder: Path, root: Path, address: str) -> None:
    """Make keys and the configuration of the SSH server, which does nothing but serve fetches."""
    files = SshFiles(folder=folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in (files.private_key, files.host_key.with_suffix("")):
        if not path.exists():
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f", str(path)]
            subprocess.run(make, check=True)
    public = files.private_key.with_suffix(".pub").read_bytes()
    (folder / "authorized_keys").write_bytes(public)
    command = folder / "serve"
    command.write_text(_forced_command(root), encoding="utf-8")
    command.chmod(0o755)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's own, fixed when it was compiled
    (folder / "sshd_config").write_text(
        f"""Port {SSH_PORT}
ListenAddress {address}
HostKey {files.host_key.with_suffix("")}
AuthorizedKeysFile {folder / "authorized_keys"}
AuthenticationMethods publickey
PermitRootLogin prohibit-password
AllowUsers root
ForceCommand {command}
AcceptEnv GIT_PROTOCOL
DisableForwarding yes
PermitTTY no
PermitUserRC no
StrictModes no
UsePAM no
PidFile none
MaxStartups 100
""",
        encoding="utf-8",
    )


def _forced_command(root: Path) -> str:
    quoted = shlex.quote(str(root))
    return f"""#!/bin/sh
# Paths are relative to the folder of the repositories, whatever the client calls its root.
case "$SSH_ORIGINAL_COMMAND" in
  "git-upload-pack '/"*"'") path=${{SSH_ORIGINAL_COMMAND#"git-upload-pack '/"}} ;;
  "git-upload-pack '"*"'") path=${{SSH_ORIGINAL_COMMAND#"git-upload-pack '"}} ;;
  *) echo "this server serves git fetch only" >&2; exit 1 ;;
esac
path=${{path%"'"}}
case "$path" in *..*|*\\'*) echo "no such repository" >&2; exit 1 ;; esac
cd {quoted} && exec git-upload-pack "$path"
"""


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Serve Git repositories over HTTP.")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True)
    given = parser.parse_args()
    serve(given.address, given.port, given.root)


if __name__ == "__main__":
    main()
