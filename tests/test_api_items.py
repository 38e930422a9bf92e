"""Items over the API: looked through, looked at, labelled, deleted, brought back."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from models import Dataset, Item, Member, db
from tests.asking import asker, named, statuses
from tests.corpus import photo
from tests.test_api_additions import add
from tests.test_datasets_pages import add_items, make_member

ITEMS = "datasets/flowers/items"


@pytest.fixture
def ask(client, alice, dataset):
    """alice asks."""
    return asker(client, alice)


def test_an_image_is_served_small_too_and_not_twice(ask):
    (item,) = add(ask, ("a.jpg", photo(1, 600))).json["added"]
    small = ask("GET", f"{item['image']}?size=thumbnail")
    assert Image.open(io.BytesIO(small.data)).size == (256, 256)
    known = {"If-None-Match": small.headers["ETag"]}
    assert ask("GET", f"{item['image']}?size=thumbnail", headers=known).status_code == 304


CHOSEN = [
    ("", [4, 3, 2, 1, 0]),
    ("?label=rose", [2, 1, 0]),
    ("?label=rose&split=test", [2]),
    ("?split=train", [4, 1, 0]),
    ("?status=labelled", [3, 2, 1, 0]),
    ("?status=unlabelled", [4]),
    ("?status=unlabelled&split=test", []),
    ("?status=unlabelled&label=rose", []),
    ("?status=deleted", [5]),
    ("?label=tulip", []),
    ("?limit=2&label=rose", [2, 1]),
]


def test_items_are_chosen_by_label_split_and_status(ask, dataset):
    items = add_items(dataset, 2, "rose") + add_items(dataset, 1, "rose", split="test")
    items += add_items(dataset, 1, "daisy", split="validation") + add_items(dataset, 2)
    ids = [item.id for item in items]
    ask("DELETE", f"items/{ids[5]}")
    for query, expected in CHOSEN:
        shown = ask("GET", ITEMS + query).json
        assert [one["id"] for one in shown["items"]] == [ids[place] for place in expected], query
        assert shown["total"] == (3 if "limit" in query else len(expected)), query


def test_the_list_goes_on_from_its_cursor(ask, dataset):
    items = add_items(dataset, 3, "rose")
    first = ask("GET", f"{ITEMS}?label=rose&limit=2").json
    rest = ask("GET", f"{ITEMS}?label=rose&limit=2&cursor={first['next']}").json
    assert [one["id"] for one in first["items"] + rest["items"]] == [item.id for item in items[::-1]]
    assert rest["next"] is None


def test_a_wrong_parameter_is_refused(ask):
    for query in ["?split=all", "?status=lost", "?label=", "?limit=0", "?cursor=x", "?colour=red"]:
        assert ask("GET", ITEMS + query).status_code == 400, query


def test_an_item_is_labelled_and_its_labels_are_taken_away(ask, dataset):
    (item,) = add_items(dataset, 1, "rose")
    assert ask("PATCH", f"items/{item.id}", json={"labels": ["daisy"]}).json["labels"] == ["daisy"]
    answer = ask("PATCH", f"items/{item.id}", json={"labels": []})
    assert (answer.json["labels"], answer.json["status"]) == ([], "unlabelled")


def test_labels_that_an_item_can_not_bear_are_refused(ask, dataset):
    address = f"items/{add_items(dataset, 1, 'rose')[0].id}"
    for labels in [["a", "b"], [" "], ["x" * 101], "a", [5], None]:
        answer = ask("PATCH", address, json={"labels": labels})
        assert answer.status_code == 422, labels
        assert answer.json["error"]["field"].startswith("labels"), labels
    assert ask("GET", address).json["labels"] == ["rose"]


def test_a_deleted_item_is_not_found_and_comes_back_when_that_is_undone(ask, dataset):
    (item,) = add_items(dataset, 1, "rose")
    made = ask("DELETE", f"items/{item.id}").json
    tries = [("GET", {}), ("PATCH", {"json": {"labels": []}}), ("DELETE", {})]
    assert [ask(method, f"items/{item.id}", **more).status_code for method, more in tries] == [404] * 3
    undone = ask("POST", made["undo"])
    assert undone.json["gone"] == 0 and undone.json["undone_at"]
    assert ask("GET", f"items/{item.id}").json["status"] == "labelled"
    assert ask("POST", made["undo"]).status_code == 409


def test_many_items_are_changed_at_once_by_their_ids_or_by_what_they_are(ask, dataset):
    roses, daisies = add_items(dataset, 2, "rose"), add_items(dataset, 1, "daisy")
    body = {"how": "set", "labels": ["tulip"], "items": [roses[0].id]}
    assert ask("POST", f"{ITEMS}/change", json=body).json["summary"] == "1 image labelled tulip"
    made = ask("POST", f"{ITEMS}/change", json={"how": "delete", "where": {"label": "daisy"}}).json
    assert ask("GET", f"items/{daisies[0].id}").status_code == 404
    assert [one["id"] for one in ask("GET", "datasets/flowers/changes?limit=1").json["items"]] == [made["id"]]


SENSELESS = [
    ({"how": "set", "labels": ["a"]}, "items"),
    ({"how": "set", "labels": ["a"], "items": [1], "where": {}}, "items"),
    ({"how": "set", "labels": ["a"], "items": []}, "items"),
    ({"how": "set", "labels": ["a"], "items": [99]}, "items"),
    ({"how": "set", "labels": ["a", "b"], "items": [1]}, "labels"),
    ({"how": "add", "items": [1]}, "labels"),
    ({"how": "explode", "items": [1]}, "how"),
    ({"how": "delete", "where": {"split": "all"}}, "where.split"),
    ({"how": "delete", "where": {"label": ""}}, "where.label"),
    ({"how": "delete", "where": {"status": "deleted"}}, "where.status"),
]


def test_a_change_that_makes_no_sense_is_refused_by_its_field(ask, dataset):
    add_items(dataset, 1, "rose")
    for body, field in SENSELESS:
        answer = ask("POST", f"{ITEMS}/change", json=body)
        assert (answer.status_code, answer.json["error"]["field"]) == (422, field), body


def test_all_without_a_label_are_labelled_at_once(ask, dataset):
    add_items(dataset, 2)
    add_items(dataset, 1, "rose")
    body = {"how": "set", "labels": ["tulip"], "where": {"status": "unlabelled", "split": "train"}}
    assert ask("POST", f"{ITEMS}/change", json=body).json["summary"] == "2 images labelled tulip"


def test_items_of_another_dataset_are_out_of_reach_of_a_change(ask, bob):
    other = Dataset(slug="other", name="Other", members=[Member(user=bob, role="owner")])
    db.session.add(other)
    db.session.commit()
    (secret,) = add_items(other, 1, "rose")
    assert ask("POST", f"{ITEMS}/change", json={"how": "delete", "items": [secret.id]}).status_code == 422
    assert db.session.get(Item, secret.id).deleted_at is None


ROUTES = [
    ("GET", "datasets/flowers/items", {}),
    ("POST", "datasets/flowers/items", {"json": {"image": "aGk="}}),
    ("POST", "datasets/flowers/items/change", {"json": {"how": "delete", "where": {}}}),
    ("GET", "datasets/flowers/changes", {}),
    ("GET", "items/1", {}),
    ("GET", "items/1/image", {}),
    ("PATCH", "items/1", {"json": {"labels": []}}),
    ("DELETE", "items/1", {}),
    ("POST", "changes/1/undo", {}),
]


@pytest.fixture
def changed(dataset, client, alice):
    """A dataset with an item and a change, both of number 1."""
    (item,) = add_items(dataset, 1, "rose")
    made = asker(client, alice)("PATCH", f"items/{item.id}", json={"labels": ["daisy"]})
    assert (item.id, made.status_code) == (1, 200)


def test_case_93_another_users_items_are_not_found(client, charlie, changed):
    assert statuses(asker(client, charlie), ROUTES) == dict.fromkeys(named(ROUTES), 404)


def test_a_viewer_looks_at_items_and_changes_none(client, bob, dataset, changed):
    make_member(dataset, bob, "viewer")
    told = statuses(asker(client, bob), [one for one in ROUTES if one[0] != "GET"])
    assert set(told.values()) == {403}, told
    assert asker(client, bob)("GET", "items/1").json["labels"] == ["daisy"]
