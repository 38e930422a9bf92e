"""Labels over the API: listed, added, renamed, merged, taken away."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from models import Dataset, Label, Member, db
from tests.asking import asker, named, statuses
from tests.test_datasets_pages import add_items, make_member


@pytest.fixture
def ask(client, alice, dataset):
    """alice asks."""
    return asker(client, alice)


@pytest.fixture
def rose(dataset):
    """A label that two items bear."""
    add_items(dataset, 2, "rose")
    return db.session.scalar(select(Label).filter_by(name="rose"))


def names(ask) -> list[str]:
    return [label["name"] for label in ask("GET", "datasets/flowers/labels").json["items"]]


def test_a_label_is_added_and_says_where_it_is(ask):
    answer = ask("POST", "datasets/flowers/labels", json={"name": "  tall   rose "})
    assert (answer.status_code, answer.json["name"], answer.json["items"]) == (201, "tall rose", 0)
    assert ask("GET", answer.headers["Location"]).json == answer.json


NAMES = [("rose", 409), ("", 422), ("x" * 101, 422), ("bidi\u202e", 422), (None, 422), (5, 422)]


def test_a_name_that_is_taken_or_can_not_be_one_is_refused(ask, rose):
    tulip = add_tulip(ask)
    for name, status in NAMES:
        tries = [
            ask("POST", "datasets/flowers/labels", json={"name": name}),
            ask("PATCH", f"labels/{tulip}", json={"name": name}),
        ]
        told = [(answer.status_code, answer.json["error"]["field"]) for answer in tries]
        assert told == [(status, "name")] * 2, name


def add_tulip(ask) -> int:
    return ask("POST", "datasets/flowers/labels", json={"name": "tulip"}).json["id"]


def test_a_list_shows_every_label_with_its_counts_and_goes_on_from_its_cursor(ask, rose):
    add_tulip(ask)
    first = ask("GET", "datasets/flowers/labels?limit=1").json
    rest = ask("GET", f"datasets/flowers/labels?cursor={first['next']}").json
    assert [(one["name"], one["items"]) for one in first["items"] + rest["items"]] == [
        ("rose", 2),
        ("tulip", 0),
    ]
    assert (first["total"], rest["next"]) == (2, None)


def test_a_renamed_label_keeps_its_images(ask, rose):
    answer = ask("PATCH", f"labels/{rose.id}", json={"name": "Rosa"})
    assert (answer.json["name"], answer.json["items"]) == ("Rosa", 2)


def test_a_merged_label_is_gone_and_comes_back_when_that_is_undone(ask, rose):
    tulip, address = add_tulip(ask), f"labels/{rose.id}"
    made = ask("POST", f"{address}/merge", json={"into": tulip})
    assert (made.status_code, made.json["summary"]) == (200, "rose merged into tulip")
    assert ask("GET", f"labels/{tulip}").json["items"] == 2
    assert ask("GET", address).status_code == 404
    ask("POST", made.json["undo"])
    assert sorted(names(ask)) == ["rose", "tulip"]


def test_a_deleted_label_leaves_its_images_without_it(ask, rose):
    made = ask("DELETE", f"labels/{rose.id}").json
    assert ask("GET", "datasets/flowers").json["unlabelled"] == 2
    ask("POST", made["undo"])
    assert ask("GET", "datasets/flowers").json["unlabelled"] == 0


def test_a_label_merges_into_another_of_its_dataset_only(ask, bob, rose):
    other = Dataset(slug="other", name="Other", members=[Member(user=bob, role="owner")])
    theirs = Label(name="theirs")
    other.labels.append(theirs)
    db.session.add(other)
    db.session.commit()
    for into in [rose.id, theirs.id, 99, "x", None]:
        answer = ask("POST", f"labels/{rose.id}/merge", json={"into": into})
        assert (answer.status_code, answer.json["error"]["field"]) == (422, "into"), into
    assert names(ask) == ["rose"]


ROUTES = [
    ("GET", "datasets/flowers/labels", {}),
    ("POST", "datasets/flowers/labels", {"json": {"name": "x"}}),
    ("GET", "labels/1", {}),
    ("PATCH", "labels/1", {"json": {"name": "x"}}),
    ("POST", "labels/1/merge", {"json": {"into": 1}}),
    ("DELETE", "labels/1", {}),
]


def test_case_93_another_users_labels_are_not_found(client, charlie, rose):
    assert rose.id == 1
    assert statuses(asker(client, charlie), ROUTES) == dict.fromkeys(named(ROUTES), 404)


def test_a_viewer_looks_at_labels_and_changes_none(client, bob, dataset, rose):
    make_member(dataset, bob, "viewer")
    told = statuses(asker(client, bob), ROUTES)
    assert told == {name: 200 if name.startswith("GET") else 403 for name in named(ROUTES)}
