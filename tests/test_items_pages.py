"""Pages of items: one image large, and a selection relabelled, deleted and brought back."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from models import Change, Dataset, Item, Member, db
from tests.test_datasets_pages import add_items, make_member, shown


@pytest.fixture
def items(dataset):
    """Three roses and two daisies."""
    return add_items(dataset, 3, "rose") + add_items(dataset, 2, "daisy")


def change(browser, items, action, **data):
    data = {"item": [item.id for item in items], "action": action, **data}
    return browser.post("/datasets/flowers/items/change", data=data)


def labels_of(items):
    return [[label.name for label in db.session.get(Item, item.id).labels] for item in items]


def test_an_item_is_shown_with_its_facts_and_neighbours(owner, items):
    page = owner.get(f"/datasets/flowers/items/{items[1].id}").text
    assert "IMG_1.png" in page
    assert "8 × 8 pixels" in page
    assert f"/items/{items[2].id}" in page
    assert f"/items/{items[0].id}" in page


def test_neighbours_keep_to_the_label_one_came_from(owner, items):
    page = owner.get(f"/datasets/flowers/items/{items[2].id}?label=rose").text
    assert f"/items/{items[1].id}?label=rose" in page
    assert f"/items/{items[3].id}" not in page


def test_a_selection_is_relabelled(owner, items):
    answer = change(owner, items[:2], "relabel", label="daisy", back="/datasets/flowers/?split=train")
    assert answer.location == "/datasets/flowers/?split=train"
    assert labels_of(items[:3]) == [["daisy"], ["daisy"], ["rose"]]


def test_a_new_label_is_made_as_it_is_typed(owner, items):
    change(owner, items[:1], "relabel", label="tulip")
    assert labels_of(items[:1]) == [["tulip"]]


def test_a_change_is_offered_to_be_undone_and_undone(owner, items):
    change(owner, items[:2], "relabel", label="daisy")
    number = db.session.scalar(select(Change.id))
    undo = f"/datasets/flowers/changes/{number}/undo"
    assert undo in owner.get("/datasets/flowers/").text
    owner.post(undo)
    assert labels_of(items[:2]) == [["rose"], ["rose"]]


def test_a_change_is_undone_only_once(owner, items):
    change(owner, items[:2], "delete")
    undo = f"/datasets/flowers/changes/{db.session.scalar(select(Change.id))}/undo"
    assert owner.post(undo).status_code == 302
    assert owner.post(undo).status_code == 409


def test_a_selection_is_deleted_and_brought_back(owner, items):
    change(owner, items[:2], "delete")
    assert len(shown(owner.get("/datasets/flowers/").text)) == 3
    owner.post(f"/datasets/flowers/changes/{db.session.scalar(select(Change.id))}/undo")
    assert len(shown(owner.get("/datasets/flowers/").text)) == 5


def test_a_deleted_item_says_so(owner, items):
    change(owner, items[:1], "delete")
    assert "This image was deleted" in owner.get(f"/datasets/flowers/items/{items[0].id}").text


def test_an_item_of_several_labels_gets_exactly_those_chosen(owner, items, dataset):
    dataset.task = "multi-label"
    change(owner, items[:1], "relabel", label=["rose", "daisy", ""])
    assert sorted(labels_of(items[:1])[0]) == ["daisy", "rose"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"action": "relabel", "label": "rose"}, "Choose at least one image first."),
        ({"action": "relabel", "item": "1", "label": " "}, "Type the new label first."),
        ({"action": "relabel", "item": "1", "label": "x" * 101}, "100 is the most"),
        ({"action": "relabel", "item": "1", "label": ["a", "b"]}, "Choose only one."),
        ({"action": "delete", "item": ["x", "9" * 40, "-1"]}, "Choose at least one image first."),
    ],
)
def test_what_can_not_be_done_is_said_and_changes_nothing(owner, items, data, words):
    answer = owner.post("/datasets/flowers/items/change", data=data, follow_redirects=True)
    assert words in answer.text
    assert db.session.scalar(select(Change.id)) is None


def test_an_unknown_action_is_a_400(owner, items):
    assert change(owner, items, "explode").status_code == 400


def test_the_way_back_never_leads_to_another_site(owner, items):
    answer = change(owner, items[:1], "delete", back="//evil.example/")
    assert answer.location == "/datasets/flowers/"


def test_items_of_another_dataset_are_out_of_reach(owner, items, bob):
    other = Dataset(slug="other", name="Other", members=[Member(user=bob, role="owner")])
    db.session.add(other)
    db.session.commit()
    (secret,) = add_items(other, 1, "rose")
    assert owner.get(f"/datasets/flowers/items/{secret.id}").status_code == 404
    change(owner, [secret], "delete")
    assert db.session.get(Item, secret.id).deleted_at is None


def test_a_viewer_may_look_at_an_item_but_not_change_it(client, sign_in, items, dataset, bob):
    make_member(dataset, bob, "viewer")
    sign_in(client, bob)
    assert client.get(f"/datasets/flowers/items/{items[0].id}").status_code == 200
    assert change(client, items, "delete").status_code == 403


def test_a_change_of_another_dataset_is_out_of_reach(client, sign_in, owner, items, charlie):
    change(owner, items[:1], "delete")
    other = Dataset(slug="other", name="Other", members=[Member(user=charlie, role="owner")])
    db.session.add(other)
    db.session.commit()
    number = db.session.scalar(select(Change.id))
    assert sign_in(client, charlie).post(f"/datasets/other/changes/{number}/undo").status_code == 404
