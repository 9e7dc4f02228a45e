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

SECRETS = ("BODYWORK_GIT_SSH_PRIVATE_KEY", "BODYWORK_GIT_TOKEN", "BODYWORK_GIT_USERNAME")
MESSAGE_BYTES = 32 * 1024
LOG_BYTES = 4096  # the kubelet keeps no more of a termination log


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


# --- Command line ---------------------------------------------------------------------------------


class Options:
    """Parse `--name=value`, `--name64=base64` and `--flag`, in the order given.

    By hand, since argparse costs more to import than the rest of `exec` takes to run.
    """

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
        return self.all(name)[-1] if self.all(name) else default

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

    The result has the file system's encoding, so that the program started gets these very bytes.
    """
    import binascii

    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        if not standard.replace("+", "").replace("/", "").isalnum() and standard:
            raise ValueError
        raw = binascii.a2b_base64(standard + "=" * (-len(standard) % 4))
        raw.decode("utf-8")
    except ValueError:
        raise UsageError(f"not base64 of UTF-8 text: {text!r}") from None
    return os.fsdecode(raw)


def write_reason(path: str, reason: str) -> None:
    """Write why it failed where the kubelet looks for it; a failure to write changes nothing."""
    if path:
        try:
            with open(path, "wb") as file:
                text = reason.encode("utf-8", "replace")[:LOG_BYTES]
                file.write(text.decode("utf-8", "ignore").encode())
        except OSError:
            pass


def find_inside(root: str, path: str, what: str) -> str:
    """Return the absolute path of a file that is really inside the checkout."""
    full = os.path.join(root, path)
    real_root, real = os.path.realpath(root), os.path.realpath(full)
    inside = real == real_root or real.startswith(real_root + os.sep)
    if os.path.isabs(path) or ".." in path.split("/") or not inside:
        raise RunnerError(f"{what} {path!r} leads outside the repository")
    if not os.path.exists(full):
        raise RunnerError(f"{what} {path!r} is not in the repository")
    return full


class Workspace:
    """Know where things are in the folder that `prepare` fills and `exec` uses."""

    def __init__(self, options: Options) -> None:
        self.root = os.path.abspath(options.required("workspace"))
        self.repository = os.path.join(self.root, "repository")
        self.directory = options.text("directory")
        self.venv = os.path.join(self.root, "venv")
        self.python = os.path.join(self.venv, "bin", "python")
        self.home = os.path.join(self.root, "home")

    def commit(self) -> str:
        """Return the full hash of the commit that was fetched."""
        try:
            with open(os.path.join(self.root, "commit")) as file:
                return file.read().strip()
        except OSError:
            raise RunnerError(f"nothing is prepared in {self.root}: run `prepare` first") from None

    def find(self, path: str, what: str) -> str:
        """Return the absolute path of what a bodywork.yaml names relative to itself."""
        try:
            return find_inside(self.repository, os.path.join(self.directory, path), what)
        except RunnerError as error:
            raise RunnerError(f"{error} at commit {self.commit()}") from None


# --- Child processes ------------------------------------------------------------------------------


class Supervisor:
    """Run children, each in its own process group; TERM, INT and the time limit end them.

    The handlers raise `Stopped`, except while a child is being started: it would be lost.
    """

    def __init__(self, limit: float = 0.0) -> None:
        import signal

        self._limit = limit
        self._starting = False
        self._stopped: Stopped | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, self._on_signal)
        if limit:
            signal.setitimer(signal.ITIMER_REAL, limit)

    def _on_signal(self, number: int, _frame: object) -> None:
        import signal

        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(each, signal.SIG_IGN)  # the clean-up that follows is not interrupted
        if number == signal.SIGALRM:
            self._stopped = Stopped(f"time limit of {self._limit:g} s exceeded", 1)
        else:
            self._stopped = Stopped(f"stopped by {signal.Signals(number).name}", 128 + number)
        if not self._starting:
            raise self._stopped

    def run(
        self,
        command: list[str],
        show: int = -1,
        pipe: tuple[int, int] | None = None,
        end_with: int = 15,
        **popen: Any,
    ) -> tuple[int, str]:
        """Run a command, copy its output to the descriptor `show`; return exit code and output.

        The end of the output is what is kept. With a `pipe` of the caller only that is read.
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
    import signal
    import subprocess

    signal_process(child.pid, first, group=True)
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    signal_process(child.pid, signal.SIGKILL, group=True)
    child.wait()


