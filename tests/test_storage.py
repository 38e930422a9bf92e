"""Bytes under random names: what is served is made from originals, lazily, and damage is told."""

from __future__ import annotations

import io

import pytest
from PIL import Image

import utils
from datasets import storage
from tests import corpus


def stored(content: bytes, extension: str) -> str:
    filename = utils.generate_random_name(extension)
    storage.put(filename, content)
    return filename


def test_an_original_comes_back_as_it_was(app):
    filename = stored(corpus.photo(1), "jpg")
    assert storage.read_original(filename) == corpus.photo(1)
    with storage.open_original(filename) as file:
        assert file.read() == corpus.photo(1)


def test_an_opener_works_where_there_is_no_application(app):
    filename = stored(corpus.photo(1), "jpg")
    assert storage.opener(filename)() == corpus.photo(1)


def test_a_thumbnail_is_made_when_it_is_missing_and_kept(app, settings):
    filename = stored(corpus.photo(1), "jpg")
    first = storage.read_thumbnail(filename)
    assert Image.open(io.BytesIO(first)).size == (256, 256)
    assert (settings.instance / "storage" / "thumbnails" / f"{filename}.jpg").read_bytes() == first


def test_a_view_is_at_most_1600_pixels_a_side_and_kept(app, settings):
    filename = stored(corpus.encode(Image.new("RGB", (3000, 1000)), "JPEG"), "jpg")
    content, mimetype = storage.read_view(filename)
    assert (Image.open(io.BytesIO(content)).size, mimetype) == ((1600, 533), "image/jpeg")
    assert [path.name for path in (settings.instance / "storage" / "views").iterdir()] == [f"{filename}.jpg"]


def test_the_view_of_what_is_no_jpeg_is_a_png(app):
    filename = stored(corpus.photo(1, format="WEBP"), "webp")
    content, mimetype = storage.read_view(filename)
    assert (Image.open(io.BytesIO(content)).format, mimetype) == ("PNG", "image/png")


def test_deleting_takes_all_that_was_made(app, settings):
    filename = stored(corpus.photo(1), "jpg")
    storage.read_thumbnail(filename)
    storage.read_view(filename)
    storage.delete(filename)
    storage.delete(filename)  # nothing there is no error
    assert not [path for path in (settings.instance / "storage").rglob("*") if path.is_file()]


@pytest.mark.parametrize("filename", ["../../pigeonhole.db", "..", "a/b.jpg", "a.jpg\n", "missing.jpg", ""])
def test_no_name_leads_out_of_the_storage(app, filename):
    with pytest.raises(FileNotFoundError):
        storage.read_original(filename)
    with pytest.raises(FileNotFoundError):
        storage.read_view(filename)


def test_a_damaged_original_is_told_as_such(app):
    filename = stored(corpus.photo(1, 200)[:500], "jpg")
    with pytest.raises(utils.ImageRefused):
        storage.read_view(filename)


def test_storage_may_lie_behind_any_fsspec_address(app):
    app.config["PIGEONHOLE"].values["STORAGE_URL"] = "memory://pigeonhole"
    filename = stored(corpus.photo(1), "jpg")
    assert storage.read_thumbnail(filename) and storage.read_view(filename)
    assert storage.place().address(filename).startswith("memory://")
    storage.require_free_space()
