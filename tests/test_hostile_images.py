"""Images from strangers: refused with a reason or taken whole, and nothing else happens."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import func, select

from datasets import intake, storage
from models import Item, db
from tests import corpus

ROOT = Path(__file__).parents[1]
CODES = {"file_empty", "not_an_image", "image_damaged", "image_too_large"}


def stored_files(settings) -> list[Path]:
    return [path for path in (settings.instance / "storage").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", corpus.REFUSED_IMAGES)
def test_a_hostile_image_is_refused_and_leaves_nothing_behind(dataset, settings, name):
    taken = intake.take(dataset, name, corpus.REFUSED_IMAGES[name](), ["cat"])
    db.session.commit()
    assert (taken.outcome, taken.sent_name, taken.item) == ("refused", name, None)
    assert taken.code in CODES
    assert taken.message.count(".") >= 1
    assert not stored_files(settings)
    assert not db.session.scalar(select(func.count()).select_from(Item))


@pytest.mark.parametrize("name", corpus.ACCEPTED_IMAGES)
def test_a_strange_but_honest_image_is_taken_with_its_true_type(dataset, name):
    make, format, size = corpus.ACCEPTED_IMAGES[name]
    item = intake.take(dataset, name, make(), ["cat"]).item
    assert (item.format, (item.width, item.height)) == (format, size)
    assert item.filename.endswith({"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif"}[format])
    assert storage.read_original(item.filename) == make()


@pytest.mark.parametrize("name", ["23-zip-behind.jpg", "24-script-behind.jpg", "28-turned.jpg"])
def test_what_is_served_carries_nothing_but_pixels(dataset, name):
    item = intake.take(dataset, name, corpus.ACCEPTED_IMAGES[name][0]()).item
    for served in (storage.read_view(item.filename)[0], storage.read_thumbnail(item.filename)):
        assert b"script" not in served and b"PK\x03\x04" not in served
        assert not Image.open(io.BytesIO(served)).getexif()


def test_a_turned_photo_is_served_upright(dataset):
    item = intake.take(dataset, "28.jpg", corpus.ACCEPTED_IMAGES["28-turned.jpg"][0]()).item
    view = Image.open(io.BytesIO(storage.read_view(item.filename)[0]))
    assert view.size == (40, 80)
    red, _, blue = view.getpixel((20, 10))
    assert red > 200 > 50 > blue


def test_an_image_over_the_limit_is_refused_before_it_is_read_further(dataset, app):
    taken = intake.take(dataset, "large.jpg", bytes(26 * corpus.MIB))
    assert taken.code == "file_too_large"


@pytest.mark.parametrize("name", [n for n in corpus.REFUSED_IMAGES if n[:2] in ("08", "15", "17", "18")])
def test_a_bomb_is_refused_without_taking_memory(name):
    """Measured in a process of its own: growth of its largest resident size, in MiB."""
    script = (
        "import resource, sys; from tests import corpus; import utils\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "utils.center_crop(utils.open_image(corpus.photo(1)), 256)\n"
        f"content = corpus.REFUSED_IMAGES[{name!r}](); before = peak()\n"
        "try:\n    utils.center_crop(utils.open_image(content), 256)\n"
        "except utils.ImageRefused:\n    print((peak() - before) // 1024)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(told.stdout) < 50


def test_the_first_of_many_frames_costs_little_memory(dataset):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    intake.take(dataset, "20.gif", corpus.ACCEPTED_IMAGES["20-5000-frames.gif"][0]())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_no_flipped_bit_raises_anything_but_a_refusal(dataset, format):
    good = corpus.photo(3, 24, format)
    for number in range(40):
        at = (number * 2654435761) % (8 * len(good))
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        assert intake.take(dataset, f"{number}.img", bytes(bad)).outcome in ("added", "skipped", "refused")