def signal_process(pid: int, number: int, group: bool) -> None:
    """Send a signal to a process or the group it leads, if there still is one."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except OSError:
        pass


class Life:
    """Wait for the end of a process without being its parent."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd = -1
        try:
            self.fd = os.pidfd_open(pid)  # Linux 5.3 and Python 3.9
        except (AttributeError, OSError):
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
            exits = select.kevent(
                self.pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT
            )
            try:
                return bool(select.kqueue().control([exits], 1, timeout))
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
            for name in os.listdir("/dev/fd"):
                if int(name) not in (keep, 0, 1, 2):
                    try:
                        os.close(int(name))
                    except OSError:
                        pass  # the listing's own descriptor
            null = os.open(os.devnull, os.O_RDWR)
            for standard in (0, 1, 2):
                os.dup2(null, standard)
            work()
    finally:
        os._exit(0)


def start_watchdog(limit: float, grace: float, log: str) -> None:
    """Have this process ended, whatever it executes next, when the time limit is over."""
    import signal

    try:
        os.setpgid(0, 0)
    except OSError:
        pass  # a session's leader leads its group already
    leads = os.getpgrp() == os.getpid()
    life = Life(os.getpid())
    log = log and os.path.abspath(log)

    def watch() -> None:
        if life.ended(limit):
            return
        write_reason(log, f"time limit of {limit:g} s exceeded")
        signal_process(life.pid, signal.SIGTERM, leads)
        if not life.ended(grace) or leads:
            signal_process(life.pid, signal.SIGKILL, leads)

    detach(watch, life.fd)


# --- Git ------------------------------------------------------------------------------------------


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
    check_text("the repository's address", repository)
    helper, double_colon, _ = repository.partition("::")
    if double_colon and not set(helper) & set("/:@["):
        raise RunnerError("the repository's address names a transport program (`name::...`)")
    scheme, is_url, rest = repository.partition("://")
    if is_url and scheme not in ("https", "http", "ssh", "git", "file"):
        raise RunnerError("the repository's address must be https, http, ssh, git, file or a path")
    if is_local(repository):
        return
    authority = rest.partition("/")[0] if is_url else repository.partition(":")[0]
    user, at, host = authority.rpartition("@")
    if at and (scheme in ("https", "http") or ":" in user):
        raise RunnerError(
            "the repository's address carries a user name, password or token before '@': leave it"
            " out, and give a token as BODYWORK_GIT_TOKEN"
        )
    check_text("the host in the repository's address", host)
    check_text("the user in the repository's address", user or "none")


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
    return not colon or "/" in before or repository.startswith("file://")


def ssh_command(environ: Mapping[str, str], key: str, known_hosts: str) -> str:
    """Return the GIT_SSH_COMMAND: the user's own, with no say about unknown hosts.

    ssh takes the first of two values, so ours go before the user's. A shared connection would
    skip the check of the host key, and outlive us.
    """
    import shlex

    settings = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ControlMaster=no"]
    settings += ["ControlPath=none", "VerifyHostKeyDNS=no"]
    if known_hosts:
        settings += [f'UserKnownHostsFile="{os.path.abspath(known_hosts)}"']
        settings += ["GlobalKnownHostsFile=/dev/null"]
    if key:
        settings += [f'IdentityFile="{key}"', "IdentitiesOnly=yes"]
    own = environ.get("GIT_SSH_COMMAND") or shlex.quote(environ.get("GIT_SSH") or "ssh")
    program, _, rest = own.strip().partition(" ")
    return " ".join([program, *("-o " + shlex.quote(each) for each in settings), rest])


ASKPASS = r"""#!/bin/sh
case "$1" in *[/@]"$BODYWORK_GIT_HOST"[\'\"/]*) ;; *) exit 1 ;; esac
case "$1" in
  Username*) printf '%s\n' "$BODYWORK_GIT_USERNAME" ;;
  *) printf '%s\n' "$BODYWORK_GIT_TOKEN" ;;
esac
"""

