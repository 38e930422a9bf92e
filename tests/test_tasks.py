"""Changing a dataset's task: what it will do is shown first, and what it did can be taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from datasets import editing, intake, tasks
from datasets.changes import ChangeRefused
from models import Change, Item, db
from tests import corpus
from tests.test_datasets_pages import make_member


@pytest.fixture
def tagged(dataset):
    """Four images: cat; cat and dog; cat, dog and ant; none."""
    dataset.task = "multi-label"
    for number, names in enumerate([["cat"], ["cat", "dog"], ["cat", "dog", "ant"], []]):
        intake.take(dataset, f"{number}.jpg", corpus.photo(number), names)
    db.session.commit()
    return dataset


def labels(dataset) -> list[list[str]]:
    items = db.session.scalars(select(Item).filter_by(dataset_id=dataset.id).order_by(Item.id))
    return [sorted(label.name for label in item.labels) for item in items]


EVERYTHING = [["cat"], ["cat", "dog"], ["ant", "cat", "dog"], []]


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("rarest", [["cat"], ["dog"], ["ant"], []]),
        ("commonest", [["cat"], ["cat"], ["cat"], []]),
        ("none", [["cat"], [], [], []]),
    ],
)
def test_a_rule_says_which_of_several_labels_stays_and_undo_brings_back_all(tagged, alice, rule, kept):
    change = tasks.change_task(tagged, alice, rule)
    assert (tagged.task, labels(tagged)) == ("single-label", kept)
    editing.undo(change)
    assert (tagged.task, labels(tagged)) == ("multi-label", EVERYTHING)


def test_what_it_will_do_is_counted_before(tagged):
    outlook = tasks.look_ahead(tagged)
    assert (outlook.several, outlook.unlabelled) == (2, 1)
    assert outlook.lost == {"rarest": 3, "commonest": 3, "none": 5}


def test_without_a_rule_no_label_is_lost(tagged, alice):
    with pytest.raises(ChangeRefused, match="several labels"):
        tasks.change_task(tagged, alice)
    assert labels(tagged) == EVERYTHING


def test_deleted_images_follow_the_rule_too(tagged, alice):
    gone = db.session.scalar(select(Item).filter_by(sent_name="2.jpg"))
    deletion = editing.delete_items([gone], alice)
    tasks.change_task(tagged, alice, "rarest")
    editing.undo(deletion)
    assert labels(tagged)[2] == ["ant"]


def test_several_labels_do_not_come_back_to_a_dataset_that_takes_one(tagged, alice):
    item = db.session.scalar(select(Item).filter_by(sent_name="1.jpg"))
    earlier = editing.relabel([item], "ant", alice)
    tasks.change_task(tagged, alice, "rarest")
    with pytest.raises(ChangeRefused, match="one label by now"):
        editing.undo(earlier)


def test_a_task_changed_again_since_is_not_taken_back(tagged, alice):
    first = tasks.change_task(tagged, alice, "rarest")
    second = tasks.change_task(tagged, alice)
    with pytest.raises(ChangeRefused, match="changed again"):
        editing.undo(first)
    editing.undo(second)
    assert tagged.task == "single-label"


def test_taking_back_never_leaves_several_labels_where_one_is_allowed(dataset, alice):
    item = intake.take(dataset, "1.jpg", corpus.photo(1), ["cat"]).item
    change = tasks.change_task(dataset, alice)
    editing.relabel([item], ["cat", "dog"], alice)
    with pytest.raises(ChangeRefused, match="several labels by now"):
        editing.undo(change)


def test_the_page_shows_what_it_will_do_and_asks_for_the_name(owner, tagged):
    page = owner.get("/datasets/flowers/task").text
    assert "2 images bear several labels" in page
    form = {"task": "single-label", "rule": "rarest"}
    answer = owner.post("/datasets/flowers/task", data=form)
    assert answer.status_code == 422
    assert labels(tagged) == EVERYTHING
    answer = owner.post("/datasets/flowers/task", data={**form, "confirm": "Flowers"})
    assert answer.status_code == 302
    db.session.expire_all()
    assert (tagged.task, labels(tagged)[1]) == ("single-label", ["dog"])
    assert "Undo" in owner.get("/datasets/flowers/settings").text


def test_to_several_labels_needs_no_name_and_says_what_an_unlabelled_image_means(owner, dataset):
    intake.take(dataset, "1.jpg", corpus.photo(1))
    db.session.commit()
    page = owner.get("/datasets/flowers/task").text
    assert "1 image of this dataset has none now" in page
    assert owner.post("/datasets/flowers/task", data={"task": "multi-label"}).status_code == 302
    db.session.refresh(dataset)
    assert dataset.task == "multi-label"


def test_a_page_that_is_out_of_date_changes_nothing(owner, dataset):
    assert owner.post("/datasets/flowers/task", data={"task": "single-label"}).status_code == 409
    assert db.session.scalar(select(Change.id)) is None


def test_only_owners_change_the_task_or_take_that_back(client, sign_in, alice, bob, dataset):
    change = tasks.change_task(dataset, alice)
    make_member(dataset, bob, "editor")
    sign_in(client, bob)
    number = change.id
    assert client.get("/datasets/flowers/task").status_code == 403
    assert client.post("/datasets/flowers/task", data={"task": "single-label"}).status_code == 403
    assert client.post(f"/datasets/flowers/changes/{number}/undo").status_code == 403
