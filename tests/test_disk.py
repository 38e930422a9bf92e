"""The disk that runs take, and clearing what no version needs."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from jobs import disk, runs, training
from models import Job, Member, Run, db
from tests.teaching import finish, start, teach

RUNS = "/datasets/flowers/runs/"


@pytest.fixture
def owner(client, sign_in, alice, dataset):
    """A browser in which alice is signed in; the dataset has photos."""
    teach(dataset)
    return sign_in(client, alice)


def end(run, state="cancelled"):
    """Let a run end without a version."""
    run.job.state = state
    db.session.commit()
    return run


def fill(run, size: int):
    """Give the run a checkpoint of so many bytes."""
    folder = training.folder_of(run) / "checkpoint"
    folder.mkdir()
    (folder / "weights").write_bytes(b"0" * size)


def test_the_disk_is_told_run_by_run_and_what_no_version_needs(owner, dataset):
    version = finish(start(dataset))
    before = disk.usage(dataset)
    fill(version.run, 5_000)
    after = disk.usage(dataset)
    assert after.by_run[version.run.folder] - before.by_run[version.run.folder] == 5_000
    assert (before.spare, after.spare) == (0, 5_000)
    assert "no version needs 5.0 kB of it" in owner.get(RUNS).text


def test_clearing_takes_ended_runs_and_checkpoints_and_leaves_versions_and_what_goes_on(owner, dataset):
    version, waiting, failed = finish(start(dataset)), start(dataset), end(start(dataset), "failed")
    fill(version.run, 1_000)
    kept = {version.run.folder, waiting.folder}
    job, folder = failed.job_id, training.folder_of(failed)
    page = owner.post(f"{RUNS}clear", data={"confirm": "Flowers"}, follow_redirects=True).text
    assert "cleared" in page
    db.session.expire_all()
    assert set(db.session.scalars(select(Run.folder))) == kept
    assert db.session.get(Job, job) is None
    assert not folder.exists()
    assert not (training.folder_of(version.run) / "checkpoint").exists()
    assert (training.folder_of(version.run) / "package" / "package.json").exists()
    assert disk.usage(dataset).spare == 0


def test_a_dataset_whose_runs_all_gave_versions_has_nothing_to_clear(owner, dataset):
    finish(start(dataset))
    assert "all of it is needed" in owner.get(RUNS).text


def test_nothing_is_cleared_without_the_name(owner, dataset):
    run = end(start(dataset))
    page = owner.post(f"{RUNS}clear", data={"confirm": "flower"}, follow_redirects=True).text
    assert "Nothing was deleted" in page
    assert training.folder_of(run).exists()


def test_a_run_whose_trainer_still_lives_is_left_alone(owner, dataset):
    run = end(start(dataset))
    with runs.hold(training.folder_of(run)):
        assert disk.clear(dataset) == []


def test_a_viewer_sees_the_disk_and_clears_nothing(client, sign_in, bob, dataset):
    teach(dataset)
    end(start(dataset))
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    sign_in(client, bob)
    page = client.get(RUNS).text
    assert "of disk" in page
    assert "Clear what" not in page
    assert client.post(f"{RUNS}clear", data={"confirm": "Flowers"}).status_code == 403