TROUBLE = (
    ("HOST IDENTIFICATION HAS CHANGED", "the host key of {} is not the known one"),
    (
        "Host key verification failed",
        "the host key of {} is not known: pass known hosts that have it",
    ),
    ("host key is known for", "the host key of {} is not known: pass known hosts that have it"),
    ("Permission denied (", "{} did not accept the SSH key, or none was given"),
    ("Authentication failed", "{} did not accept the token"),
    ("could not read Username", "{} asks for a token: give it as BODYWORK_GIT_TOKEN"),
    ("could not read Password", "{} asks for a token: give it as BODYWORK_GIT_TOKEN"),
    ("does not appear to be a git repository", "{} is not a git repository"),
    ("Could not resolve host", "the host of {} has no address"),
    ("Connection refused", "the host of {} refuses connections"),
    ("Connection timed out", "the host of {} does not answer"),
)


def trouble(output: str, repository: str) -> str:
    """Return a sentence for what no second attempt mends, '' when git said nothing like it."""
    found = [sentence for text, sentence in TROUBLE if text in output]
    return found[0].format(repository) if found else ""


class Git:
    """Run git on the checkout, without hooks, helpers of others, questions or leftovers."""

    def __init__(
        self, supervisor: Supervisor, checkout: str, repository: str, env: dict[str, str]
    ) -> None:
        self._supervisor = supervisor
        self.checkout = checkout
        self.repository = os.path.abspath(repository) if is_local(repository) else repository
        if repository.startswith("file://"):
            self.repository = repository
        self.env = env
        self._settings = [
            "protocol.version=2",
            "core.hooksPath=/dev/null",
            "maintenance.auto=false",
        ]
        self._settings += ["gc.auto=0", "advice.detachedHead=false", "init.defaultBranch=main"]
        if "BODYWORK_GIT_TOKEN" in env:
            self._settings += ["credential.helper="]  # nobody else's; none that would store it

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run git; return exit code and output."""
        settings = [part for each in self._settings for part in ("-c", each)]
        command = ["git", *settings, *arguments]
        return self._supervisor.run(command, cwd=self.checkout, env=self.env)

    def must(self, *arguments: str) -> str:
        """Run git; return its output or raise with what it said."""
        code, output = self.run(*arguments)
        if code:
            raise RunnerError(trouble(output, self.repository) or f"git: {output.strip()}")
        return output

    def fetch(self, commit: str, ref: str) -> None:
        """Fetch one commit, with as little history as the server allows."""
        everything = ["+refs/heads/*:refs/remotes/all/*", "+refs/tags/*:refs/tags/*"]
        attempts = [["--depth=1", commit], [ref] if ref else [], everything]
        output = ""
        for wanted in filter(None, attempts):
            depth = [each for each in wanted if each.startswith("--")]
            # git tells the far side of a local path nothing of our settings, so it gets its own:
            # a path that the user named may belong to someone else.
            pack = ["--upload-pack=git -c safe.directory='*' upload-pack"]
            local = pack if is_local(self.repository) else []
            specs = [each for each in wanted if not each.startswith("--")]
            quiet = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"]
            code, output = self.run(*quiet, *depth, *local, self.repository, *specs)
            if not self.run("cat-file", "-e", commit + "^{commit}")[0]:
                return
            if code and trouble(output, self.repository):
                break
        if code:
            raise RunnerError(trouble(output, self.repository) or f"git: {output.strip()}")
        raise RunnerError(f"commit {commit} is not in {self.repository} (was it pushed?)")

    def check_out(self, commit: str) -> None:
        """Check the commit out, with its large files and submodules."""
        attributes = ("^[^#].*filter=lfs", commit, "--", ":(glob)**/.gitattributes")
        filters = self._lfs()
        if not self.run("grep", "-q", *attributes)[0] and not filters:
            raise RunnerError(NO_LFS)
        self.must(*filters, *self._origin(), "checkout", "--quiet", "--detach", commit)
        if os.path.lexists(os.path.join(self.checkout, ".gitmodules")):
            self._submodules(filters)

    def _origin(self) -> list[str]:
        # On the command line only, for relative submodules and large files: no remote is left.
        local = self.repository if "://" in self.repository or not is_local(self.repository) else ""
        return ["-c", "remote.origin.url=" + (local or "file://" + self.repository)]

    def _lfs(self) -> list[str]:
        if self.run("lfs", "version")[0]:
            return []
        filters = ["process=git-lfs filter-process", "smudge=git-lfs smudge -- %f", "required=true"]
        return [part for each in filters for part in ("-c", "filter.lfs." + each)]

    def _submodules(self, filters: list[str]) -> None:
        # The same programs, hooks and credentials rules hold (git passes settings and environment
        # on). A submodule may be a path on this machine only if the repository is one itself.
        listed = ("config", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.url$")
        for line in self.run(*listed)[1].splitlines():
            url = line.partition(" ")[2]
            if not url.startswith(("./", "../")):
                check_repository(url)
        if not is_local(self.repository):
            self.env["GIT_ALLOW_PROTOCOL"] = "git:http:https:ssh"
        self.must(*self._origin(), "submodule", "--quiet", "init")
        update = [*filters, "submodule", "--quiet", "update", "--init", "--recursive", "--checkout"]
        if self.run(*update, "--depth=1")[0]:
            self.must(*update)
        search = ("grep", "-q", "--recurse-submodules", "^[^#].*filter=lfs")
        if not filters and not self.run(*search, "--", ":(glob)**/.gitattributes")[0]:
            raise RunnerError(NO_LFS)


NO_LFS = "the commit has files in Git LFS and there is no git-lfs here: use an image that has it"
NO_GIT = (
    "there is no git here: use an image that has it or pass `--git-image`"
    " (on your own machine: install git)"
)


def git_environment(
    options: Options, secrets: Mapping[str, str], environ: Mapping[str, str], folder: str
) -> dict[str, str]:
    """Return the environment of git; keys and tokens go to files and programs in `folder`."""
    ours = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
    env = {name: value for name, value in environ.items() if name not in ours}
    env.update(GIT_ALLOW_PROTOCOL="file:git:http:https:ssh", GIT_TERMINAL_PROMPT="0", LC_ALL="C")
    key = secrets.get("BODYWORK_GIT_SSH_PRIVATE_KEY", "")
    if options.text("ssh-key"):
        with open(options.text("ssh-key")) as file:
            key = file.read()
    key_file = write_private(folder, "key", key.rstrip("\n") + "\n") if key else ""
    env["GIT_SSH_COMMAND"] = ssh_command(environ, key_file, options.text("known-hosts"))
    repository, token = options.required("repository"), secrets.get("BODYWORK_GIT_TOKEN")
    if token and repository.startswith(("https://", "http://")):
        env["GIT_ASKPASS"] = write_private(folder, "askpass", ASKPASS, 0o700)
        env["BODYWORK_GIT_HOST"] = repository.partition("://")[2].partition("/")[0]
        env["BODYWORK_GIT_TOKEN"] = token
        env["BODYWORK_GIT_USERNAME"] = secrets.get("BODYWORK_GIT_USERNAME") or "x-access-token"
    return env


def write_private(folder: str, name: str, text: str, mode: int = 0o600) -> str:
    """Write a file that only its owner can read; return its path."""
    path = os.path.join(folder, name)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    return path


# --- prepare --------------------------------------------------------------------------------------

PREPARE = (
    "workspace repository commit ref directory requirement requirements-file notebook? installer"
    " known-hosts ssh-key only time-limit termination-log"
)


def prepare(options: Options) -> int:
    """Fetch the commit and install the stage's requirements in a fresh workspace.

    `--only=repository` and `--only=packages` do one half each, for an image without git.
    """
    secrets = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    supervisor = Supervisor(options.seconds("time-limit"))
    workspace = Workspace(options)
    if options.text("only") != "packages":
        fetch_repository(options, workspace, supervisor, secrets)
    if options.text("only") != "repository":
        make_venv(workspace)
        install(options, workspace, supervisor)
    return 0


def fetch_repository(
    options: Options, workspace: Workspace, supervisor: Supervisor, secrets: Mapping[str, str]
) -> None:
    """Make the checkout; everything secret lives in a private folder that goes away."""
    import shutil
    import tempfile

    repository, ref = options.required("repository"), options.text("ref")
    commit = check_commit(options.required("commit"))
    check_repository(repository)
    if ref:
        check_ref(ref)
    if not shutil.which("git"):
        raise RunnerError(NO_GIT)
    for name in ("repository", "home", "commit"):
        remove(os.path.join(workspace.root, name))
    os.makedirs(workspace.repository)
    os.makedirs(workspace.home)
    with tempfile.TemporaryDirectory(prefix="bodywork-") as folder:
        env = git_environment(options, secrets, os.environ, folder)
        git = Git(supervisor, workspace.repository, repository, env)
        hashing = ["--object-format=sha256"] if len(commit) == 64 else []
        git.must("init", "--quiet", "--template=", *hashing)
        git.fetch(commit, ref)
        git.check_out(commit)
    remove(os.path.join(workspace.repository, ".git", "FETCH_HEAD"))
    with open(os.path.join(workspace.root, "commit"), "w") as file:
        file.write(commit + "\n")


def remove(path: str) -> None:
    """Remove a file or folder, if it is there."""
    import shutil

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def make_venv(workspace: Workspace) -> None:
    """Make an environment in which what the image has can still be imported.

    If the image's Python is a virtual environment itself, that one's packages are included.
    """
    import venv

    remove(workspace.venv)
    venv.EnvBuilder(system_site_packages=True, symlinks=True, with_pip=False).create(workspace.venv)
    if sys.prefix != sys.base_prefix:
        import site

        folders = "".join(f"site.addsitedir({each!r});" for each in site.getsitepackages())
        library = "lib/python{}.{}/site-packages".format(*sys.version_info)
        with open(os.path.join(workspace.venv, library, "bodywork-outer.pth"), "w") as file:
            file.write(f"import site;{folders}\n")


def install(options: Options, workspace: Workspace, supervisor: Supervisor) -> None:
    """Install the stage's requirements, then what a notebook needs; nothing when there is none."""
    import shlex

    folder = os.path.join(workspace.repository, workspace.directory)
    wanted: list[str] = []
    for requirement in options.all("requirement"):
        # An option with its value, as in requirements.txt, is one line of text but two arguments.
        wanted += shlex.split(requirement) if requirement.startswith("-") else [requirement]
    if options.text("requirements-file"):
        wanted += ["-r", workspace.find(options.text("requirements-file"), "requirements file")]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    env.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PIP_USER="0")
    env.update(VIRTUAL_ENV=workspace.venv)

    def add(packages: list[str]) -> None:
        command = installer(options.text("installer", "pip"), workspace.python, has, run)
        code, output = run(command + packages)
        if code:
            raise RunnerError(install_reason(output))

    def run(command: list[str]) -> tuple[int, str]:
        return supervisor.run(command, show=1, cwd=folder, env=env)

    def has(module: str) -> bool:
        search = f"import sys, importlib.util as u; sys.exit(not u.find_spec({module!r}))"
        return not supervisor.run([workspace.python, "-c", search], cwd=folder, env=env)[0]

    if wanted:
        add(wanted)
    if options.text("notebook"):
        missing = [each for each in ("papermill", "ipykernel") if not has(each)]
        if missing:
            add(missing)


