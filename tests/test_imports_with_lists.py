"""CSVs of labels through the pages: beside a zip, in a folder, sent ahead; and the hostile ones."""

from __future__ import annotations

import io
import json

import pytest
from sqlalchemy import select

from datasets import intake
from models import Import, ImportFile, Item, db
from tests.test_imports_pages import JSON, add, add_zip, labels_of, picture, zipped

TAGS = b"name,cat,dog\n1.png,1,1\n2.png,0,0\n3.png,0,1\n"
HOSTILE = {
    "NUL": (b"file,label\n1.png,c\0t\n", 2),
    "200 KB field": (b"file,label\n1.png," + b"x" * 200_000 + b"\n", 2),
    "bare CR": (b"file,label\n1.png,cat\r2.png,dog\n", 2),
    "unclosed quote": (b'file,label\n1.png,cat\n2.png,"dog\n', 3),
    "non-UTF-8": (b"file,label\n1.png,cat\n2.png,caf\xe9\n", 3),
}


@pytest.fixture
def tagged(dataset):
    """A multi-label dataset."""
    dataset.task = "multi-label"
    db.session.commit()
    return dataset


def csv(content: bytes, name: str = "tags.csv"):
    return (io.BytesIO(content), name)


def labels_by_name() -> dict[str, list[str]]:
    return {item.sent_name: sorted(labels_of(item)) for item in db.session.scalars(select(Item))}


def work_through(import_: Import) -> None:
    for _ in intake.work_through(import_):
        db.session.commit()


def send_list(browser, content: bytes, *names: str, **fields):
    data = {"list": csv(content), "names": (io.BytesIO("\n".join(names).encode()), "names.txt"), **fields}
    return browser.post("/datasets/flowers/imports/list", data=data, headers=JSON)


PAIR = zipped(**{"a__1.png": picture(1), "a__2.png": picture(2), "a__9.png": picture(9)})


def test_a_csv_beside_a_zip_says_its_labels(owner, tagged, settings):
    answer = add_zip(owner, PAIR, list=csv(TAGS))
    assert answer.status_code == 202
    import_ = db.session.scalars(select(Import)).one()
    work_through(import_)
    assert labels_by_name() == {"a/1.png": ["cat", "dog"], "a/2.png": []}
    told = {file.sent_name: file.code for file in db.session.scalars(select(ImportFile))}
    assert told == {"a/1.png": None, "a/2.png": None, "a/9.png": "not_listed", "3.png": "file_missing"}
    page = owner.get(answer.json["url"]).text
    assert "2 columns of 0 and 1 are the labels" in page


def test_an_import_that_was_cut_off_tells_nothing_twice(owner, tagged):
    add_zip(owner, PAIR, list=csv(TAGS))
    import_ = db.session.scalars(select(Import)).one()
    work_through(import_)
    work_through(import_)
    assert (import_.added, import_.skipped, import_.refused) == (2, 1, 1)


def test_a_csv_inside_a_zip_is_found(owner, dataset):
    add_zip(owner, zipped(**{"a__1.png": picture(1), "labels.csv": b"file,label\na/1.png,rose\n"}))
    work_through(db.session.scalars(select(Import)).one())
    assert labels_by_name() == {"a/1.png": ["rose"]}
    assert db.session.scalars(select(Import)).one().refused == 0


def test_columns_and_rare_labels_are_chosen_on_the_page(owner, tagged):
    table = b"shot,x,kind\n1.png,1,cat|dog\n2.png,2,cat\n"
    choices = {"file_column": "shot", "label_columns": "kind", "min_items": "2"}
    add_zip(owner, PAIR, list=csv(table), **choices)
    import_ = db.session.scalars(select(Import)).one()
    work_through(import_)
    assert labels_by_name() == {"a/1.png": ["cat"], "a/2.png": ["cat"]}
    assert "dog (1)" in import_.notes[-1]


