"""The worker: imports, embeddings and runs from claim to end, and what happens when it dies or ends."""

from __future__ import annotations

import os
import shutil
import threading
import zipfile

import pytest

from datasets import datasets, editing, tasks
from jobs import imports, leftovers, local, queue, runs, trainers, training
from learning.backbones import find
from learning.embeddings import EmbeddingStore
from learning.package import FORMAT, write_spec
from models import Dataset, Item, Job, db
from tests.photos import write_zip


@pytest.fixture
def shift(app):
    """A worker's life, without threads."""
    return local.Shift(app, "w1")


@pytest.fixture
def import_(dataset, alice, settings):
    """A zip of photos that waits to be imported."""
    path = write_zip(settings.folder("uploads") / "photos.zip")
    import_ = imports.start_import(dataset, alice, "zip", "photos.zip", path)
    db.session.commit()
    return import_


def work(shift, *kinds):
    has_worked = local.work_once(shift, kinds)
    db.session.expire_all()
    return has_worked


def test_an_import_is_worked_through_and_its_upload_deleted(shift, import_, dataset, settings):
    assert work(shift, "import")
    assert (import_.job.state, import_.job.done, import_.job.total) == ("finished", 12, 12)
    assert (import_.added, import_.refused) == (12, 0)
    assert dataset.counts["items"] == 12
    assert not list(settings.folder("uploads").iterdir())


def test_after_an_import_the_images_wait_to_be_embedded(shift, import_):
    work(shift, "import")
    assert db.session.query(Job).filter_by(kind="embed").one().state == "queued"


def test_embedding_gives_way_to_a_trainer_that_does_the_same(shift, import_, dataset, with_backbones):
    work(shift, "import")
    run = queue.submit("run", dataset)
    run.state, run.phase = "running", "embedding"
    db.session.commit()
    assert work(shift, "embed")
    assert db.session.query(Job).filter_by(kind="embed").one().state == "cancelled"


def test_there_is_never_more_than_one_embedding_waiting(dataset):
    imports.request_embedding(dataset)
    imports.request_embedding(dataset)
    assert db.session.query(Job).filter_by(kind="embed").count() == 1


def test_a_zip_that_is_refused_fails_with_its_reason(shift, dataset, alice, settings):
    path = settings.folder("uploads") / "broken.zip"
    path.write_bytes(b"not a zip")
    refused = imports.start_import(dataset, alice, "zip", "broken.zip", path)
    db.session.commit()
    work(shift, "import")
    assert refused.job.state == "failed"
    assert refused.job.message
    assert not path.exists()


def test_a_cancelled_import_stops_and_keeps_what_is_in(shift, import_):
    claim = queue.claim("w1", ("import",))
    queue.ask_to_stop(import_.job)
    db.session.commit()
    imports.work_through(claim, lambda: False)
    db.session.expire_all()
    assert import_.job.state == "cancelled"


def test_a_worker_that_ends_gives_its_import_back_and_the_next_one_finishes_it(shift, import_):
    shift.ending.set()
    work(shift, "import")
    assert import_.job.state == "queued"
    work(local.Shift(shift.app, "w2"), "import")
    assert (import_.job.state, import_.added, import_.skipped) == ("finished", 12, 0)


def test_a_worker_taken_for_dead_commits_nothing_more(shift, import_):
    claim = queue.claim("w1", ("import",))
    db.session.commit()
    import_.job.fence += 1  # as when another worker claims it
    db.session.commit()
    with pytest.raises(queue.ClaimLost):
        imports.work_through(claim, lambda: False)
    db.session.rollback()
    assert db.session.query(Item).count() == 0


def test_an_import_whose_worker_died_three_times_is_not_tried_again(shift, import_):
    import_.job.attempts = queue.MAX_ATTEMPTS
    db.session.commit()
    work(shift, "import")
    assert import_.job.state == "failed"
    assert "3 times" in import_.job.message


def test_a_finished_import_is_seen_through_while_its_progress_is_told(app, import_):
    told, job_id = [], import_.job_id
    db.session.commit()
    local.see_through(app, job_id, threading.Event(), lambda job: told.append(job.state))
    db.session.expire_all()
    assert import_.job.state == "finished"
    assert told[-1] == "finished"


def test_an_import_whose_dataset_is_deleted_is_seen_through_to_that_end(app, dataset, import_):
    job_id = import_.job_id
    datasets.delete(dataset)
    db.session.commit()
    local.see_through(app, job_id, threading.Event(), lambda job: pytest.fail("there is nothing to tell"))


@pytest.fixture
def failed_import(shift, dataset, alice, settings):
    """An import that failed for its CSV: several labels an image, in a dataset of one label an image."""
    path = write_zip(settings.folder("uploads") / "photos.zip")
    names = [name for name in zipfile.ZipFile(path).namelist() if not name.endswith("/")]
    table = settings.folder("uploads") / "tags.csv"
    table.write_text("".join(["file,label\n", *(f"{name},cat|dog\n" for name in names)]))
    options = {"list": str(table), "list_name": "tags.csv"}
    failed = imports.start_import(dataset, alice, "zip", "photos.zip", path, options=options)
    db.session.commit()
    work(shift, "import")
    assert failed.job.state == "failed"
    return failed


def test_a_failed_import_is_tried_again_once_its_reason_is_gone(shift, dataset, failed_import, settings):
    dataset.task = "multi-label"
    imports.try_again(failed_import)
    db.session.commit()
    work(shift, "import")
    assert (failed_import.job.state, failed_import.added) == ("finished", 12)
    assert not list(settings.folder("uploads").iterdir())


