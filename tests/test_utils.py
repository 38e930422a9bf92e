"""Safe names, the one pixel path, and files that appear whole or not at all."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import utils

ROOT = Path(__file__).parents[1]
ORIENTATION = 274


def encode(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def halves(width: int = 400, height: int = 300) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return image


@pytest.mark.parametrize("name", ["a.jpg", "A.JPEG", "b.png", "c.webp", "d.gif", "e.bmp"])
def test_image_names_are_allowed(name):
    assert utils.is_allowed_file(name)


@pytest.mark.parametrize("name", ["a.svg", "a.eps", "jpg", "a.jpg.exe", ""])
def test_other_names_are_not_allowed(name):
    assert not utils.is_allowed_file(name)


def test_random_names_differ_and_are_safe_in_urls():
    names = {utils.generate_random_name("jpg") for _ in range(1000)}
    assert len(names) == 1000
    assert all(
        name.endswith(".jpg") and name[:-4].replace("-", "").replace("_", "").isalnum() for name in names
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png_becomes_rgb_of_the_size_asked(mode):
    pixels = utils.center_crop(utils.open_image(encode(Image.new(mode, (300, 200)))), 64)
    assert (pixels.shape, pixels.dtype) == ((64, 64, 3), np.uint8)


def test_transparency_is_flattened_onto_white():
    pixels = utils.center_crop(utils.open_image(encode(Image.new("RGBA", (50, 50), (0, 0, 0, 0)))), 10)
    assert (pixels == 255).all()


def test_sixteen_bit_grey_is_scaled_to_eight():
    white = Image.fromarray(np.full((20, 20), 65535, np.uint16))
    assert (utils.center_crop(utils.open_image(encode(white)), 10) == 255).all()


def test_the_longer_side_is_cropped_around_its_centre():
    pixels = utils.center_crop(utils.open_image(encode(halves(400, 100))), 100)
    assert (pixels[:, :45] == (255, 0, 0)).all()
    assert (pixels[:, 55:] == (0, 0, 255)).all()


def test_a_square_of_the_size_asked_is_left_to_the_bit():
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert (utils.center_crop(utils.open_image(encode(Image.fromarray(noise))), 64) == noise).all()


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the camera was held a quarter to the left
    pixels = utils.center_crop(utils.open_image(encode(halves(), "JPEG", exif=exif)), 100)
    assert pixels[10, 50, 0] > 200
    assert pixels[90, 50, 2] > 200


def test_a_long_thin_image_is_not_scaled_up_whole():
    pixels = utils.center_crop(utils.open_image(encode(Image.new("L", (1, utils.MAX_SIDE)))), 224)
    assert pixels.shape == (224, 224, 3)


def test_a_large_jpeg_is_decoded_small_and_looks_the_same():
    ramp = Image.linear_gradient("L").resize((3000, 3000)).convert("RGB")
    content = encode(ramp, "JPEG", quality=95)
    opened = utils.open_image(content)
    small = utils.center_crop(opened, 100)
    whole = np.asarray(Image.open(io.BytesIO(content)).resize((100, 100), Image.Resampling.BICUBIC))
    assert opened.size == (375, 375)  # an eighth, the smallest scale that leaves 2 × 100
    assert np.abs(small.astype(int) - whole).max() <= 4


def test_a_photo_with_more_pictures_behind_it_is_the_jpeg_that_it_begins_with():
    """As phones and cameras make them: Multi-Picture Format, named .jpg."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    alone = encode(halves(1600, 1200), "JPEG", exif=exif)
    several = encode(halves(1600, 1200), "MPO", save_all=True, append_images=[halves(64, 48)], exif=exif)
    opened = utils.open_image(several)
    assert utils.EXTENSION_OF_FORMAT[opened.format] == "jpg"
    assert utils.upright_size(opened) == (1200, 1600)
    assert (utils.center_crop(opened, 100) == utils.center_crop(utils.open_image(alone), 100)).all()
    view = utils.make_view(utils.open_image(several), 200)
    assert Image.open(io.BytesIO(view)).size == (150, 200)


@pytest.mark.parametrize("content", [b"", b"<html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_an_image_is_refused(content):
    with pytest.raises(utils.ImageRefused) as refusal:
        utils.open_upright(content)
    assert refusal.value.code in ("not_an_image", "image_damaged")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_an_image_cut_short_is_refused(format):
    content = encode(Image.effect_noise((200, 200), 90).convert("RGB"), format)
    with pytest.raises(utils.ImageRefused):
        utils.center_crop(utils.open_image(content[: len(content) // 2]), 64)


def test_two_hundred_flipped_bits_raise_nothing_else():
    random = np.random.default_rng(7)
    for format in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
        good = bytearray(encode(halves(60, 40), format))
        for _ in range(40):
            bad = bytearray(good)
            bad[random.integers(len(bad))] ^= 1 << random.integers(8)
            try:
                utils.center_crop(utils.open_image(bytes(bad)), 32)
            except utils.ImageRefused as refusal:
                assert str(refusal)


def test_a_thumbnail_carries_no_metadata():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    thumbnail = utils.make_thumbnail(utils.open_image(encode(halves(), "JPEG", exif=exif)), 96)
    opened = Image.open(io.BytesIO(thumbnail))
    assert opened.size == (96, 96)
    assert not dict(opened.getexif())


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    utils.write_atomically(path, "old")
    with pytest.raises(RuntimeError), utils.open_atomically(path) as file:
        file.write(b"half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_killed_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    utils.write_atomically(path, "old")
    code = (
        "import sys, utils\n"
        f"with utils.open_atomically({str(path)!r}) as file:\n"
        "    file.write(b'x' * 100_000)\n"
        "    print('writing', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    assert path.read_text() == "old"