def installer(
    name: str, python: str, has: Callable[[str], bool], run: Callable[[list[str]], tuple[int, str]]
) -> list[str]:
    """Return the command that installs packages, without the packages."""
    import shutil

    if name == "uv":
        if not shutil.which("uv"):
            raise RunnerError("there is no uv here: use an image that has it, or install with pip")
        return ["uv", "pip", "install", "--python", python]
    if name != "pip":
        raise UsageError(f"--installer must be pip or uv, not {name!r}")
    if not has("pip"):
        if not has("ensurepip"):
            raise RunnerError(
                "the Python here has neither pip nor ensurepip: use an image with pip"
            )
        code, output = run([python, "-m", "ensurepip"])
        if code:
            raise RunnerError(install_reason(output))
    return [python, "-m", "pip", "install"]


def install_reason(output: str) -> str:
    """Return the lines of an installer's output that say what failed."""
    lines = [line.rstrip() for line in plain(output).splitlines() if line.strip()]
    errors = [line.strip() for line in lines if line.strip().lower().startswith("error:")]
    return "installing the requirements failed: " + "\n".join(errors or lines[-5:])


def plain(text: str) -> str:
    """Return text without the colours and movements of a terminal."""
    import re

    return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", text)


# --- exec -----------------------------------------------------------------------------------------

