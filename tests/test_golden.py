"""Golden images: a swapped resize filter, scaling or background in a copy of a package is caught."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from learning import awkward, golden, package, proof
from learning.litert import NetworkClassifier
from learning.package import OtherPixels, load_package, read_spec, write_spec
from tests.trained import ROOT
from utils import PIXEL_PATH_VERSION, center_crop

# What center_crop makes of the awkward images at 224 pixels, by the Pillow in requirements.lock.
PIXELS = {
    "turned.jpg": "c301c5255d725c3c953944b67358878ef0ad26dd1df5a8c79cff7ac92fb8e519",
    "see_through.png": "c5d79edb97a88f4ee9c6f85c1ea5d74b6901edd84fc3003eb643d2756946a007",
    "grey.jpg": "952466fbc34a374c2f31527b64e6b63a1cb5c2705644ec1c21b34b6f3a26ea36",
    "print.jpg": "bfba349f3aae02e61df4ccd39c98ebc76aac8474eb0fc918fb3461284abf1b3c",
    "palette.gif": "3d78c1f4ea3fc8f730da95efed80ddec26c2b1dcb6153763eb23ea178c2622dd",
}
# Rebuilds a copy's network with x / 127.5 - 1 for (x - 127) / 128.
SCALE_WRONG = """
import sys
from pathlib import Path
import keras
from learning import networks
folder = Path(sys.argv[1])
model = keras.models.load_model(folder / "model.keras", compile=False)
scale = next(layer for layer in model._flatten_layers() if layer.name == "scale")
scale.scale, scale.offset = 1 / 127.5, -1.0
(folder / "model.tflite").write_bytes(networks.convert(model))
"""


@pytest.fixture
def copy(trained, tmp_path):
    """A copy of a package that a training run has made."""
    return Path(shutil.copytree(trained.package, tmp_path / "package"))


def by_filter(resampling: Image.Resampling, background: str = "white"):
    """A pixel path that is center_crop but for its resize filter and what lies behind transparency."""

    def crop(image: Image.Image, size: int) -> np.ndarray:
        upright = ImageOps.exif_transpose(image)
        if upright.mode == "RGBA":
            ground = Image.new("RGBA", upright.size, background)
            upright = Image.alpha_composite(ground, upright)
        width, height = upright.size
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        return np.asarray(upright.convert("RGB").resize((size, size), resampling, box=box))

    return crop


def lie_down(image: Image.Image, size: int) -> np.ndarray:
    """A pixel path that knows no EXIF."""
    image.getexif().clear()
    plain = Image.frombytes(image.mode, image.size, image.tobytes()) if image.mode == "RGB" else image
    return center_crop(plain, size)


def test_the_awkward_images_are_of_the_five_kinds_and_small():
    files = awkward.draw_all()
    kinds = {name: Image.open(io.BytesIO(content)).mode for name, content in files.items()}
    assert list(kinds.values()) == ["RGB", "RGBA", "L", "CMYK", "P"]
    assert max(map(len, files.values())) <= 40_000


def test_the_pixel_path_makes_the_pixels_of_its_version():
    made = dict(zip(awkward.draw_all(), golden.crop_awkward(224), strict=True))
    found = {name: hashlib.sha256(pixels.tobytes()).hexdigest() for name, pixels in made.items()}
    assert (PIXEL_PATH_VERSION, found) == (1, PIXELS)


@pytest.mark.trainer
def test_a_package_holds_the_awkward_images_and_answers_them_as_it_must(copy):
    files = {name: golden.path_of(copy, name).read_bytes() for name in awkward.draw_all()}
    found = proof.check(copy)
    assert files == awkward.draw_all()
    assert len(found.differences) == 16 + 5
    assert found.is_same and found.largest < 1e-5


@pytest.mark.trainer
def test_an_older_package_without_originals_is_checked_by_its_squares(copy):
    written = golden.read_entries(copy)
    del written["originals"]
    (copy / "golden" / "golden.json").write_text(json.dumps(written))
    shutil.rmtree(copy / "golden" / "originals")
    assert len(proof.check(copy).differences) == 16
    assert load_package(copy)


@pytest.mark.trainer
@pytest.mark.parametrize("resampling", ["BILINEAR", "LANCZOS", "BOX", "NEAREST"])
def test_another_resize_filter_is_caught(copy, resampling):
    found = proof.check(copy, by_filter(Image.Resampling[resampling]))
    assert set(found.other_pixels) == set(awkward.draw_all())
    assert found.largest > 10 * proof.TOLERANCE
    assert not found.is_same


@pytest.mark.trainer
def test_another_background_and_a_missing_rotation_are_caught(copy):
    black = proof.check(copy, by_filter(Image.Resampling.BICUBIC, "black"))
    lying = proof.check(copy, lie_down)
    assert "see_through.png" in black.other_pixels and not black.is_same
    assert lying.other_pixels == ("turned.jpg",) and not lying.is_same


@pytest.mark.trainer
@pytest.mark.parametrize(
    "change",
    [
        {"filter": "bilinear"},
        {"range": [0, 1]},
        {"version": 2},
        {"channels": "BGR"},
        {"background": [0, 0, 0]},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_package_that_names_another_pixel_path_is_refused_with_what_differs(copy, change):
    spec = read_spec(copy)
    write_spec(copy, spec | {"pixel_path": spec["pixel_path"] | change})
    for read in (load_package, NetworkClassifier, proof.check):
        with pytest.raises(OtherPixels, match=next(iter(change))):
            read(copy)


def test_a_damaged_pixel_path_is_a_damaged_package():
    for damaged in ("bicubic", [], {"filter": []}, 3):
        with pytest.raises(package.PackageDamaged):
            package.require_our_pixels({"pixel_path": damaged, "input_size": 224})


@pytest.mark.trainer
def test_another_scaling_in_the_network_is_caught(copy):
    subprocess.run([sys.executable, "-c", SCALE_WRONG, str(copy)], cwd=ROOT, check=True, capture_output=True)
    found = proof.check(copy)
    assert not found.other_pixels  # the pixels are right, the network is not
    assert found.largest > 3 * proof.TOLERANCE
    assert not found.is_same
