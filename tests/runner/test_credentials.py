"""`prepare`: keys, tokens and host keys, with real servers on the loopback interface."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bodywork_argo.errors import GitError, GitHostUnreachable
from bodywork_argo.repo import check_access, read_snapshot
from tests.runner.lab import Lab, Outcome
from tests.ssh_server import SshServer, free_port, running_sshd

TOKEN = "t0ken-with-'quotes'"


class Backend(BaseHTTPRequestHandler):
    """Ask for a token, then let `git http-backend` answer."""

    root: Path
    seen: list[str]
    redirect = ""

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        if given:
            self.seen.append(base64.b64decode(given.partition(" ")[2]).decode())
        if self.redirect:
            self.send_response(302)
            self.send_header("Location", self.redirect + self.path)
            self.end_headers()
        elif not given.startswith("Basic ") or not self.seen[-1].endswith(":" + TOKEN):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.end_headers()
        else:
            self.answer()

    do_POST = do_GET  # noqa: N815

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": "test",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=env, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        self.send_response(200)
        for line in head.decode().splitlines():
            name, _, value = line.partition(": ")
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Site:
    """A web server with one repository."""

    address: str
    seen: list[str]


def serve(root: Path, redirect: str = "") -> Iterator[Site]:
    seen: list[str] = []
    handler = type("Handler", (Backend,), {"root": root, "seen": seen, "redirect": redirect})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Site(address=f"http://127.0.0.1:{server.server_port}", seen=seen)
        server.shutdown()
        thread.join()


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    yield from serve(lab.root)


@pytest.fixture
def other_site(site: Site, lab: Lab) -> Iterator[Site]:
    """A server on another port that sends every request on to the first."""
    yield from serve(lab.root, redirect=site.address)


def fetch(lab: Lab, site: Site, *options: str, **env: str) -> Outcome:
    commit = lab.repository.commit({"main.py": "print('ran')"})
    return lab.prepare(commit, *options, repository=f"{site.address}/source/.git", **env)


def test_a_token_opens_a_private_repository(lab: Lab, site: Site) -> None:
    done = fetch(lab, site, BODYWORK_GIT_TOKEN=TOKEN)
    assert done.code == 0, done
    assert set(site.seen) == {f"x-access-token:{TOKEN}"}


def test_the_command_line_takes_the_same_token(
    lab: Lab, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = lab.repository.commit({"main.py": "print('ran')"})
    url = f"{site.address}/source/.git"
    monkeypatch.setenv("HOME", str(lab.home))
    with pytest.raises(GitError, match="give it as BODYWORK_GIT_TOKEN"):
        read_snapshot(url, None, "", "main.py")
    monkeypatch.setenv("BODYWORK_GIT_TOKEN", TOKEN)
    (lab.home / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    assert read_snapshot(url, None, "", "main.py").commit == commit
    assert not (lab.home / ".git-credentials").exists()


def test_a_token_can_have_a_user_name(lab: Lab, site: Site) -> None:
    fetch(lab, site, BODYWORK_GIT_TOKEN=TOKEN, BODYWORK_GIT_USERNAME="oauth2")
    assert set(site.seen) == {f"oauth2:{TOKEN}"}


def test_no_file_that_is_left_contains_the_token(lab: Lab, site: Site) -> None:
    (lab.home / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    assert fetch(lab, site, BODYWORK_GIT_TOKEN=TOKEN).code == 0
    places = [lab.workspace, lab.home, lab.temporary]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in files if not path.is_symlink()]
    assert len(texts) > 5
    assert not [text for text in texts if b"t0ken" in text or site.address.encode() in text]


def test_a_refused_token_gets_a_clear_sentence_without_it(lab: Lab, site: Site) -> None:
    done = fetch(lab, site, BODYWORK_GIT_TOKEN="wrong-t0ken")
    assert done.code == 1
    assert done.reason == f"{site.address}/source/.git did not accept the token"
    assert "wrong-t0ken" not in done.err + done.out


def test_without_a_token_the_sentence_says_how_to_give_one(lab: Lab, site: Site) -> None:
    done = fetch(lab, site)
    assert done.code == 1
    assert "give it as BODYWORK_GIT_TOKEN" in done.reason


def test_a_token_is_not_given_to_a_host_that_we_are_sent_to(
    lab: Lab, site: Site, other_site: Site
) -> None:
    done = fetch(lab, other_site, BODYWORK_GIT_TOKEN=TOKEN)
    assert done.code == 1
    assert site.seen == []


def test_a_port_that_nobody_listens_on_gets_a_clear_sentence(lab: Lab) -> None:
    site = Site(address=f"http://127.0.0.1:{free_port()}", seen=[])
    assert "refuses connections" in fetch(lab, site).reason or "connect" in fetch(lab, site).reason


# --- SSH ------------------------------------------------------------------------------------------

SHOW_KEY = """#!/bin/sh
for each in "$@"; do case "$each" in IdentityFile=*)
  file=$(echo "$each" | sed 's/.*="//; s/"$//'); ls -l "$file" > ROOT/seen; cat "$file" >> ROOT/seen
