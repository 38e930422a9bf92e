"""Images in: every file gets an answer, bytes come before rows, and nothing comes in twice."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import func, select

from datasets import editing, intake, samples, storage, sweep
from datasets.checking import read_bytes
from datasets.storage import StorageFull
from models import Import, ImportFile, Item, db, now
from tests import corpus
from tests.test_hostile_zips import import_zip

ROOT = Path(__file__).parents[1]


def take(dataset, seed: int, *labels: str) -> intake.Taken:
    return intake.take(dataset, f"{seed}.jpg", corpus.photo(seed), labels)


def files_in(settings, folder: str) -> set[str]:
    return {path.name for path in (settings.instance / "storage" / folder).iterdir()}


def test_an_image_becomes_an_item_with_bytes_and_thumbnail(dataset, settings):
    taken = take(dataset, 1, "cat")
    item = taken.item
    assert (taken.outcome, taken.sent_name, [label.name for label in item.labels]) == (
        "added",
        "1.jpg",
        ["cat"],
    )
    assert files_in(settings, "images") == {item.filename}
    thumbnail = Image.open(io.BytesIO(storage.read_thumbnail(item.filename)))
    assert (thumbnail.format, thumbnail.size) == ("JPEG", (256, 256))
    assert dataset.counts == {
        "items": 1,
        "splits": {"train": 1},
        "labels": {str(item.labels[0].id): {"train": 1}},
        "unlabelled": 0,
    }


def test_the_sent_name_is_shown_and_never_used(dataset):
    item = intake.take(dataset, "../../\u202eevil\n.php", corpus.photo(1), []).item
    assert item.sent_name == "../../\ufffdevil\ufffd.php"
    assert ".." not in item.filename and item.filename.endswith(".jpg")


def test_the_same_bytes_again_are_skipped_and_their_copy_is_deleted(dataset, settings):
    first, again = take(dataset, 1, "cat"), take(dataset, 1, "dog")
    assert (again.outcome, again.code, again.item) == ("skipped", "duplicate", first.item)
    assert len(files_in(settings, "images")) == 1
    assert dataset.counts["items"] == 1


def test_the_same_bytes_twice_in_one_batch_make_one_item(dataset, settings):
    files = [read_bytes(name, corpus.photo(1), ("cat",)) for name in ("a.jpg", "b.jpg")]
    assert [taken.outcome for taken in intake.take_all(dataset, files)] == ["added", "skipped"]
    assert len(files_in(settings, "images")) == 1


def test_an_unlabelled_image_sent_again_with_a_label_gains_it(dataset):
    item = take(dataset, 1).item
    assert dataset.counts["unlabelled"] == 1
    assert take(dataset, 1, "cat").outcome == "skipped"
    assert [label.name for label in item.labels] == ["cat"]
    assert dataset.counts["unlabelled"] == 0


def test_a_deleted_image_sent_again_comes_back(dataset, alice):
    item = take(dataset, 1, "cat").item
    editing.delete_items([item], alice)
    assert dataset.counts["items"] == 0
    back = take(dataset, 1)
    assert (back.outcome, back.item.id, back.item.deleted_at) == ("added", item.id, None)
    assert [label.name for label in back.item.labels] == ["cat"]
    assert dataset.counts["items"] == 1


def test_a_label_that_is_no_name_refuses_the_image_by_name(dataset, settings):
    taken = take(dataset, 1, "x" * 101)
    assert (taken.outcome, taken.code) == ("refused", "label_refused")
    assert not files_in(settings, "images")


def test_a_single_label_dataset_refuses_two_labels(dataset):
    assert take(dataset, 1, "cat", "dog").code == "too_many_labels"


def test_a_multi_label_dataset_takes_several_and_adds_later_ones(dataset):
    dataset.task = "multi-label"
    item = take(dataset, 1, "cat", "dog").item
    assert take(dataset, 1, "bird").code == "label_added"
    assert sorted(label.name for label in item.labels) == ["bird", "cat", "dog"]


def test_a_zip_of_class_folders_becomes_labelled_items_and_a_report(dataset, settings):
    import_ = import_zip(dataset, settings, corpus.make_zip(corpus.good_files(6)))
    labels = db.session.scalars(select(Item)).all()
    assert sorted(label.name for item in labels for label in item.labels) == ["cat"] * 3 + ["dog"] * 3
    assert (import_.added, import_.skipped, import_.refused) == (6, 0, 0)
    assert db.session.scalar(select(func.count()).select_from(ImportFile)) == 6


def test_one_label_for_a_whole_zip_wins_over_its_folders(dataset, settings):
    import_zip(dataset, settings, corpus.make_zip(corpus.good_files()), label="pet")
    assert [label.name for label in dataset.labels] == ["pet"]


def test_a_folder_is_imported_like_a_zip(dataset, tmp_path):
    for name, content in corpus.good_files().items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(content)
    import_ = Import(dataset_id=dataset.id, kind="folder", upload=str(tmp_path / "photos"))
    db.session.add(import_)
    db.session.commit()
    assert list(intake.work_through(import_))[-1] == (4, 4)
    assert import_.added == 4


def test_progress_moves_and_nothing_is_locked_while_images_are_decoded(dataset, settings, monkeypatch):
    monkeypatch.setattr(intake, "BATCH", 2)
    path = settings.folder("uploads") / "sent.zip"
    path.write_bytes(corpus.make_zip(corpus.good_files(5)))
    import_ = Import(dataset_id=dataset.id, kind="zip", upload=str(path))
    db.session.add(import_)
    db.session.commit()
    told = []
    for progress in intake.work_through(import_):
        told.append(progress)
        db.session.commit()
    assert told == [(0, None), (0, 5), (2, 5), (4, 5), (5, 5)]


def test_an_import_that_was_cut_off_is_taken_up_where_it_was(dataset, settings, monkeypatch):
    monkeypatch.setattr(intake, "BATCH", 2)
    path = settings.folder("uploads") / "sent.zip"
    path.write_bytes(corpus.make_zip(corpus.good_files(5)))
    import_ = Import(dataset_id=dataset.id, kind="zip", upload=str(path))
    db.session.add(import_)
    db.session.commit()
    for done, _ in intake.work_through(import_):
        if done == 4:
            db.session.rollback()  # as a kill -9 would: the second batch was never committed
            break
        db.session.commit()
    assert [done for done, _ in intake.work_through(import_)] == [0, 2, 4, 5]
    db.session.commit()
    assert (import_.added, import_.skipped) == (5, 0)
    assert sweep.sweep_orphans(age=sweep.ORPHAN_AGE * 0) > 0
    assert files_in(settings, "images") == set(db.session.scalars(select(Item.filename)))


def test_kill_9_in_an_import_leaves_no_row_without_bytes(dataset, settings):
    path = settings.folder("uploads") / "sent.zip"
    path.write_bytes(corpus.make_zip({f"cat/{n}.jpg": corpus.photo(n, 64) for n in range(300)}))
    import_ = Import(dataset_id=dataset.id, kind="zip", upload=str(path))
    db.session.add(import_)
    db.session.commit()
    script = (
        "import sys, config, server; from datasets import intake; from models import Import, db\n"
        "with server.create_app(config.load(sys.argv[1])).app_context():\n"
        "    for done, total in intake.work_through(db.session.get(Import, 1)):\n"
        "        db.session.commit(); print(done, flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(settings.instance)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        while child.stdout.readline().strip() != str(intake.BATCH):
            assert child.poll() is None
        os.kill(child.pid, signal.SIGKILL)
    db.session.expire_all()
    assert set(db.session.scalars(select(Item.filename))) <= files_in(settings, "images")
    for _ in intake.work_through(db.session.get(Import, 1)):
        db.session.commit()
    assert (import_.added, import_.skipped) == (300, 0)
    sweep.sweep_orphans(age=sweep.ORPHAN_AGE * 0)
    assert files_in(settings, "images") == set(db.session.scalars(select(Item.filename)))


@pytest.mark.parametrize(("setting", "least"), [("MIN_FREE_DISK", 10**18), ("MIN_FREE_SHARE", 1.0)])
def test_nothing_is_taken_when_the_disk_is_nearly_full(app, dataset, setting, least):
    app.config["PIGEONHOLE"].values[setting] = least
    with pytest.raises(StorageFull, match="full"):
        take(dataset, 1)


def test_the_digits_are_those_of_scikit_learn_and_importing_them_needs_it_not(dataset):
    import_ = Import(dataset_id=dataset.id, kind="digits")
    db.session.add(import_)
    db.session.commit()
    files = samples.digits()
    assert len(files) == 1797
    assert files[3].label_names == ("3",)
    assert Image.open(io.BytesIO(files[3].read())).size == (64, 64)
    told = subprocess.run(
        [sys.executable, "-c", "import sys, datasets.intake; print('sklearn' in sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"


def test_deleted_images_are_swept_when_their_days_are_over(dataset, alice, settings):
    item = take(dataset, 1, "cat").item
    take(dataset, 2, "cat")
    editing.delete_items([item], alice)
    assert sweep.sweep_rows() == 0
    assert sweep.sweep_rows(now() + 8 * 24 * sweep.ORPHAN_AGE) == 1
    db.session.commit()
    assert sweep.sweep_orphans() == 0  # too young to be sure
    assert sweep.sweep_orphans(age=sweep.ORPHAN_AGE * 0) == 2
    assert len(files_in(settings, "images")) == 1
