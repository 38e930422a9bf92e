"""Several labels an image, on pages: added, removed, set, taken away, and all of a filter at once."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from models import Change, Item, db
from tests.test_datasets_pages import add_items
from tests.test_items_pages import change, labels_of


@pytest.fixture
def items(dataset):
    """Three roses and two daisies, which may bear several labels."""
    dataset.task = "multi-label"
    return add_items(dataset, 3, "rose") + add_items(dataset, 2, "daisy")


def test_a_label_is_added_to_a_selection_beside_its_others(owner, items):
    change(owner, items[2:4], "add", label="red")
    assert labels_of(items[1:5]) == [["rose"], ["rose", "red"], ["daisy", "red"], ["daisy"]]


def test_a_label_is_removed_and_the_others_stay(owner, items):
    change(owner, items[:2], "add", label="red")
    change(owner, items, "remove", label="rose")
    assert labels_of(items) == [["red"], ["red"], [], ["daisy"], ["daisy"]]


def test_every_label_can_be_taken_away(owner, items, dataset):
    change(owner, items[:2], "clear")
    assert labels_of(items[:3]) == [[], [], ["rose"]]
    db.session.refresh(dataset)
    assert dataset.counts["unlabelled"] == 2


def test_what_changes_nothing_says_so_and_leaves_no_change(owner, items):
    answer = change(owner, items[:2], "add", label="rose")
    assert "they all bear rose already" in owner.get(answer.location).text
    assert db.session.scalar(select(Change.id)) is None


def test_undo_brings_back_what_only_some_of_them_bore(owner, items):
    change(owner, items[:1], "add", label="red")
    change(owner, items, "add", label="red")
    number = db.session.scalar(select(Change.id).order_by(Change.id.desc()))
    owner.post(f"/datasets/flowers/changes/{number}/undo")
    assert labels_of(items[:2]) == [["rose", "red"], ["rose"]]


def test_the_page_of_an_item_saves_none_as_none_of_them(owner, items):
    page = owner.get(f"/datasets/flowers/items/{items[0].id}").text
    assert "it shows none of them" in page
    change(owner, items[:1], "set", label=[""])
    assert labels_of(items[:1]) == [[]]


def test_the_page_of_an_item_goes_on_to_the_next_after_saving(owner, items):
    page = owner.get(f"/datasets/flowers/items/{items[2].id}").text
    assert f'name="back" value="/datasets/flowers/items/{items[1].id}">Save, next' in page


def test_the_grid_shows_every_label_and_the_filter_of_those_without(owner, items):
    change(owner, items[:1], "add", label="dark")
    page = owner.get("/datasets/flowers/").text
    assert "dark, rose" in page
    assert "None of the labels" in page


def test_all_images_of_a_label_are_changed_at_once(owner, items):
    change(owner, [], "add", label="red", all="1", filter_label="rose")
    assert labels_of(items[2:4]) == [["rose", "red"], ["daisy"]]


def test_all_images_without_a_label_are_changed_at_once(owner, items):
    change(owner, items[:2], "clear")
    change(owner, [], "add", label="red", all="1", filter_label="")
    assert labels_of(items[1:3]) == [["red"], ["rose"]]


def test_all_images_of_a_split_are_deleted_at_once(owner, items):
    items[0].split = "test"
    db.session.commit()
    change(owner, items[1:2], "delete", all="1", filter_split="test")
    assert db.session.scalars(select(Item.id).where(Item.deleted_at.isnot(None))).all() == [items[0].id]


@pytest.mark.parametrize("choice", [{"filter_label": "no such"}, {"filter_split": "no such"}])
def test_all_of_nothing_is_nothing(owner, items, choice):
    answer = change(owner, items, "delete", all="1", **choice)
    assert "Choose at least one image first." in owner.get(answer.location).text


def test_more_than_can_be_done_at_once_is_refused(owner, items, monkeypatch):
    monkeypatch.setattr("datasets.editing.MAX_AT_ONCE", 4)
    answer = change(owner, [], "add", label="red", all="1")
    assert "4 images are the most at once" in owner.get(answer.location).text
    assert labels_of(items[:1]) == [["rose"]]


def test_where_each_image_has_one_label_no_second_is_added(owner, items, dataset):
    dataset.task = "single-label"
    answer = change(owner, items, "add", label="red")
    assert "bears one label" in owner.get(answer.location).text
    assert labels_of(items[:1]) == [["rose"]]
