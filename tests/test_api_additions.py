"""Images added over the API: as a form or as JSON, paired with their labels; and the hostile ones."""

from __future__ import annotations

import base64

import pytest
from sqlalchemy import func, select

from models import Item, Job, db
from tests import corpus
from tests.asking import asker, file
from tests.corpus import photo
from tests.test_hostile_routes import kept_files

ITEMS = "datasets/flowers/items"


@pytest.fixture
def ask(client, alice, dataset):
    """alice asks."""
    return asker(client, alice)


def add(ask, *images, **fields):
    """Post images given as (name, bytes)."""
    data = {"image": [file(content, name) for name, content in images], **fields}
    return ask("POST", ITEMS, data=data, content_type="multipart/form-data")


def two():
    return ("a.jpg", photo(1)), ("b.jpg", photo(2))


def labels_of(answer) -> list[list[str]]:
    return [item["labels"] for item in answer.json["added"]]


def count(table) -> int:
    return db.session.scalar(select(func.count()).select_from(table))


def test_images_are_added_and_shown_as_the_items_they_became(ask):
    answer = add(ask, *two(), label="rose")
    assert answer.status_code == 200
    assert [item["file"] for item in answer.json["added"]] == ["a.jpg", "b.jpg"]
    first = answer.json["added"][0]
    assert ask("GET", first["url"]).json == first
    assert (first["labels"], first["status"], first["format"]) == (["rose"], "labelled", "JPEG")


def test_what_was_added_is_to_be_embedded(ask):
    add(ask, *two())
    assert [job.kind for job in db.session.scalars(select(Job))] == ["embed"]


PAIRED = [
    ("single-label", [], [[], []]),
    ("single-label", ["rose"], [["rose"], ["rose"]]),
    ("single-label", ["rose", "daisy"], [["rose"], ["daisy"]]),
    ("single-label", ["rose", ""], [["rose"], []]),
    ("multi-label", ["rose"], [["rose"], ["rose"]]),
    ("multi-label", ["rose", "daisy"], [["daisy", "rose"], ["daisy", "rose"]]),
]


def test_labels_are_for_all_images_or_for_each_in_order(ask, dataset):
    for place, (task, sent, expected) in enumerate(PAIRED):
        dataset.task = task
        images = [(name, photo(100 * place + n)) for n, name in enumerate(("a.jpg", "b.jpg"))]
        assert labels_of(add(ask, *images, label=sent)) == expected, (task, sent)


def test_labels_that_do_not_fit_are_refused_before_anything_is_kept(ask):
    for sent in [["rose", "daisy", "tulip"], ["x" * 101], ["bidi\u202e", "rose"]]:
        answer = add(ask, *two(), label=sent)
        assert (answer.status_code, answer.json["error"]["field"]) == (422, "label"), sent
    assert count(Item) == 0


def test_a_bad_image_among_good_ones_is_told_by_name(ask):
    answer = add(ask, ("a.jpg", photo(1)), ("bad.jpg", b"<html>"), ("again.jpg", photo(1)))
    assert answer.status_code == 200
    assert [one["file"] for one in answer.json["refused"]] == ["bad.jpg"]
    (skipped,) = answer.json["skipped"]
    assert skipped["file"] == "again.jpg" and skipped["item"] == answer.json["added"][0]["id"]


def test_when_nothing_was_taken_the_error_is_the_first_ones_and_the_lists_stand_beside_it(ask):
    answer = add(ask, ("one.jpg", b"<html>"), ("two.jpg", b""))
    assert answer.status_code == 422
    error = answer.json["error"]
    assert (error["file"], error["field"], error["code"]) == ("one.jpg", "image", "not_an_image")
    assert [one["file"] for one in answer.json["refused"]] == ["one.jpg", "two.jpg"]


def test_an_image_may_be_sent_as_base64_with_its_labels_and_name(ask):
    text = base64.encodebytes(photo(1)).decode()
    body = {"image": text, "labels": ["rose"], "file": "cam/1.jpg"}
    (item,) = ask("POST", ITEMS, json=body).json["added"]
    assert (item["labels"], item["file"]) == (["rose"], "cam/1.jpg")
    again = ask("POST", ITEMS, json={"image": f"data:image/jpeg;base64,{text}"})
    assert again.json["skipped"][0]["item"] == item["id"]


WRONG_BODIES = [
    ({"json": {"image": "???"}}, 422, "image"),
    ({"json": {"image": ""}}, 422, "image"),
    ({"json": {"image": " \n"}}, 422, "image"),
    ({"json": {"labels": ["rose"]}}, 422, "image"),
    ({"json": {"image": 5}}, 422, "image"),
    ({"json": {"image": "aGk=", "labels": "rose"}}, 422, "labels"),
    ({"json": {"image": "aGk=", "labels": ["rose", "daisy"]}}, 422, "labels"),
    ({"json": {"image": "aGk=", "labels": [5]}}, 422, "labels.0"),
    ({"json": {"image": "aGk=", "colour": "red"}}, 400, None),
    ({"json": []}, 400, None),
    ({"data": {"image": "text"}, "content_type": "multipart/form-data"}, 422, "image"),
    ({"data": {"label": "rose"}, "content_type": "multipart/form-data"}, 422, "image"),
    ({"data": {"file": file(b"x")}}, 400, None),
    ({"data": {"label": file(b"x"), "image": file(photo(1))}}, 422, "label"),
    ({"data": b"x", "content_type": "image/jpeg"}, 415, None),
    ({}, 415, None),
]


def test_a_wrong_body_is_refused_and_nothing_is_kept(ask):
    for body, status, field in WRONG_BODIES:
        answer = ask("POST", ITEMS, **body)
        assert (answer.status_code, answer.json["error"].get("field")) == (status, field), body
    assert count(Item) == 0


def test_hostile_images_are_answered_422_by_name_and_leave_nothing_behind(ask, settings):
    answer = add(ask, *((name, make()) for name, make in corpus.REFUSED_IMAGES.items()))
    assert answer.status_code == 422
    assert [one["file"] for one in answer.json["refused"]] == list(corpus.REFUSED_IMAGES)
    assert (count(Item), kept_files(settings)) == (0, [])


def test_strange_but_honest_images_are_served_as_pixels_and_nothing_else(ask):
    answer = add(ask, *((name, make()) for name, (make, _, _) in corpus.ACCEPTED_IMAGES.items()))
    facts = {one["file"]: (one["format"], (one["width"], one["height"])) for one in answer.json["added"]}
    assert facts == {name: (format, size) for name, (_, format, size) in corpus.ACCEPTED_IMAGES.items()}
    for item in answer.json["added"]:
        served = ask("GET", item["image"])
        assert served.mimetype == ("image/jpeg" if item["format"] == "JPEG" else "image/png"), item["file"]
        assert served.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in served.headers["Content-Security-Policy"]
        assert b"<script" not in served.data and b"PK\x03\x04" not in served.data, item["file"]
        assert b"Exif" not in served.data, item["file"]
