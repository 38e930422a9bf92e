"""A dataset's items as arrays, for looking through all of them at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from sqlalchemy import select

from datasets import duplicates, storage
from learning.calibration import SINGLE
from learning.embeddings import Opener
from models import Dataset, Item, ItemLabel, db
from utils import ImageRefused

MOST_LOOKED_AT = 3_000  # images whose thumbnails are opened
SEED = 1


@dataclass(frozen=True)
class Survey:
    """Items in the order of their ids.

    Attributes:
        ids, widths, heights, sizes: int (items,); sizes in bytes. hashes, filenames, splits: text (items,).
        fingerprints: uint64 (items,), 0 where an image is too flat to have one.
        targets: bool (items, labels), in the order of `label_ids`.
    """

    ids: np.ndarray
    hashes: np.ndarray
    filenames: np.ndarray
    splits: np.ndarray
    widths: np.ndarray
    heights: np.ndarray
    sizes: np.ndarray
    fingerprints: np.ndarray
    targets: np.ndarray
    label_ids: list[int]

    def images(self) -> list[tuple[str, Opener]]:
        """The items as `embed_missing` wants them."""
        pairs = zip(self.hashes.tolist(), self.filenames.tolist(), strict=True)
        return [(sha256, storage.opener(filename)) for sha256, filename in pairs]

    def only(self, rows: np.ndarray) -> Survey:
        """The same of these rows."""
        arrays = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)

    def choose(self, most: int, task: str) -> np.ndarray:
        """Rows of at most so many items that are learnt from, the same ones every time."""
        rows = self._learnable(task)
        if len(rows) <= most:
            return rows
        return np.sort(np.random.default_rng(SEED).choice(rows, most, replace=False))

    def count_learnable(self, task: str) -> int:
        """How many items there are to learn from."""
        return len(self._learnable(task))

    def _learnable(self, task: str) -> np.ndarray:
        """Without a label an item says nothing, unless an item may have several labels or none."""
        return np.flatnonzero(self.targets.any(axis=1)) if task == SINGLE else np.arange(len(self.ids))


def take(dataset: Dataset) -> Survey:
    """Read the dataset's items by two queries."""
    columns = (Item.id, Item.sha256, Item.filename, Item.split, Item.width, Item.height, Item.size)
    mine = (Item.dataset_id == dataset.id, Item.deleted_at.is_(None))
    rows = db.session.execute(select(*columns, Item.fingerprint).where(*mine).order_by(Item.id)).all()
    by_column = list(zip(*rows, strict=True)) or [()] * 8
    ids = np.array(by_column[0], dtype=np.int64)
    label_ids = [label.id for label in dataset.labels]
    links = select(ItemLabel.item_id, ItemLabel.label_id).join(Item).where(*mine)
    return Survey(
        ids,
        *(np.array(column, dtype=str) for column in by_column[1:4]),
        *(np.array(column, dtype=np.int64) for column in by_column[4:7]),
        _read_fingerprints(by_column[7]),
        _mark(ids, label_ids, db.session.execute(links).all()),
        label_ids,
    )


def _read_fingerprints(texts: tuple[str, ...]) -> np.ndarray:
    """Return the fingerprints, 0 where an image is too flat to be anybody's near-duplicate."""
    numbers = np.array([int(text, 16) for text in texts], dtype=np.uint64)
    bits = np.bitwise_count(numbers)
    is_flat = (bits <= duplicates.MAX_DISTANCE) | (bits >= 64 - duplicates.MAX_DISTANCE)
    return np.where(is_flat, np.uint64(0), numbers)


def _mark(ids: np.ndarray, label_ids: list[int], links: list) -> np.ndarray:
    targets = np.zeros((len(ids), len(label_ids)), dtype=bool)
    if links:
        items, labels = np.array([tuple(link) for link in links], dtype=np.int64).T
        order = np.argsort(label_ids)
        columns = order[np.searchsorted(np.array(label_ids)[order], labels)]
        targets[np.searchsorted(ids, items), columns] = True
    return targets


def measure(seen: Survey, tell: Callable[[int, int], None]) -> dict[str, np.ndarray]:
    """Return the plain numbers that could give a label away, float (items,) by name.

    Brightness (the thumbnail's mean grey, 0 to 1), area in pixels, shape (width by height), and bytes.
    """
    brightness = np.full(len(seen.ids), np.nan)
    for row, filename in enumerate(seen.filenames.tolist()):
        brightness[row] = _measure_brightness(filename)
        tell(row + 1, len(seen.ids))
    known = np.isfinite(brightness)
    middle = np.median(brightness[known]) if known.any() else 0.0
    area = seen.widths * seen.heights
    return {
        "brightness": np.where(known, brightness, middle),
        "area": area.astype(np.float64),
        "shape": seen.widths / np.maximum(seen.heights, 1),
        "bytes": seen.sizes.astype(np.float64),
    }


def _measure_brightness(filename: str) -> float:
    try:
        with Image.open(io.BytesIO(storage.read_thumbnail(filename))) as picture:
            return float(np.asarray(picture.convert("L")).mean() / 255)
    except (ImageRefused, OSError):
        return float("nan")