@pytest.mark.parametrize("what", HOSTILE)
def test_case_90_a_hostile_csv_is_422_naming_the_row_and_nothing_is_kept(owner, settings, what):
    content, row = HOSTILE[what]
    answers = [
        add_zip(owner, PAIR, list=csv(content)),
        add_zip(owner, zipped(**{"1.png": picture(1), "labels.csv": content})),
        add(owner, ("1.png", picture(1)), list=csv(content)),
        send_list(owner, content, "1.png"),
    ]
    assert [answer.status_code for answer in answers] == [422] * 4
    assert all(f"Row {row} " in answer.json["error"]["message"] for answer in answers)
    assert list(settings.folder("uploads").iterdir()) == []
    assert db.session.scalar(select(Import)) is None


def test_case_90_a_byte_order_mark_is_no_harm(owner, dataset):
    answer = add(owner, ("1.png", picture(1)), list=csv(b"\xef\xbb\xbffile,label\n1.png,rose\n"))
    assert answer.status_code == 200
    assert labels_by_name() == {"1.png": ["rose"]}


def test_a_csv_among_chosen_images_says_their_labels(owner, tagged):
    add(owner, ("x/1.png", picture(1)), ("x/2.png", picture(2)), ("x/labels.csv", TAGS))
    assert labels_by_name() == {"x/1.png": ["cat", "dog"], "x/2.png": []}
    assert db.session.scalars(select(Import)).one().refused == 1


def test_labelme_files_among_chosen_images_say_their_labels(owner, tagged):
    flags = json.dumps({"flags": {"cat": True, "dog": False}}).encode()
    add(owner, ("x/1.png", picture(1)), ("x/1.json", flags))
    assert labels_by_name() == {"x/1.png": ["cat"]}


def test_a_csv_sent_ahead_answers_with_the_labels_of_the_images_to_send(owner, tagged):
    answer = send_list(owner, TAGS, "x/1.png", "x/2.png", "x/9.png")
    assert answer.json["labels"] == {"x/1.png": ["cat", "dog"], "x/2.png": []}
    number = str(answer.json["import"])
    labels = json.dumps(answer.json["labels"])
    add(owner, ("x/1.png", picture(1)), ("x/2.png", picture(2)), labels=labels, **{"import": number})
    assert labels_by_name() == {"x/1.png": ["cat", "dog"], "x/2.png": []}
    import_ = db.session.scalars(select(Import)).one()
    assert (import_.added, import_.skipped, import_.refused) == (2, 1, 1)


@pytest.mark.parametrize("labels", ["{", "[]", '{"1.png": "cat"}', '{"1.png": [1]}', "[" * 50_000])
def test_labels_that_are_no_labels_are_400(owner, labels):
    assert add(owner, ("1.png", picture(1)), labels=labels).status_code == 400


@pytest.mark.parametrize(
    "choice", [{"min_items": "-1"}, {"min_items": "1e9"}, {"labels_from": "x"}, {"file_column": "x" * 201}]
)
def test_choices_that_make_no_sense_are_422(owner, choice):
    assert add_zip(owner, PAIR, **choice).status_code == 422
    assert db.session.scalar(select(Import)) is None


def test_several_labels_for_single_label_images_are_refused_at_once(owner, dataset):
    answer = add_zip(owner, PAIR, list=csv(b"file,label\n1.png,a|b\n2.png,a|b\n"))
    assert answer.status_code == 422
    assert "multi-label" in answer.json["error"]["message"]


def test_one_label_for_everything_and_a_csv_contradict_each_other(owner, dataset):
    table = b"file,label\n1.png,rose\n"
    answers = [
        add_zip(owner, PAIR, list=csv(table), label="daisy"),
        add(owner, ("1.png", picture(1)), list=csv(table), label="daisy"),
        send_list(owner, table, "1.png", label="daisy"),
    ]
    assert [answer.status_code for answer in answers] == [422] * 3
    assert "not both" in answers[0].json["error"]["message"]


def test_a_csv_beyond_its_limit_is_413(owner, app):
    app.config["PIGEONHOLE"].values["MAX_CSV"] = 20
    assert add_zip(owner, PAIR, list=csv(TAGS)).status_code == 413
