"""`prepare`: the commit that is fetched and what is left behind."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.runner.lab import (
    RUNNER,
    Lab,
    Repository,
    encoded,
    new_repository,
    processes_with,
    terminate,
    until,
)


def test_exactly_the_commit_is_checked_out_though_the_branch_went_on(lab: Lab) -> None:
    commit = lab.repository.commit({"model.txt": "old"})
    lab.repository.commit({"model.txt": "new"})
    assert lab.prepare(commit).code == 0
    assert (lab.workspace / "repository/model.txt").read_text() == "old"
    assert (lab.workspace / "commit").read_text() == commit + "\n"


def test_only_one_commit_of_history_is_fetched(lab: Lab) -> None:
    lab.repository.commit({"a": "1"})
    commit = lab.repository.commit({"a": "2"})
    lab.prepare(commit)
    assert Repository(lab.workspace / "repository").git("rev-list", "--all", "HEAD") == commit


def test_a_file_url_a_relative_path_and_a_path_lead_to_the_same(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    for address in (f"file://{lab.repository.path}", "source", "./source"):
        assert lab.prepare(commit, repository=address).code == 0
        assert (lab.workspace / "repository/a").read_text() == "1"


def test_a_path_with_a_space_and_a_quote_works(lab: Lab) -> None:
    repository = new_repository(lab.root / "it's a path")
    commit = repository.commit({"a": "1"})
    assert lab.prepare(commit, repository=str(repository.path)).code == 0


def test_no_remote_and_no_trace_of_the_fetch_is_left(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    lab.prepare(commit)
    checkout = lab.workspace / "repository"
    assert Repository(checkout).git("remote") == ""
    assert not (checkout / ".git/FETCH_HEAD").exists()
    assert str(lab.repository.path) not in (checkout / ".git/config").read_text()


def test_no_temporary_folder_is_left(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    lab.prepare(commit, BODYWORK_GIT_SSH_PRIVATE_KEY="key", BODYWORK_GIT_TOKEN="token")
    assert list(lab.temporary.iterdir()) == []


def test_a_commit_that_was_not_pushed_gets_a_clear_sentence(lab: Lab) -> None:
    lab.repository.commit({"a": "1"})
    done = lab.prepare("0" * 40)
    sentence = f"commit {'0' * 40} is not in {lab.repository.path} (was it pushed?)"
    assert done.code == 1
    assert done.reason == sentence
    assert sentence in done.err


@pytest.fixture
def refusing(lab: Lab) -> Lab:
    """A lab whose user speaks an old protocol to a server that gives named commits only."""
    lab.repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
    return lab


def version_0(lab: Lab) -> str:
    """Return a PATH with a git that is told protocol version 0 after everything else."""
    real = shutil.which("git")
    text = f"""#!{sys.executable}