def test_what_a_failed_import_was_sent_is_swept_after_a_day(failed_import, settings):
    for path in settings.folder("uploads").iterdir():
        os.utime(path, (0, 0))
    leftovers.sweep()
    assert imports.can_try_again(failed_import)
    failed_import.job.finished_at -= leftovers.FAILED_UPLOADS_KEPT
    db.session.commit()
    leftovers.sweep()
    assert not list(settings.folder("uploads").iterdir())
    with pytest.raises(queue.NotResumable):
        imports.try_again(failed_import)


def test_a_folder_of_the_command_lines_is_not_read_again_on_a_pages_word(shift, dataset, tmp_path):
    refused = imports.start_import(dataset, None, "zip", "photos.zip", write_zip(tmp_path / "photos.zip"))
    refused.job.state = "failed"
    assert not imports.can_try_again(refused)


class Deletion(threading.Event):
    """A dataset deleted at the moment a worker asks whether it is to end, between two batches."""

    def is_set(self):
        if dataset := db.session.query(Dataset).one_or_none():
            datasets.delete(dataset)
            db.session.commit()
        return False


def test_a_dataset_deleted_while_its_images_come_in_ends_the_import_in_one_line(app, import_, caplog):
    assert work(local.Shift(app, "w1", ending=Deletion()), "import")
    (told,) = caplog.messages
    assert "was deleted" in told


def test_training_is_refused_with_the_reason_while_there_is_too_little(shift, import_, dataset, alice):
    with pytest.raises(training.NotTrainable, match="at least two labels"):
        training.start_run(dataset, alice)
    work(shift, "import")
    db.session.query(Item).filter(Item.sent_name.like("red/%"), Item.sent_name != "red/0.jpg").delete()
    db.session.commit()
    with pytest.raises(training.NotTrainable, match="“red”"):
        training.start_run(dataset, alice)


def test_a_run_is_frozen_into_its_folder_and_waits(shift, import_, dataset, alice):
    work(shift, "import")
    run = training.start_run(dataset, alice)
    folder = training.folder_of(run)
    assert (folder / "manifest.jsonl").read_text().count("\n") == 12
    assert run.job.state == "queued"
    assert training.progress(run) == []
    assert training.log(run) == ""
    assert training.settle_run(run) is None


def test_a_waiting_run_is_cancelled_and_resumed(shift, import_, dataset, alice):
    work(shift, "import")
    run = training.start_run(dataset, alice)
    training.cancel(run)
    assert run.job.state == "cancelled"
    training.resume(run)
    assert run.job.state == "queued"


def test_a_run_whose_folder_is_gone_fails_with_that_reason(shift, import_, dataset, alice):
    work(shift, "import")
    run = training.start_run(dataset, alice)
    db.session.commit()
    shutil.rmtree(training.folder_of(run))
    work(shift, "run")
    assert (run.job.state, run.job.message) == ("failed", trainers.FOLDER_GONE)


class TaskChange(threading.Event):
    """A dataset's task changed between two batches of its import."""

    def is_set(self):
        dataset = db.session.query(Dataset).one()
        if dataset.task == "single-label":
            editing.hold(dataset)
            tasks.change_task(dataset, None, "rarest")
            db.session.commit()
        return False


def test_an_import_goes_on_when_the_task_is_changed_under_it(app, import_, dataset):
    assert work(local.Shift(app, "w1", ending=TaskChange()), "import")
    assert (import_.job.state, import_.added, dataset.task) == ("finished", 12, "multi-label")


def test_a_run_whose_worker_died_is_interrupted_and_not_trained_again(shift, import_, dataset, alice):
    work(shift, "import")
    run = training.start_run(dataset, alice)
    run.job.attempts = 1  # as an earlier worker left it
    db.session.commit()
    work(shift, "run")
    assert run.job.state == "interrupted"
    assert "Resume" in run.job.message
    assert not (training.folder_of(run) / "log.txt").exists()


@pytest.fixture
def solve(shift, dataset, alice):
    """What makes a run whose trainer has just solved the head, with the accuracy given."""

    def solve(accuracy):
        run = training.start_run(dataset, alice)
        folder = training.folder_of(run)
        (folder / "package").mkdir()
        write_spec(folder / "package", {"format": FORMAT, "format_version": 1, "proven": []})
        runs.write_result(folder, {"state": "finished", "leave_one_out": {"accuracy": accuracy}})
        return training.settle_run(run)

    return solve


def test_versions_are_numbered_and_the_first_is_live(shift, import_, dataset, solve):
    work(shift, "import")
    assert [solve(accuracy).number for accuracy in (0.8, 0.7)] == [1, 2]
    assert dataset.live_version == 1


def test_a_run_settled_twice_gives_one_version(shift, import_, dataset, solve):
    work(shift, "import")
    version = solve(0.8)
    assert training.settle_run(version.run) is version


@pytest.mark.trainer
def test_images_are_embedded_in_the_background_before_anybody_trains(
    shift, import_, with_backbones, settings
):
    work(shift, "import")
    assert work(shift, "embed")
    job = db.session.query(Job).filter_by(kind="embed").one()
    assert (job.state, job.message) == ("finished", None)
    prepared = find("efficientnet-lite0", settings.folder("backbones"))
    store = EmbeddingStore(settings.folder("embeddings"), prepared.identifier)
    assert store.missing(item.sha256 for item in db.session.query(Item)) == []
