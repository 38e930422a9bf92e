"""The queue's page: what waits and for how long, whose it is if one may know, and what can be done."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import estimates, queue, runs, training
from learning import backbones
from models import Dataset, Member, Run, db, now
from tests.teaching import start, teach
from web import waiting, work

QUEUE = "/queue"


@pytest.fixture
def add(dataset, alice):
    """`add(state, seconds, recipe)`: a run of alice's that has been at work for so long."""

    def add(state="queued", seconds=None, recipe="quick", of=dataset, **settings):
        job = queue.submit("run", of, alice)
        job.state = state
        if seconds is not None:
            job.started_at = now() - timedelta(seconds=seconds)
            job.finished_at = now() if state in queue.ENDS else None
        run = Run(
            dataset_id=of.id,
            job=job,
            folder=f"run{job.id}",
            recipe=recipe,
            backbone=backbones.DEFAULT,
            settings=settings,
        )
        db.session.add(run)
        db.session.commit()
        return job

    return add


def test_an_empty_queue_says_so(owner):
    page = owner.get(QUEUE).text
    assert "Nothing waits." in page
    assert "Nothing just now." in page


def test_what_is_at_work_and_what_waits_is_shown_with_dataset_and_user(owner, add):
    add("running", 5.0)
    add()
    page = owner.get(QUEUE).text
    assert page.count(">Training: quick</a>") == 2
    assert page.count(">you</td>") == 2
    assert "/datasets/flowers/runs/run1" in page


def test_of_somebody_elses_dataset_only_a_job_is_seen(client, sign_in, charlie, add):
    job = add()
    sign_in(client, charlie)
    page = client.get(QUEUE).text
    assert "Training: quick" in page
    assert "somebody" in page
    for secret in ("Flowers", "flowers", "alice", "run1", "Cancel"):
        assert secret not in page
    assert client.post(f"{QUEUE}/{job.id}/cancel").status_code == 404
    assert client.post(f"{QUEUE}/{job.id}/retry").status_code == 404


def test_a_viewer_sees_whose_it_is_and_changes_nothing(client, sign_in, bob, dataset, add):
    job = add()
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    sign_in(client, bob)
    page = client.get(QUEUE).text
    assert "alice" in page
    assert "Cancel" not in page
    assert client.post(f"{QUEUE}/{job.id}/cancel").status_code == 403


def test_a_job_is_cancelled_and_tried_again(owner, dataset):
    teach(dataset)
    job = start(dataset).job
    owner.post(f"{QUEUE}/{job.id}/cancel")
    db.session.expire_all()
    assert job.state == "cancelled"
    assert "Try again" in owner.get(QUEUE).text
    owner.post(f"{QUEUE}/{job.id}/retry")
    db.session.expire_all()
    assert job.state == "queued"


def test_failed_embedding_is_tried_again_and_an_import_is_not(owner, dataset, alice):
    embed, import_ = (queue.submit(kind, dataset, alice) for kind in ("embed", "import"))
    embed.state = import_.state = "failed"
    db.session.commit()
    assert owner.post(f"{QUEUE}/{embed.id}/retry").status_code == 303
    assert owner.post(f"{QUEUE}/{import_.id}/retry").status_code == 409
    db.session.expire_all()
    assert embed.state == "queued"


def test_what_can_not_be_retried_says_why(owner, add):
    job = add("running", 1.0)
    answer = owner.post(f"{QUEUE}/{job.id}/retry", follow_redirects=True)
    assert "only what failed or was stopped" in answer.text
    assert owner.post(f"{QUEUE}/999/cancel").status_code == 404


def test_a_job_takes_as_long_as_those_before_it_on_this_dataset_and_else_on_any(dataset, alice, add):
    other = Dataset(slug="trash", name="Trash", members=[Member(user=alice, role="owner")])
    db.session.add(other)
    db.session.commit()
    for seconds in (10, 20, 60):
        add("finished", seconds)
    add("finished", 500, recipe="custom")
    add("failed", 900)
    assert estimates.usual_seconds(add()) == pytest.approx(20, abs=1)
    assert estimates.usual_seconds(add(of=other)) == pytest.approx(20, abs=1)
    assert estimates.usual_seconds(add(recipe="uploaded")) is None


def test_a_run_with_a_time_budget_takes_that(add):
    assert estimates.usual_seconds(add(recipe="fine-tune", minutes=5)) == 300 + estimates.AROUND_SECONDS


def test_a_quick_run_takes_longer_by_the_images_that_its_network_has_not_seen(dataset, add):
    add("finished", 20)
    teach(dataset)
    queue.submit("embed", dataset).state = "queued"
    unseen = estimates.usual_seconds(add())
    assert unseen == pytest.approx(20 + 12 / estimates.IMAGES_A_SECOND, abs=0.1)


