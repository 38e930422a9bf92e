"""Served images: our own decoding, no metadata, no script, and only for those who may see them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from datasets import intake
from models import Item, Member, db
from tests.trained import COLOURS, as_bytes, make_photo

PLACES = ("/images/{}", "/thumbnails/{}")


@pytest.fixture
def filename(app, dataset):
    """The stored name of a photo turned by EXIF, with a place and a script in it."""
    image = make_photo(COLOURS["red"], seed=7, size=(320, 240))
    content = as_bytes(image, orientation=6, comment=b"<script>alert(1)</script> at 48.2 N") + b"<script>"
    intake.take(dataset, "turned.jpg", content, ["red"])
    db.session.commit()
    name = db.session.scalar(db.select(Item.filename))
    db.session.commit()
    return name


def test_the_image_is_served_upright_and_without_metadata(owner, filename):
    answer = owner.get(f"/images/{filename}")
    image = Image.open(io.BytesIO(answer.data))
    assert image.size == (240, 320)
    assert not image.getexif()
    assert b"script" not in answer.data and b"48.2" not in answer.data


def test_the_thumbnail_is_a_small_square(owner, filename):
    image = Image.open(io.BytesIO(owner.get(f"/thumbnails/{filename}").data))
    assert image.size == (256, 256)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_in_it_can_run(owner, filename, place):
    headers = owner.get(place.format(filename)).headers
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["Cache-Control"].startswith("private")


@pytest.mark.parametrize("place", PLACES)
def test_a_browser_that_has_it_gets_304(owner, filename, place):
    first = owner.get(place.format(filename))
    again = owner.get(place.format(filename), headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and not again.data


@pytest.mark.parametrize("place", PLACES)
def test_only_members_see_an_item(app, owner, sign_in, charlie, bob, dataset, filename, place):
    browser = app.test_client()
    address = place.format(filename)
    assert browser.get(address).status_code in (302, 401)
    assert sign_in(browser, charlie).get(address).status_code == 404
    db.session.add(Member(dataset=dataset, user=bob, role="viewer"))
    assert sign_in(browser, bob).get(address).status_code == 200


@pytest.mark.parametrize("place", PLACES)
def test_a_public_predict_page_opens_no_items(app, dataset, sign_in, charlie, filename, place):
    dataset.is_public = True
    browser = sign_in(app.test_client(), charlie)
    assert browser.get(place.format(filename)).status_code == 404


@pytest.mark.parametrize("name", ["nothing.jpg", "..%2f..%2fsecret_key", "a.b.c", "%00"])
def test_an_unknown_name_is_not_found(owner, name):
    assert owner.get(f"/images/{name}").status_code in (400, 404)
