"""Run one stage of a bodywork.yaml: fetch the commit, install requirements, run the module.

    runner.py prepare  --workspace=DIR --repository=URL --commit=SHA [--requirement=R ...]
    runner.py exec     --workspace=DIR --module=PATH [--arg=TEXT ...] [--time-limit=SECONDS]
    runner.py notebook --workspace=DIR --module=PATH [--arg=NAME=VALUE ...]

This one file travels into containers that hold nothing of ours, so it uses Python 3.8's standard
library only, and imports most of it late: every pod pays for the start. Options are always
`--name=value`; `--name64=BASE64` carries the same text past engines that would substitute in it.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any, Callable, Mapping, NoReturn

SECRETS = (
    *("BODYWORK_GIT_SSH_PRIVATE_KEY", "BODYWORK_GIT_KNOWN_HOSTS"),
    *("BODYWORK_GIT_TOKEN", "BODYWORK_GIT_USERNAME"),
    *("BODYWORK_INDEX_USERNAME", "BODYWORK_INDEX_PASSWORD"),
)
MESSAGE_BYTES = 32 * 1024
LOG_BYTES = 4096  # the kubelet keeps no more of a termination log
INT, KILL, ALARM, TERM = 2, 9, 14, 15  # importing signal takes longer than all of `exec`


class RunnerError(Exception):
    """What went wrong, in words for the person whose stage it is."""

    exit_code = 1


class UsageError(RunnerError):
    """The command line is wrong."""

    exit_code = 2


class Stopped(RunnerError):
    """A signal or the time limit ended the work."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


# --- Command line and files


class Options:
    """Parse `--name=value`, `--name64=base64` and `--flag`; argparse is slow to import."""

    def __init__(self, argv: list[str], known: str) -> None:
        names = known.split()
        self._values: dict[str, list[str]] = {}
        for item in argv:
            option, equals, text = item.partition("=")
            name = option[2:] if option.startswith("--") else ""
            if name not in names and name.endswith("64") and name[:-2] in names:
                name, text = name[:-2], decode64(text)
            if name + "?" in names and not equals:
                text = "yes"
            elif name not in names or not equals:
                raise UsageError(f"unknown or incomplete option {option!r}; known: {known}")
            if "\0" in text:
                raise UsageError(f"the text of {option} contains a NUL character")
            self._values.setdefault(name, []).append(text)

    def all(self, name: str) -> list[str]:
        """Return every value of an option."""
        return self._values.get(name, [])

    def text(self, name: str, default: str = "") -> str:
        """Return the last value of an option."""
        return self._values.get(name, [default])[-1]

    def required(self, name: str) -> str:
        """Return the last value of an option that must be there."""
        if not self.text(name):
            raise UsageError(f"--{name}=... is missing")
        return self.text(name)

    def seconds(self, name: str, default: float = 0.0) -> float:
        """Return a number of seconds, 0 for none."""
        try:
            number = float(self.text(name) or default)
        except ValueError:
            number = -1.0
        if not 0 <= number < 1e9:
            raise UsageError(f"--{name} must be a number of seconds, not {self.text(name)!r}")
        return number


def decode64(text: str) -> str:
    """Return what standard or URL-safe base64 of UTF-8 stands for.

    In the file system's encoding, so that the program we start gets these very bytes.
    """
    import binascii

    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        if standard and not standard.replace("+", "").replace("/", "").isalnum():
            raise ValueError
        raw = binascii.a2b_base64(standard + "=" * (-len(standard) % 4))
        raw.decode("utf-8")
    except ValueError:
        raise UsageError(f"not base64 of UTF-8 text: {text!r}") from None
    return os.fsdecode(raw)


def cut(text: str, size: int) -> str:
    """Return the beginning of a text, at most `size` bytes of UTF-8."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def quietly(action: Callable[..., object], *arguments: object) -> None:
    """Do what changes nothing for us when it fails."""
    try:
        action(*arguments)
    except OSError:
        pass  # contextlib.suppress would have to be imported


def write(path: str, text: str) -> None:
    """Write a text file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read_text(path: str) -> str:
    """Return what a file holds, nothing if there is none."""
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()


def write_reason(path: str, reason: str, size: str = "") -> None:
    """Write why it failed where the engine looks for it; it keeps `size` bytes if that is less."""
    if path:
        quietly(write, path, cut(reason, int(size) if size.isdigit() else LOG_BYTES))


def remove(path: str) -> None:
    """Remove a file or folder, if it is there."""
    import shutil

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


class Workspace:
    """Know where things are in the folder that `prepare` fills and `exec` uses."""

    def __init__(self, options: Options) -> None:
        self.root = os.path.abspath(options.required("workspace"))
        self.repository = self.path("repository")
        self.directory = options.text("directory")
        self.python = self.path("venv/bin/python")

    def path(self, name: str) -> str:
        """Return the path of something in the workspace."""
        return os.path.join(self.root, name)

    def commit(self) -> str:
        """Return the full hash of the commit that was fetched."""
        try:
            with open(self.path("commit")) as file:
                return file.read().strip()
        except OSError:
            raise RunnerError(f"nothing is prepared in {self.root}: run `prepare` first") from None

    def find(self, path: str, what: str) -> str:
        """Return the absolute path of a file of the repository, named as in bodywork.yaml."""
        full = os.path.join(self.repository, self.directory, path)
        inside = os.path.realpath(full).startswith(os.path.realpath(self.repository) + os.sep)
        if os.path.isabs(path) or ".." in path.split("/") or not inside:
            raise RunnerError(f"{what} {path!r} leads outside the repository")
        if not os.path.isfile(full):
            raise RunnerError(f"{what} {path!r} is not in the repository at commit {self.commit()}")
        return full


