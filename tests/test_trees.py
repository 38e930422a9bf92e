"""Folders that a stranger's program left: measured and deleted, whatever they are like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs import trees


@pytest.fixture
def deep(tmp_path):
    """A folder with 3,000 others in one another, deeper than Python recurses and than a path is long."""
    root, start = tmp_path / "deep", Path.cwd()
    root.mkdir()
    try:
        os.chdir(root)
        for _ in range(3_000):
            Path("ab").mkdir()
            os.chdir("ab")
        Path("file").write_text("x")
    finally:
        os.chdir(start)
    yield root
    trees.remove(root)  # pytest could not


def test_a_tree_is_measured_by_its_blocks_links_as_themselves(tmp_path):
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_bytes(os.urandom(100_000))
    (root / "link").symlink_to("/usr")
    size, count = trees.measure(root)
    assert 100_000 <= size < 200_000
    assert count == 4


def test_a_tree_that_is_nested_too_deep_is_refused(deep):
    with pytest.raises(trees.TreeRefused, match="deeper than 32"):
        trees.measure(deep)


def test_a_tree_that_is_nested_too_deep_is_deleted_all_the_same(deep):
    assert trees.size_of(deep) == 0  # what no path reaches
    trees.remove(deep)
    assert not deep.exists()


def test_what_is_gone_already_is_no_fault(tmp_path):
    trees.remove(tmp_path / "none")
    assert trees.size_of(tmp_path / "none") == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="Root sees into every folder.")
def test_a_folder_that_hides_itself_is_refused_and_deleted(tmp_path):
    hidden = tmp_path / "root" / "hidden"
    hidden.mkdir(parents=True)
    (hidden / "file").write_text("x")
    hidden.chmod(0)
    with pytest.raises(trees.TreeRefused, match="can't be looked at"):
        trees.measure(tmp_path / "root")
    trees.remove(tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_links_are_deleted_and_not_followed(tmp_path):
    kept, root = tmp_path / "kept", tmp_path / "root"
    for folder in (kept, root):
        folder.mkdir()
    (kept / "file").write_text("x")
    (root / "link").symlink_to(kept)
    trees.remove(root)
    assert (kept / "file").exists() and not root.exists()
