"""Predictions over the API: the answer again, a dataset's list, and whether one was right."""

from __future__ import annotations

import pytest

from models import Feedback, Label, Member, Prediction, db
from tests.teaching import ANSWER, finish, start, teach
from web import tokens

ADDRESS = "/api/v1/predictions/pr_1"


@pytest.fixture
def prediction(dataset):
    """An answer of version 1: “blue”."""
    teach(dataset, 2)
    return add(dataset, finish(start(dataset)), "pr_1")


def add(dataset, version, public_id, **more):
    answer = ANSWER | {"prediction": public_id} | more
    made = Prediction(public_id=public_id, dataset=dataset, version=version, answer=answer, sent_name="a.jpg")
    db.session.add(made)
    db.session.commit()
    return made


@pytest.fixture
def ask(client):
    """`ask(user, method, address, **more)` with a token of the user's; None for nobody."""

    def ask(user, method, address, **more):
        headers = {}
        if user:
            headers["Authorization"] = f"Bearer {tokens.make_token(user, 't', ['read', 'predict'])[1]}"
            db.session.commit()
        return client.open(address, method=method, headers=headers, **more)

    return ask


@pytest.fixture
def say(ask, alice):
    """`say(correct, labels)` of the prediction as alice."""

    def say(correct, labels=None, user=alice):
        word = {"correct": correct} | ({} if labels is None else {"labels": labels})
        return ask(user, "POST", f"{ADDRESS}/feedback", json=word)

    return say


def test_a_right_answer_is_called_right(say, prediction):
    answer = say(True)
    assert answer.status_code == 201
    assert (answer.json["correct"], answer.json["labels"], answer.json["user"]) == (True, ["blue"], "alice")


def test_a_wrong_answer_is_told_what_it_was_or_not(say, prediction):
    assert say(False, ["red"]).json["labels"] == ["red"]
    assert say(False).json["labels"] is None


def test_a_second_word_takes_the_place_of_the_first(say, prediction):
    say(True)
    say(False, ["red"])
    kept = db.session.query(Feedback).one()
    assert (kept.is_correct, kept.labels) == (False, ["red"])


@pytest.mark.parametrize(
    ("correct", "labels", "words"),
    [
        (False, ["gold"], "no label “gold”"),
        (False, [], "exactly one label"),
        (False, ["red", "blue"], "exactly one label"),
        (False, ["blue"], "the very labels"),
        (True, ["red"], "Leave the labels out"),
    ],
)
def test_labels_that_cannot_be_are_refused(say, prediction, correct, labels, words):
    answer = say(correct, labels)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "labels")
    assert words in answer.json["error"]["message"]
    assert db.session.query(Feedback).count() == 0


def test_of_several_labels_any_number_may_be_right(say, dataset, prediction):
    dataset.task = "multi-label"
    db.session.add(Label(dataset_id=dataset.id, name="gold"))
    assert say(False, ["red", "gold", "red"]).json["labels"] == ["red", "gold"]
    assert say(False, []).json["labels"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"correct": "yes"}, 422),
        ({"correct": False, "labels": "red"}, 422),
        ({"correct": True, "right": True}, 400),
    ],
)
def test_a_word_of_another_shape_is_refused(ask, alice, prediction, body, status):
    assert ask(alice, "POST", f"{ADDRESS}/feedback", json=body).status_code == status


def test_the_answer_is_given_again(ask, alice, prediction):
    assert ask(alice, "GET", ADDRESS).json == ANSWER


def test_a_prediction_is_its_members_alone(ask, say, bob, charlie, dataset, prediction):
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    assert say(True, user=bob).status_code == 201
    for user, status in ((charlie, 404), (None, 401)):
        assert say(True, user=user).status_code == status
        assert ask(user, "GET", ADDRESS).status_code == status


def test_nobody_needs_a_token_where_the_dataset_is_public_and_all_have_one_word(say, dataset, prediction):
    dataset.is_public = True
    db.session.commit()
    assert say(True, user=None).json["user"] is None
    assert say(False, ["red"], user=None).status_code == 201
    assert db.session.query(Feedback).one().labels == ["red"]


def test_an_unknown_prediction_is_not_found(ask, alice):
    assert ask(alice, "GET", "/api/v1/predictions/pr_none").status_code == 404
    assert (
        ask(alice, "POST", "/api/v1/predictions/pr_none/feedback", json={"correct": True}).status_code == 404
    )


def test_editors_list_predictions_with_what_people_said(ask, say, alice, bob, dataset, prediction):
    add(dataset, prediction.version, "pr_2")
    say(False, ["red"])
    address = "/api/v1/datasets/flowers/predictions"
    found = ask(alice, "GET", address).json
    assert [one["prediction"] for one in found["items"]] == ["pr_2", "pr_1"]
    (word,) = found["items"][1]["feedback"]
    assert (word["user"], word["labels"], found["items"][1]["sent_name"]) == ("alice", ["red"], "a.jpg")
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    assert ask(bob, "GET", address).status_code == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [("feedback=wrong", ["pr_1"]), ("feedback=right", []), ("feedback=none", ["pr_2"]), ("version=9", [])],
)
def test_the_list_can_be_narrowed(ask, say, alice, dataset, prediction, query, found):
    add(dataset, prediction.version, "pr_2")
    say(False)
    answer = ask(alice, "GET", f"/api/v1/datasets/flowers/predictions?{query}").json
    assert [one["prediction"] for one in answer["items"]] == found
    assert answer["total"] == len(found)
