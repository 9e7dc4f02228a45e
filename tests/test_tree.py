from __future__ import annotations

import pytest

from bodywork_argo.tree import Tree

TREE = Tree(
    {
        "a.py": None,
        "deep/b.py": None,
        "link.py": "deep/b.py",
        "folder": "deep",
        "absolute.py": "/etc/passwd",
        "out.py": "../../x.py",
        "deep/up.py": "../a.py",
        "one.py": "two.py",
        "two.py": "one.py",
        "dangling.py": "nothing.py",
    },
    frozenset({"vendor/lib"}),
)


@pytest.mark.parametrize(
    "path",
    ["a.py", "./a.py", "deep/../a.py", "link.py", "folder/b.py", "deep/up.py", "vendor/lib/x.py"],
)
def test_files_are_found_also_through_links_and_in_submodules(path: str) -> None:
    assert TREE.fault(path) == ""


@pytest.mark.parametrize("path", ["absolute.py", "out.py", "../a.py", "/a.py", "deep/../../x"])
def test_what_leads_out_is_refused(path: str) -> None:
    assert TREE.fault(path) == "leads out of the repository"


@pytest.mark.parametrize("path", ["b.py", "deep", "dangling.py", "a.py/x", "vendor/lib"])
def test_what_is_no_file_is_told(path: str) -> None:
    assert TREE.fault(path) == "is not a file of the repository"


def test_a_circle_of_links_ends() -> None:
    assert TREE.fault("one.py") == "is a symbolic link without end"