# --- Processes


class Supervisor:
    """Run children, each in a process group of its own; TERM, INT and the time limit end them.

    The handlers raise `Stopped`, except while a child is being started: it would be lost.
    """

    def __init__(self, limit: float = 0.0) -> None:
        import signal

        self._limit = limit
        self._starting = False
        self._stopped: Stopped | None = None
        for number in (TERM, INT, ALARM):
            signal.signal(number, self._on_signal)
        if limit:
            signal.setitimer(signal.ITIMER_REAL, limit)

    def _on_signal(self, number: int, _frame: object) -> None:
        import signal

        for each in (TERM, INT, ALARM):
            signal.signal(each, signal.SIG_IGN)  # the clean-up that follows is not interrupted
        self._stopped = Stopped(f"stopped by {signal.Signals(number).name}", 128 + number)
        if number == ALARM:
            self._stopped = Stopped("install " + time_is_up(self._limit), 1)
        if not self._starting:
            raise self._stopped

    def run(
        self,
        command: list[str],
        show: int = -1,
        pipe: tuple[int, int] | None = None,
        end_with: int = TERM,
        **popen: Any,
    ) -> tuple[int, str]:
        """Run a command, copy its output to the descriptor `show`; return exit code and output.

        Of the output the end is kept. With a `pipe` of the caller's only that is read.
        """
        import subprocess

        source, target = pipe or os.pipe()
        if not pipe:
            popen.update(stdout=target, stderr=target)
        self._starting = True
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **popen)
        try:
            self._starting = False
            if self._stopped:
                raise self._stopped
            os.close(target)
            output = b""
            for chunk in iter(lambda: os.read(source, 65536), b""):
                output = (output + chunk)[-65536:]
                while show >= 0 and chunk:
                    chunk = chunk[os.write(show, chunk) :]
            return child.wait(), output.decode("utf-8", "replace")
        finally:
            if child.returncode is None:
                end_group(child, end_with)
            os.close(source)


def end_group(child: subprocess.Popen[bytes], first: int, grace: float = 5.0) -> None:
    """Ask a child's process group to end, and kill what is left of it."""
    import subprocess

    quietly(os.killpg, child.pid, first)
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    quietly(os.killpg, child.pid, KILL)
    child.wait()


def time_is_up(limit: float) -> str:
    """Return the reason that every backend gives."""
    return f"time limit of {limit:.15g} s exceeded"