def test_what_was_embedded_since_the_last_import_is_not_counted_again(dataset, add):
    add("finished", 20)
    teach(dataset)
    done = queue.submit("embed", dataset)
    done.state, done.started_at, done.finished_at, done.total = "finished", now(), now(), 12
    db.session.commit()
    assert estimates.usual_seconds(add()) == pytest.approx(20, abs=0.05)


def test_embedding_takes_its_time_an_image_as_earlier_ones_told(dataset):
    teach(dataset)
    done = queue.submit("embed", dataset)
    done.state, done.total, done.finished_at = "finished", 1_000, now() - timedelta(hours=1)
    done.started_at = done.finished_at - timedelta(seconds=500)
    assert estimates.usual_seconds(queue.submit("embed", dataset)) == pytest.approx(12 * 0.5, abs=0.1)


def test_what_takes_longer_than_usual_takes_nobody_knows_how_long(add):
    add("finished", 20)
    assert estimates.remaining_seconds(add("running", 5)) == pytest.approx(15, abs=1)
    assert estimates.remaining_seconds(add("running", 25)) is None


def test_an_import_that_is_half_done_takes_as_long_again(dataset):
    job = queue.submit("import", dataset)
    job.state, job.started_at, job.done, job.total = "running", now() - timedelta(seconds=30), 50, 100
    assert estimates.remaining_seconds(job) == pytest.approx(30, abs=1)


def test_a_trainer_that_says_how_long_it_needs_is_believed(dataset):
    teach(dataset)
    run = start(dataset)
    runs.report(training.folder_of(run), "training", left_seconds=90)
    assert estimates.remaining_seconds(run.job) == pytest.approx(90, abs=5)


@pytest.mark.parametrize(
    ("remaining", "usual", "lanes", "begins"),
    [
        ([], [5.0, 5.0], 1, [0, 5]),
        ([30.0], [10.0, 10.0], 1, [30, 40]),
        ([30.0, 10.0], [10.0, 10.0, 10.0], 2, [10, 20, 30]),
        ([30.0], [10.0, 10.0], 2, [0, 10]),
        ([None], [10.0], 1, [None]),
        ([20.0], [None, 10.0], 1, [20, None]),
        ([], [], 1, []),
    ],
)
def test_waiting_jobs_begin_when_a_lane_is_free(remaining, usual, lanes, begins):
    assert estimates.begin_in(remaining, usual, lanes) == begins


def test_the_page_says_when_a_job_may_begin(owner, add):
    add("finished", 3600)
    add("running", 600)
    add()
    page = owner.get(QUEUE).text
    assert "about 50 min left" in page
    assert "in about 50 min" in page


def test_strangers_are_asked_to_sign_in(client):
    assert client.get(QUEUE).location.startswith("/login")


def test_a_waiting_run_says_how_near_its_turn_it_is(add):
    add("running", 5)
    first, second = add(), add()
    assert waiting.when(first) == "Next in the queue"
    assert waiting.when(second) == "1 before it in the queue"


def test_a_run_that_no_worker_takes_says_so(add):
    job = add()
    job.created_at = now() - timedelta(minutes=5)
    assert waiting.when(job) == waiting.NOBODY_WORKS


def test_a_run_at_work_says_how_long_it_may_take_and_one_that_ended_nothing(add):
    add("finished", 3600)
    assert waiting.when(add("running", 600)) == "about 50 min left"
    assert waiting.when(add("cancelled", 1)) == waiting.when(None) == ""


def test_a_job_whose_worker_is_gone_does_not_pretend_to_be_at_work(owner, add):
    job = add("running", 600)
    job.lease_until = now() - timedelta(seconds=1)
    page = owner.get(QUEUE).text
    assert work.ABANDONED in page
    assert waiting.when(job) == ""


def test_a_run_at_work_says_what_it_is_doing(owner, add):
    job = add("running", 5)
    assert "Starting the trainer" in owner.get(QUEUE).text
    job.phase = "solving"
    assert "Learning what tells the labels apart" in owner.get(QUEUE).text


def test_embedding_that_went_well_is_no_news(owner, dataset):
    for state in ("finished", "failed"):
        queue.submit("embed", dataset).state = state
    db.session.commit()
    ended = owner.get(QUEUE).text.partition("Ended lately")[2]
    assert ended.count('<th scope="row"') == 1
    assert "Failed" in ended


def test_the_page_says_when_no_worker_takes_anything_up(owner, add):
    add().created_at = now() - timedelta(minutes=5)
    db.session.commit()
    assert "No worker takes these up" in owner.get(QUEUE).text
    add("running", 5)
    assert "No worker takes these up" not in owner.get(QUEUE).text
