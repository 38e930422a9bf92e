"""Golden images: what a package must answer, to squares of its own dataset and to five awkward originals.

The squares are cropped already: they show when a network was changed, and never when its images are. So the
originals lie there as files, with the SHA-256 of the pixels that they must become: another resize filter,
another background or a missing rotation makes others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from learning import awkward
from utils import center_crop, open_atomically, open_image, write_atomically

FOLDER, FILE, ORIGINALS = "golden", "golden.json", "originals"
Crop = Callable[[Image.Image, int], np.ndarray]  # as `utils.center_crop`


@dataclass(frozen=True)
class Golden:
    """One golden image as the network sees it, and what it must give.

    Attributes:
        name: of its file.
        pixels: uint8 (size, size, 3).
        probabilities: float64 (labels,).
        is_other: whether the pixels are not those that the file must become.
    """

    name: str
    pixels: np.ndarray
    probabilities: np.ndarray
    is_other: bool = False


def write(folder: str | Path, squares: np.ndarray, answer: Callable[[np.ndarray], np.ndarray]) -> None:
    """Keep squares as PNG, which is exact and carries no metadata, the awkward originals, and what they give.

    Args:
        squares: uint8 (images, size, size, 3), the network's input.
        answer: gives probabilities, float64 (images, labels), for such squares.
    """
    place = Path(folder, FOLDER)
    place.mkdir(exist_ok=True)
    entries = []
    for index, (square, row) in enumerate(zip(squares, answer(squares), strict=True)):
        entries.append({"file": f"{index:02}.png", "probabilities": row.tolist()})
        with open_atomically(place / f"{index:02}.png") as file:
            Image.fromarray(square).save(file, "PNG")
    size = squares.shape[1]
    keep(folder, entries, size, answer(np.stack(crop_awkward(size))))


def keep(folder: str | Path, entries: list[dict[str, Any]], size: int, rows: np.ndarray) -> None:
    """Write golden.json and the awkward originals.

    Args:
        entries: file and probabilities of every square.
        size: of the network's input, in pixels.
        rows: float64 (originals, labels), what the network gives for `crop_awkward(size)`.
    """
    place = Path(folder, FOLDER, ORIGINALS)
    place.mkdir(exist_ok=True)
    originals = []
    files = awkward.draw_all()
    for name, pixels, row in zip(files, crop_awkward(size), rows, strict=True):
        write_atomically(place / name, files[name])
        originals.append({"file": name, "pixels_sha256": _hash(pixels), "probabilities": row.tolist()})
    written = json.dumps({"images": entries, ORIGINALS: originals}, indent=1) + "\n"
    write_atomically(place.parent / FILE, written)


def crop_awkward(size: int) -> list[np.ndarray]:
    """Return the pixels of every awkward image, uint8 (size, size, 3)."""
    return [center_crop(open_image(content), size) for content in awkward.draw_all().values()]


def read_entries(folder: str | Path) -> dict[str, Any]:
    """Return golden.json: `images` are the squares, `originals` the files, which old packages do not have."""
    return json.loads(Path(folder, FOLDER, FILE).read_text(encoding="utf-8"))


def read(folder: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the golden squares, uint8 (images, size, size, 3), and the probabilities they must give."""
    entries = read_entries(folder)["images"]
    pixels = [np.asarray(Image.open(Path(folder, FOLDER, e["file"]), formats=["PNG"])) for e in entries]
    return np.stack(pixels), np.array([entry["probabilities"] for entry in entries])


def read_all(folder: str | Path, crop: Crop = center_crop) -> list[Golden]:
    """Return squares and originals of a package.

    Args:
        crop: how an original becomes a square.

    Raises:
        OSError, ValueError, KeyError: a file is missing or damaged.
    """
    squares, rows = read(folder)
    found = [
        Golden(f"{index:02}.png", square, row)
        for index, (square, row) in enumerate(zip(squares, rows, strict=True))
    ]
    for entry in read_entries(folder).get(ORIGINALS, ()):
        pixels = crop(open_image(path_of(folder, entry["file"])), squares.shape[1])
        is_other = _hash(pixels) != entry["pixels_sha256"]
        found.append(Golden(entry["file"], pixels, np.array(entry["probabilities"]), is_other))
    return found


def path_of(folder: str | Path, name: str) -> Path:
    """Where the original of that name lies."""
    return Path(folder, FOLDER, ORIGINALS, Path(name).name)


def _hash(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()
