"""Batches: zips of images answered in the background, for whoever may predict and is signed in."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import timedelta

import pytest

from datasets.datasets import delete
from jobs import batches, leftovers, local, queue
from models import Batch, Job, Member, Version, db, now
from serving import results
from serving.files import FileAnswer
from tests.trained import as_bytes, make_photo

COLOURS = {"red": (200, 40, 40), "blue": (40, 70, 200)}
ADDRESS = "/datasets/flowers/predict/batches/"


def make_zip(count=3, **more: bytes) -> bytes:
    """A zip with `count` photos of each colour in a folder each, and these files beside them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label, colour in COLOURS.items():
            for number in range(count):
                archive.writestr(f"{label}/{number}.jpg", as_bytes(make_photo(colour, number)))
        for name, content in more.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def live(app, dataset, trained):
    """The dataset, with a version that answers."""
    trained.install(app, dataset)
    return dataset


@pytest.fixture
def browser(client, sign_in, alice):
    """alice's browser."""
    return sign_in(client, alice)


@pytest.fixture
def batch(live, alice, settings):
    """A batch of alice's that waits: six photos and a text."""
    path = settings.folder("uploads") / "photos.zip"
    path.write_bytes(make_zip(**{"notes.txt": b"no image"}))
    batch = batches.start_batch(live_version(live), alice, "photos.zip", path)
    db.session.commit()
    return batch


def live_version(dataset):
    return (
        db.session.query(batches.Version).filter_by(dataset_id=dataset.id, number=dataset.live_version).one()
    )


def send(browser, content=None, name="photos.zip", **options):
    form = {"file": (io.BytesIO(make_zip() if content is None else content), name)}
    return browser.post(ADDRESS, data=form, **options)


def work(app):
    local.work_once(local.Shift(app, "w1"), ("predict",))
    db.session.expire_all()


def answers_of(batch) -> list[FileAnswer]:
    return list(results.read(results.find(batches.folder_of(batch)))[1])


# ---------- the job ----------


@pytest.mark.trainer
def test_every_file_is_answered_and_the_zip_deleted(app, batch, settings):
    work(app)
    assert (batch.job.state, batch.job.done, batch.job.total, batch.refused) == ("finished", 7, 7, 1)
    found = {answer.name: answer for answer in answers_of(batch)}
    assert found["red/0.jpg"].labels == ("red",) and found["blue/2.jpg"].labels == ("blue",)
    assert found["notes.txt"].refusal
    assert not list(settings.folder("uploads").iterdir())


@pytest.mark.trainer
def test_a_batch_goes_on_where_its_worker_died(app, batch):
    labels = db.session.get(Version, batch.version_id).labels
    with results.go_on(batches.folder_of(batch), 0, "flowers", 1, labels) as found:
        found.add(FileAnswer("blue/0.jpg", refusal="told before"))
    work(app)
    first, *others = answers_of(batch)
    assert (first.refusal, len(others)) == ("told before", 6)
    assert (batch.job.state, batch.refused) == ("finished", 2)


@pytest.mark.trainer
def test_a_worker_that_ends_gives_its_batch_back(app, batch, settings):
    shift = local.Shift(app, "w1")
    shift.ending.set()
    local.work_once(shift, ("predict",))
    db.session.expire_all()
    assert batch.job.state == "queued" and list(settings.folder("uploads").iterdir())
    work(app)
    assert (batch.job.state, len(answers_of(batch))) == ("finished", 7)


@pytest.mark.trainer
def test_a_cancelled_batch_keeps_what_is_answered(app, batch, settings):
    claim = queue.claim("w1", ("predict",))
    queue.ask_to_stop(batch.job)
    db.session.commit()
    batches.work_through(claim, lambda: False)
    db.session.expire_all()
    assert batch.job.state == "cancelled"
    assert 1 <= len(answers_of(batch)) < 7
    assert not list(settings.folder("uploads").iterdir())


@pytest.mark.trainer
def test_a_worker_taken_for_dead_says_nothing_more(app, batch):
    claim = queue.claim("w1", ("predict",))
    db.session.commit()
    batch.job.fence += 1  # as when another worker claims it
    db.session.commit()
    with pytest.raises(queue.ClaimLost):
        batches.work_through(claim, lambda: False)
    db.session.rollback()
    assert batch.job.done == 0


@pytest.mark.trainer
@pytest.mark.parametrize("fault", ["version", "zip", "network"])
def test_what_cannot_be_answered_any_more_fails_by_sentence(app, batch, settings, fault):
    if fault == "version":
        batch.version_id = None
    elif fault == "zip":
        (settings.folder("uploads") / "photos.zip").unlink()
    else:
        batch.upload = str(settings.folder("uploads") / "broken.zip")
        (settings.folder("uploads") / "broken.zip").write_bytes(b"PK no zip")
    db.session.commit()
    work(app)
    assert batch.job.state == "failed" and "." in batch.job.message


# ---------- sweeping ----------