EXEC = "workspace module arg directory env64 failure-stage? time-limit grace termination-log"


def execute(options: Options) -> NoReturn:
    """Become the stage's module: same process, output, signals and exit code."""
    workspace = Workspace(options)
    module = workspace.find(options.required("module"), "module")
    commit = workspace.commit()
    env = stage_environment(dict(os.environ), workspace, commit)
    for pair in options.all("env64"):
        name, _, value = pair.partition("=")
        env[name] = decode64(value)
    if options.text("failure-stage"):
        env["EXCEPTION_MESSAGE"] = os.fsdecode(
            failure_message(env.pop("BODYWORK_FAILURES", "")).encode("utf-8", "replace")
        )
    command = [workspace.python, module, *options.all("arg")]
    if module.endswith(".ipynb"):
        command = notebook_command(options, workspace.python)
    limit, log = options.seconds("time-limit"), options.text("termination-log")
    if limit:
        start_watchdog(limit, options.seconds("grace", 10.0), log)
    env["PWD"] = os.path.dirname(module)
    os.chdir(env["PWD"])
    os.execve(command[0], command, env)


def stage_environment(env: dict[str, str], workspace: Workspace, commit: str) -> dict[str, str]:
    """Return the environment in which the module finds its packages, and no credentials of ours."""
    for name in (*SECRETS, "PYTHONHOME"):
        env.pop(name, None)
    bin_folder = os.path.join(workspace.venv, "bin")
    env["PATH"] = os.pathsep.join([bin_folder, env.get("PATH") or os.defpath])
    env["VIRTUAL_ENV"] = workspace.venv
    root = os.path.normpath(os.path.join(workspace.repository, workspace.directory))
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")]))
    env.setdefault("PYTHONUNBUFFERED", "1")
    if not os.path.isdir(env.get("HOME", "")) or not os.access(env["HOME"], os.W_OK):
        env["HOME"] = workspace.home
    env["GIT_COMMIT_HASH"] = commit[:7]
    env["BODYWORK_GIT_COMMIT"] = commit
    return env


