"""Hostile images and zips sent through the real routes: a clear answer each, and nothing left behind."""

from __future__ import annotations

import io

import pytest
from sqlalchemy import func, select

from jobs import local
from models import Import, ImportFile, Item, db
from tests import corpus

JSON = {"Accept": "application/json"}
IMPORTS = "/datasets/flowers/imports"


def send_image(browser, name: str, content: bytes, headers=JSON):
    data = {"image": (io.BytesIO(content), name), "label": "cat"}
    return browser.post(f"{IMPORTS}/images", data=data, headers=headers)


def send_zip(browser, content: bytes, headers=JSON):
    data = {"archive": (io.BytesIO(content), "sent.zip")}
    return browser.post(f"{IMPORTS}/zip", data=data, headers=headers)


def kept_files(settings) -> list[str]:
    """Every file of the instance that holds something sent."""
    folders = [settings.instance / "storage", settings.instance / "uploads"]
    return [path.name for folder in folders for path in folder.rglob("*") if path.is_file()]


def count(table) -> int:
    return db.session.scalar(select(func.count()).select_from(table))


@pytest.mark.parametrize("name", corpus.REFUSED_IMAGES)
def test_a_hostile_image_is_answered_422_by_name_and_leaves_nothing_behind(owner, settings, name):
    answer = send_image(owner, name, corpus.REFUSED_IMAGES[name]())
    assert answer.status_code == 422
    [refused] = answer.json["refused"]
    assert refused["file"] == name
    assert refused["code"] and refused["message"].endswith(".")
    assert (count(Item), kept_files(settings)) == (0, [])


@pytest.mark.parametrize("name", corpus.ACCEPTED_IMAGES)
def test_a_strange_but_honest_image_is_taken_and_served_as_what_it_is(owner, name):
    answer = send_image(owner, name, corpus.ACCEPTED_IMAGES[name][0]())
    assert (answer.status_code, len(answer.json["added"])) == (200, 1)
    item = db.session.scalars(select(Item)).one()
    view = owner.get(f"/images/{item.filename}")
    assert view.status_code == 200
    assert view.mimetype in ("image/jpeg", "image/png", "image/webp")
    assert view.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in view.headers["Content-Security-Policy"]
    assert b"<script" not in view.data and b"PK\x03\x04" not in view.data


@pytest.mark.parametrize("name", corpus.REFUSED_ZIPS)
def test_a_hostile_zip_is_answered_422_at_once_and_leaves_nothing_behind(owner, settings, name):
    answer = send_zip(owner, corpus.REFUSED_ZIPS[name]())
    assert answer.status_code == 422
    assert answer.json["error"]["message"].startswith("sent.zip: ")
    assert (count(Import), count(Item), kept_files(settings)) == (0, 0, [])


@pytest.mark.parametrize("name", corpus.TAKEN_ZIPS)
def test_of_a_mixed_zip_the_good_is_kept_and_the_bad_reported_by_name(owner, app, settings, name):
    files, added, refused = corpus.TAKEN_ZIPS[name]
    address = send_zip(owner, corpus.make_zip(files)).json["url"]
    assert local.work_once(local.Shift(app, "w1"), ("import",))
    db.session.expire_all()
    names = select(ImportFile.sent_name).where(ImportFile.outcome == "refused")
    assert (count(Item), list(db.session.scalars(names))) == (added, refused)
    page = owner.get(f"{address}?outcome=refused").text
    assert all(name in page for name in refused)
    assert list(settings.folder("uploads").iterdir()) == []


def test_a_person_gets_a_page_that_says_why_a_zip_was_refused(owner):
    answer = send_zip(owner, b"no zip at all", headers={})
    assert answer.status_code == 422
    assert answer.mimetype == "text/html"
    assert "sent.zip: This is not a zip file. Send a .zip with images." in answer.text
