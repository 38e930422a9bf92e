"""The code that a model card prints makes our pixels and our decisions, from numpy and Pillow alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from learning import cards, rejection
from learning.calibration import SINGLE
from tests.test_rejection import SIZE, draw_foreign, learn, make
from utils import center_crop, open_image

PIXELS = cards.USE_ALONE.split("Image.open(sys.argv[1])\n")[1].split("network = Interpreter")[0]
UNKNOWN = cards.UNKNOWN.format(doubt=cards.DOUBTS[SINGLE])
NOISE = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)
PHOTO = Image.fromarray(NOISE).resize((960, 720), Image.Resampling.BICUBIC)
GREY = np.asarray(PHOTO.convert("L")).astype(np.uint16)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


FILES = {
    "a photo": encode(PHOTO, "JPEG"),
    "a photo with another behind it": encode(PHOTO, "MPO", save_all=True, append_images=[PHOTO.rotate(180)]),
    "grey of 16 bits": encode(Image.fromarray(GREY * 257), "PNG"),
    "one bit": encode(PHOTO.convert("1"), "PNG"),
    "a palette with a hole in it": encode(PHOTO.quantize(), "PNG", transparency=3),
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_its_pixels_are_ours(content):
    here = {"image": Image.open(io.BytesIO(content)), "size": 224}
    exec(PIXELS, here | {"Image": Image, "ImageOps": ImageOps, "np": np}, here)
    assert (np.asarray(here["image"]) == center_crop(open_image(content), 224)).all()


class Network:
    """An interpreter of LiteRT that says this embedding."""

    def __init__(self, embedding: np.ndarray):
        self.seen = embedding[np.newaxis, np.newaxis, np.newaxis]

    def get_output_details(self) -> list[dict]:
        return [{"shape": self.seen.shape, "index": 0}]

    def get_tensor(self, index: int) -> np.ndarray:
        return self.seen


EMBEDDINGS = {
    "of a taught kind": make(4, 1, seed=1)[0][0],
    "of something else": draw_foreign(1)[0],
    "nothing": np.zeros(SIZE, np.float32),
    "without limit": np.full(SIZE, np.inf, np.float32),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("embedding", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_it_tells_the_unknown_as_we_do(embedding, tmp_path, monkeypatch, capsys):
    found, _ = learn(*make(4, 60))
    found.save(tmp_path / rejection.FILE)
    monkeypatch.chdir(tmp_path)
    said = np.array([0.9, 0.05, 0.03, 0.02])
    here = {"network": Network(embedding), "probabilities": said, "package": {"rejection": {"is_on": True}}}
    exec(UNKNOWN, {"np": np} | here)
    assert ("like nothing" in capsys.readouterr().out) is found.is_unknown(embedding, said)
