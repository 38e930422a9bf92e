"""A CSV without images labels what is in the dataset already, by the names it was sent under."""

from __future__ import annotations

import io

import pytest

from datasets import editing, intake, relabelling
from datasets.changes import ChangeRefused
from datasets.label_lists import LabelListRefused
from datasets.labelling import Choices, SentList
from models import Change, Import, ImportFile, Member, db
from tests import corpus

ADDRESS = "/datasets/flowers/imports/labels"


@pytest.fixture
def items(dataset):
    """Two cats in folders, and two images that were sent under one name."""
    names = ["cats/1.jpg", "cats/2.jpg", "same.jpg", "same.jpg"]
    taken = [intake.take(dataset, name, corpus.photo(place), ["cat"]) for place, name in enumerate(names)]
    db.session.commit()
    return [one.item for one in taken]


def send(browser, text: str, **fields):
    return browser.post(ADDRESS, data={"list": (io.BytesIO(text.encode()), "tags.csv"), **fields})


def names_of(items) -> list[list[str]]:
    db.session.expire_all()
    return [sorted(label.name for label in item.labels) for item in items]


def test_rows_take_the_place_of_labels_and_it_can_be_undone(owner, dataset, items):
    answer = send(owner, "file,label\n1.jpg,dog\n2,bird\n")
    assert answer.status_code == 303
    assert names_of(items) == [["dog"], ["bird"], ["cat"], ["cat"]]
    assert "2 images labelled by tags.csv" in owner.get(answer.location).text
    editing.undo(db.session.query(Change).one())
    assert names_of(items) == [["cat"]] * 4


def test_a_name_that_several_were_sent_under_and_one_that_is_not_there_are_told(owner, items):
    send(owner, "file,label\n1.jpg,dog\nsame.jpg,dog\n9.jpg,dog\n")
    assert names_of(items) == [["dog"], ["cat"], ["cat"], ["cat"]]
    told = {row.sent_name: row.message for row in db.session.query(ImportFile)}
    assert "several files" in told["same.jpg"]
    assert "not there" in told["9.jpg"]
    assert db.session.query(Import).one().refused == 2


def test_columns_can_be_chosen(owner, items):
    send(owner, "shot,kind,cat\n1.jpg,dog,1\n", file_column="shot", label_columns="kind")
    assert names_of(items)[0] == ["dog"]


def test_an_image_of_one_label_is_given_no_two(dataset, items):
    rows = b"file,label\n1.jpg,dog\n2.jpg,a|b\n"
    found = relabelling.match(relabelling.read_names(dataset), Choices(), SentList("tags.csv", rows))
    assert found.labels == {items[0].id: ("dog",)}
    assert [one.code for one in found.left_out] == ["too_many_labels"]


def test_a_task_changed_meanwhile_is_noticed(dataset, items):
    found = relabelling.Found({items[0].id: ("a", "b")}, [], [])
    with pytest.raises(ChangeRefused, match="task"):
        relabelling.apply(dataset, found, None, "tags.csv")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file,label\n9.jpg,dog\n",
        "file,label\n1.jpg,cat\n",
        'file,label\n1.jpg,"dog',
        "file,label\n1.jpg,\n",
    ],
    ids=["empty", "names none", "nothing to change", "open quote", "no label"],
)
def test_a_list_that_does_nothing_or_is_wrong_is_refused_and_leaves_nothing(owner, items, text):
    assert send(owner, text).status_code == 422
    assert (db.session.query(Import).count(), db.session.query(Change).count()) == (0, 0)
    assert names_of(items) == [["cat"]] * 4


def test_deleted_images_are_not_named(dataset, items, alice):
    editing.delete_items(items[:1], alice)
    with pytest.raises(LabelListRefused, match="names none"):
        rows = SentList("tags.csv", b"file,label\n1.jpg,dog\n")
        relabelling.match(relabelling.read_names(dataset), Choices(), rows)


def test_a_viewer_may_not(client, sign_in, bob, dataset, items):
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    assert send(sign_in(client, bob), "file,label\n1.jpg,dog\n").status_code == 403
