"""A label that is renamed stays the same label: for what goes live, challengers, feedback and mistakes."""

from __future__ import annotations

import flask_migrate
import pytest
from sqlalchemy import insert, select, text

import server
from datasets import labels, renaming
from jobs import agreement, challenges
from models import Challenge, Dataset, Item, Label, Prediction, Run, ShadowAnswer, Version, db
from serving import feedback, pairing
from tests.teaching import ANSWER, finish, start, teach

WRONG = "/datasets/flowers/versions/1/mistakes/wrong"


@pytest.fixture
def version(dataset):
    """A version of blue and red photos, which took one red photo for blue."""
    teach(dataset, 20)
    return finish(start(dataset))


def rename(dataset, old, new):
    labels.rename(labels.find(dataset, old), new)
    db.session.commit()


def ask(dataset, version, public_id="pr_1", **said):
    made = Prediction(public_id=public_id, dataset=dataset, version=version, answer=ANSWER | said)
    db.session.add(made)
    db.session.commit()
    return made


def test_the_labels_of_a_version_are_called_as_they_are_today(dataset, version):
    rename(dataset, "red", "crimson")
    assert renaming.names_taught(version.run) == {"blue": "blue", "red": "crimson"}
    rename(dataset, "blue", "red")
    assert renaming.names_taught(version.run) == {"blue": "red", "red": "crimson"}


def test_a_label_that_is_gone_keeps_its_name(dataset, version, alice):
    labels.delete(labels.find(dataset, "red"), alice)
    db.session.commit()
    assert renaming.names_taught(version.run)["red"] == "red"


def test_versions_before_and_after_a_renaming_are_compared_on_all_their_items(dataset, version):
    rename(dataset, "red", "crimson")
    later = finish(start(dataset))
    pair = pairing.pair(version, later)
    assert (pair.found.items, pair.moved) == (6, 0)
    assert dataset.live_version == 2


@pytest.mark.parametrize("name", ["red", 'a "red" one', "100% r_d", "röt", "back\\slash"])
def test_what_people_said_goes_on_meaning_the_label(dataset, version, alice, name):
    rename(dataset, "red", name)
    wrong = feedback.give(ask(dataset, version, "pr_1"), alice, False, [name])
    right = feedback.give(ask(dataset, version, "pr_2"), alice, True)
    other = feedback.give(ask(dataset, version, "pr_3"), alice, False)
    rename(dataset, name, "crimson")
    assert (wrong.labels, right.labels, other.labels) == (["crimson"], ["blue"], None)


def test_feedback_is_of_the_names_of_today_whatever_the_version_says(dataset, version, alice):
    asked = ask(dataset, version)
    rename(dataset, "blue", "azure")
    assert feedback.give(asked, alice, True).labels == ["azure"]
    assert feedback.give(asked, alice, True, ["blue"]).labels == ["azure"]  # as a script was answered
    with pytest.raises(feedback.FeedbackRefused, match="very labels"):
        feedback.give(asked, alice, False, ["azure"])


def test_a_challenger_that_learnt_the_new_name_is_right_where_the_old_one_was_called_right(
    dataset, version, alice
):
    rename(dataset, "blue", "azure")
    challenger = finish(start(dataset), wrong_tests=1)
    challenges.start(dataset, challenger, alice)
    asked = ask(dataset, version)
    feedback.give(asked, alice, False, ["red"])
    rename(dataset, "red", "crimson")
    answer = {"labels": ["red"], "is_same": False, "probability": 0.9, "milliseconds": 1.0}
    db.session.add(ShadowAnswer(prediction=asked, version_id=challenger.id, **answer))
    db.session.commit()
    found = agreement.measure(version, db.session.scalar(select(Challenge)))
    assert (found.judged.only_b, found.judged.items) == (1, 1)


def test_mistakes_are_put_right_under_the_names_of_today(owner, dataset, version):
    rename(dataset, "blue", "azure")
    rename(dataset, "red", "crimson")
    page = owner.get(WRONG).text
    assert "Taught as <strong>crimson</strong>" in page
    assert 'name="label" value="azure"' in page
    assert "“crimson” taken for “azure”" in owner.get(WRONG.replace("wrong", "cell")).text
    item = db.session.scalar(select(Item).filter_by(sent_name="red/0.jpg"))
    owner.post(WRONG, data={"item": item.id, "label": "azure"})
    assert "Relabelled</strong>: azure" in owner.get(f"{WRONG}?done=1").text


def test_versions_of_before_are_given_the_labels_that_bear_their_names(settings):
    app = server.create_app(settings)
    with app.app_context():
        flask_migrate.upgrade(revision="0012")
        db.session.execute(insert(Dataset.__table__).values(slug="flowers", name="Flowers", counts={}))
        db.session.add(Label(dataset_id=1, name="rose"))
        db.session.flush()
        known = "dataset_id, folder, recipe, backbone, settings, created_at"
        db.session.execute(
            text(f"INSERT INTO runs ({known}) VALUES (1, 'a', 'quick', 'b', '{{}}', '2026-01-01')")
        )
        figures = "run_id, dataset_id, number, labels, metrics, proven, created_at"
        row = """(1, 1, 1, '["gone", "rose"]', '{}', '[]', '2026-01-01')"""
        db.session.execute(text(f"INSERT INTO versions ({figures}) VALUES {row}"))
        db.session.commit()
        flask_migrate.upgrade()
        version = db.session.scalar(select(Version))
        assert db.session.scalar(select(Run.label_ids)) == {"rose": 1}
        assert renaming.names_taught(version.run) == {"rose": "rose"}
        db.session.remove()
        db.engine.dispose()