import os, sys
arguments = [each.replace("protocol.version=2", "protocol.version=0") for each in sys.argv[1:]]
os.execv({real!r}, ["git", *arguments])
"""
    return lab.program("git", text)


def test_a_server_that_refuses_a_single_commit_is_asked_for_all_branches(refusing: Lab) -> None:
    commit = refusing.repository.commit({"a": "old"})
    refusing.repository.commit({"a": "new"})
    done = refusing.prepare(commit, PATH=version_0(refusing))
    assert done.code == 0
    assert (refusing.workspace / "repository/a").read_text() == "old"


def test_a_server_that_refuses_a_single_commit_is_asked_for_the_ref_first(refusing: Lab) -> None:
    refusing.repository.git("checkout", "-q", "-b", "other")
    refusing.repository.commit({"b": "1"})
    refusing.repository.git("checkout", "-q", "-b", "topic")
    commit = refusing.repository.commit({"a": "old"})
    refusing.repository.commit({"a": "new"})
    done = refusing.prepare(commit, "--ref=topic", PATH=version_0(refusing))
    assert done.code == 0
    refs = Repository(refusing.workspace / "repository").git("for-each-ref")
    assert refs == ""


def test_a_ref_that_is_gone_does_not_matter(refusing: Lab) -> None:
    commit = refusing.repository.commit({"a": "old"})
    refusing.repository.commit({"a": "new"})
    assert refusing.prepare(commit, "--ref=gone", PATH=version_0(refusing)).code == 0


def test_a_commit_that_only_a_tag_holds_is_found(refusing: Lab) -> None:
    commit = refusing.repository.commit({"a": "tagged"})
    refusing.repository.git("tag", "v1")
    refusing.repository.git("checkout", "-q", "--orphan", "fresh")
    refusing.repository.commit({"a": "fresh"})
    refusing.repository.git("branch", "-D", "main")
    assert refusing.prepare(commit, PATH=version_0(refusing)).code == 0


def test_a_missing_repository_gets_a_clear_sentence(lab: Lab) -> None:
    done = lab.prepare("0" * 40, repository=str(lab.root / "nowhere"))
    assert done.code == 1
    assert done.reason == f"{lab.root / 'nowhere'} is not a git repository"


def test_a_refused_address_never_reaches_git(lab: Lab) -> None:
    done = lab.prepare("0" * 40, repository=f"ext::touch {lab.root / 'made'}")
    assert done.code == 1
    assert "transport" in done.reason
    assert not (lab.root / "made").exists()


def test_a_ref_like_an_option_is_refused(lab: Lab) -> None:
    done = lab.prepare("0" * 40, "--ref=--upload-pack=touch")
    assert (done.code, "begin with '-'" in done.reason) == (1, True)


def test_encoded_options_mean_the_same(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    address = encoded(str(lab.repository.path))
    done = lab.run("prepare", f"--repository64={address}", f"--commit64={encoded(commit)}")
    assert done.code == 0


def test_hooks_of_the_users_template_do_not_run(lab: Lab) -> None:
    hook = lab.home / "template/hooks/post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ntouch {lab.root / 'made'}\n")
    hook.chmod(0o755)
    (lab.home / ".gitconfig").write_text(
        f"[init]\ntemplateDir = {hook.parents[1]}\n[core]\nhooksPath = {hook.parent}\n"
    )
    commit = lab.repository.commit({"a": "1"})
    assert lab.prepare(commit).code == 0
    assert not (lab.root / "made").exists()


def test_git_variables_of_a_hook_that_runs_us_do_not_mislead(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    other = str(lab.root / "elsewhere")
    done = lab.prepare(commit, GIT_DIR=other, GIT_WORK_TREE=other, GIT_INDEX_FILE=other)
    assert done.code == 0
    assert (lab.workspace / "repository/a").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_local_repository_of_someone_else_is_accepted(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    for path in [lab.repository.path, *lab.repository.path.rglob("*")]:
        os.chown(path, 12345, 12345)
    assert lab.prepare(commit).code == 0


def test_a_leftover_of_an_interrupted_prepare_is_replaced(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    (lab.workspace / "repository/.git").mkdir(parents=True)
    (lab.workspace / "repository/.git/index.lock").write_text("")
    (lab.workspace / "repository/stale").write_text("")
    (lab.workspace / "venv/bin").mkdir(parents=True)
    (lab.workspace / "venv/stale").write_text("")
    (lab.workspace / "commit").write_text("1" * 40)
    assert lab.prepare(commit).code == 0
    assert not (lab.workspace / "repository/stale").exists()
    assert not (lab.workspace / "venv/stale").exists()
    assert (lab.workspace / "commit").read_text() == commit + "\n"


def test_preparing_twice_gives_the_same(lab: Lab) -> None:
    commit = lab.ready({"a": "1"})
    assert lab.prepare(commit).code == 0


def test_without_git_one_sentence_says_what_to_do(lab: Lab) -> None:
    done = lab.prepare("0" * 40, PATH=str(lab.root))
    assert done.code == 1
    assert done.err == f"bodywork-argo: {done.reason}\n"
    assert "no git here" in done.reason
    assert "`--git-image`" in done.reason


def test_half_of_the_work_can_be_done_in_another_image(lab: Lab) -> None:
    commit = lab.repository.commit({"main.py": "print('ran')"})
    assert lab.prepare(commit, "--only=repository").code == 0
    assert not (lab.workspace / "venv").exists()
    done = lab.prepare(commit, "--only=packages", PATH=lab.bin_without("git"))
    assert done.code == 0, done
    assert lab.run("exec", "--module=main.py").out == "ran\n"


def test_packages_need_no_repository(lab: Lab) -> None:
    lab.wheel("needed", {"needed.py": "print('there')"})
    done = lab.run("prepare", "--only=packages", "--requirement=needed")
    assert done.code == 0, done
    assert done.err == ""


@pytest.mark.parametrize(
    "option", ["--commit", "--surprise=1", "surprise", "--commit64=?", "--time-limit=soon"]
)
def test_wrong_usage_has_its_own_exit_code(lab: Lab, option: str) -> None:
    done = lab.prepare("0" * 40, option)
    assert done.code == 2
    assert done.reason


def test_an_option_that_is_missing_is_named(lab: Lab) -> None:
    done = lab.run("prepare", "--commit=" + "0" * 40)
    assert (done.code, done.reason) == (2, "--repository=... is missing")


def test_a_termination_log_that_cannot_be_written_changes_nothing(lab: Lab) -> None:
    done = lab.prepare("0" * 40, f"--termination-log={lab.root}/no/such/folder")
    assert done.code == 1
    assert "is not in" in done.err


# --- Submodules and large files -------------------------------------------------------------------


def test_submodules_are_checked_out_relative_ones_too(lab: Lab) -> None:
    inner = new_repository(lab.root / "inner")
    inner.commit({"inner.txt": "inside"})
    outer = new_repository(lab.root / "outer")
    outer.commit({"outer.txt": "outside"})
    outer.git("submodule", "add", "-q", "../inner", "parts/inner")
    outer.commit({})
    lab.repository.git("submodule", "add", "-q", "../outer", "outer")
    commit = lab.repository.commit({"a": "1"})
    done = lab.prepare(commit)
    assert done.code == 0, done
    assert (lab.workspace / "repository/outer/outer.txt").read_text() == "outside"
    assert (lab.workspace / "repository/outer/parts/inner/inner.txt").read_text() == "inside"
    assert Repository(lab.workspace / "repository").git("remote") == ""


def test_a_submodule_with_a_transport_program_is_refused(lab: Lab) -> None:
    made = lab.root / "made"
    modules = f'[submodule "x"]\n\tpath = x\n\turl = ext::touch% {made}\n'
    done = lab.prepare(lab.repository.commit({".gitmodules": modules}))
    assert done.code == 1
    assert "transport" in done.reason
    assert not made.exists()


LFS = {
    ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    "model.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:"
    + "0" * 64
    + "\nsize 4\n",
}


def test_large_files_without_git_lfs_get_a_clear_sentence(lab: Lab) -> None:
    commit = lab.repository.commit(LFS)
    done = lab.prepare(commit, PATH=lab.bin_without("git-lfs"))
    assert done.code == 1
    assert "Git LFS" in done.reason
    assert "no git-lfs here" in done.reason


def test_attributes_in_a_folder_count_and_a_comment_does_not(lab: Lab) -> None:
    path = lab.bin_without("git-lfs")
    commit = lab.repository.commit({".gitattributes": "# *.bin filter=lfs\n"})
    assert lab.prepare(commit, PATH=path).code == 0
    commit = lab.repository.commit({"deep/er/.gitattributes": "*.bin filter=lfs\n"})
    assert lab.prepare(commit, PATH=path).code == 1


@pytest.mark.skipif(not shutil.which("git-lfs"), reason="no git-lfs here")
def test_large_files_are_there_with_git_lfs(lab: Lab) -> None:
    lab.repository.git("lfs", "install", "--local")
    commit = lab.repository.commit({**LFS, "model.bin": "four"})
    assert "oid sha256" in lab.repository.git("show", "HEAD:model.bin")
    done = lab.prepare(commit)
    assert done.code == 0, done
    assert (lab.workspace / "repository/model.bin").read_text() == "four"


# --- Signals and the time limit -------------------------------------------------------------------


def slow_git(lab: Lab) -> str:
    """Return a PATH with a git that does not end, and ignores TERM, on fetch."""
    real = shutil.which("git")
    text = f"""#!/bin/sh
