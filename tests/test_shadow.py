"""Challengers answer in the shadow what the live version was asked, and harm nobody."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from datasets import storage, sweep
from jobs import agreement, challenges, live, shadow, training
from learning.package import read_spec, write_spec
from models import Challenge, Label, Prediction, ShadowAnswer, db, now
from serving import prediction
from tests.trained import COLOURS, as_bytes, make_photo

pytestmark = pytest.mark.trainer


@pytest.fixture
def versions(app, dataset, trained):
    """Two versions of the same network, of which the first is live."""
    return [trained.install(app, dataset), trained.install(app, dataset, is_live=False)]


@pytest.fixture
def challenge(dataset, versions, alice):
    challenges.start(dataset, versions[1], alice)
    db.session.commit()
    return versions[1]


def ask(version, count=1):
    """Let a version answer photos of somebody's."""
    for seed in range(count):
        content = as_bytes(make_photo(COLOURS["red"], seed))
        prediction.keep(prediction.predict(version, content), content, f"{seed}.jpg", None)
    db.session.commit()


def test_what_the_live_version_is_asked_the_challenger_answers_too(dataset, versions, challenge):
    ask(versions[0], 2)
    assert shadow.answer_some() is True
    answers = db.session.scalars(select(ShadowAnswer)).all()
    first = db.session.scalars(select(Prediction).order_by(Prediction.id)).first()
    assert [one.version_id for one in answers] == [versions[1].id] * 2
    assert all(one.is_same for one in answers)
    assert answers[0].labels == first.answer["labels"]
    assert answers[0].probability == first.answer["probabilities"][0]["probability"]
    found = agreement.measure(versions[0], db.session.scalar(select(Challenge)))
    assert (found.same, found.different, found.waiting) == (2, 0, 0)
    assert shadow.answer_some() is False


def test_what_was_asked_before_or_of_another_version_is_left_alone(app, dataset, versions, alice, trained):
    ask(versions[0])
    other = trained.install(app, dataset, is_live=False)
    challenges.start(dataset, versions[1], alice)
    ask(other)
    shadow.answer_some()
    assert db.session.query(ShadowAnswer).count() == 0


def test_far_behind_it_takes_samples_and_says_how_many_it_passed_over(
    dataset, versions, challenge, monkeypatch
):
    monkeypatch.setattr(shadow, "MOST_BEHIND", 2)
    ask(versions[0], 6)
    while shadow.answer_some():
        pass
    assert db.session.query(ShadowAnswer).count() == 2
    assert db.session.scalar(select(Challenge)).passed_over == 4


def test_a_damaged_challenger_ends_with_a_word_and_the_live_one_answers_on(dataset, versions, challenge):
    (training.package_folder(challenge) / "head.npz").unlink()
    ask(versions[0])
    shadow.answer_some()
    found = db.session.scalar(select(Challenge))
    assert "missing or damaged" in found.trouble
    assert shadow.answer_some() is False
    ask(versions[0])
    assert db.session.query(Prediction).count() == 2


def test_an_image_that_is_gone_is_passed_by(dataset, versions, challenge):
    ask(versions[0], 2)
    storage.delete(db.session.scalars(select(Prediction)).first().filename)
    shadow.answer_some()
    assert db.session.query(ShadowAnswer).count() == 1


def test_another_worker_that_was_faster_is_not_overruled(dataset, versions, challenge):
    ask(versions[0])
    turn = shadow._plan(db.session.scalar(select(Challenge.id)))
    shadow.answer_some()
    row = ShadowAnswer(prediction_id=turn.goes_to, version_id=challenge.id, labels=[], is_same=False)
    shadow._keep(db.session.scalar(select(Challenge.id)), turn, [row], None)
    assert db.session.query(ShadowAnswer).count() == 1


def test_shadow_answers_go_with_their_predictions(dataset, versions, challenge):
    ask(versions[0])
    shadow.answer_some()
    db.session.query(Prediction).update({"created_at": now().replace(year=2020)})
    sweep.sweep_rows()
    db.session.commit()
    assert db.session.query(ShadowAnswer).count() == 0


def test_once_another_version_is_live_the_comparison_begins_anew(app, dataset, versions, challenge, trained):
    ask(versions[0])
    shadow.answer_some()
    third = trained.install(app, dataset, is_live=False)
    live.make_live(dataset, third)
    found = agreement.measure(third, db.session.scalar(select(Challenge)))
    assert found.answered == 0


def test_a_label_that_was_renamed_between_the_two_is_no_difference(dataset, versions, challenge):
    label = Label(dataset_id=dataset.id, name="crimson")
    db.session.add(label)
    db.session.flush()
    package = training.package_folder(challenge)
    challenge.labels = [{"red": "crimson"}.get(name, name) for name in challenge.labels]
    write_spec(package, read_spec(package) | {"labels": challenge.labels})
    versions[0].run.label_ids, challenge.run.label_ids = {"red": label.id}, {"crimson": label.id}
    ask(versions[0])
    shadow.answer_some()
    answer = db.session.scalar(select(ShadowAnswer))
    assert (answer.labels, answer.is_same) == (["crimson"], True)