class Life:
    """Wait for the end of a process without being its parent."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd = -1
        try:
            self.fd = vars(os)["pidfd_open"](pid)  # Linux 5.3 and Python 3.9
        except (KeyError, OSError):
            self._birth = self._born()

    def ended(self, timeout: float) -> bool:
        """Wait for at most `timeout` seconds; return whether the process has ended."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if self._wait(max(0.0, min(left, 3600.0))):
                return True
            if left <= 0:
                return False

    def _wait(self, timeout: float) -> bool:
        import select

        if self.fd >= 0:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)
            return bool(poll.poll(timeout * 1000))
        if sys.platform == "darwin":
            flags = (select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            try:
                return bool(select.kqueue().control([select.kevent(self.pid, *flags)], 1, timeout))
            except OSError:
                return True
        time.sleep(min(timeout, 0.1))
        return self._born() != self._birth

    def _born(self) -> str:
        # The start time tells a process from a later one with the same number.
        try:
            with open(f"/proc/{self.pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return "gone"
        return "gone" if fields[0] in "ZX" else fields[19]


def detach(work: Callable[[], None], keep: int) -> None:
    """Run `work` in an orphan with a session of its own and nothing open but `keep`.

    Forked twice and waited for once: whoever calls us has no child that `os.wait` could find.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if not os.fork():
            os.chdir("/")
            null = os.open(os.devnull, os.O_RDWR)
            for standard in (0, 1, 2):
                os.dup2(null, standard)
            for name in os.listdir("/dev/fd"):
                if int(name) > 2 and int(name) != keep:
                    quietly(os.close, int(name))  # the listing's own is closed already
            work()
    finally:
        os._exit(0)


def start_watchdog(limit: float, grace: float, log: str) -> None:
    """Have this process ended, whatever it executes next, when the time limit is over."""
    quietly(os.setpgid, 0, 0)  # a session's leader leads its group already
    leads = os.getpgrp() == os.getpid()
    send = os.killpg if leads else os.kill
    life = Life(os.getpid())
    log = log and os.path.abspath(log)

    def watch() -> None:
        if life.ended(limit):
            return
        write_reason(log, time_is_up(limit))
        quietly(send, life.pid, TERM)
        if not life.ended(grace) or leads:
            quietly(send, life.pid, KILL)

    detach(watch, life.fd)


# --- Git


def check_text(what: str, text: str) -> None:
    """Refuse what git could take for an option or nobody could read."""
    if not text or text.startswith("-"):
        raise RunnerError(f"{what} must not be empty or begin with '-'")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise RunnerError(f"{what} contains a control character")


def check_repository(repository: str) -> None:
    """Raise RunnerError unless this is an address that may be given to git.

    Allowed are https, http, ssh, git and file URLs, `user@host:path` and paths. The message never
    repeats the address, since it may carry a password.
    """
    address = "the repository's address"
    check_text(address, repository)
    helper, double_colon, _ = repository.partition("::")
    if double_colon and not set(helper) & set("/:@["):
        raise RunnerError(f"{address} names a transport program (`name::...`)")
    scheme, is_url, rest = repository.partition("://")
    if is_url and scheme not in ("https", "http", "ssh", "git", "file"):
        raise RunnerError(f"{address} must be https, http, ssh, git, file or a path")
    if is_local(repository):
        return
    authority = rest.partition("/")[0] if is_url else repository.partition(":")[0]
    user, at, host = authority.rpartition("@")
    if at and (scheme in ("https", "http") or ":" in user):
        raise RunnerError(
            f"{address} has a user name, password or token before '@': leave it out,"
            " and give a token as BODYWORK_GIT_TOKEN"
        )
    check_text("the host in " + address, host)
    check_text("the user in " + address, user or "none")


def check_ref(ref: str) -> None:
    """Raise RunnerError unless this may be the name of a branch, a tag or another ref."""
    check_text("the ref", ref)
    if set(ref) & set(" ~^:?*[\\+") or ".." in ref or "@{" in ref:
        raise RunnerError(f"the ref {ref!r} is not the name of a branch or tag")


def check_commit(commit: str) -> str:
    """Return a full commit hash in lower case."""
    commit = commit.lower()
    if len(commit) not in (40, 64) or set(commit) - set("0123456789abcdef"):
        raise RunnerError("the commit must be a full hash of 40 or 64 hexadecimal digits")
    return commit


def is_local(repository: str) -> bool:
    """Return whether an address is a path on this machine, by git's own rule, or a file URL."""
    before, colon, _ = repository.partition(":")
    return not colon or "/" in before or before == "file"


def ssh_command(environ: Mapping[str, str], key: str, known_hosts: str) -> str:
    """Return the GIT_SSH_COMMAND: the user's own, with no say about unknown hosts.

    ssh takes the first of two values, so ours go before the user's. A shared connection would
    skip the check of the host key, and outlive us.
    """
    import shlex

    settings = ["BatchMode=yes", "StrictHostKeyChecking=yes", "VerifyHostKeyDNS=no"]
    settings += ["ControlMaster=no", "ControlPath=none"]
    if known_hosts:
        settings += [f'UserKnownHostsFile="{os.path.abspath(known_hosts)}"']
        settings += ["GlobalKnownHostsFile=/dev/null"]
    if key:
        settings += [f'IdentityFile="{key}"', "IdentitiesOnly=yes"]
    own = environ.get("GIT_SSH_COMMAND") or shlex.quote(environ.get("GIT_SSH") or "ssh")
    program, _, rest = own.strip().partition(" ")
    return " ".join([program, *("-o " + shlex.quote(each) for each in settings), rest])


# Redirections and submodules may lead to other hosts: those are told nothing.
ASKPASS = r"""#!/bin/sh
case "$1" in *[/@]"$BODYWORK_GIT_HOST"[\'\"/]*) ;; *) exit 1 ;; esac
case "$1" in
  Username*) printf '%s\n' "$BODYWORK_GIT_USERNAME" ;;
  *) printf '%s\n' "$BODYWORK_GIT_TOKEN" ;;
esac
"""
NO_GIT = (
    "there is no git here: use an image that has it or pass `--git-image`"
    " (on your own machine: install git)"
)
NO_LFS = "the commit has files in Git LFS and there is no git-lfs here: use an image that has it"
NO_USER = (
    "{} can't be fetched by SSH here, since ssh serves no user that /etc/passwd lacks:"
    " fetch by HTTPS with a token, or use an image (or `--git-image`) that knows the user"
)
NOT_KNOWN = "the host key of {} is not known: pass known hosts that have it"
NO_TOKEN = "{} asks for a token: give it as BODYWORK_GIT_TOKEN"
TROUBLE = (
    ("HOST IDENTIFICATION HAS CHANGED", "the host key of {} is not the known one"),
    ("Host key verification failed", NOT_KNOWN),
    ("host key is known for", NOT_KNOWN),
    ("No user exists for uid", NO_USER),
    ("Permission denied (", "{} did not accept the SSH key, or none was given"),
    ("Authentication failed", "{} did not accept the token"),
    ("could not read Username", NO_TOKEN),
    ("could not read Password", NO_TOKEN),
    ("does not appear to be a git repository", "{} is not a git repository"),
    ("Could not resolve host", "the host of {} has no address"),
    ("Connection refused", "the host of {} refuses connections"),
    ("Connection timed out", "the host of {} does not answer"),
)


class Git:
    """Run git on the checkout, without hooks, helpers of others, questions or leftovers."""

    def __init__(
        self, supervisor: Supervisor, checkout: str, repository: str, env: dict[str, str]
    ) -> None:
        self._supervisor = supervisor
        self._checkout = checkout
        self._local = is_local(repository)
        path = self._local and not repository.startswith("file://")
        self._repository = os.path.abspath(repository) if path else repository
        self._env = env
        settings = ["protocol.version=2", "core.hooksPath=/dev/null", "maintenance.auto=false"]
        settings += ["gc.auto=0", "advice.detachedHead=false", "init.defaultBranch=main"]
        if "BODYWORK_GIT_TOKEN" in env:
            settings += ["credential.helper="]  # nobody else's; none that would store it
        self._git = ["git", *options_c(settings)]
        # On the command line only, for relative submodules and large files: no remote is left.
        self._origin = options_c(["remote.origin.url=" + "file://" * path + self._repository])

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run git; return exit code and output."""
        return self._supervisor.run([*self._git, *arguments], cwd=self._checkout, env=self._env)

    def must(self, *arguments: str) -> None:
        """Run git; raise with what it said when it fails."""
        code, output = self.run(*arguments)
        if code:
            raise RunnerError(self._trouble(output) or f"git: {output.strip()}")

    def _trouble(self, output: str) -> str:
        """Return a sentence for what no second attempt mends."""
        found = [sentence for text, sentence in TROUBLE if text in output]
        return found[0].format(self._repository) if found else ""

    def _fetching(self) -> list[str]:
        command = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"]
        if self._local:
            # A path that the user named may belong to someone else. git tells the far side of a
            # local path nothing of our settings.
            command += ["--upload-pack=git -c safe.directory='*' upload-pack"]
        return command

    def fetch_head(self, ref: str) -> str:
        """Fetch the last commit of a branch or a tag; return its hash."""
        code, output = self.run(*self._fetching(), "--depth=1", self._repository, ref)
        if code and "couldn't find remote ref" in output:
            raise RunnerError(f"{self._repository} has no branch or tag {ref}: was it deleted?")
        if code:
            raise RunnerError(self._trouble(output) or f"git: {output.strip()}")
        # All that git prints here is the hash.
        return check_commit(self.run("rev-parse", "FETCH_HEAD^{commit}")[1].strip())

    def fetch(self, commit: str, ref: str) -> None:
        """Fetch one commit, with as little history as the server allows."""
        command = self._fetching()
        everything = ["+refs/heads/*:refs/remotes/all/*", "+refs/tags/*:refs/tags/*"]
        code, output = self.run(*command, "--depth=1", self._repository, commit)
        for wanted in ([ref] if ref else [], everything):
            if not self.run("cat-file", "-e", commit + "^{commit}")[0]:
                return
            if wanted and not (code and self._trouble(output)):
                code, output = self.run(*command, self._repository, *wanted)
        if code:
            raise RunnerError(self._trouble(output) or f"git: {output.strip()}")
        if self.run("cat-file", "-e", commit + "^{commit}")[0]:
            raise RunnerError(f"commit {commit} is not in {self._repository} (was it pushed?)")

    def check_out(self, commit: str) -> None:
        """Check the commit out, with its large files and submodules."""
        attributes = ("^[^#].*filter=lfs", commit, "--", ":(glob)**/.gitattributes")
        filters = self._lfs()
        if not filters and not self.run("grep", "-q", *attributes)[0]:
            raise RunnerError(NO_LFS)
        self.must(*filters, *self._origin, "checkout", "--quiet", "--detach", commit)
        if os.path.lexists(os.path.join(self._checkout, ".gitmodules")):
            self._submodules(filters)

    def _lfs(self) -> list[str]:
        if self.run("lfs", "version")[0]:
            return []
        filters = ["process=git-lfs filter-process", "smudge=git-lfs smudge -- %f", "required=true"]
        return options_c(["filter.lfs." + each for each in filters])

    def _submodules(self, filters: list[str]) -> None:
        # The same rules hold for hooks, programs and credentials: git passes settings and
        # environment on. Only a repository on this machine may have submodules on it.
        listed = ("config", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.url$")
        for line in self.run(*listed)[1].splitlines():
            url = line.partition(" ")[2]
            if not url.startswith(("./", "../")):
                check_repository(url)
        if not self._local:
            self._env["GIT_ALLOW_PROTOCOL"] = "git:http:https:ssh"
        self.must(*self._origin, "submodule", "--quiet", "init")
        update = [*filters, "submodule", "--quiet", "update", "--init", "--recursive", "--checkout"]
        if self.run(*update, "--depth=1")[0]:
            self.must(*update)
        search = ("grep", "-q", "--recurse-submodules", "^[^#].*filter=lfs")
        if not filters and not self.run(*search, "--", ":(glob)**/.gitattributes")[0]:
            raise RunnerError(NO_LFS)


def options_c(settings: list[str]) -> list[str]:
    """Return settings as options of git."""
    return [part for each in settings for part in ("-c", each)]


def git_environment(
    options: Options, secrets: Mapping[str, str], folder: str, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of git; keys and tokens go to files and programs in `folder`."""
    env = dict(environ, GIT_ALLOW_PROTOCOL="file:git:http:https:ssh", GIT_TERMINAL_PROMPT="0")
    env["LC_ALL"] = "C"  # we read what git says
    for name in ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "COMMON_DIR"):
        env.pop("GIT_" + name, None)
    key = secrets.get("BODYWORK_GIT_SSH_PRIVATE_KEY", "")
    if options.text("ssh-key"):
        with open(options.text("ssh-key")) as file:
            key = file.read()
    key_file = write_private(folder, "key", key.rstrip("\n") + "\n", 0o600) if key else ""
    known_hosts = known_hosts_file(options, secrets, folder)
    env["GIT_SSH_COMMAND"] = ssh_command(env, key_file, known_hosts)
    scheme, _, rest = options.required("repository").partition("://")
    if "BODYWORK_GIT_TOKEN" in secrets and scheme in ("https", "http"):
        env["GIT_ASKPASS"] = write_private(folder, "askpass", ASKPASS, 0o700)
        env["BODYWORK_GIT_HOST"] = rest.partition("/")[0]
        env["BODYWORK_GIT_TOKEN"] = secrets["BODYWORK_GIT_TOKEN"]
        env["BODYWORK_GIT_USERNAME"] = secrets.get("BODYWORK_GIT_USERNAME") or "x-access-token"
    return env


def known_hosts_file(options: Options, secrets: Mapping[str, str], folder: str) -> str:
    """Return the file of the hosts that are trusted; "" leaves that to ssh.

    The secret that brings a key knows best whom the key may meet; then comes what the plan pins.
    """
    lines = secrets.get("BODYWORK_GIT_KNOWN_HOSTS", "").strip("\n")
    lines = lines or "\n".join(options.all("host-key"))
    if not lines:
        return options.text("known-hosts")
    return write_private(folder, "known_hosts", lines + "\n", 0o600)


def write_private(folder: str, name: str, text: str, mode: int) -> str:
    """Write a file that only its owner can read; return its path."""
    path = os.path.join(folder, name)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    write(path, text)
    return path


# --- prepare

PREPARE = (
    "workspace repository commit known-commit ref directory requirement requirements-file notebook?"
    " installer known-hosts host-key ssh-key only time-limit termination-log termination-bytes"
    " index-url http-proxy https-proxy no-proxy ca-bundle"
)


def prepare(options: Options) -> int:
    """Fetch the commit and install the stage's requirements in a fresh workspace.

    Without `--commit` it is the head of the branch or tag `--ref`. Where the engine had none to put
    in, since none was found before, it is `--known-commit`.
    `--only=repository` and `--only=packages` do one half each, for an image without git.
    """
    secrets = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    supervisor = Supervisor(options.seconds("time-limit"))
    workspace = Workspace(options)
    reach_network(options)
    if options.text("only") != "packages":
        fetch_repository(options, workspace, supervisor, secrets)
    if options.text("only") != "repository":
        os.makedirs(workspace.repository, exist_ok=True)  # where pip starts; not all need code
        make_venv(workspace.path("venv"))
        install(options, workspace, supervisor, secrets)
    return 0


def reach_network(options: Options) -> None:
    """Tell git, pip and uv about proxies and authorities through what they all read."""
    for name in ("http-proxy", "https-proxy", "no-proxy"):
        if options.text(name):
            variable = name.replace("-", "_")
            os.environ[variable] = os.environ[variable.upper()] = options.text(name)
    bundle = options.text("ca-bundle")
    if bundle and not os.path.isfile(bundle):
        raise RunnerError(f"there are no certificates at {bundle}: the key must be `ca.crt`")
    if bundle:
        for name in ("GIT_SSL_CAINFO", "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            os.environ[name] = bundle


def index_url(url: str, secrets: Mapping[str, str]) -> str:
    """Return the address of a package index with the credentials that go with it.

    >>> index_url("https://i.example/simple", {"BODYWORK_INDEX_PASSWORD": "a/b"})
    'https://x-access-token:a%2Fb@i.example/simple'
    """
    password = secrets.get("BODYWORK_INDEX_PASSWORD")
    if password is None:
        return url
    from urllib.parse import quote

    user = secrets.get("BODYWORK_INDEX_USERNAME") or "x-access-token"
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def fetch_repository(
    options: Options, workspace: Workspace, supervisor: Supervisor, secrets: Mapping[str, str]
) -> None:
    """Make the checkout; everything secret lives in a private folder that goes away."""
    import shutil
    import tempfile

    repository, ref = options.required("repository"), options.text("ref")
    commit, known = wanted_commit(options)
    check_repository(repository)
    if ref:
        check_ref(ref)
    if not shutil.which("git"):
        raise RunnerError(NO_GIT)
    for name in ("commit", "home", "repository"):
        remove(workspace.path(name))
    os.makedirs(workspace.repository)
    os.makedirs(workspace.path("home"))
    with tempfile.TemporaryDirectory(prefix="bodywork-") as folder:
        env = git_environment(options, secrets, folder, os.environ)
        git = Git(supervisor, workspace.repository, repository, env)
        hashing = ["--object-format=sha256"] if len(known) == 64 else []
        git.must("init", "--quiet", "--template=", *hashing)
        if commit:
            git.fetch(commit, ref)
        else:
            commit = git.fetch_head(ref)
        git.check_out(commit)
    remove(os.path.join(workspace.repository, ".git", "FETCH_HEAD"))
    write(workspace.path("commit"), commit + "\n")


def wanted_commit(options: Options) -> tuple[str, str]:
    """Return the commit to fetch, "" for the head of the ref, and one whose kind of hash tells."""
    commit, known = options.text("commit"), options.text("known-commit")
    if not commit and options.text("ref"):
        return "", check_commit(known) if known else ""
    if known and set(commit) & set("{}"):  # no engine has put anything in its place
        print("the run found no commit: taking " + check_commit(known), flush=True)
        commit = known
    commit = check_commit(commit or options.required("commit"))
    return commit, commit


def make_venv(path: str) -> None:
    """Make an environment in which what the image has can still be imported.

    If the image's Python is a virtual environment itself, that one's packages are included.
    """
    import venv

    remove(path)
    venv.EnvBuilder(system_site_packages=True, symlinks=True, with_pip=False).create(path)
    if sys.prefix != sys.base_prefix:
        import site

        folders = "".join(f"site.addsitedir({each!r});" for each in site.getsitepackages())
        library = "lib/python{}.{}/site-packages/bodywork.pth".format(*sys.version_info)
        write(os.path.join(path, library), f"import site;{folders}\n")


def install(
    options: Options, workspace: Workspace, supervisor: Supervisor, secrets: Mapping[str, str]
) -> None:
    """Install the stage's requirements, then what a notebook needs; nothing when there is none."""
    index = options.text("index-url")
    if index:
        index = index_url(index, secrets)
    installer = Installer(options.text("installer", "pip"), workspace, supervisor, index)
    wanted = requirements(options)
    if options.text("requirements-file"):
        wanted += ["-r", workspace.find(options.text("requirements-file"), "requirements file")]
    installer.add(wanted)
    if options.text("notebook"):
        installer.add([each for each in ("papermill", "ipykernel") if not installer.has(each)])


def requirements(options: Options) -> list[str]:
    """Return pip's arguments for the requirements.

    A requirement is one argument; `-r needs.txt` is one line of text but two arguments.
    """
    import shlex

    each = options.all("requirement")
    try:
        split = [shlex.split(text) if text[:1] == "-" else [text] for text in each]
    except ValueError as error:
        raise RunnerError(f"a requirement that begins with '-' can't be read: {error}") from None
    return [part for parts in split for part in parts]


class Installer:
    """Install packages into the workspace's environment."""

    def __init__(self, name: str, workspace: Workspace, supervisor: Supervisor, index: str) -> None:
        if name not in ("pip", "uv"):
            raise UsageError(f"--installer must be pip or uv, not {name!r}")
        self._name = name
        self._python = workspace.python
        self._supervisor = supervisor
        self._folder = os.path.join(workspace.repository, workspace.directory)
        self._env = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
        self._env.update(PIP_USER="0", VIRTUAL_ENV=workspace.path("venv"))
        self._env.pop("PYTHONHOME", None)
        if index:
            self._env.update(PIP_INDEX_URL=index, UV_DEFAULT_INDEX=index)

    def has(self, module: str) -> bool:
        """Return whether the environment has a module."""
        search = f"import sys, importlib.util as u; sys.exit(not u.find_spec({module!r}))"
        command = [self._python, "-c", search]
        return not self._supervisor.run(command, cwd=self._folder, env=self._env)[0]

    def add(self, packages: list[str]) -> None:
        """Install packages, if there are any to install."""
        if packages and self._name == "uv":
            self._must(["uv", "pip", "install", "--python", self._python, *packages])
        elif packages:
            if not self.has("pip"):
                if not self.has("ensurepip"):
                    raise RunnerError(NO_PIP)
                self._must([self._python, "-m", "ensurepip"])
            # Compiling all of a package takes longer than what a stage imports of it, later.
            self._must([self._python, "-m", "pip", "install", "--no-compile", *packages])

    def _must(self, command: list[str]) -> None:
        import shutil

        if not shutil.which(command[0]):
            raise RunnerError(f"there is no {command[0]} here: use an image that has it, or pip")
        code, output = self._supervisor.run(command, show=1, cwd=self._folder, env=self._env)
        if code:
            raise RunnerError(install_reason(output))


NO_PIP = "the Python here has neither pip nor ensurepip: use an image with pip"


def install_reason(output: str) -> str:
    """Return the lines of an installer's output that say what failed."""
    lines = [line.strip() for line in plain(output).splitlines() if line.strip()]
    said = [line for line in lines if line.lower().startswith(("error:", "fatal:"))]
    return "installing the requirements failed: " + "\n".join(dict.fromkeys(said or lines[-5:]))


def plain(text: str) -> str:
    """Return text without the colours and movements of a terminal."""
    import re

    return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", text)


# --- exec

EXEC = (
    "workspace module arg directory env64 failure-stage? failures time-limit grace"
    " termination-log termination-bytes"
)


def execute(options: Options) -> NoReturn:
    """Become the stage's module: same process, output, signals and exit code."""
    workspace = Workspace(options)
    commit = workspace.commit()
    module = workspace.find(options.required("module"), "module")
    env = stage_environment(dict(os.environ), workspace, commit)
    for pair in options.all("env64"):
        name, _, value = pair.partition("=")
        env[name] = decode64(value)
    if options.text("failure-stage"):
        told = env.pop("BODYWORK_FAILURES", "") or read_text(options.text("failures"))
        limit = env.pop("BODYWORK_RUN_LIMIT", "")
        message = failure_message(told, env.pop("BODYWORK_STAGES", ""), limit)
        env["EXCEPTION_MESSAGE"] = os.fsdecode(message.encode("utf-8", "replace"))
    command = [workspace.python, module, *options.all("arg")]
    if module.endswith(".ipynb"):
        command = notebook_command(options, workspace.python)
    seconds = options.seconds("time-limit")
    if seconds:
        start_watchdog(seconds, options.seconds("grace", 10.0), options.text("termination-log"))
    env["PWD"] = os.path.dirname(module)
    os.chdir(env["PWD"])
    os.execve(command[0], command, env)


def stage_environment(env: dict[str, str], workspace: Workspace, commit: str) -> dict[str, str]:
    """Return the environment in which the module finds its packages, and no credentials of ours."""
    for name in (*SECRETS, "PYTHONHOME"):
        env.pop(name, None)
    env["VIRTUAL_ENV"] = workspace.path("venv")
    env["PATH"] = joined(workspace.path("venv/bin"), env.get("PATH") or os.defpath)
    root = os.path.normpath(os.path.join(workspace.repository, workspace.directory))
    env["PYTHONPATH"] = joined(root, env.get("PYTHONPATH"))
    env.setdefault("PYTHONUNBUFFERED", "1")
    home = env.get("HOME", "")
    if not os.path.isdir(home) or not os.access(home, os.W_OK):
        env["HOME"] = workspace.path("home")
    env["GIT_COMMIT_HASH"] = commit[:7]
    env["BODYWORK_GIT_COMMIT"] = commit
    return env


def joined(path: str, rest: str | None) -> str:
    """Return a search path that begins with `path`."""
    return path + os.pathsep + rest if rest else path


def failure_message(text: str, stages: str = "", limit: str = "") -> str:
    """Return the EXCEPTION_MESSAGE for the failures that a backend tells.

    They are a JSON list, or nodes of an Argo Workflow in base64; then `stages` is the JSON list of
    [task, stage] for stages that their author calls otherwise, and `limit` has the seconds that a
    run may take. What is neither is passed on.
    """
    import binascii
    import json

    if text.startswith("{" * 2):  # no such text may stand in this file
        return NOT_TOLD
    try:
        if text.startswith("["):
            return exception_message(json.loads(text))
        told = json.loads(binascii.a2b_base64(text).decode("utf-8"))
        names = dict(json.loads(stages or "[]"))
        nodes = [argo_failure(task, said, names) for task, said in told["nodes"]]
        for node in nodes:
            if limit and node["reason"] == OVER_DEADLINE:
                node["reason"] = "run's " + time_is_up(float(limit))
        return exception_message(nodes, told["total"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return cut(text.replace("\0", ""), MESSAGE_BYTES)


NOT_TOLD = "a stage failed; Argo could not tell which"  # it left its expression as it was


def argo_failure(node: str, message: str, stages: Mapping[str, str]) -> dict[str, Any]:
    """Return the failure that a node of an Argo Workflow tells of, in our own words.

    >>> argo_failure("a-1(0)", "main: Error (exit code 3)", {"a-1": "a_1"})
    {'stage': 'a_1', 'exit_code': 3, 'reason': ''}
    """
    import re

    task = node.partition("(")[0]
    exit_code, reason = None, argo_words(message.rstrip("\ufffd "))  # half a character, if cut
    pattern = r"(?s)(?:(main|prepare|fetch): )?(\w+) \(exit code (\d+)\)(?:: (.*))?"
    found = re.fullmatch(pattern, reason)
    if found:
        container, cause, code, reason = found.groups("")
        if container in ("main", ""):  # what ran before was ours: the module never started
            exit_code = int(code)
        if cause != "Error":
            cause = OUT_OF_MEMORY if cause == "OOMKilled" else cause
            reason = cause + ": " * bool(reason) + reason
    return {"stage": stages.get(task, task), "exit_code": exit_code, "reason": reason}


OUT_OF_MEMORY = (
    "out of memory: the container used more than its memory limit (raise memory_limit_mb)"
)
OVER_DEADLINE = "time limit of the run or of its pod exceeded"
REFUSED = "its pod was refused: "
POD_ENDED_EARLY = r"Pod failed before \S+ container starts due to "  # Argo's words, as a pattern


def argo_words(message: str) -> str:
    """Return what Argo or Kubernetes says of a pod, in our own words where we have some.

    >>> argo_words('pods "run-1-a-35" is forbidden: exceeded quota: team')
    'its pod was refused: exceeded quota: team'
    """
    import re

    for pattern, words in (
        (r"(?s)(?:workflow shutdown|Stopped with strategy).*", "stopped"),
        (r"(?:Pod was active on the node longer|Step exceeded).* deadline", OVER_DEADLINE),
        (r"(?:task \S+ errored: )?pods \S+ is forbidden: (?:error looking up )?", REFUSED),
        (r"task \S+ errored: ", "its pod can't be made: "),
        (r"pod deleted", "its pod was deleted"),
        (
            POD_ENDED_EARLY + r"(?:PodInitializing|ContainerCreating): ?",
            "its pod was deleted before it began",
        ),
    ):
        found = re.match(pattern, message)
        if found:
            return words + message[found.end() :]
    return message


def exception_message(failures: list[dict[str, Any]], total: int = 0) -> str:
    """Say which stages failed and why, in at most 32 KiB: the text of EXCEPTION_MESSAGE.

    A failure is {"stage": str, "exit_code": int or None, "reason": str or None}; of several
    attempts of a stage the last counts. `total` is how many failed if not all of them are told.

    >>> print(exception_message([{"stage": "train", "exit_code": 3, "reason": None}]))
    1 stage failed: train
    train: exit code 3
    """
    last = {str(each["stage"]).replace("\0", ""): each for each in failures}
    total = max(total, len(last))
    names = ", ".join(list(last)[:20]) + (f" ... and {total - 20} more" if total > 20 else "")
    lines = [cut(f"{total} stage{'s'[total == 1 :]} failed: {names}", MESSAGE_BYTES // 4)]
    left = MESSAGE_BYTES - len(lines[0].encode()) - 40  # for the last line
    for stage, failure in last.items():
        line = cut(f"{stage}: {failure_text(failure)}", MESSAGE_BYTES // 4)
        left -= len(line.encode()) + 1
        if left < 0:
            break
        lines.append(line)
    more = total - (len(lines) - 1)
    return "\n".join([*lines, f"... and {more} more"] if more else lines)


def failure_text(failure: Mapping[str, Any]) -> str:
    """Return one failure in one line."""
    reason = " ".join(str(failure.get("reason") or "").replace("\0", "").split())
    code = failure.get("exit_code")
    if code is None:
        return reason or "no reason is known"
    return f"{reason} (exit code {code})" if reason else f"exit code {code}"


# --- notebook

NOTEBOOK = "workspace module arg directory output termination-log termination-bytes"

# What a subprocess of the notebook prints goes to the notebook and, once more, to the kernel's own
# stdout, which we therefore hide. A kernel leads a session of its own, so we note its number.
KERNEL = """
import os, runpy
os.dup2(2, 1)
with open(os.environ["BODYWORK_KERNELS"], "a") as file:
    print(os.getpid(), file=file)
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
"""


def notebook_command(options: Options, python: str) -> list[str]:
    """Return the command that runs a notebook as `exec` was told to run it."""
    import binascii

    command = [python, os.path.abspath(__file__), "notebook"]
    for name in ("workspace", "termination-log"):
        command += [f"--{name}={os.path.abspath(path)}" for path in options.all(name) if path]
    command += [f"--termination-bytes={text}" for text in options.all("termination-bytes")]
    for name in ("directory", "module", "arg"):
        for text in options.all(name):
            encoded = binascii.b2a_base64(os.fsencode(text), newline=False).decode()
            command.append(f"--{name}64={encoded}")
    return command


def run_notebook(options: Options) -> int:
    """Run a notebook with papermill, its output streamed, and keep the result.

    `NAME=VALUE` arguments become parameters, with the types of `papermill -p`. A notebook has no
    argv: the other arguments are in the environment variable BODYWORK_ARGS, a JSON list.
    """
    import json
    import tempfile

    workspace = Workspace(options)
    module = workspace.find(options.required("module"), "notebook")
    output = options.text("output") or workspace.path("output/" + os.path.basename(module))
    output = os.path.abspath(output)
    os.makedirs(os.path.dirname(output), exist_ok=True)
    remove(output)
    kernels = output + ".kernels"
    guard_kernels(kernels)
    supervisor = Supervisor()
    source, target = os.pipe()
    parameters, others = notebook_arguments(options.all("arg"))
    env = dict(os.environ, BODYWORK_ARGS=json.dumps(others), BODYWORK_KERNELS=kernels)
    env["JUPYTER_PATH"] = joined(write_kernel(workspace), env.get("JUPYTER_PATH"))
    command = [workspace.python, "-m", "papermill", module, output, *parameters]
    command += ["--no-progress-bar", "--log-level", "WARNING", *kernel_options(module)]
    command += ["--stdout-file", "-", "--stderr-file", f"/dev/fd/{target}"]
    with tempfile.TemporaryFile() as log:
        try:
            code, _ = supervisor.run(
                command,
                show=2,
                pipe=(source, target),
                end_with=INT,  # TERM would end papermill before it can end the kernel
                stderr=log,
                pass_fds=[target],
                cwd=os.path.dirname(module),
                env=env,
            )
        finally:
            end_kernels(kernels)
        log.seek(0)
        said = plain(log.read().decode("utf-8", "replace"))
    if code:
        raise RunnerError(f"{os.path.basename(module)}{notebook_reason(output, said)}")
    return 0


def guard_kernels(list_file: str) -> None:
    """Have the kernels ended when this process is, even if it is killed."""
    remove(list_file)
    life = Life(os.getpid())

    def guard() -> None:
        life.ended(float("inf"))
        end_kernels(list_file)

    detach(guard, life.fd)


def end_kernels(list_file: str) -> None:
    """Kill the kernels in a list, with their process groups."""
    if os.path.exists(list_file):
        with open(list_file) as file:
            for pid in file.read().split():
                quietly(os.killpg, int(pid), KILL)
        quietly(os.remove, list_file)


def notebook_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return papermill's options for the parameters among the arguments, and the others."""
    parameters: list[str] = []
    others: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name.isidentifier():
            parameters += ["-p", name, value]
        else:
            others.append(argument)
    return parameters, others


def write_kernel(workspace: Workspace) -> str:
    """Write a kernel `python3` that is surely the stage's own Python; return its search path."""
    import json

    folder = workspace.path("jupyter/kernels/python3")
    os.makedirs(folder, exist_ok=True)
    argv = [workspace.python, "-c", KERNEL, "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "Python 3", "language": "python"}
    write(os.path.join(folder, "kernel.json"), json.dumps(kernel))
    return workspace.path("jupyter")


def kernel_options(path: str) -> list[str]:
    """Return papermill's options that choose the kernel: ours unless it is another language."""
    import json

    try:
        with open(path, encoding="utf-8") as file:
            metadata = json.load(file).get("metadata", {})
    except ValueError:
        raise RunnerError(f"{os.path.basename(path)} is not a notebook") from None
    language = metadata.get("kernelspec", {}).get("language")
    language = language or metadata.get("language_info", {}).get("name") or "python"
    return ["-k", "python3", "-l", "python"] if language == "python" else []


def notebook_reason(output: str, said: str) -> str:
    """Return which cell failed with what; print its traceback."""
    import json

    try:
        with open(output, encoding="utf-8") as file:
            cells = json.load(file)["cells"]
    except (OSError, ValueError):
        cells = []
    injected = 0  # the cell that holds the parameters is papermill's, the author knows none
    for cell in cells:
        injected += "injected-parameters" in cell["metadata"].get("tags", [])
        for each in cell.get("outputs", []):
            if each["output_type"] == "error":
                print(plain("\n".join(each["traceback"])), file=sys.stderr)
                number = cell["execution_count"] - injected
                return plain(f", cell {number}: {each['ename']}: {each['evalue']}")
    print(said, file=sys.stderr)
    return ": " + (said.strip().splitlines() or ["papermill failed"])[-1].strip()


# --- main


def main(argv: list[str]) -> int:
    """Run a sub-command and return its exit code; say why it failed."""
    commands: dict[str, tuple[Callable[[Options], int], str]] = {
        "prepare": (prepare, PREPARE),
        "exec": (execute, EXEC),
        "notebook": (run_notebook, NOTEBOOK),
    }
    log, size = (
        next((each.partition("=")[2] for each in argv if each.startswith(f"--{name}=")), "")
        for name in ("termination-log", "termination-bytes")
    )
    try:
        if not argv or argv[0] not in commands:
            raise UsageError(f"the first argument must be one of {', '.join(commands)}")
        command, known = commands[argv[0]]
        return command(Options(argv[1:], known))
    except (RunnerError, OSError) as error:
        print(f"bodywork-argo: {error}", file=sys.stderr)
        # The watchdog of a notebook says why it sends TERM, which is more than we know.
        if not (isinstance(error, Stopped) and os.path.isfile(log) and os.path.getsize(log)):
            write_reason(log, str(error), size)
        return getattr(error, "exit_code", 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
