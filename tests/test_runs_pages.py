"""Pages of runs: what a dataset is ready for, a run from queue to end, and who may."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from jobs import runs, training
from models import Label, Member, Run, db
from tests.teaching import finish, start, teach
from web import phases, readiness, work

RUNS = "/datasets/flowers/runs/"


def address(run: Run, what: str = "") -> str:
    return f"{RUNS}{run.folder}{what}"


def test_an_empty_dataset_is_told_what_it_needs(owner):
    page = owner.get(RUNS).text
    assert "not ready to train yet" in page
    assert "at least two labels" in page


def test_a_small_dataset_is_ready_and_warned_of(owner, dataset):
    teach(dataset)
    page = owner.get(RUNS).text
    assert "12 images, 2 labels, ready to train" in page
    assert "Fewer than 20 images" in page


def test_imbalance_is_said_in_numbers(dataset):
    teach(dataset, 2)
    first, second = dataset.labels
    dataset.counts = {"items": 202, "labels": {str(first.id): {"train": 200}, str(second.id): {"train": 2}}}
    assert any("200" in warning and "only 2" in warning for warning in readiness.of(dataset).warnings)


def test_train_starts_a_run_and_shows_it(owner, dataset):
    teach(dataset)
    answer = owner.post(RUNS, data={"recipe": "quick", "backbone": "efficientnet-lite2"})
    assert answer.status_code == 303
    run = db.session.scalars(select(Run)).one()
    assert (run.backbone, run.job.state) == ("efficientnet-lite2", "queued")
    page = owner.get(answer.location).text
    assert "Waiting for its turn" in page
    assert "data-progress" in page
    assert "http-equiv" in page  # followed without scripts too


def test_what_cannot_be_trained_is_409_and_says_which(owner, dataset):
    answer = owner.post(RUNS, data={})
    assert answer.status_code == 409
    assert "two labels" in answer.text
    assert db.session.scalar(select(Run)) is None


@pytest.mark.parametrize("choice", [{"backbone": "resnet"}, {"recipe": "slow"}])
def test_a_choice_that_is_none_is_refused_by_name(owner, dataset, choice):
    teach(dataset)
    answer = owner.post(RUNS, data=choice)
    assert answer.status_code == 422
    assert next(iter(choice.values())) in answer.text


def test_progress_comes_from_the_run_folder(owner, dataset):
    teach(dataset)
    run = start(dataset)
    folder = training.folder_of(run)
    runs.report(folder, "embedding", 5, 12)
    (folder / "log.txt").write_text("looking at images\n")
    run.job.state = "running"
    facts = owner.get(address(run, "/progress.json")).json
    current = [phase for phase in facts["phases"] if phase["state"] == "current"]
    assert [(phase["name"], phase["detail"]) for phase in current] == [("embedding", "5 of 12")]
    assert facts["percent"] == 41
    assert facts["log"] == "looking at images\n"


def test_a_finished_run_leads_to_its_version(owner, dataset):
    teach(dataset)
    run = start(dataset)
    finish(run)
    assert owner.get(address(run, "/progress.json")).json["next"] == "/datasets/flowers/versions/1"
    page = owner.get(address(run)).text
    assert "See version 1" in page
    assert "data-progress" not in page


def test_a_waiting_run_can_be_cancelled_and_taken_up_again(owner, dataset):
    teach(dataset)
    run = start(dataset)
    owner.post(address(run, "/cancel"))
    db.session.expire_all()
    assert run.job.state == "cancelled"
    assert "Take it up again" in owner.get(address(run)).text
    owner.post(address(run, "/resume"))
    db.session.expire_all()
    assert run.job.state == "queued"


def test_resuming_what_waits_says_why_not(owner, dataset):
    teach(dataset)
    run = start(dataset)
    answer = owner.post(address(run, "/resume"), follow_redirects=True)
    assert answer.status_code == 200
    assert "only what failed or was stopped can be resumed" in answer.text


def test_a_failed_run_says_why_and_what_to_do(owner, dataset):
    teach(dataset)
    run = start(dataset)
    run.job.state, run.job.message = "failed", "Memory ran out."
    page = owner.get(address(run)).text
    assert "Memory ran out." in page
    assert "log below" in page


def test_a_viewer_watches_but_starts_and_ends_nothing(client, sign_in, bob, dataset):
    teach(dataset)
    run = start(dataset)
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    sign_in(client, bob)
    assert client.get(address(run)).status_code == 200
    assert client.post(RUNS).status_code == 403
    assert client.post(address(run, "/cancel")).status_code == 403


def test_somebody_elses_run_is_not_there(client, sign_in, charlie, dataset):
    teach(dataset)
    run = start(dataset)
    sign_in(client, charlie)
    for what in ("", "/progress.json"):
        assert client.get(address(run, what)).status_code == 404
    assert client.post(address(run, "/cancel")).status_code == 404


def test_phases_before_the_current_one_are_done_and_timed():
    events = [
        {"time": 0.0, "phase": "embedding", "done": 0, "total": 9},
        {"time": 2.0, "phase": "embedding", "done": 9, "total": 9},
        {"time": 3.0, "phase": "solving"},
    ]
    found = phases.of(events, {"state": "running", "is_over": False})
    assert [(phase["state"], phase["detail"]) for phase in found[:3]] == [
        ("done", "3 s"),
        ("current", ""),
        ("waiting", ""),
    ]


def test_the_phase_in_which_a_run_failed_is_marked():
    found = phases.of([{"time": 0.0, "phase": "solving"}], {"state": "failed", "is_over": True})
    assert [phase["state"] for phase in found[:3]] == ["done", "stopped", "waiting"]


def test_an_unknown_phase_breaks_nothing():
    assert phases.of([{"time": 0.0, "phase": "dreaming"}], {"state": "running", "is_over": False})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.2, "under 1 s"), (3.4, "3 s"), (75, "1 min 15 s"), (7260, "2 h 01 min")],
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert work.as_duration(seconds) == words


@pytest.mark.parametrize(
    ("counts", "is_ready"), [((2, 0), True), ((1, 0), False), ((5, 5), False), ((5, 1), False)]
)
def test_several_labels_are_ready_when_one_parts_the_images(dataset, counts, is_ready):
    dataset.task = "multi-label"
    dataset.labels = [Label(name="sea"), Label(name="ship")]
    db.session.flush()
    shown = zip(dataset.labels, counts, strict=True)
    dataset.counts = {"items": 5, "labels": {str(label.id): {"train": count} for label, count in shown}}
    assert readiness.of(dataset).is_ready is is_ready


def test_a_waiting_run_shows_no_work(owner, dataset):
    teach(dataset)
    run = start(dataset)
    assert work.describe(run.job)["elapsed"] == ""
    assert "bar-progress" not in owner.get(address(run)).text
