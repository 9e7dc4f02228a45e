"""Reading real repositories: local ones, bare ones, file URLs and an HTTP server."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodywork_argo.errors import GitError
from bodywork_argo.repo import is_url, published_address, published_ref, read_snapshot
from tests.repositories import git, make_repository

NAME = "bodywork.yaml"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    make_repository(folder, {NAME: "one\n", "models/churn/bodywork.yaml": "inner\n"})
    return folder


def test_a_folder_is_read_at_its_last_commit(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    snapshot = read_snapshot(str(repository), None, "", NAME)
    assert (snapshot.repository, snapshot.commit, snapshot.ref, snapshot.content) == (
        str(repository.resolve()), commit, "main", b"one\n",
    )  # fmt: skip
    assert snapshot.uncommitted == 0


def test_files_that_are_not_committed_are_counted_and_not_read(repository: Path) -> None:
    (repository / NAME).write_text("two\n")
    (repository / "new.py").write_text("")
    snapshot = read_snapshot(str(repository), None, "", NAME)
    assert (snapshot.content, snapshot.uncommitted) == (b"one\n", 2)


def test_a_folder_inside_a_repository_knows_its_place(repository: Path) -> None:
    for location, directory in (
        (repository / "models/churn", ""),
        (repository, "models/churn"),
        (repository / "models", "./churn/"),
    ):
        snapshot = read_snapshot(str(location), None, directory, NAME)
        assert (snapshot.directory, snapshot.content) == ("models/churn", b"inner\n")
        assert snapshot.repository == str(repository.resolve())


def test_a_folder_that_leads_out_of_the_repository_is_refused(repository: Path) -> None:
    for location in (str(repository), repository.as_uri()):
        with pytest.raises(GitError, match="leads out of the repository"):
            read_snapshot(location, None, "../..", NAME)


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach")
    assert read_snapshot(str(repository), None, "", NAME).ref is None


@pytest.mark.parametrize("as_url", [False, True], ids=["path", "url"])
def test_branches_tags_and_commits_short_or_long_are_refs(repository: Path, as_url: bool) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "v1")
    git(repository, "branch", "feature/x")
    make_repository(repository, {NAME: "two\n"})
    location = repository.as_uri() if as_url else str(repository)
    for ref in ("v1", "feature/x", first, first[:9]):
        snapshot = read_snapshot(location, ref, "", NAME)
        assert (snapshot.commit, snapshot.content) == (first, b"one\n"), ref
    assert read_snapshot(location, "main", "", NAME).content == b"two\n"
    assert read_snapshot(location, None, "", NAME).content == b"two\n"


def test_a_bare_repository_is_read_like_any_other(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
    snapshot = read_snapshot(str(tmp_path / "bare.git"), None, "", NAME)
    assert (snapshot.content, snapshot.uncommitted) == (b"one\n", 0)
    assert snapshot.repository == str((tmp_path / "bare.git").resolve())


@pytest.mark.parametrize(
    ("location", "ref", "message"),
    [
        ("--upload-pack=x", None, "-"),
        ("ext::sh -c x", None, "transport"),
        ("https://user:pass@git.example/r.git", None, "token"),
        ("ftp://git.example/r.git", None, "must be"),
        (".", "--output=x", "-"),
        (".", "a..b", "not the name"),
    ],
)
def test_addresses_and_refs_that_git_could_misread_are_refused(
    location: str, ref: str | None, message: str
) -> None:
    with pytest.raises(GitError, match=message) as caught:
        read_snapshot(location, ref, "", NAME)
    assert "pass@" not in str(caught.value)


def test_what_is_not_there_is_named(repository: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    unborn = tmp_path / "unborn"
    unborn.mkdir()
    git(unborn, "init", "--quiet")
    url = repository.as_uri()
    for location, ref, name, message in (
        (str(empty), None, NAME, "is not in a Git repository"),
        (str(tmp_path / "none"), None, NAME, "does not exist"),
        (str(unborn), None, NAME, "has no commit yet"),
        (str(repository), "nope", NAME, "has no ref or commit 'nope'"),
        (url, "nope", NAME, "has no such branch, tag or commit; was it pushed"),
        (unborn.as_uri(), None, NAME, "has no commit yet; push one"),
        (str(repository / NAME), None, NAME, "is a file: use --file, or name its folder"),
        (url, "abcdef1", NAME, "has no ref or commit 'abcdef1'"),
        ((tmp_path / "none").as_uri(), None, NAME, "is not a git repository"),
        (str(repository), None, "other.yaml", "has no file other.yaml"),
    ):
        with pytest.raises(GitError, match=message):
            read_snapshot(location, ref, "", name)


def test_urls_are_told_from_paths() -> None:
    assert all(map(is_url, ("https://h/r", "git@h:r", "ssh://h/r", "file:///r")))
    assert not any(map(is_url, (".", "/a/b", "a:b/c".replace(":", "/"), "./x:y")))


def test_the_files_of_the_commit_are_known_with_links_and_submodules(
    repository: Path, tmp_path: Path
) -> None:
    make_repository(tmp_path / "library", {"x.py": ""})
    allow = ("-c", "protocol.file.allow=always")
    git(repository, *allow, "submodule", "--quiet", "add", str(tmp_path / "library"), "lib")
    (repository / "link.py").symlink_to("models/churn/bodywork.yaml")
    make_repository(repository, {"é x.py": ""})
    for location in (str(repository), repository.as_uri()):
        tree = read_snapshot(location, None, "", NAME).tree
        assert tree.entries["link.py"] == "models/churn/bodywork.yaml"
        assert tree.entries["é x.py"] is None
        assert tree.submodules == {"lib"}


def test_a_pushed_commit_is_fetched_from_the_remote_of_its_branch(
    repository: Path, tmp_path: Path
) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    git(tmp_path, "init", "--quiet", "--bare", "far.git")
    git(repository, "remote", "add", "far", str(tmp_path / "far.git"))
    git(repository, "push", "--quiet", "--set-upstream", "far", "main")
    git(repository, "remote", "set-url", "far", "https://user:pw@git.example/r.git")
    assert published_address(str(repository), commit) == "https://git.example/r.git"


def test_what_was_never_pushed_is_refused_with_what_to_do(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    with pytest.raises(GitError, match="has no remote to fetch it from: push it somewhere"):
        published_address(str(repository), commit)
    git(tmp_path, "init", "--quiet", "--bare", "far.git")
    git(repository, "remote", "add", "origin", str(tmp_path / "far.git"))
    with pytest.raises(GitError, match=r"is not on origin: push it, or .* --ref origin/main"):
        published_address(str(repository), commit)
    git(repository, "push", "--quiet", "origin", "main")
    assert published_address(str(repository), commit) == str(tmp_path / "far.git")


@pytest.mark.parametrize(
    ("ref", "published"),
    [("main", "main"), ("far/main", "main"), ("v1", "v1"), ("far/other", "other")],
)
def test_a_ref_is_called_otherwise_where_the_remote_has_it(
    repository: Path, tmp_path: Path, ref: str, published: str
) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "far.git")
    git(repository, "remote", "add", "far", str(tmp_path / "far.git"))
    git(repository, "push", "--quiet", "--set-upstream", "far", "main")
    assert published_ref(str(repository), ref) == published


def test_a_branch_that_only_this_repository_has_is_refused(
    repository: Path, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "far.git")
    git(repository, "remote", "add", "origin", str(tmp_path / "far.git"))
    git(repository, "push", "--quiet", "origin", "main")
    git(repository, "switch", "--quiet", "--create", "mine")
    with pytest.raises(GitError, match=r"branch mine is not on origin: push it, .* origin/BRANCH"):
        published_ref(str(repository), "mine")
    git(repository, "push", "--quiet", "origin", "mine")
    assert published_ref(str(repository), "mine") == "mine"


def test_a_remote_whose_address_pods_may_not_be_given_is_refused(
    repository: Path, tmp_path: Path
) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    git(tmp_path, "init", "--quiet", "--bare", "far.git")
    git(repository, "remote", "add", "origin", str(tmp_path / "far.git"))
    git(repository, "push", "--quiet", "origin", "main")
    git(repository, "remote", "set-url", "origin", "ext::sh -c whoami")
    with pytest.raises(GitError, match="names a transport program"):
        published_address(str(repository), commit)
