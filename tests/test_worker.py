"""The worker: imports, embeddings and runs from claim to end, and what happens when it dies or ends."""

from __future__ import annotations

import io
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from jobs import imports, local, queue, training
from models import Import, Item, Job, db

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}


def photo(colour, seed):
    """A small JPEG, different for every seed."""
    noise = np.random.default_rng(seed).integers(0, 40, (64, 64, 3))
    buffer = io.BytesIO()
    Image.fromarray((noise + colour).clip(0, 255).astype("uint8")).save(buffer, "JPEG")
    return buffer.getvalue()


def write_zip(path, count=6):
    """A zip with `count` photos of each colour, in a folder each."""
    with zipfile.ZipFile(path, "w") as archive:
        for label, colour in COLOURS.items():
            for number in range(count):
                archive.writestr(f"{label}/{number}.jpg", photo(colour, number))
    return path


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
    assert training.progress(run) == ([], 0)
    assert training.log(run) == ""
    assert training.settle_run(run) is None


def test_a_waiting_run_is_cancelled_and_resumed(shift, import_, dataset, alice):
    work(shift, "import")
    run = training.start_run(dataset, alice)
    training.cancel(run)
    assert run.job.state == "cancelled"
    training.resume(run)
    assert run.job.state == "queued"


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
def trained(shift, import_, dataset, alice, with_backbones):
    """A run that was trained by the real trainer."""
    work(shift, "import")
    run = training.start_run(dataset, alice)
    db.session.commit()
    work(shift, "run")
    return run


@pytest.mark.trainer
def test_a_run_gives_a_version_that_is_live_and_proven(trained, dataset):
    assert (trained.job.state, trained.job.message) == ("finished", None)
    version = trained.version
    assert (version.number, version.labels, dataset.live_version) == (1, ["blue", "red"], 1)
    assert version.metrics["leave_one_out"]["accuracy"] == 1.0
    assert "litert" in version.proven
    assert (training.package_folder(version) / "model.tflite").exists()
    assert training.progress(trained)[0][-1]["phase"] == "done"


@pytest.mark.trainer
def test_the_next_version_has_the_next_number_and_is_live_when_not_worse(trained, shift, dataset, alice):
    run = training.start_run(dataset, alice)
    db.session.commit()
    trained.version.metrics = {**trained.version.metrics, "leave_one_out": {"accuracy": 1.1}}
    db.session.commit()
    work(shift, "run")
    assert run.version.number == 2
    assert dataset.live_version == 1


@pytest.mark.trainer
def test_images_are_embedded_in_the_background_before_anybody_trains(trained, shift, import_):
    assert work(shift, "embed")
    assert db.session.query(Job).filter_by(kind="embed").first().state == "finished"
    assert db.session.query(Import).count() == 1
