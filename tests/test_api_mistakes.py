"""A version's mistakes over the API."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from models import Item, Review, db
from tests.asking import asker
from tests.teaching import finish, start, teach

MISTAKES = "datasets/flowers/versions/1/mistakes"


@pytest.fixture
def ask(client, alice, dataset):
    """Asks the API as alice, of whose images a version took one red for a blue one."""
    teach(dataset)
    finish(start(dataset))
    return asker(client, alice)


def mistaken() -> Item:
    return db.session.scalar(select(Item).filter_by(sent_name="red/0.jpg"))


def test_the_most_wrong_are_given_with_what_was_said_and_suggested(ask):
    told = ask("GET", MISTAKES).json
    (one,) = told["items"]
    assert (told["total"], told["next"], told["put_right"]) == (1, None, 0)
    assert (one["item"]["id"], one["taught"], one["suggested"]) == (mistaken().id, ["red"], ["blue"])
    assert one["probabilities"][0] == {"label": "blue", "probability": pytest.approx(0.9)}
    assert one["state"] is None


def test_a_cell_is_named_by_its_labels(ask):
    assert ask("GET", f"{MISTAKES}?queue=cell&true=red&predicted=blue").json["total"] == 1
    assert ask("GET", f"{MISTAKES}?queue=cell&true=blue&predicted=red").json["total"] == 0
    wrong = ask("GET", f"{MISTAKES}?queue=cell&true=red&predicted=green")
    assert (wrong.status_code, wrong.json["error"]["field"]) == (400, "predicted")
    assert ask("GET", f"{MISTAKES}?queue=cell").status_code == 400


def test_pages_follow_each_other(ask):
    cell = f"{MISTAKES}?queue=cell&true=blue&predicted=blue&limit=4"
    first = ask("GET", cell).json
    second = ask("GET", f"{cell}&cursor={first['next']}").json
    ids = [one["item"]["id"] for page in (first, second) for one in page["items"]]
    assert len(ids) == len(set(ids)) == first["total"]


def test_a_relabelled_item_is_among_those_done(ask):
    ask("PATCH", f"items/{mistaken().id}", json={"labels": ["blue"]})
    assert ask("GET", MISTAKES).json["total"] == 0
    told = ask("GET", f"{MISTAKES}?state=done").json
    assert (told["items"][0]["state"], told["put_right"]) == ("relabelled", 1)


def test_an_item_whose_labels_are_right_comes_back_no_more_until_that_is_taken_back(ask):
    review = f"items/{mistaken().id}/review"
    answer = ask("POST", review, json={"verdict": "right"})
    assert (answer.status_code, answer.json["labels"], answer.json["user"]) == (201, ["red"], "alice")
    assert ask("GET", MISTAKES).json["total"] == 0
    assert ask("DELETE", review).status_code == 204
    assert ask("GET", MISTAKES).json["total"] == 1
    assert ask("DELETE", review).status_code == 404


def test_another_verdict_is_refused_by_name(ask):
    answer = ask("POST", f"items/{mistaken().id}/review", json={"verdict": "wrong"})
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "verdict")
    assert db.session.scalar(select(Review)) is None


def test_a_deleted_item_can_not_be_reviewed(ask):
    ask("DELETE", f"items/{mistaken().id}")
    assert ask("POST", f"items/{mistaken().id}/review", json={"verdict": "right"}).status_code == 404
