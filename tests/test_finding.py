"""Which images a command line means."""

from __future__ import annotations

import os
import sys

import pytest

from datasets.finding import find_images
from datasets.label_lists import LabelListRefused


@pytest.fixture
def folder(tmp_path):
    """Two images and a text in folders."""
    for name in ("b/2.jpg", "a/1.PNG", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def write_list(folder, text):
    (folder / "list.csv").write_text(text)
    return folder / "list.csv"


def test_a_folder_is_walked_in_order_and_only_images_are_taken(folder):
    assert list(find_images([folder])) == [str(folder / "a/1.PNG"), str(folder / "b/2.jpg")]


def test_a_file_is_taken_whatever_its_name_and_each_once(folder):
    text, image = folder / "a/notes.txt", folder / "b/2.jpg"
    assert list(find_images([text, image, image])) == [str(text), str(image)]


def test_the_column_of_paths_is_found_by_its_name(folder):
    path = write_list(folder, "id,Filename\n1,b/2.jpg\n2,gone.jpg\n")
    assert find_images([path]) == {"b/2.jpg": folder / "b/2.jpg", "gone.jpg": folder / "gone.jpg"}


def test_the_column_of_paths_can_be_named(folder):
    path = write_list(folder, "file;shot\nx;b/2.jpg\n")
    assert list(find_images([path], "shot")) == ["b/2.jpg"]


def test_a_list_of_paths_needs_no_heading(folder):
    assert list(find_images([write_list(folder, "b/2.jpg\na/1.PNG\n")])) == ["b/2.jpg", "a/1.PNG"]


def test_a_path_that_begins_at_the_root_stays_as_it_is(folder):
    path = write_list(folder, f"path\n{folder / 'b/2.jpg'}\n")
    assert list(find_images([path]).values()) == [folder / "b/2.jpg"]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [("", "", "empty"), ("a,b\n1,2\n", "shot", "no column"), ('a\n"open\n', "", "quotes")],
)
def test_a_wrong_list_is_refused_by_name(folder, text, column, words):
    with pytest.raises(LabelListRefused, match=rf"list\.csv: .*{words}"):
        find_images([write_list(folder, text)], column)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes names of any bytes")
def test_a_name_that_is_not_utf_8_can_be_shown(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    assert list(find_images([tmp_path])) == [f"{tmp_path}/\\xff.jpg"]
