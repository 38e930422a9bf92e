"""The handwritten digits that come with scikit-learn, for trying Pigeonhole without photos of one's own.

1,797 digits of 43 people, 8 × 8 pixels in 17 greys (Alpaydin & Kaynak 1998, UCI), enlarged to 64 × 64.
"""

from __future__ import annotations

import gzip
import io
import sys
from functools import partial
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.checking import SentFile

SIDE = 64  # pixels
_WHITE = 16  # the brightest of the 17 greys
_TYPICAL_SIZE = 1000  # bytes


def digits() -> list[SentFile]:
    """Return every digit as a greyscale PNG, labelled `0` to `9`."""
    rows = _read_rows()
    return [
        SentFile(f"digit-{number:04}.png", partial(_as_png, row[:-1]), _TYPICAL_SIZE, (str(row[-1]),))
        for number, row in enumerate(rows)
    ]


def write_digits(folder: str | Path) -> None:
    """Write every digit into a folder of class folders, as `python training.py --dataset` takes it."""
    for sent in digits():
        place = Path(folder, sent.label_names[0])
        place.mkdir(parents=True, exist_ok=True)
        (place / sent.name).write_bytes(sent.read())


def _read_rows() -> np.ndarray:
    """Return uint8 (1797, 65): 64 greys from 0 to 16 and the digit.

    The file is read where scikit-learn's installation keeps it: importing scikit-learn itself takes a second
    and 100 MB, which the processes that serve pages should not pay.
    """
    path = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    with gzip.open(str(path), "rt") as file:
        return np.loadtxt(file, delimiter=",", dtype=np.uint8)


def _as_png(greys: np.ndarray) -> bytes:
    pixels = (greys.reshape(8, 8) * (255 / _WHITE)).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    write_digits(sys.argv[1])
