"""The queue: one worker a job, and a worker taken for dead can no longer say anything."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from datasets import datasets
from jobs import queue
from models import Job, db, now


@pytest.fixture
def job(dataset, alice):
    """A job that waits."""
    job = queue.submit("import", dataset, alice)
    db.session.commit()
    return job


def take(kinds=("import",), worker="w1"):
    claim = queue.claim(worker, kinds)
    db.session.commit()
    return claim


def let_lease_end(job):
    job.lease_until = now() - timedelta(seconds=1)
    db.session.commit()


def test_the_oldest_job_of_the_kinds_asked_for_is_claimed(job, dataset):
    queue.submit("import", dataset)
    db.session.commit()
    assert take(("run",)) is None
    claim = take(("import", "embed"))
    assert (claim.job_id, claim.dataset_id, claim.attempts) == (job.id, dataset.id, 1)
    assert (job.state, job.worker) == ("running", "w1")
    assert job.lease_until > now()


def test_a_user_has_a_bounded_number_of_jobs_of_a_kind_waiting(job, dataset, alice, bob, monkeypatch):
    monkeypatch.setattr(queue, "MOST_WAITING", 2)
    queue.submit("import", dataset, alice)
    with pytest.raises(queue.TooManyWaiting, match="2 of your jobs"):
        queue.submit("import", dataset, alice)
    queue.submit("run", dataset, alice)
    queue.submit("import", dataset, bob)
    queue.submit("import", dataset)
    take()
    queue.submit("import", dataset, alice)


def test_a_claimed_job_is_not_claimed_again(job):
    assert take()
    assert take(worker="w2") is None


def test_of_many_workers_at_once_each_job_has_one(app, dataset):
    for _ in range(12):
        queue.submit("embed", dataset)
    db.session.commit()
    claims = []

    def work():
        with app.app_context():
            while claim := take(("embed",), threading.current_thread().name):
                claims.append(claim.job_id)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # A worker that lost a race leaves with None; what is left over is still there to be claimed.
    while claim := take(("embed",)):
        claims.append(claim.job_id)
    assert sorted(claims) == [job.id for job in db.session.query(Job).order_by(Job.id)]


def test_a_silent_workers_job_is_claimed_by_the_next_which_is_told_so(job):
    assert not take().is_taken_over
    let_lease_end(job)
    claim = take(worker="w2")
    assert claim.is_taken_over
    assert job.worker == "w2"


def test_a_worker_taken_for_dead_can_say_nothing_more(job):
    late = take()
    let_lease_end(job)
    take(worker="w2")
    assert not queue.heartbeat(late)
    with pytest.raises(queue.ClaimLost):
        queue.report(late, done=5)
    with pytest.raises(queue.ClaimLost):
        queue.settle(late, "finished")
    db.session.rollback()
    assert (job.state, job.worker, job.done) == ("running", "w2", 0)


def test_a_heartbeat_keeps_the_job(job):
    claim = take()
    let_lease_end(job)
    assert queue.heartbeat(claim)
    assert take(worker="w2") is None


def test_progress_and_end_are_written(job):
    claim = take()
    queue.report(claim, "importing", 3, 9)
    assert (job.phase, job.done, job.total) == ("importing", 3, 9)
    queue.settle(claim, "failed", "Too dark.")
    db.session.refresh(job)
    assert (job.state, job.message, job.lease_until) == ("failed", "Too dark.", None)
    assert job.finished_at


def test_a_waiting_job_is_cancelled_at_once(job):
    queue.ask_to_stop(job)
    db.session.commit()
    assert job.state == "cancelled"
    assert take() is None


def test_a_running_job_is_asked_to_stop(job):
    claim = take()
    assert not queue.is_stop_asked(claim)
    queue.ask_to_stop(job)
    assert job.state == "running"
    assert queue.is_stop_asked(claim)


def test_the_worker_of_a_deleted_job_is_told_to_stop(job):
    claim = take()
    db.session.delete(job)
    db.session.commit()
    assert queue.is_stop_asked(claim)


def test_the_worker_of_a_deleted_job_has_no_say_in_a_later_one(job, dataset, alice):
    late = take()
    datasets.delete(dataset)
    later = queue.submit("import", datasets.create("Birds", alice))
    db.session.commit()
    assert take(worker="w2").fence == late.fence
    assert not queue.heartbeat(late)
    assert (later.state, later.worker) == ("running", "w2")


def test_a_job_given_back_does_not_count_as_an_attempt(job):
    for _ in range(queue.MAX_ATTEMPTS + 2):
        claim = take()
        assert claim.attempts == 1
        queue.put_back(claim)
        db.session.commit()
    assert job.state == "queued"


@pytest.mark.parametrize("state", queue.RESUMABLE)
def test_what_failed_or_was_stopped_can_be_resumed(job, state):
    queue.settle(take(), state, "why")
    queue.resume(job)
    db.session.commit()
    assert (job.state, job.message, job.is_stop_asked) == ("queued", None, False)
    assert take().attempts == 1


def test_what_has_finished_is_not_resumed(job):
    queue.settle(take(), "finished")
    with pytest.raises(queue.NotResumable, match="finished"):
        queue.resume(job)
