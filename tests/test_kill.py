"""kill -9 and SIGTERM at bad moments: nothing acknowledged is lost, nothing half-written is seen.

The worker is the real one, in a process of its own. Its lease is three seconds: its death is soon noticed,
and a busy machine does not cost it its life.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

import config
import server
from datasets import sweep
from jobs import addresses, batches, database, doctor, events, imports, local, runs, training, webhooks
from models import EVENTS, Item, Job, db, now
from serving import results
from tests.house import PATIENCE_SECONDS, environment, wait_until
from tests.photos import write_zip
from tests.receivers import receiver

ROOT = Path(__file__).parents[1]

# What a web process does with every image sent, over and over; each number printed was acknowledged.
DOOR = """
import server
from datasets import intake
from models import Dataset, db
from tests.photos import photo
with server.create_app().app_context():
    for number in range(100_000):
        intake.take(db.session.query(Dataset).one(), f"{number}.jpg", photo((0, 0, 0), number))
        db.session.commit()
        print(number, flush=True)
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks processes up in /proc")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The settings of a fresh instance whose worker is soon taken for dead."""
    monkeypatch.setenv("PIGEONHOLE_WORKER_LEASE_SECONDS", "3")
    return config.load(tmp_path / "instance")


@pytest.fixture
def app(settings):
    """The application of a fresh instance whose database was migrated, as a worker process asks."""
    app = server.create_app(settings)
    database.prepare(app)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def start_import(dataset, settings, count):
    path = write_zip(settings.folder("uploads") / "photos.zip", count)
    import_ = imports.start_import(dataset, None, "zip", "photos.zip", path)
    db.session.commit()
    return import_


@pytest.fixture
def import_(dataset, settings):
    """A zip of photos, four batches of them, that waits to be imported."""
    return start_import(dataset, settings, 200)


@pytest.fixture
def start_worker(settings, tmp_path):
    """What starts a worker process; those still alive at the end are killed."""
    workers = []

    def start():
        with (tmp_path / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "server.py", "worker"],
                cwd=ROOT,
                env=environment(settings.instance),
                stderr=log,
            )
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.kill()
        worker.wait()


@pytest.fixture
def run(app, dataset, alice, settings, with_backbones):
    """A run that waits, on a few photos."""
    start_import(dataset, settings, 10)
    local.work_once(local.Shift(app, "w1"), ("import",))
    db.session.query(Job).filter_by(kind="embed").delete()
    run = training.start_run(dataset, alice)
    db.session.commit()
    return run


def kill(process):
    process.kill()
    process.wait()


def look(read):
    """What `read()` gives at this moment; no transaction of ours stays open, which would stop the worker."""
    db.session.rollback()
    value = read()
    db.session.rollback()
    return value


def state_of(row):
    return look(lambda: row.state)


