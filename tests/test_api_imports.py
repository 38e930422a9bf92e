"""Imports over the API: zips and CSVs sent, followed, cancelled, tried again; and the hostile ones."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from jobs import local, queue
from models import Import, Item, db
from tests import corpus
from tests.asking import asker, file, named, statuses
from tests.test_datasets_pages import add_items, make_member
from tests.test_hostile_routes import kept_files
from tests.test_imports_pages import picture, zipped
from tests.test_imports_with_lists import HOSTILE

IMPORTS = "datasets/flowers/imports"
PAIR = zipped(rose__1=picture(1), rose__2=picture(2))
FORM = {"content_type": "multipart/form-data"}


@pytest.fixture
def ask(client, alice, dataset):
    """alice asks."""
    return asker(client, alice)


@pytest.fixture
def work(app):
    """`work()`: does the import that waits."""
    return lambda: local.work_once(local.Shift(app, "w1"), ("import",))


def send(ask, content: bytes | None = None, manifest: bytes | None = None, **fields):
    files = {"archive": (content, "sent.zip"), "manifest": (manifest, "labels.csv")}
    sent = {name: file(*one) for name, one in files.items() if one[0] is not None}
    return ask("POST", IMPORTS, data={**sent, **fields}, **FORM)


def count(table) -> int:
    return db.session.scalar(select(func.count()).select_from(table))


def test_a_zip_waits_for_the_worker_and_is_followed_to_its_end(ask, work):
    answer = send(ask, PAIR)
    assert answer.status_code == 202
    assert answer.headers["Location"] == answer.json["url"]
    assert (answer.json["state"], answer.json["source"], answer.json["added"]) == ("queued", "sent.zip", 0)
    work()
    shown = ask("GET", answer.json["url"]).json
    assert (shown["state"], shown["added"], shown["done"], shown["total"]) == ("finished", 2, 2, 2)
    assert ask("GET", "datasets/flowers/items?label=rose").json["total"] == 2


def test_every_file_has_its_result_paged_and_by_outcome(ask, work):
    files = corpus.good_files(3) | {"cat/bad.jpg": b"<html>"}
    address = send(ask, corpus.make_zip(files)).json["files"]
    work()
    first = ask("GET", f"{address}?limit=3").json
    rest = ask("GET", f"{address}?limit=3&cursor={first['next']}").json
    assert sorted(one["file"] for one in first["items"] + rest["items"]) == sorted(files)
    assert (first["total"], rest["next"]) == (4, None)
    (refused,) = ask("GET", f"{address}?outcome=refused").json["items"]
    assert (refused["file"], refused["code"], refused["item"]) == ("cat/bad.jpg", "not_an_image", None)
    added = ask("GET", f"{address}?outcome=added").json["items"][0]
    assert ask("GET", f"items/{added['item']}").json["file"] == added["file"]


def test_a_wrong_parameter_of_the_results_is_refused(ask):
    address = send(ask, PAIR).json["files"]
    for query in ["?outcome=lost", "?limit=0", "?colour=red"]:
        assert ask("GET", address + query).status_code == 400, query


def test_a_label_for_everything_and_other_choices_are_taken(ask, work):
    assert send(ask, PAIR, label="daisy").json["label"] == "daisy"
    work()
    assert [one["labels"] for one in ask("GET", "datasets/flowers/items").json["items"]] == [["daisy"]] * 2


def test_a_manifest_beside_a_zip_says_its_labels(ask, work):
    table = b"shot,x,kind\n1,1,cat\n2,2,dog\n"
    address = send(ask, PAIR, table, file_column="shot", label_columns="kind").json["url"]
    work()
    shown = ask("GET", address).json
    assert (shown["added"], "labels.csv" in shown["notes"][0]) == (2, True)
    assert ask("GET", "datasets/flowers/items?label=cat").json["total"] == 1


def test_a_manifest_alone_labels_what_is_here_and_can_be_undone(ask, dataset):
    add_items(dataset, 2, "rose")
    answer = send(ask, manifest=b"file,label\nIMG_0.png,daisy\nIMG_9.png,daisy\n")
    assert (answer.status_code, answer.json["kind"], answer.json["state"]) == (202, "list", "finished")
    assert ask("GET", f"{answer.json['files']}?outcome=refused").json["items"][0]["code"] == "file_missing"
    assert ask("GET", "datasets/flowers/items?label=daisy").json["total"] == 1
    (made,) = ask("GET", "datasets/flowers/changes").json["items"]
    ask("POST", made["undo"])
    assert ask("GET", "datasets/flowers/items?label=daisy").json["total"] == 0


def test_who_has_too_much_waiting_is_told_to_wait_and_leaves_nothing_behind(ask, settings, monkeypatch):
    monkeypatch.setattr(queue, "MOST_WAITING", 1)
    send(ask, PAIR)
    answer = send(ask, PAIR)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert "waiting already" in answer.json["error"]["message"]
    assert len(list(settings.folder("uploads").iterdir())) == count(Import) == 1


def test_the_sample_digits_are_asked_for_by_name(ask):
    answer = ask("POST", IMPORTS, json={"sample": "digits"})
    assert (answer.status_code, answer.json["kind"], answer.json["state"]) == (202, "digits", "queued")
    assert ask("POST", IMPORTS, json={"sample": "cats"}).json["error"]["field"] == "sample"


WRONG_BODIES = [
    ({"data": {}, **FORM}, 422, "archive"),
    ({"data": {"label": "rose"}, **FORM}, 422, "archive"),
    ({"data": {"archive": "text"}, **FORM}, 422, "archive"),
    ({"data": {"manifest": "text"}, **FORM}, 422, "manifest"),
    ({"data": {"archive": file(PAIR), "label": "x" * 101}}, 422, "label"),
    ({"data": {"archive": file(PAIR), "label": file(b"x")}}, 422, "label"),
    ({"data": {"archive": file(PAIR), "min_items": "-1"}}, 422, "min_items"),
    ({"data": {"archive": file(PAIR), "labels_from": "x"}}, 422, "labels_from"),
    ({"data": {"archive": file(PAIR), "file_column": "x" * 201}}, 422, "file_column"),
    ({"data": {"archive": file(PAIR), "label_columns": "x" * 201}}, 422, "label_columns"),
    ({"data": {"archive": file(PAIR), "list": file(b"x")}}, 400, None),
    ({"data": {"manifest": file(b"file,label\nIMG_0.png,daisy\n"), "label": "rose"}}, 422, "label"),
    ({"data": {"manifest": file(b"file,label\nIMG_7.png,daisy\n")}}, 422, "manifest"),
    ({"data": PAIR, "content_type": "application/zip"}, 415, None),
    ({"json": {}}, 422, "sample"),
    ({"json": {"sample": "digits", "url": "x"}}, 400, None),
]


def test_a_wrong_body_is_refused_by_its_field_and_nothing_is_kept(ask, dataset, settings):
    add_items(dataset, 1, "rose")
    for body, status, field in WRONG_BODIES:
        answer = ask("POST", IMPORTS, **body)
        assert (answer.status_code, answer.json["error"].get("field")) == (status, field), body
    assert (count(Import), kept_files(settings)) == (0, [])


def test_hostile_zips_are_answered_422_at_once_and_leave_nothing_behind(ask, settings):
    for what, make in corpus.REFUSED_ZIPS.items():
        answer = send(ask, make())
        assert answer.status_code == 422, what
        error = answer.json["error"]
        assert (error["field"], error["file"]) == ("archive", "sent.zip"), what
        assert error["code"] != "refused" and error["message"].startswith("sent.zip: "), what
    assert (count(Import), count(Item), kept_files(settings)) == (0, 0, [])


def test_of_a_mixed_zip_the_good_is_kept_and_the_bad_told_by_name(ask, work):
    for what, (files, _, refused) in corpus.TAKEN_ZIPS.items():
        address = send(ask, corpus.make_zip(files)).json["files"]
        work()
        told = {one["file"]: one["outcome"] for one in ask("GET", address).json["items"]}
        assert [name for name in told if told[name] == "refused"] == refused, what
        assert set(told) <= set(files), what


def test_case_90_a_hostile_csv_is_422_naming_the_row_and_nothing_is_kept(ask, dataset, settings):
    add_items(dataset, 1, "rose")
    for what, (content, row) in HOSTILE.items():
        inside = zipped(**{"1.png": picture(1), "labels.csv": content})
        answers = [send(ask, PAIR, content), send(ask, inside), send(ask, manifest=content)]
        assert [answer.status_code for answer in answers] == [422] * 3, what
        errors = [answer.json["error"] for answer in answers]
        assert all(f"Row {row} " in error["message"] for error in errors), what
        assert [error["field"] for error in errors] == ["manifest", "archive", "manifest"], what
    assert (count(Import), kept_files(settings)) == (0, [])


def test_more_than_a_limit_is_413(ask, app):
    for limit, fields in [("MAX_ZIP", {"content": PAIR}), ("MAX_CSV", {"manifest": PAIR})]:
        app.config["PIGEONHOLE"].values[limit] = 50
        assert send(ask, **fields).status_code == 413


def test_what_is_no_form_goes_through_memory_and_is_bounded_by_less(ask):
    large = b'{"sample": "' + b"x" * 2_000_000
    for kind in ("application/json", "application/zip", "text/plain"):
        assert ask("POST", IMPORTS, data=large, content_type=kind).status_code == 413, kind


def test_nothing_of_a_strangers_body_is_even_looked_at(client, dataset):
    answer = client.post(f"/api/v1/{IMPORTS}", data=b"no form", content_type="multipart/form-data")
    assert answer.status_code == 401  # and not the 400 of a form without its boundary


def test_a_waiting_import_is_cancelled_once(ask):
    address = send(ask, PAIR).json["url"]
    cancelled = ask("POST", f"{address}/cancel")
    assert (cancelled.status_code, cancelled.json["state"]) == (202, "cancelled")
    assert ask("POST", f"{address}/cancel").status_code == 409


def test_a_failed_import_is_tried_again_while_what_was_sent_is_kept(ask, settings):
    sent = send(ask, PAIR).json
    assert ask("POST", f"{sent['url']}/retry").status_code == 409
    db.session.get(Import, sent["id"]).job.state = "failed"
    assert ask("GET", sent["url"]).json["is_retryable"] is True
    again = ask("POST", f"{sent['url']}/retry")
    assert (again.status_code, again.json["state"]) == (202, "queued")


def test_what_came_in_is_listed_newest_first(ask):
    numbers = [send(ask, PAIR).json["id"] for _ in range(3)]
    first = ask("GET", f"{IMPORTS}?limit=2").json
    rest = ask("GET", f"{IMPORTS}?limit=2&cursor={first['next']}").json
    assert [one["id"] for one in first["items"] + rest["items"]] == numbers[::-1]


ROUTES = [
    ("GET", IMPORTS, {}),
    ("POST", IMPORTS, {"json": {"sample": "digits"}}),
    ("GET", "imports/1", {}),
    ("GET", "imports/1/files", {}),
    ("POST", "imports/1/cancel", {}),
    ("POST", "imports/1/retry", {}),
]


@pytest.fixture
def sent(ask):
    """An import of number 1."""
    assert send(ask, PAIR).json["id"] == 1


def test_case_93_another_users_imports_are_not_found(client, charlie, sent):
    assert statuses(asker(client, charlie), ROUTES) == dict.fromkeys(named(ROUTES), 404)


def test_a_viewer_looks_at_imports_and_changes_none(client, bob, dataset, sent):
    make_member(dataset, bob, "viewer")
    told = statuses(asker(client, bob), ROUTES)
    assert told == {name: 200 if name.startswith("GET") else 403 for name in named(ROUTES)}
