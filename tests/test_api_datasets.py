"""Datasets over the API: made, listed, looked at, their settings changed, deleted."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from models import Change, Dataset, Item, Label, Member, db
from tests.asking import asker
from tests.test_datasets_pages import add_items, make_member


@pytest.fixture
def ask(client, alice):
    """alice asks."""
    return asker(client, alice)


def patch(ask, **body):
    return ask("PATCH", "datasets/flowers", json=body)


def test_a_dataset_is_made_with_its_labels_and_says_where_it_is(ask, alice):
    body = {"name": "Wild Flowers", "task": "multi-label", "description": "x", "labels": ["rose", "daisy"]}
    answer = ask("POST", "datasets", json=body)
    assert answer.status_code == 201
    assert answer.headers["Location"] == answer.json["url"] == "/api/v1/datasets/wild-flowers"
    assert [label["name"] for label in answer.json["labels"]] == ["daisy", "rose"]
    assert ask("GET", answer.json["url"]).json == answer.json
    assert answer.json["role"] == "owner" and answer.json["task"] == "multi-label"


WRONG_WISHES = [
    ({}, 422, "name"),
    ({"name": ""}, 422, "name"),
    ({"name": 5}, 422, "name"),
    ({"name": "x" * 101}, 422, "name"),
    ({"name": "bidi\u202e"}, 422, "name"),
    ({"name": "a", "task": "all"}, 422, "task"),
    ({"name": "a", "labels": ["rose", " "]}, 422, "labels"),
    ({"name": "a", "labels": "rose"}, 422, "labels"),
    ({"name": "a", "labels": ["x"] * 1_001}, 422, "labels"),
    ({"name": "a", "description": "x" * 2_001}, 422, "description"),
    ({"name": "a", "colour": "red"}, 400, None),
]


def test_a_wrong_wish_is_refused_by_its_field_and_nothing_is_made(ask):
    for body, status, field in WRONG_WISHES:
        answer = ask("POST", "datasets", json=body)
        assert (answer.status_code, answer.json["error"].get("field")) == (status, field), body
    assert db.session.scalar(select(Dataset.id)) is None


def test_somebodys_list_holds_their_datasets_and_an_administrators_all(client, ask, dataset, bob, root):
    make_member(dataset, bob, "viewer")
    db.session.add(Dataset(slug="other", name="Other", members=[Member(user=bob, role="owner")]))
    listed = {user.name: asker(client, user)("GET", "datasets").json for user in (bob, root)}
    assert [one["slug"] for one in ask("GET", "datasets").json["items"]] == ["flowers"]
    assert [(one["slug"], one["role"]) for one in listed["bob"]["items"]] == [
        ("other", "owner"),
        ("flowers", "viewer"),
    ]
    assert listed["root"]["total"] == 2 and listed["root"]["items"][0]["role"] == "owner"


def test_a_list_goes_on_from_its_cursor(ask, alice):
    for name in ("one", "two", "three"):
        ask("POST", "datasets", json={"name": name})
    first = ask("GET", "datasets?limit=2").json
    rest = ask("GET", f"datasets?limit=2&cursor={first['next']}").json
    assert [one["name"] for one in first["items"] + rest["items"]] == ["three", "two", "one"]
    assert rest["next"] is None


def test_a_dataset_counts_its_items_per_label_and_split(ask, dataset):
    add_items(dataset, 3, "rose")
    add_items(dataset, 1, "rose", split="test")
    add_items(dataset, 2)
    shown = ask("GET", "datasets/flowers").json
    assert (shown["items"], shown["unlabelled"]) == (6, 2)
    assert shown["splits"] == {"train": 5, "validation": 0, "test": 1}
    (rose,) = shown["labels"]
    assert (rose["items"], rose["splits"]["test"]) == (4, 1)


def test_settings_are_changed_one_by_one(ask, dataset):
    assert patch(ask, name="Blooms", description="of May").json["name"] == "Blooms"
    answer = patch(ask, is_public=True, prediction_days=30)
    assert (answer.json["is_public"], answer.json["prediction_days"]) == (True, 30)
    answer = patch(ask, prediction_days=None)
    assert (answer.json["prediction_days"], answer.json["description"]) == (None, "of May")


WRONG_SETTINGS = [
    ({"name": " "}, "name"),
    ({"is_public": "yes"}, "is_public"),
    ({"prediction_days": 0}, "prediction_days"),
    ({"prediction_days": 3_651}, "prediction_days"),
    ({"task": "none"}, "task"),
    ({"several": "best"}, "several"),
]


def test_a_setting_that_makes_no_sense_is_refused_by_its_name(ask, dataset):
    for body, field in WRONG_SETTINGS:
        answer = patch(ask, description="changed", **body)
        assert (answer.status_code, answer.json["error"]["field"]) == (422, field), body
    assert ask("GET", "datasets/flowers").json["description"] == ""


def test_the_task_is_changed_and_that_can_be_taken_back(ask, dataset):
    assert patch(ask, task="multi-label").json["task"] == "multi-label"
    (made,) = ask("GET", "datasets/flowers/changes").json["items"]
    assert ask("POST", made["undo"]).status_code == 200
    assert ask("GET", "datasets/flowers").json["task"] == "single-label"


def test_where_labels_would_be_lost_a_change_of_task_asks_what_becomes_of_them(ask, dataset):
    dataset.task = "multi-label"
    (item,) = add_items(dataset, 1, "rose")
    ask("PATCH", f"items/{item.id}", json={"labels": ["rose", "daisy"]})
    answer = patch(ask, task="single-label")
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "several")
    assert "1 images bear several" in answer.json["error"]["message"]
    assert patch(ask, task="single-label", several="none").json["unlabelled"] == 1


def test_a_dataset_is_deleted_with_all_that_belongs_to_it(ask, dataset):
    add_items(dataset, 2, "rose")
    assert ask("DELETE", "datasets/flowers").status_code == 204
    assert ask("GET", "datasets/flowers").status_code == 404
    assert [db.session.scalar(select(table.id)) for table in (Item, Label, Change)] == [None] * 3


def test_another_users_dataset_is_not_found(client, charlie, dataset):
    for method in ["GET", "PATCH", "DELETE"]:
        body = {"json": {}} if method == "PATCH" else {}
        assert asker(client, charlie)(method, "datasets/flowers", **body).status_code == 404


def test_only_an_owner_changes_or_deletes_a_dataset(client, bob, dataset):
    make_member(dataset, bob, "editor")
    ask = asker(client, bob)
    assert [patch(ask, name="x").status_code, ask("DELETE", "datasets/flowers").status_code] == [403, 403]


def test_a_token_that_may_only_read_makes_nothing(client, alice):
    ask = asker(client, alice, "read")
    assert ask("POST", "datasets", json={"name": "x"}).json["error"]["code"] == "missing_scope"
