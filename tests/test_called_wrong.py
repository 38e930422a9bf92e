"""Images that people called wrongly answered: shown to editors, taken in with their label, and back again."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from datasets import labels, storage
from models import Dataset, Item, Member, Review, db
from serving import feedback
from tests.furnished import add_prediction
from tests.photos import photo
from tests.teaching import finish, start, teach

CALLED = "/datasets/flowers/versions/1/mistakes/called"
JSON = {"Accept": "application/json"}


@pytest.fixture
def wrong(dataset, alice):
    """What version 1 called “blue” and alice says is red."""
    teach(dataset)
    finish(start(dataset))
    made = add_prediction(dataset, alice)
    db.session.flush()
    feedback.give(made, alice, False, ["red"])
    db.session.commit()
    return made


def do(browser, prediction, headers=None, **form):
    return browser.post(CALLED, data={"prediction": prediction.public_id, **form}, headers=headers)


def added() -> Item | None:
    db.session.expire_all()
    return db.session.scalar(select(Item).filter_by(sent_name="sent.jpg", deleted_at=None))


def test_an_image_is_shown_with_what_was_said_and_what_people_say(owner, wrong):
    page = owner.get(CALLED).text
    assert "said <strong>blue</strong>. People say <strong>red</strong>" in page
    assert f"/thumbnails/{wrong.filename}" in page


def test_it_is_taken_into_the_dataset_with_its_label_and_undo_takes_it_out(owner, wrong):
    told = do(owner, wrong, JSON, label="red").json
    assert (told["words"], told["left"], told["done"]) == ("added as red", 0, 1)
    assert [label.name for label in added().labels] == ["red"]
    back = owner.post(told["undo"], headers=JSON).json
    assert (back["left"], added()) == (1, None)
    assert owner.post(told["undo"], headers=JSON).status_code == 409


def test_an_image_passed_over_does_not_come_back(owner, wrong):
    assert do(owner, wrong, do="pass").status_code == 303
    assert "All done" in owner.get(CALLED).text
    assert "Settled" in owner.get(f"{CALLED}?done=1").text
    assert added() is None


def test_an_image_that_is_there_already_is_said_to_be_and_undo_leaves_it_there(owner, wrong):
    storage.put(wrong.filename, photo((200, 30, 30), 0))  # the first red one
    told = do(owner, wrong, JSON, label="red").json
    assert told["words"] == "in the dataset already, labelled red"
    owner.post(told["undo"])
    assert db.session.query(Item).filter_by(deleted_at=None).count() == 12


def test_a_label_that_is_gone_is_told_and_not_made_again_by_one_click(owner, wrong, dataset, alice):
    labels.delete(labels.find(dataset, "red"), alice)
    db.session.commit()
    page = owner.get(CALLED).text
    assert "<strong>red</strong>, which is no label here" in page
    assert "Add as" not in page


def test_a_label_that_was_renamed_is_offered_under_its_name_of_today(owner, wrong, dataset):
    labels.rename(labels.find(dataset, "red"), "crimson")
    db.session.commit()
    assert "Add as crimson" in owner.get(CALLED).text


@pytest.mark.parametrize(("form", "status"), [({}, 422), ({"label": " "}, 422), ({"label": "a" * 101}, 422)])
def test_without_a_label_nothing_is_taken(owner, wrong, form, status):
    assert do(owner, wrong, JSON, **form).status_code == status
    assert db.session.scalar(select(Review)) is None


def test_an_image_of_which_nothing_is_kept_is_not_found(owner, wrong):
    assert owner.post(CALLED, data={"prediction": "pr_none"}).status_code == 404
    storage.delete(wrong.filename)
    assert do(owner, wrong, JSON, label="red").status_code == 409


def test_another_datasets_images_are_not_shown(owner, wrong, alice):
    other = Dataset(slug="birds", name="Birds", members=[Member(user=alice, role="owner")])
    db.session.add(other)
    db.session.flush()
    wrong.dataset_id = other.id
    db.session.commit()
    assert wrong.filename not in owner.get(CALLED).text
    assert do(owner, wrong, label="red").status_code == 404


def test_a_viewer_is_neither_shown_what_others_sent_nor_led_there(client, sign_in, bob, dataset, wrong):
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    browser = sign_in(client, bob)
    assert browser.get(CALLED).status_code == 403
    assert "Called wrong" not in browser.get(CALLED.replace("called", "wrong")).text
