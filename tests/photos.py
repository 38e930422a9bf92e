"""Small photos that differ, and zips of them, for tests of the worker."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}


def photo(colour, seed):
    """A small JPEG, different for every seed."""
    noise = np.random.default_rng(seed).integers(0, 40, (64, 64, 3))
    buffer = io.BytesIO()
    Image.fromarray((noise + colour).clip(0, 255).astype("uint8")).save(buffer, "JPEG")
    return buffer.getvalue()


def write_zip(path, count=6):
    """A zip with `count` photos of each colour, in a folder each."""
    with zipfile.ZipFile(path, "w") as archive:
        for label, colour in COLOURS.items():
            for number in range(count):
                archive.writestr(f"{label}/{number}.jpg", photo(colour, number))
    return path
