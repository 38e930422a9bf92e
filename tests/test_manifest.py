"""Manifests: a folder, a zip, a CSV and a dataset say the same of the same images."""

from __future__ import annotations

import argparse
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from datasets import intake
from datasets.freeze import freeze
from datasets.label_lists import LabelListRefused, read_label_list
from datasets.manifest import ManifestRefused, Shares, add_arguments, freeze_named, read_chosen, read_path
from models import db
from tests import corpus
from tests.test_hostile_zips import import_zip

ROOT = Path(__file__).parents[1]
FILES = {f"{'cat' if n % 2 else 'dog'}/{n:02}.jpg": corpus.photo(n) for n in range(40)}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "photos"


@pytest.fixture
def zip_path(tmp_path):
    path = tmp_path / "photos.zip"
    path.write_bytes(corpus.make_zip(FILES))
    return path


def essence(lines) -> list[tuple]:
    return [(line["name"], line["sha256"], line["labels"], line["split"]) for line in lines]


def test_a_folder_gives_a_line_for_every_image(folder):
    (folder / "README.txt").write_text("not an image")
    labels, lines = read_path(folder, Shares())
    assert labels == ["cat", "dog"]
    assert len(lines) == 40
    for line in lines:
        assert sha256(Path(line["path"]).read_bytes()).hexdigest() == line["sha256"]
        assert line["labels"] == [line["name"].split("/")[0]]


def test_a_zip_gives_the_same_as_its_folder(folder, zip_path):
    labels, lines = read_path(zip_path, Shares())
    assert (labels, essence(lines)) == (["cat", "dog"], essence(read_path(folder, Shares())[1]))
    assert {line["archive"] for line in lines} == {str(zip_path)}
    assert lines[0]["path"] == lines[0]["name"]


def test_a_csv_gives_its_labels(folder):
    (folder / "labels.csv").write_bytes(b"\xef\xbb\xbffile,label\r\ncat/01.jpg,tom\r\ndog/00.jpg,rex\r\n")
    labels, lines = read_path(folder / "labels.csv", Shares())
    assert labels == ["rex", "tom"]
    assert [line["path"] for line in lines] == [str(folder / "cat/01.jpg"), str(folder / "dog/00.jpg")]


def test_reading_again_with_fingerprints_kept_gives_the_same(folder, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    first = read_path(folder, Shares(), kept)
    assert len(next(kept.iterdir()).read_text().split("\n")) == 41
    assert read_path(folder, Shares(), kept) == first == read_path(folder, Shares())


def test_an_imported_zip_frozen_has_the_splits_of_the_zip_read(dataset, settings, zip_path):
    import_zip(dataset, settings, zip_path.read_bytes())
    labels, lines = freeze(dataset)
    assert (labels, essence(lines)) == (["cat", "dog"], essence(read_path(zip_path, Shares())[1]))
    assert sha256(Path(lines[0]["path"]).read_bytes()).hexdigest() == lines[0]["sha256"]


def test_a_dataset_is_found_by_name_and_slug_without_the_application(dataset, settings, zip_path):
    import_zip(dataset, settings, zip_path.read_bytes())
    assert freeze_named("Flowers", settings) == freeze_named("flowers", settings) == freeze(dataset)


def test_deleted_and_unlabelled_items_and_labels_without_items_are_left_out(dataset):
    intake.take(dataset, "1.jpg", corpus.photo(1), ["cat"])
    intake.take(dataset, "2.jpg", corpus.photo(2))
    gone = intake.take(dataset, "3.jpg", corpus.photo(3), ["dog"]).item
    gone.deleted_at = gone.created_at
    db.session.flush()
    labels, lines = freeze(dataset)
    assert (labels, [line["name"] for line in lines]) == (["cat"], ["1.jpg"])


def test_the_unlabelled_count_in_a_multi_label_dataset(dataset):
    dataset.task = "multi-label"
    intake.take(dataset, "1.jpg", corpus.photo(1), ["cat", "ant"])
    intake.take(dataset, "2.jpg", corpus.photo(2))
    assert [line["labels"] for line in freeze(dataset)[1]] == [["ant", "cat"], []]


def test_a_file_that_is_there_twice_counts_once(folder):
    (folder / "dog" / "copy.jpg").write_bytes(FILES["cat/01.jpg"])
    assert len(read_path(folder, Shares())[1]) == 40


def test_a_broken_image_is_left_to_whoever_decodes_it(folder):
    (folder / "cat" / "broken.jpg").write_bytes(b"no image")
    assert "cat/broken.jpg" in [line["name"] for line in read_path(folder, Shares())[1]]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.zip", corpus.make_zip({}), "empty"),
        ("text.zip", b"no zip", "not a zip"),
        ("a.csv", b"file,label\nmissing.jpg,cat\n", "Row 2 of a.csv names missing.jpg"),
        ("a.csv", b"file,label\n../../x.jpg,cat\n", "Row 2 leads out"),
        ("a.csv", b"name,kind,size\nx.jpg,cat,1\n", "Row 1 names no column 'label'"),
        ("loose.zip", corpus.make_zip({"1.jpg": b"1", "cat/2.jpg": b"2"}), "1.jpg lies in no class folder"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_with_a_remedy(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestRefused, match=told):
        read_path(tmp_path / name, Shares())


def test_a_name_that_is_no_dataset_is_refused(app, settings):
    with pytest.raises(ManifestRefused, match="no dataset 'nothing'"):
        freeze_named("nothing", settings)


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (b"file,label\na.jpg,c\0t\n", 2),
        (b"file,label\na.jpg," + b"x" * 200_000 + b"\n", 2),
        (b"file,label\na.jpg,cat\rb.jpg,dog\n", 2),
        (b'file,label\na.jpg,cat\nb.jpg,"dog\n', 3),
        (b"file,label\na.jpg,cat\nb.jpg,caf\xe9\n", 3),
        (b"file,label\na.jpg\n", 2),
        (b"file,label\na.jpg,\n", 2),
        (b"file,label\na.jpg,\xe2\x80\xaecat\n", 2),
    ],
)
def test_a_bad_csv_is_refused_naming_the_row(content, row):
    with pytest.raises(LabelListRefused, match=f"^Row {row} "):
        read_label_list(content)