case "$*" in *" fetch "*)
  trap '' TERM; echo > {lab.root}/started
  while :; do sleep 0.1; : {lab.root}; done;;
esac
exec {real} "$@"
"""
    return lab.program("git", text)


def test_term_during_the_fetch_leaves_nothing(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    process = lab.start(
        "prepare",
        f"--repository={lab.repository.path}",
        f"--commit={commit}",
        PATH=slow_git(lab),
        BODYWORK_GIT_SSH_PRIVATE_KEY="a key",
    )
    until((lab.root / "started").exists, "git started")
    assert len(list(lab.temporary.iterdir())) == 1
    terminate(process)
    done = lab.finish(process)
    assert (done.code, done.reason) == (143, "stopped by SIGTERM")
    assert list(lab.temporary.iterdir()) == []
    assert processes_with(str(lab.root)) == []


def test_the_time_limit_ends_the_fetch(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    done = lab.prepare(commit, "--time-limit=0.7", PATH=slow_git(lab))
    assert (done.code, done.reason) == (1, "install time limit of 0.7 s exceeded")
    assert processes_with(str(lab.root)) == []


def test_the_runner_needs_nothing_but_its_file(lab: Lab, tmp_path: Path) -> None:
    copy = tmp_path / "copied.py"
    copy.write_bytes(RUNNER.read_bytes())
    commit = lab.repository.commit({"a": "1"})
    command = f"{sys.executable} -I {copy} prepare --workspace={lab.workspace}"
    assert os.system(f"{command} --repository={lab.repository.path} --commit={commit}") == 0


def test_without_a_commit_the_head_of_the_ref_is_taken(lab: Lab) -> None:
    lab.repository.commit({"model.txt": "old"})
    commit = lab.repository.commit({"model.txt": "new"})
    for ref in ("HEAD", lab.repository.git("branch", "--show-current")):
        assert lab.run("prepare", f"--repository={lab.repository.path}", f"--ref={ref}").code == 0
        assert (lab.workspace / "commit").read_text() == commit + "\n"
        assert (lab.workspace / "repository/model.txt").read_text() == "new"


def test_the_head_of_a_ref_that_is_not_there_gets_a_clear_sentence(lab: Lab) -> None:
    lab.repository.commit({"a": "1"})
    done = lab.run("prepare", f"--repository={lab.repository.path}", "--ref=release")
    assert done.code == 1
    assert done.reason == f"{lab.repository.path} has no branch or tag release: was it deleted?"


def test_the_known_commit_is_taken_where_the_engine_put_in_none(lab: Lab) -> None:
    commit = lab.repository.commit({"a": "1"})
    lab.repository.commit({"a": "2"})
    options = ("--commit={" + "{workflow.outputs.parameters.commit}}", f"--known-commit={commit}")
    done = lab.run("prepare", f"--repository={lab.repository.path}", *options)
    assert done.code == 0
    assert f"the run found no commit: taking {commit}" in done.out
    assert (lab.workspace / "repository/a").read_text() == "1"


def test_the_commit_that_the_engine_put_in_is_taken_rather_than_the_known_one(lab: Lab) -> None:
    known = lab.repository.commit({"a": "1"})
    commit = lab.repository.commit({"a": "2"})
    options = (f"--commit={commit}", f"--known-commit={known}")
    assert lab.run("prepare", f"--repository={lab.repository.path}", *options).code == 0
    assert (lab.workspace / "repository/a").read_text() == "2"
