"""Honest zips, as Mac, Windows and Linux make them."""

from __future__ import annotations

import zipfile

import pytest

from datasets.archives import open_archive
from datasets.folders import is_junk, label_by_folder
from tests import corpus


def paths_of(path) -> list[str]:
    with open_archive(path) as archive:
        return [member.path for member in archive.members]


def test_members_come_sorted_without_folders_and_junk(tmp_path):
    path = tmp_path / "sent.zip"
    path.write_bytes(
        corpus.make_zip({"b/2.jpg": b"2", "a/": b"", "a/1.jpg": b"1", "__MACOSX/a/._1.jpg": b""})
    )
    assert paths_of(path) == ["a/1.jpg", "b/2.jpg"]


def test_backslashes_of_old_windows_zips_separate_folders(tmp_path):
    path = tmp_path / "sent.zip"
    path.write_bytes(corpus.make_zip({"cats/1.jpg": b"1"}).replace(b"cats/1.jpg", b"cats\\1.jpg"))
    assert paths_of(path) == ["cats/1.jpg"]


def test_names_in_utf8_that_say_so_or_not_come_out_composed(tmp_path):
    path = tmp_path / "sent.zip"
    decomposed = "ka\u0308fer/1.jpg"
    said = corpus.make_zip({decomposed: b"1"})
    unsaid = said.replace(b"\x00\x08", b"\x00\x00")
    for content in (said, unsaid):
        path.write_bytes(content)
        assert paths_of(path) == ["k\u00e4fer/1.jpg"]


def test_a_zip_with_a_comment_and_zip64_members_is_read(tmp_path):
    path = tmp_path / "sent.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.comment = b"holiday"
        with file.open("cat/1.jpg", "w", force_zip64=True) as member:
            member.write(b"1")
    with open_archive(path) as archive:
        assert [archive.read(member) for member in archive.members] == [b"1"]


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["cat/1.jpg", "dog/2.jpg"], ["cat", "dog"]),
        (["photos/cat/1.jpg", "photos/dog/2.jpg"], ["cat", "dog"]),
        (["photos/cat/1.jpg", "photos/2.jpg"], ["cat", None]),
        (["cat/1.jpg", "cat/2.jpg"], ["cat", "cat"]),
        (["1.jpg", "cat/2.jpg"], [None, "cat"]),
        (["a/train/cat/1.jpg", "a/test/cat/2.jpg"], ["cat", "cat"]),
        (["1.jpg"], [None]),
    ],
)
def test_the_last_folder_is_the_label_and_packing_is_not(paths, labels):
    assert list(label_by_folder(paths).values()) == labels


@pytest.mark.parametrize("path", [".DS_Store", "a/.x.jpg", "__MACOSX/1.jpg", "a/Thumbs.db", "desktop.ini"])
def test_what_systems_leave_is_junk(path):
    assert is_junk(path)