@pytest.mark.trainer
def test_answers_are_swept_with_predictions_of_their_age_and_not_before(app, batch, live, settings):
    work(app)
    live.prediction_days = 5
    assert batches.sweep_rows(now() + timedelta(days=4)) == 0
    assert batches.sweep_rows(now() + timedelta(days=6)) == 1
    db.session.commit()
    assert db.session.query(Batch).count() == 0
    assert batches.unknown_folders() == list(settings.folder("batches").iterdir()) != []


@pytest.mark.trainer
def test_a_batch_that_waits_loses_neither_its_row_nor_its_zip(batch, settings):
    assert batches.sweep_rows(now() + timedelta(days=90)) == 0
    assert settings.folder("uploads") / "photos.zip" not in set(leftovers._unknown_uploads())


@pytest.mark.trainer
def test_a_deleted_dataset_takes_its_batches_along(app, batch, live, settings):
    work(app)
    delete(live)
    db.session.commit()
    assert len(batches.unknown_folders()) == 1


# ---------- the pages ----------


@pytest.mark.trainer
def test_a_zip_is_sent_watched_and_its_answers_downloaded(app, browser, live):
    sent = send(browser, make_zip(**{"=1+1.jpg": b"no image"}))
    assert sent.status_code == 303
    assert browser.get(f"{sent.location}/progress.json").json["state"] == "queued"
    assert browser.get(f"{sent.location}/answers.csv").status_code == 404
    assert "Waiting for its turn" in browser.get(sent.location).text
    work(app)
    assert browser.get(f"{sent.location}/progress.json").json["done"] == 7
    assert "Download the CSV" in browser.get(sent.location).text
    table = browser.get(f"{sent.location}/answers.csv")
    assert table.mimetype == "text/csv" and "attachment" in table.headers["Content-Disposition"]
    rows = {row["file"]: row for row in csv.DictReader(io.StringIO(table.text))}
    assert rows["red/1.jpg"]["label"] == "red" and float(rows["red/1.jpg"]["red"]) > 0.5
    assert rows["'=1+1.jpg"]["error"]
    lines = [json.loads(line) for line in browser.get(f"{sent.location}/answers.jsonl").text.splitlines()]
    assert {line["file"]: line.get("label") for line in lines}["blue/0.jpg"] == "blue"


@pytest.mark.trainer
def test_a_script_that_sends_a_zip_is_told_where_to_look(browser, live):
    sent = send(browser, headers={"Accept": "application/json"})
    assert sent.status_code == 201 and sent.json["url"].startswith(ADDRESS)


@pytest.mark.trainer
@pytest.mark.parametrize(
    ("content", "name"), [(b"no zip", "a.zip"), (b"", ""), (make_zip()[:-30], "cut.zip")]
)
def test_a_zip_that_is_none_is_refused_and_leaves_nothing_behind(browser, live, settings, content, name):
    assert send(browser, content, name).status_code == 422
    assert db.session.query(Job).count() == 0
    assert not list(settings.folder("uploads").iterdir())


def test_without_a_version_there_is_nothing_to_ask(browser, dataset):
    assert "No version can answer yet" in browser.get(ADDRESS).text
    assert send(browser).status_code == 409


@pytest.mark.trainer
def test_members_see_a_batch_and_strangers_do_not(client, sign_in, batch, live, bob, charlie):
    db.session.add(Member(dataset=live, user=bob, role="viewer"))
    address = f"{ADDRESS}{batch.id}"
    assert sign_in(client, bob).get(address).status_code == 200
    assert client.post(f"{address}/cancel").status_code == 403  # somebody else's, and a viewer
    assert sign_in(client, charlie).get(address).status_code == 404
    assert client.get(ADDRESS).status_code == 404
    assert client.post(f"{address}/cancel").status_code == 404


@pytest.mark.trainer
def test_on_a_public_dataset_whoever_is_signed_in_sees_their_own(client, sign_in, batch, live, charlie):
    live.is_public = True
    assert client.get(ADDRESS).location.startswith("/login")
    assert send(client).status_code == 401
    browser = sign_in(client, charlie)
    sent = send(browser)
    assert sent.status_code == 303 and browser.get(sent.location).status_code == 200
    assert browser.get(f"{ADDRESS}{batch.id}").status_code == 404
    assert "photos.zip" in browser.get(ADDRESS).text and str(batch.id) != sent.location.rpartition("/")[2]


@pytest.mark.trainer
def test_a_batch_that_waits_stands_in_the_queue_and_is_cancelled_with_its_zip(browser, batch, settings):
    assert "Predicting many images" in browser.get("/queue").text
    assert browser.post(f"{ADDRESS}{batch.id}/cancel").status_code == 303
    assert batch.job.state == "cancelled"
    assert not list(settings.folder("uploads").iterdir())
    assert "There are none" in browser.get(f"{ADDRESS}{batch.id}").text


def test_another_datasets_batch_is_not_found(browser, dataset):
    assert browser.get(f"{ADDRESS}99").status_code == 404