def failure_message(text: str) -> str:
    """Return the EXCEPTION_MESSAGE for the JSON list of failures, or the text if it is none."""
    import json

    try:
        return exception_message(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        return cut(text.replace("\0", ""), MESSAGE_BYTES)


def exception_message(failures: list[dict[str, Any]]) -> str:
    """Say which stages failed and why, in at most 32 KiB: the text of EXCEPTION_MESSAGE.

    A failure is {"stage": str, "exit_code": int or None, "reason": str or None}; of several
    attempts of a stage the last counts.

    >>> print(exception_message([{"stage": "train", "exit_code": 3, "reason": None}]))
    1 stage failed: train
    train: exit code 3
    """
    last = {str(each["stage"]).replace("\0", ""): each for each in failures}
    names = ", ".join(list(last)[:20]) + (f" ... and {len(last) - 20} more" if len(last) > 20 else "")
    lines = [cut(f"{len(last)} stage{'s'[len(last) == 1 :]} failed: {names}", MESSAGE_BYTES // 4)]
    left = MESSAGE_BYTES - len(lines[0].encode()) - 40  # for the last line
    for stage, failure in last.items():
        line = cut(f"{stage}: {failure_text(failure)}", MESSAGE_BYTES // 4)
        left -= len(line.encode()) + 1
        if left < 0:
            return "\n".join([*lines, f"... and {len(last) - len(lines) + 1} more"])
        lines.append(line)
    return "\n".join(lines)


def failure_text(failure: Mapping[str, Any]) -> str:
    """Return one failure in one line."""
    reason = " ".join(str(failure.get("reason") or "").replace("\0", "").split())
    code = failure.get("exit_code")
    if code is None:
        return reason or "no reason is known"
    return f"{reason} (exit code {code})" if reason else f"exit code {code}"


def cut(text: str, size: int) -> str:
    """Return the beginning of a text, at most `size` bytes of UTF-8."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


# --- notebook -------------------------------------------------------------------------------------

NOTEBOOK = "workspace module arg directory output termination-log"

# A subprocess of the notebook would write to the kernel's own stdout as well as to the notebook,
# so that it would be in the log twice; a kernel leads a session of its own, so we note its number.
KERNEL = """
import os, runpy
os.dup2(2, 1)
with open(os.environ["BODYWORK_PROCESSES"], "a") as file:
    print(os.getpid(), file=file)
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
"""


def notebook_command(options: Options, python: str) -> list[str]:
    """Return the command that runs a notebook as `exec` was told to run it."""
    import binascii

    command = [python, os.path.abspath(__file__), "notebook"]
    for name in ("workspace", "termination-log"):
        command += [f"--{name}={os.path.abspath(path)}" for path in options.all(name) if path]
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
    import signal
    import tempfile

    workspace = Workspace(options)
    module = workspace.find(options.required("module"), "notebook")
    name = os.path.basename(module)
    output = os.path.abspath(options.text("output") or os.path.join(workspace.root, "output", name))
    os.makedirs(os.path.dirname(output), exist_ok=True)
    remove(output)
    processes = output + ".processes"
    remove(processes)
    life = Life(os.getpid())

    def end_kernels() -> None:
        try:
            with open(processes) as file:
                for pid in file.read().split():
                    signal_process(int(pid), signal.SIGKILL, group=True)
            os.remove(processes)
        except OSError:
            pass

    def guard() -> None:
        while not life.ended(3600):
            pass
        end_kernels()

    detach(guard, life.fd)  # for the case that we are killed
    supervisor = Supervisor()
    source, target = os.pipe()
    parameters, others = notebook_arguments(options.all("arg"))
    kernels = write_kernel(workspace)
    env = dict(os.environ, BODYWORK_ARGS=json.dumps(others), BODYWORK_PROCESSES=processes)
    env["JUPYTER_PATH"] = os.pathsep.join(filter(None, [kernels, env.get("JUPYTER_PATH")]))
    command = [workspace.python, "-m", "papermill", module, output, *parameters]
    command += ["--no-progress-bar", "--log-level", "WARNING", *kernel_options(module)]
    command += ["--stdout-file", "-", "--stderr-file", f"/dev/fd/{target}"]
    try:
        with tempfile.TemporaryFile() as log:
            code, _ = supervisor.run(
                command,
                show=2,
                pipe=(source, target),
                end_with=signal.SIGINT,  # TERM ends papermill before it can end the kernel
                stderr=log,
                pass_fds=[target],
                cwd=os.path.dirname(module),
                env=env,
            )
            log.seek(0)
            said = plain(log.read().decode("utf-8", "replace"))
    finally:
        end_kernels()
    if code:
        raise RunnerError(notebook_reason(name, output, said))
    return 0


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

    root = os.path.join(workspace.root, "jupyter")
    folder = os.path.join(root, "kernels", "python3")
    os.makedirs(folder, exist_ok=True)
    argv = [workspace.python, "-c", KERNEL, "-f", "{connection_file}"]
    with open(os.path.join(folder, "kernel.json"), "w") as file:
        json.dump({"argv": argv, "display_name": "Python 3", "language": "python"}, file)
    return root


def kernel_options(path: str) -> list[str]:
    """Return papermill's options that choose the kernel: ours unless it is another language."""
    import json

    with open(path, encoding="utf-8") as file:
        try:
            metadata = json.load(file).get("metadata", {})
        except ValueError:
            raise RunnerError(f"{os.path.basename(path)} is not a notebook") from None
    language = metadata.get("kernelspec", {}).get("language")
    language = language or metadata.get("language_info", {}).get("name") or "python"
    return ["-k", "python3", "-l", "python"] if language == "python" else []


def notebook_reason(name: str, output: str, said: str) -> str:
    """Return which cell failed with what; print its traceback."""
    import json

    try:
        with open(output, encoding="utf-8") as file:
            cells = json.load(file)["cells"]
    except (OSError, ValueError):
        cells = []
    for cell in cells:
        for each in cell.get("outputs", []):
            if each["output_type"] == "error":
                print(plain("\n".join(each["traceback"])), file=sys.stderr)
                what = plain(f"{each['ename']}: {each['evalue']}")
                return f"{name}, cell {cell['execution_count']}: {what}"
    print(said, file=sys.stderr)
    lines = said.strip().splitlines() or ["papermill failed"]
    return f"{name}: {lines[-1].strip()}"


# --- main -----------------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    """Run a sub-command and return its exit code; say why it failed."""
    commands: dict[str, tuple[Callable[[Options], int], str]] = {
        "prepare": (prepare, PREPARE),
        "exec": (execute, EXEC),
        "notebook": (run_notebook, NOTEBOOK),
    }
    prefix = "--termination-log="
    log = next((each[len(prefix) :] for each in argv if each.startswith(prefix)), "")
    try:
        if not argv or argv[0] not in commands:
            raise UsageError(f"the first argument must be one of {', '.join(commands)}")
        command, known = commands[argv[0]]
        return command(Options(argv[1:], known))
    except (RunnerError, OSError) as error:
        print(f"bodywork-argo: {error}", file=sys.stderr)
        # The watchdog of a notebook says why it sends TERM, which is more than we know.
        if not (isinstance(error, Stopped) and os.path.isfile(log) and os.path.getsize(log)):
            write_reason(log, str(error))
        return getattr(error, "exit_code", 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