esac; done
echo "Host key verification failed." >&2
exit 255
"""


def test_a_key_is_private_and_gets_the_final_newline_that_ssh_wants(lab: Lab) -> None:
    path = lab.program("ssh", SHOW_KEY.replace("ROOT", str(lab.root)))
    address = "git@example.invalid:team/project"
    lab.prepare("0" * 40, repository=address, PATH=path, BODYWORK_GIT_SSH_PRIVATE_KEY="-KEY-")
    seen = (lab.root / "seen").read_text()
    assert seen.startswith("-rw-------")
    assert seen.endswith("\n-KEY-\n")


def test_a_key_file_that_others_can_read_is_copied(lab: Lab) -> None:
    path = lab.program("ssh", SHOW_KEY.replace("ROOT", str(lab.root)))
    (lab.root / "mounted").write_text("-KEY-\n")
    (lab.root / "mounted").chmod(0o644)
    address = "ssh://git@example.invalid/project"
    lab.prepare("0" * 40, f"--ssh-key={lab.root}/mounted", repository=address, PATH=path)
    assert (lab.root / "seen").read_text().startswith("-rw-------")


def test_a_user_that_the_image_does_not_know_gets_a_clear_sentence(lab: Lab) -> None:
    script = "#!/bin/sh\necho 'No user exists for uid 54321' >&2\nexit 255\n"
    path = lab.program("ssh", script)
    done = lab.prepare("0" * 40, repository="git@example.invalid:project", PATH=path)
    assert done.code == 1
    assert "ssh serves no user that /etc/passwd lacks: fetch by HTTPS" in done.reason


def test_an_unknown_host_key_gets_a_clear_sentence_at_once(lab: Lab) -> None:
    path = lab.program("ssh", SHOW_KEY.replace("ROOT", str(lab.root)))
    done = lab.prepare("0" * 40, repository="git@example.invalid:project", PATH=path)
    assert done.code == 1
    assert done.reason.startswith("the host key of git@example.invalid:project is not known")
    assert "known hosts" in done.reason


@pytest.fixture
def ssh_server(lab: Lab) -> Iterator[SshServer]:
    with running_sshd(lab.root / "ssh") as server:
        yield server


def fetch_by_ssh(lab: Lab, server: SshServer, *options: str, **env: str) -> Outcome:
    commit = lab.repository.commit({"a": "1"})
    return lab.prepare(commit, *options, repository=server.address(lab.repository.path), **env)


def test_a_key_and_the_right_known_hosts_open_a_repository(lab: Lab, ssh_server: SshServer) -> None:
    known, key = f"--known-hosts={ssh_server.known_hosts}", ssh_server.key.read_text().strip()
    done = fetch_by_ssh(lab, ssh_server, known, BODYWORK_GIT_SSH_PRIVATE_KEY=key)
    assert done.code == 0, done
    assert list(lab.temporary.iterdir()) == []


def line_of(known_hosts: Path) -> str:
    return known_hosts.read_text().strip()


def test_known_hosts_can_come_with_the_key_and_the_last_newline_may_lack(
    lab: Lab, ssh_server: SshServer
) -> None:
    key = f"--ssh-key={ssh_server.key}"
    hosts = "# ours\n" + line_of(ssh_server.known_hosts)
    done = fetch_by_ssh(lab, ssh_server, key, BODYWORK_GIT_KNOWN_HOSTS=hosts)
    assert done.code == 0, done
    assert list(lab.temporary.iterdir()) == []


def test_known_hosts_can_come_line_by_line(lab: Lab, ssh_server: SshServer) -> None:
    lines = ["other.example " + "ssh-ed25519 AAAA", line_of(ssh_server.known_hosts)]
    done = fetch_by_ssh(
        lab, ssh_server, f"--ssh-key={ssh_server.key}", *(f"--host-key={line}" for line in lines)
    )
    assert done.code == 0, done


def test_the_known_hosts_that_come_with_the_key_are_the_only_ones(
    lab: Lab, ssh_server: SshServer
) -> None:
    others = (
        f"--host-key={line_of(ssh_server.known_hosts)}",
        f"--known-hosts={ssh_server.known_hosts}",
    )
    done = fetch_by_ssh(
        lab,
        ssh_server,
        f"--ssh-key={ssh_server.key}",
        *others,
        BODYWORK_GIT_KNOWN_HOSTS=line_of(ssh_server.wrong_hosts),
    )
    assert (done.code, "is not the known one" in done.reason) == (1, True)


def test_no_known_hosts_at_all_in_the_secret_leave_those_of_the_plan(
    lab: Lab, ssh_server: SshServer
) -> None:
    line = f"--host-key={line_of(ssh_server.known_hosts)}"
    key = f"--ssh-key={ssh_server.key}"
    done = fetch_by_ssh(lab, ssh_server, key, line, BODYWORK_GIT_KNOWN_HOSTS="\n")
    assert done.code == 0, done


def test_the_command_line_takes_the_same_key_and_known_hosts(
    lab: Lab, ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = lab.repository.commit({"main.py": "print('ran')"})
    monkeypatch.setenv("BODYWORK_GIT_SSH_PRIVATE_KEY", ssh_server.key.read_text())
    monkeypatch.setenv("BODYWORK_GIT_KNOWN_HOSTS", line_of(ssh_server.known_hosts))
    url = ssh_server.address(lab.repository.path)
    assert read_snapshot(url, None, "", "main.py").commit == commit


def test_a_key_file_opens_a_repository_too(lab: Lab, ssh_server: SshServer) -> None:
    known = f"--known-hosts={ssh_server.known_hosts}"
    assert fetch_by_ssh(lab, ssh_server, known, f"--ssh-key={ssh_server.key}").code == 0


def test_the_users_own_ssh_command_gives_the_identity(lab: Lab, ssh_server: SshServer) -> None:
    known = f"--known-hosts={ssh_server.known_hosts}"
    done = fetch_by_ssh(lab, ssh_server, known, GIT_SSH_COMMAND=f"ssh -i {ssh_server.key}")
    assert done.code == 0, done


def test_the_users_own_ssh_command_cannot_trust_an_unknown_host(
    lab: Lab, ssh_server: SshServer
) -> None:
    own = f"ssh -i {ssh_server.key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    done = fetch_by_ssh(lab, ssh_server, f"--known-hosts={os.devnull}", GIT_SSH_COMMAND=own)
    assert (done.code, "is not known" in done.reason) == (1, True)


def test_a_host_with_another_key_is_refused(lab: Lab, ssh_server: SshServer) -> None:
    known = f"--known-hosts={ssh_server.wrong_hosts}"
    done = fetch_by_ssh(lab, ssh_server, known, f"--ssh-key={ssh_server.key}")
    assert done.code == 1
    assert "is not the known one" in done.reason


def test_a_host_that_is_not_known_is_refused(lab: Lab, ssh_server: SshServer) -> None:
    done = fetch_by_ssh(lab, ssh_server, f"--ssh-key={ssh_server.key}")
    assert done.code == 1
    assert "is not known: pass known hosts" in done.reason


def test_a_key_that_the_host_does_not_know_gets_a_clear_sentence(
    lab: Lab, ssh_server: SshServer
) -> None:
    known = f"--known-hosts={ssh_server.known_hosts}"
    other = ssh_server.key.with_name("other")
    done = fetch_by_ssh(lab, ssh_server, known, f"--ssh-key={other}")
    assert done.code == 1
    assert "did not accept the SSH key" in done.reason


# --- What a cluster's stages could open -----------------------------------------------------------


def test_access_with_a_token_is_told_before_any_stage_runs(
    lab: Lab, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.repository.commit({"a": "1"})
    url = f"{site.address}/source/.git"
    (lab.home / ".netrc").write_text(f"machine 127.0.0.1 login x password {TOKEN}\n")
    monkeypatch.setenv("HOME", str(lab.home))
    check_access(url, {"BODYWORK_GIT_TOKEN": TOKEN})
    with pytest.raises(GitError, match="did not accept the token") as refused:
        check_access(url, {"BODYWORK_GIT_TOKEN": "another"})
    assert not isinstance(refused.value, GitHostUnreachable)
    with pytest.raises(GitError, match="give it as BODYWORK_GIT_TOKEN"):
        check_access(url, {})


def test_access_by_ssh_is_told_with_exactly_the_key_and_the_hosts_that_stages_have(
    lab: Lab, ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.repository.commit({"a": "1"})
    url = ssh_server.address(lab.repository.path)
    key = {"BODYWORK_GIT_SSH_PRIVATE_KEY": ssh_server.key.read_text()}
    line = line_of(ssh_server.known_hosts)
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -i {ssh_server.key}")
    check_access(url, {**key, "BODYWORK_GIT_KNOWN_HOSTS": line})
    check_access(url, key, [line])
    with pytest.raises(GitError, match="is not known"):
        check_access(url, key)
    with pytest.raises(GitError, match="did not accept the SSH key, or none was given"):
        check_access(url, {"BODYWORK_GIT_KNOWN_HOSTS": line})
    wrong = line_of(ssh_server.wrong_hosts)
    with pytest.raises(GitError, match="is not the known one") as refused:
        check_access(url, {**key, "BODYWORK_GIT_KNOWN_HOSTS": wrong}, [line])
    assert not isinstance(refused.value, GitHostUnreachable)


@pytest.mark.parametrize("scheme", ["http", "https", "ssh"])
def test_a_host_that_refuses_connections_is_told_apart_from_one_that_refuses_the_key(
    scheme: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(GitHostUnreachable):
        check_access(f"{scheme}://127.0.0.1:{port}/x.git", {})


def test_a_host_without_an_address_and_one_that_hangs_up_are_out_of_reach() -> None:
    with pytest.raises(GitHostUnreachable, match="has no address"):
        check_access("https://no-such-host.invalid/x.git", {})
    with socket.create_server(("127.0.0.1", 0)) as server:
        hanging_up = threading.Thread(target=lambda: server.accept()[0].close())
        hanging_up.start()
        with pytest.raises(GitHostUnreachable, match="ends the connection"):
            check_access(f"http://127.0.0.1:{server.getsockname()[1]}/x.git", {})
        hanging_up.join()


def test_access_to_an_address_that_git_could_misread_is_refused() -> None:
    with pytest.raises(GitError, match="transport program"):
        check_access("ext::sh -c true", {})