def test_the_trainer_needs_neither_tables_nor_flask_to_read_a_path():
    script = "import sys, datasets.manifest; print({'flask', 'models', 'sklearn'} & set(sys.modules))"
    command = [sys.executable, "-c", script]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


TAGS = b"name,cat,dog\n00.jpg,1,0\n01.jpg,1,1\n02.jpg,0,0\ngone.jpg,1,1\n"


@pytest.fixture
def tags(tmp_path):
    path = tmp_path / "tags.csv"
    path.write_bytes(TAGS)
    return path


def test_a_csv_beside_a_zip_gives_several_labels_and_none(zip_path, tags):
    labels, lines = read_path(zip_path, Shares(), labels_path=tags, task="multi-label")
    assert labels == ["cat", "dog"]
    assert {line["name"]: line["labels"] for line in lines} == {
        **{"cat/01.jpg": ["cat", "dog"], "dog/00.jpg": ["cat"], "dog/02.jpg": []}
    }


def test_a_csv_inside_a_folder_gives_the_same_as_beside_it(folder, tags):
    beside = read_path(folder, Shares(), labels_path=tags, task="multi-label")
    (folder / "data.csv").write_bytes(TAGS)
    assert read_path(folder, Shares(), task="multi-label") == beside
    assert read_path(folder / "data.csv", Shares(), task="multi-label") == beside


def test_folders_can_be_labels_although_a_csv_lies_there(folder):
    (folder / "data.csv").write_bytes(TAGS)
    assert len(read_path(folder, Shares(), labels_from="folders")[1]) == 40


def test_what_a_list_leaves_out_is_logged_by_name(zip_path, tags, caplog):
    read_path(zip_path, Shares(), labels_path=tags, task="multi-label")
    assert "Row 5 of tags.csv names gone.jpg" in caplog.text
    assert "… and 18 more." in caplog.text


def test_several_labels_need_the_task_for_them(zip_path, tags):
    with pytest.raises(ManifestRefused, match=r"cat/01.jpg bears cat, dog. Train with --task multi-label"):
        read_path(zip_path, Shares(), labels_path=tags)


def test_rare_labels_are_left_out_of_a_manifest(zip_path, tags):
    labels, lines = read_path(zip_path, Shares(), labels_path=tags, task="multi-label", min_items=2)
    assert (labels, len(lines)) == (["cat"], 3)


def test_a_dataset_of_the_instance_has_a_task_of_its_own(dataset, settings, zip_path):
    dataset.task = "multi-label"
    import_zip(dataset, settings, zip_path.read_bytes())
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset")
    add_arguments(parser)
    assert read_chosen(parser.parse_args(["--dataset", "flowers"]), settings)[2] == "multi-label"
    with pytest.raises(ManifestRefused, match="is a multi-label dataset"):
        read_chosen(parser.parse_args(["--dataset", "flowers", "--task", "single-label"]), settings)
