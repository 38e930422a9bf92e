"""Whose job comes next: nobody waits for all of somebody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest

import config
from jobs import local, queue
from models import Job, db, now


@pytest.fixture
def submit(dataset):
    """`submit(user, count)`: put so many runs of the user's into the queue; returns their ids."""

    def submit(user, count=1, kind="run"):
        jobs = [queue.submit(kind, dataset, user) for _ in range(count)]
        db.session.commit()
        return [job.id for job in jobs]

    return submit


def take(kinds=("run",)):
    claim = queue.claim("w1", kinds)
    db.session.commit()
    return claim


def test_users_take_turns_however_many_jobs_one_of_them_has(submit, alice, bob):
    hers, his = submit(alice, 3), submit(bob, 2)
    assert [take().job_id for _ in range(5)] == [hers[0], his[0], hers[1], his[1], hers[2]]


def test_who_has_the_fewest_at_work_comes_first(submit, alice, bob):
    submit(alice)
    take()
    submit(bob)
    queue.settle(take(), "finished")  # begun later than alice's, but over
    hers, his = submit(alice), submit(bob)
    assert [take().job_id for _ in range(2)] == [*his, *hers]


def test_of_two_who_have_none_at_work_the_one_served_longest_ago_comes_first(submit, alice, bob):
    submit(alice)
    submit(bob)
    for _ in range(2):
        queue.settle(take(), "finished")
    his, hers = submit(bob), submit(alice)
    assert [take().job_id for _ in range(2)] == [*hers, *his]


def test_somebody_never_served_comes_before_all_who_were(submit, alice, charlie):
    submit(alice)
    queue.settle(take(), "finished")
    hers, his = submit(alice), submit(charlie)
    assert [take().job_id for _ in range(2)] == [*his, *hers]


def test_work_that_nobody_asked_for_takes_its_turn_too(submit, alice):
    hers, nobodys = submit(alice, 2), submit(None, 1)
    assert [take().job_id for _ in range(3)] == [hers[0], *nobodys, hers[1]]


def test_jobs_of_other_kinds_do_not_count(submit, alice, bob):
    submit(alice, kind="import")
    take(("import",))
    hers, his = submit(alice), submit(bob)
    assert [take().job_id for _ in range(2)] == [*hers, *his]


def test_a_job_left_by_a_dead_worker_is_not_held_against_its_user(submit, alice, bob):
    submit(bob)
    queue.settle(take(), "finished")
    submit(alice)
    left = db.session.get(Job, take().job_id)
    left.lease_until = left.started_at = now() - timedelta(hours=1)
    submit(bob)
    assert take().job_id == left.id


def test_a_worker_has_as_many_lanes_for_runs_as_the_setting_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PIGEONHOLE_RUN_LANES", "3")
    assert local.list_lanes(config.load(tmp_path)).count(local.RUN_KINDS) == 3
    monkeypatch.setenv("PIGEONHOLE_RUN_LANES", "0")
    assert local.list_lanes(config.load(tmp_path)).count(local.RUN_KINDS) == 1