def find_trainers(folder):
    """The ids of the processes that train in `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if b"training.py" in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


def has_reached(folder, phase):
    return any(event["phase"] == phase for event in runs.read_progress(folder)[0])


def problems():
    return look(lambda: [finding for finding in doctor.check(with_keras=False) if finding.level == "problem"])


def count_items():
    return look(lambda: db.session.scalar(select(func.count(Item.id))))


@pytest.mark.parametrize("least", [1, 20])
def test_uploads_survive_the_death_of_the_process_that_takes_them(dataset, settings, least):
    command = [sys.executable, "-c", DOOR]
    door = subprocess.Popen(command, cwd=ROOT, env=environment(settings.instance), stdout=subprocess.PIPE)
    acknowledged = [int(door.stdout.readline()) for _ in range(least)]
    door.kill()
    acknowledged += [int(line) for line in door.communicate()[0].splitlines()]
    assert count_items() >= len(acknowledged)
    assert problems() == []  # no row without bytes
    look(lambda: sweep.sweep_orphans(age=timedelta(seconds=-1)))
    assert len(list((settings.instance / "storage" / "images").iterdir())) == count_items()


@pytest.mark.parametrize("least", [1, 200])
def test_an_import_survives_the_death_of_its_worker(import_, start_worker, least):
    worker = start_worker()
    wait_until(lambda: count_items() >= least, what="a first batch")
    kill(worker)
    assert problems() == []  # no row without bytes
    start_worker()
    wait_until(lambda: state_of(import_.job) == "finished", what="the import's end")
    assert (import_.added, import_.skipped, import_.refused) == (400, 0, 0)
    assert count_items() == 400
    assert problems() == []


def test_a_worker_asked_to_end_gives_its_import_back(import_, start_worker):
    worker = start_worker()
    wait_until(lambda: count_items() > 0, what="a first batch")
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert state_of(import_.job) in ("queued", "finished")


def test_what_a_killed_worker_was_sending_to_a_webhook_is_sent_again(dataset, start_worker, monkeypatch):
    monkeypatch.setenv("PIGEONHOLE_WEBHOOK_PRIVATE", "1")
    with receiver() as kept:
        kept.pause = threading.Event()
        webhook = webhooks.create(dataset, None, addresses.parse(kept.address), EVENTS)
        delivery = events.add_delivery(webhook, "run.finished", "{}")
        db.session.commit()
        worker = start_worker()
        wait_until(kept.has_got.is_set, what="the message")
        kill(worker)
        kept.pause.set()
        delivery.lease_until = now()
        db.session.commit()
        start_worker()
        wait_until(lambda: state_of(delivery) == "delivered", what="the delivery")
    assert [headers["webhook-id"] for _, headers, _ in kept.got] == [delivery.public_id] * 2


@pytest.mark.trainer
def test_a_worker_asked_to_end_ends_its_trainer_and_gives_the_run_back(run, start_worker):
    folder = training.folder_of(run)
    db.session.commit()
    worker = start_worker()
    wait_until(lambda: runs.read_result(folder), what="a solved head")
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert state_of(run.job) == "queued"
    assert find_trainers(folder) == []


@pytest.mark.trainer
def test_a_run_is_cancelled_while_it_trains(run, start_worker):
    folder = training.folder_of(run)
    db.session.commit()
    start_worker()
    wait_until(lambda: find_trainers(folder), what="the trainer")
    look(lambda: (training.cancel(run), db.session.commit()))
    wait_until(lambda: state_of(run.job) == "cancelled", what="the cancellation")
    assert find_trainers(folder) == []


@pytest.mark.trainer
def test_a_killed_worker_takes_its_trainer_along_and_the_next_exports_the_version(run, start_worker):
    folder = training.folder_of(run)
    db.session.commit()
    worker = start_worker()
    wait_until(lambda: has_reached(folder, "exporting"), what="the export")
    kill(worker)
    wait_until(lambda: find_trainers(folder) == [], what="the trainer's end")
    result = runs.read_result(folder)
    start_worker()
    wait_until(lambda: state_of(run.job) == "finished", what="the run's end")
    assert run.version.proven == ["litert", "keras"]
    assert run.version.metrics["leave_one_out"] == result["leave_one_out"]
    assert problems() == []


@pytest.mark.trainer
def test_a_killed_trainer_leaves_an_interrupted_run_that_is_resumed_to_its_end(run, start_worker):
    folder = training.folder_of(run)
    db.session.commit()
    start_worker()
    wait_until(lambda: find_trainers(folder) and has_reached(folder, "embedding"), what="the trainer")
    for trainer in find_trainers(folder):
        os.kill(trainer, signal.SIGKILL)
    wait_until(lambda: state_of(run.job) == "interrupted", what="the interruption")
    assert "resumed" in look(lambda: run.job.message)
    training.resume(run)
    db.session.commit()
    wait_until(lambda: look(lambda: run.version), what="the version")
    assert look(lambda: (run.version.number, run.dataset.live_version)) == (1, 1)


@pytest.mark.trainer
def test_a_batch_whose_worker_is_killed_is_answered_to_its_end_once(
    app, dataset, alice, settings, trained, start_worker, tmp_path
):
    version = trained.install(app, dataset)
    path = write_zip(settings.folder("uploads") / "photos.zip", 150)
    batch = batches.start_batch(version, alice, "photos.zip", path)
    db.session.commit()
    worker = start_worker()
    wait_until(lambda: look(lambda: batch.job.done) > 5, what="answers")
    kill(worker)
    start_worker()
    wait_until(lambda: look(lambda: batch.job.state) == "finished", what="the end of the batch")
    _, answers = results.read(results.find(batches.folder_of(batch)))
    names = [answer.name for answer in answers]
    assert len(names) == len(set(names)) == 300
    assert look(lambda: batch.job.attempts) == 2
    wait_until(lambda: not path.exists(), what="the deletion of the zip")
