"""The Git edge: what a repository holds at a ref. The only importer of `git` (GitPython).

Addresses and refs obey the runner's own rules, so what is accepted here is accepted in the pod.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from bodywork_argo import runner
from bodywork_argo.errors import GitError, GitHostUnreachable
from bodywork_argo.tree import Tree

if TYPE_CHECKING:
    from git import Repo

FETCH_TIMEOUT_SECONDS = 120
ASK_TIMEOUT_SECONDS = 30
_TROUBLE = (
    (
        "dubious ownership",
        "{} belongs to another user; if you trust it, run "
        "`git config --global --add safe.directory FOLDER` with its folder",
    ),
    ("couldn't find remote ref HEAD", "{} has no commit yet; push one"),
    ("couldn't find remote ref", "{} has no such branch, tag or commit; was it pushed?"),
    ("Failed to connect", "the host of {} can't be reached"),
    ("CONNECT tunnel failed", "a proxy on the way to {} refuses"),
    ("SSL certificate problem", "the certificate of the host of {} is not trusted here"),
    ("certificate verification failed", "the certificate of the host of {} is not trusted here"),
    ("No route to host", "the host of {} can't be reached"),
    ("Network is unreachable", "the host of {} can't be reached"),
    ("Connection reset by peer", "the host of {} ends the connection"),
    ("Empty reply from server", "the host of {} ends the connection"),
    ("did not complete in", "the host of {} does not answer"),
)
_NOT_FROM_HERE = re.compile(
    r"Could not resolve host|Connection (refused|timed out|reset by peer)|Failed to connect"
    r"|No route to host|Network is unreachable|Empty reply from server|CONNECT tunnel failed"
    r"|SSL certificate problem|certificate verification failed|returned error: 50[234]"
    r"|did not complete in \d+ sec"
)
"""In git's complaints: what tells of the way to the host alone."""
_FULL_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_ABBREVIATED_HASH = re.compile(r"[0-9a-f]{4,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One commit of a repository and its bodywork.yaml."""

    repository: str
    """Address that git takes: the URL as given, or the absolute path of a local repository."""
    commit: str
    ref: str | None
    """Branch or tag, if one was asked for or is checked out."""
    directory: str
    """Folder of the file inside the repository; "" is its root."""
    content: bytes
    """bodywork.yaml as it stands in the commit."""
    tree: Tree
    """The files of the commit."""
    uncommitted: int = 0
    """How many files of a local repository differ from its last commit."""


def read_snapshot(location: str, ref: str | None, directory: str, file_name: str) -> Snapshot:
    """Read a file at a ref (default: HEAD) of a URL or of a local repository.

    A path may lead to any folder inside a repository; `directory` is relative to it.

    Raises:
        GitError: no git, no such repository, ref or file, or an address that is not allowed.
    """
    _check(runner.check_repository, location)
    if ref is not None:
        _check(runner.check_ref, ref)
    if is_url(location):
        return _remote_snapshot(location, ref, directory, file_name)
    return _local_snapshot(Path(location), ref, directory, file_name)


def _check(rule: Callable[[str], None], text: str) -> None:
    try:
        rule(text)
    except runner.RunnerError as error:
        raise GitError(str(error)) from error


def published_ref(path: str, ref: str) -> str:
    """Return what a ref of a local repository is called where its remote has it.

    ``origin/main`` of the remote ``origin`` is ``main`` there.

    Raises:
        GitError: it is a branch of this repository alone.
    """
    repo, _ = _open(Path(path))
    name = _remote_name(repo)
    if name is None:
        return ref
    published = ref.removeprefix(f"{name}/")
    if _has(repo, f"refs/heads/{ref}") and not _has(repo, f"refs/remotes/{name}/{published}"):
        raise GitError(
            f"branch {ref} is not on {name}: push it, or name what is there with "
            f"--ref {name}/BRANCH"
        )
    return published


def _has(repo: Repo, name: str) -> bool:
    return bool(_git(repo, "for-each-ref", "--count=1", "--format=%(refname)", name))


def published_address(path: str, commit: str) -> str:
    """Return the address from which anybody may fetch a commit of a local repository.

    It is that of the remote which the checked-out branch follows, else of ``origin``, without the
    credentials that it may carry.

    Raises:
        GitError: there is no such remote, or the commit was not pushed to it.
    """
    repo, root = _open(Path(path))
    name = _remote_name(repo)
    if name is None:
        raise GitError(
            f"{root} has no remote to fetch it from: push it somewhere, or name a repository's URL"
        )
    holders = _git(
        repo, "for-each-ref", "--count=1", f"--contains={commit}", f"refs/remotes/{name}"
    )
    if not holders:
        raise GitError(
            f"commit {commit[:7]} is not on {name}: push it, or name what is there with "
            f"--ref {name}/{_branch(repo) or 'BRANCH'}"
        )
    address = _without_credentials(_git(repo, "remote", "get-url", name).strip())
    _check(runner.check_repository, address)
    return address


def _remote_name(repo: Repo) -> str | None:
    names = [remote.name for remote in repo.remotes]
    branch = None if repo.head.is_detached else repo.active_branch.tracking_branch()
    wanted = [branch.remote_name] if branch is not None else []
    return next((name for name in (*wanted, "origin") if name in names), None)


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if scheme not in ("https", "http"):
        return url
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def check_access(
    repository: str, secrets: Mapping[str, str], host_keys: Iterable[str] = ()
) -> None:
    """Ask a repository for its refs, as a stage of a cluster would with these credentials.

    `secrets` are the variables that prepare has, by their names in `runner.SECRETS`. This
    machine's own settings, keys and known hosts count for nothing.

    Raises:
        GitHostUnreachable: its host can't be asked from here, whatever the credentials.
        GitError: it does not open; the message holds no secret.
    """
    _check(runner.check_repository, repository)
    git = _gitpython()
    import tempfile

    with tempfile.TemporaryDirectory(prefix="bodywork-argo-") as scratch:
        private = Path(scratch, "private")
        private.mkdir(mode=0o700)
        words = [f"--repository={repository}", "--known-hosts=/dev/null"]
        words += [f"--host-key={line}" for line in host_keys]
        options = runner.Options(words, "repository ssh-key known-hosts host-key")
        environ = _environment_of_a_pod(scratch)
        with git.Repo.init(Path(scratch, "repository"), bare=True) as repo:
            repo.git.update_environment(
                **runner.git_environment(options, secrets, str(private), environ)
            )
            ask = ("ls-remote", "--quiet", "--", repository, "HEAD")
            _git(repo, *ask, timeout_seconds=ASK_TIMEOUT_SECONDS)


def _environment_of_a_pod(home: str) -> dict[str, str]:
    """Return this process's environment without what the user has set up for git and ssh."""
    return {
        **os.environ,
        "HOME": home,
        "XDG_CONFIG_HOME": home,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "0",
        # ssh looks for its files without asking HOME.
        "GIT_SSH_COMMAND": "ssh -F none -o IdentityFile=none",
        "SSH_AUTH_SOCK": "",
    }


def is_url(location: str) -> bool:
    """Return whether a location is fetched, rather than being a folder of this machine."""
    return not runner.is_local(location) or location.startswith("file://")


def _local_snapshot(path: Path, ref: str | None, directory: str, file_name: str) -> Snapshot:
    repo, root = _open(path)
    folder = _folder(path.resolve().relative_to(root) / directory)
    commit = _commit(repo, ref or "HEAD", str(path))
    return Snapshot(
        repository=str(root),
        commit=commit,
        ref=ref or _branch(repo),
        directory=folder,
        content=_content(repo, commit, folder, file_name),
        tree=_tree(repo, commit),
        uncommitted=0 if repo.bare or ref else _uncommitted(repo),
    )


def _folder(path: Path) -> str:
    """Return a folder of the repository as git spells it; the root is ""."""
    inside = Path(os.path.normpath(path))
    if inside.is_absolute() or inside.parts[:1] == ("..",):
        raise GitError(f"the folder {path} leads out of the repository")
    return "" if inside == Path() else inside.as_posix()


def _uncommitted(repo: Repo) -> int:
    return len(_git(repo, "status", "--porcelain").splitlines())


def _open(path: Path) -> tuple[Repo, Path]:
    git = _gitpython()
    if not path.is_dir():
        what = "is a file: use --file, or name its folder" if path.is_file() else "does not exist"
        raise GitError(f"{path} {what}")
    try:
        repo = git.Repo(path, search_parent_directories=True)
    except git.InvalidGitRepositoryError as error:
        raise GitError(
            f"{path} is not in a Git repository; name one, or check a single file with --file"
        ) from error
    repo.git.update_environment(GIT_OPTIONAL_LOCKS="0", LC_ALL="C")
    return repo, Path(repo.working_tree_dir or repo.git_dir).resolve()


def _remote_snapshot(url: str, ref: str | None, directory: str, file_name: str) -> Snapshot:
    git = _gitpython()
    folder = _folder(Path(directory))
    import tempfile

    with tempfile.TemporaryDirectory(prefix="bodywork-argo-") as scratch:
        private = Path(scratch, "private")
        private.mkdir(mode=0o700)
        repo = git.Repo.init(Path(scratch, "repository"), bare=True)
        repo.git.update_environment(**_environment(url, private))
        commit = _fetch(repo, url, ref)
        snapshot = Snapshot(
            repository=url,
            commit=commit,
            ref=None if ref is not None and _FULL_HASH.fullmatch(ref) else ref,
            directory=folder,
            content=_content(repo, commit, folder, file_name),
            tree=_tree(repo, commit),
        )
        repo.close()
    return snapshot


def _fetch(repo: Repo, url: str, ref: str | None) -> str:
    """Fetch a branch, a tag or a commit, as little as the server allows; return the commit."""
    wanted = ref or "HEAD"
    # With a token of ours, nobody else's helper is asked and none stores it.
    own = ("-c", "credential.helper=") if "BODYWORK_GIT_TOKEN" in os.environ else ()
    fetch = (*own, "fetch", "--quiet")
    try:
        _git(repo, *fetch, "--depth=1", "--", url, wanted)
        return _commit(repo, "FETCH_HEAD", url)
    except GitError:
        if not _ABBREVIATED_HASH.fullmatch(wanted):
            raise
    _git(repo, *fetch, "--tags", "--", url, "+refs/heads/*:refs/heads/*")
    return _commit(repo, wanted, url)


def _commit(repo: Repo, ref: str, location: str) -> str:
    git = _gitpython()
    try:
        return str(repo.git.rev_parse("--verify", "--quiet", f"{ref}^{{commit}}"))
    except git.GitCommandError as error:
        if "dubious ownership" in str(error.stderr):
            raise GitError(_sentence(str(error.stderr), location)) from error
        what = "no commit yet" if ref == "HEAD" else f"no ref or commit '{ref}'"
        raise GitError(f"{location} has {what}; was it committed, and fetched?") from error


def _content(repo: Repo, commit: str, folder: str, file_name: str) -> bytes:
    git = _gitpython()
    path = f"{folder}/{file_name}" if folder else file_name
    try:
        data: bytes = repo.git.cat_file(
            "blob", f"{commit}:{path}", stdout_as_string=False, strip_newline_in_stdout=False
        )
    except git.GitCommandError as error:
        raise GitError(
            f"commit {commit[:7]} has no file {path}; name its folder with --path"
        ) from error
    return data


def _tree(repo: Repo, commit: str) -> Tree:
    """List the files of a commit; of symbolic links also where they lead."""
    entries: dict[str, str | None] = {}
    submodules = set()
    for line in filter(None, _git(repo, "ls-tree", "-r", "-z", commit).split("\0")):
        about, _, path = line.partition("\t")
        match about.split():
            case ["120000", _, target]:
                entries[path] = _git(repo, "cat-file", "blob", target)
            case ["160000", *_]:
                submodules.add(path)
            case _:
                entries[path] = None
    return Tree(entries, frozenset(submodules))


def _branch(repo: Repo) -> str | None:
    return None if repo.head.is_detached else repo.active_branch.name


def _git(repo: Repo, *arguments: str, timeout_seconds: int = FETCH_TIMEOUT_SECONDS) -> str:
    git = _gitpython()
    try:
        output: str = repo.git.execute(["git", *arguments], kill_after_timeout=timeout_seconds)
    except git.GitCommandError as error:
        url = next((text for text in arguments if is_url(text)), "the repository")
        stderr = str(error.stderr)
        kind = GitHostUnreachable if _NOT_FROM_HERE.search(stderr) else GitError
        raise kind(_sentence(stderr, url)) from error
    return output


def _sentence(stderr: str, location: str) -> str:
    """Return what git's complaint means, in the runner's own words where it has some."""
    for text, meaning in (*_TROUBLE, *runner.TROUBLE):
        if text in stderr:
            return meaning.format(location)
    said = stderr.strip().removeprefix("stderr: ").strip("'\n ").splitlines()
    fatal = [line for line in said if line.startswith(("fatal:", "error:"))]
    return f"{location}: git says: {(fatal or said or ['nothing'])[0]}"


def _environment(url: str, folder: Path) -> dict[str, str]:
    """Return git's environment as `prepare` has it: the same variables give key and token."""
    secrets = {name: os.environ[name] for name in runner.SECRETS if name in os.environ}
    options = runner.Options([f"--repository={url}"], "repository ssh-key known-hosts")
    return runner.git_environment(options, secrets, str(folder), os.environ)


def _gitpython() -> ModuleType:
    """Import GitPython, which looks for the git program when imported."""
    try:
        import git
    except ImportError as error:
        raise GitError(runner.NO_GIT) from error
    return git
