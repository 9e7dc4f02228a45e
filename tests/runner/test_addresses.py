"""What may be given to git as an address, a ref and a commit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.runner import (
    RunnerError,
    check_commit,
    check_ref,
    check_repository,
    ssh_command,
)


@pytest.mark.parametrize(
    "repository",
    [
        "https://example.com/team/project.git",
        "https://example.com:8443/project",
        "http://127.0.0.1:8080/project.git",
        "ssh://git@example.com/project.git",
        "ssh://git@example.com:2222/project.git",
        "git@example.com:team/project.git",
        "example.com:project",
        "git@[::1]:project",
        "git://example.com/project",
        "file:///srv/project.git",
        "/srv/my projects/project",
        "./a::b",
        "project",
    ],
)
def test_an_address_of_a_known_form_is_accepted(repository: str) -> None:
    check_repository(repository)
    assert repository


@pytest.mark.parametrize(
    ("repository", "says"),
    [
        ("", "empty"),
        ("-u/tmp", "begin with '-'"),
        ("--upload-pack=touch /tmp/x", "begin with '-'"),
        ("ext::sh -c touch% /tmp/x", "transport"),
        ("fd::17", "transport"),
        ("::x", "transport"),
        ("my-helper+1.0::address", "transport"),
        ("https://example.com/a\nb", "control character"),
        ("https://example.com/\x7f", "control character"),
        ("ftp://example.com/project", "must be https"),
        ("javascript://x", "must be https"),
        ("HTTPS://example.com/x", "must be https"),
        ("ssh://-oProxyCommand=x/project", "begin with '-'"),
        ("ssh://git@-oProxyCommand=x/project", "begin with '-'"),
        ("git@-oProxyCommand=x:project", "begin with '-'"),
        ("-oProxyCommand=x@host:project", "begin with '-'"),
        ("ssh://-x@host/project", "begin with '-'"),
        ("https:///project", "empty"),
    ],
)
def test_a_dangerous_address_is_refused(repository: str, says: str) -> None:
    with pytest.raises(RunnerError, match=says):
        check_repository(repository)


@pytest.mark.parametrize(
    "repository",
    [
        "https://user:s3cret@example.com/project",
        "https://s3cret@example.com/project",
        "http://s3cret:x-oauth-basic@example.com/project",
        "ssh://user:s3cret@example.com/project",
        "ftp://user:s3cret@example.com/project",
        "https://s3cret@example.com/pro\nject",
    ],
)
def test_credentials_in_an_address_are_refused_and_never_repeated(repository: str) -> None:
    with pytest.raises(RunnerError) as caught:
        check_repository(repository)
    assert "s3cret" not in str(caught.value)


@given(st.text(max_size=40))
def test_no_text_makes_the_check_of_an_address_fail_in_another_way(text: str) -> None:
    try:
        check_repository(text)
    except RunnerError:
        return
    assert text
    assert not text.startswith("-")


@pytest.mark.parametrize("ref", ["main", "feature/a-b", "v1.0", "refs/pull/1/head", "HEAD"])
def test_the_name_of_a_branch_or_tag_is_accepted(ref: str) -> None:
    check_ref(ref)
    assert ref


@pytest.mark.parametrize(
    "ref", ["", "-x", "--upload-pack=x", "a b", "a\nb", "a:b", "+a", "a..b", "a*", "a@{1}", "a\\b"]
)
def test_a_ref_that_git_would_take_for_something_else_is_refused(ref: str) -> None:
    with pytest.raises(RunnerError, match="the ref"):
        check_ref(ref)


@pytest.mark.parametrize("commit", ["", "-x", "abc1234", "g" * 40, "a" * 41, "a" * 39])
def test_a_commit_that_is_not_a_full_hash_is_refused(commit: str) -> None:
    with pytest.raises(RunnerError, match="full hash"):
        check_commit(commit)


@pytest.mark.parametrize("commit", ["A" * 40, "0" * 64])
def test_a_full_hash_is_accepted_in_any_case(commit: str) -> None:
    assert check_commit(commit) == commit.lower()


def test_unknown_hosts_are_never_trusted_whatever_the_user_set() -> None:
    own = "ssh -i /k -o StrictHostKeyChecking=no"
    command = ssh_command({"GIT_SSH_COMMAND": own}, "", "")
    assert command.index("StrictHostKeyChecking=yes") < command.index("StrictHostKeyChecking=no")


def test_the_users_own_ssh_program_and_identity_are_kept() -> None:
    command = ssh_command({"GIT_SSH_COMMAND": "/opt/ssh -i ~/.ssh/work"}, "", "")
    assert command.startswith("/opt/ssh -o ")
    assert command.endswith(" -i ~/.ssh/work")


def test_only_the_given_known_hosts_count() -> None:
    command = ssh_command({}, "", "/etc/my hosts")
    assert """'UserKnownHostsFile="/etc/my hosts"'""" in command
    assert "GlobalKnownHostsFile=/dev/null" in command


def test_a_given_key_is_the_only_one_offered() -> None:
    command = ssh_command({}, "/private/key", "")
    assert "IdentitiesOnly=yes" in command


def test_without_a_key_the_users_agent_is_asked() -> None:
    assert "IdentitiesOnly" not in ssh_command({}, "", "")
