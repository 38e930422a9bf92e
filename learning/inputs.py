"""From the manifest's lines to arrays: whose bytes are read, which items count, what they should be."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import fsspec
import numpy as np

from learning.calibration import MULTI, SINGLE
from learning.embeddings import EmbeddingStore, Opener, Refusal, as_refusal
from utils import ImageRefused, center_crop, open_image

# Beyond this many items (210 MB of lite0's embeddings) they are laid out in a file instead of memory.
MOST_ITEMS_IN_MEMORY = 20_000
GOLDEN_IMAGES = 16
LEAST_SIDE = 32  # pixels decoded to see that an image can be
_reading = threading.Lock()
log = logging.getLogger(__name__)


class NotEnough(ValueError):
    """There is too little to learn from; the message says what is missing."""


def list_images(items: Iterable[dict[str, Any]]) -> list[tuple[str, Opener]]:
    """Return (SHA-256, opener) of every item, as `embed_missing` wants them."""
    return [(item["sha256"], partial(read_image, item)) for item in items]


def read_image(item: dict[str, Any]) -> bytes:
    """Return the bytes of a manifest line's image: a file, a member of a zip, or an fsspec address.

    Raises:
        ImageRefused: the bytes are not those the manifest was made of.
        OSError: they cannot be read.
    """
    content = _read(item["path"], item.get("archive"))
    if hashlib.sha256(content).hexdigest() != item["sha256"]:
        raise ImageRefused("image_changed", "The image was changed after the run began. Start a new run.")
    return content


def _read(path: str, archive: str | None) -> bytes:
    if archive is not None:
        return _read_member(archive, path)
    if "://" in path:
        with fsspec.open(path, "rb") as file:
            return file.read()
    return Path(path).read_bytes()


def _read_member(archive: str, member: str) -> bytes:
    try:
        with _reading:  # threads share the one open file
            return _open_zip(archive).read(member)
    except (KeyError, BadZipFile, ValueError) as error:
        raise ImageRefused("image_damaged", f"It cannot be read from {Path(archive).name}.") from error


@lru_cache(maxsize=4)
def _open_zip(archive: str) -> ZipFile:
    """Open a zip once: reading the directory of a large one takes longer than reading a member."""
    return ZipFile(archive)


def check_readable(item: dict[str, Any]) -> list[Refusal]:
    """Return why an item's image cannot be read, or nothing where it can."""
    try:
        center_crop(open_image(read_image(item)), LEAST_SIDE)
    except (ImageRefused, OSError) as error:
        return [as_refusal(item["sha256"], error)]
    return []


def set_refused_aside(
    items: list[dict[str, Any]], refusals: list[Refusal]
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Return the items that could be read, and name, code and message of those that could not; log these."""
    reasons = {refusal.sha256: refusal for refusal in refusals}
    refused = [
        {"name": item.get("name") or item["path"], "code": reason.code, "message": reason.message}
        for item in items
        if (reason := reasons.get(item["sha256"]))
    ]
    for entry in refused:
        log.warning("%s is left out: %s", entry["name"], entry["message"])
    return [item for item in items if item["sha256"] not in reasons], refused


def stack(store: EmbeddingStore, hashes: list[str], folder: Path) -> np.ndarray:
    """Return float32 (items, embedding size), in memory, or for many items mapped from a file in `folder`."""
    size = next(iter(store.get(hashes[:1]).values())).size
    matrix = make_matrix(len(hashes), size, folder / "embeddings.npy")
    for start in range(0, len(hashes), 2_000):
        some = hashes[start : start + 2_000]
        known = store.get(some)
        matrix[start : start + len(some)] = [known[sha256] for sha256 in some]
    return matrix


def make_matrix(count: int, size: int, path: Path) -> np.ndarray:
    """Return an empty float32 (count, size), in memory, or for many items mapped from a file at `path`."""
    if count <= MOST_ITEMS_IN_MEMORY:
        return np.empty((count, size), np.float32)
    path.parent.mkdir(exist_ok=True)
    return np.lib.format.open_memmap(path, "w+", np.float32, (count, size))


def check_enough(labels: list[str], items: list[dict[str, Any]], task: str = SINGLE) -> None:
    """See that items of two labels at least are there to learn from, or of a multi-label task of one.

    Raises:
        NotEnough: with the labels that have items, and those that have none.
    """
    counts = Counter(name for item in items for name in item["labels"])
    used = [name for name in labels if counts[name]]
    if task == MULTI and any(counts[name] < len(items) for name in used):
        return
    if len(used) >= 2 and task == SINGLE:
        return
    if not used:
        raise NotEnough("No image to learn from has a label. Give at least two labels an image each.")
    if task == MULTI:
        raise NotEnough("Every image has every label. Add images that lack some of them.")
    unused = [name for name in labels if not counts[name]]
    without = f", none of {', '.join(map(repr, unused[:5]))}" if unused else ""
    raise NotEnough(f"Only the label {used[0]!r} has images{without}. At least two labels are needed.")


def put_test_last(labels: list[str], items: list[dict], task: str = SINGLE) -> tuple[list[dict], int]:
    """Return the items, those to learn from first, and how many these are.

    Where the split leaves too little to learn from, a handful of items in all, no item is held back:
    leave-one-out alone then says how good the result is.

    Raises:
        NotEnough: there is too little even so.
    """
    learnt = [item for item in items if item["split"] != "test"]
    try:
        check_enough(labels, learnt, task)
    except NotEnough:
        check_enough(labels, items, task)
        return items, len(items)
    return learnt + [item for item in items if item["split"] == "test"], len(learnt)


def make_targets(labels: list[str], items: list[dict[str, Any]], task: str = SINGLE) -> np.ndarray:
    """Return float64 (items, labels): 1 where the item has the label, else 0.

    Raises:
        NotEnough: an item has a label that the run doesn't know, or, of a single-label task, not exactly one.
    """
    position = {name: index for index, name in enumerate(labels)}
    targets = np.zeros((len(items), len(labels)))
    for row, item in enumerate(items):
        names = item["labels"]
        if not position.keys() >= set(names) or (task == SINGLE and len(names) != 1):
            raise NotEnough(f"{item.get('name') or item['sha256']} must have {_wanted(task)}.")
        targets[row, [position[name] for name in names]] = 1
    return targets


def _wanted(task: str) -> str:
    return "exactly one of the dataset's labels" if task == SINGLE else "only labels of the dataset"


def read_golden(items: list[dict[str, Any]], store: EmbeddingStore, size: int) -> np.ndarray:
    """Return the squares, uint8 (16, size, size, 3), of 16 items, or all, of every label: embedded ones."""
    missing = set(store.missing([item["sha256"] for item in items]))
    return read_squares(choose_golden([item for item in items if item["sha256"] not in missing]), size)


def choose_golden(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return 16 items (or all), one of each label, or of each set of labels, after the other."""
    return [items[index] for index in spread([", ".join(item["labels"]) for item in items], GOLDEN_IMAGES)]


def read_squares(items: list[dict[str, Any]], size: int) -> np.ndarray:
    """Return the items' pixels as the network wants them, uint8 (items, size, size, 3)."""
    return np.stack([center_crop(open_image(read_image(item)), size) for item in items])


def spread(names: list[str], count: int) -> list[int]:
    """Return `count` indices (or all), one of each name after the other, always the same ones."""
    seen: Counter[str] = Counter()
    turns = []
    for index, name in enumerate(names):
        turns.append((seen[name], name, index))
        seen[name] += 1
    return sorted(index for _, _, index in sorted(turns)[:count])


def hash_dataset(labels: list[str], items: Iterable[dict[str, Any]]) -> str:
    """Return a SHA-256 that changes when a label, an image, its labels or its split does, and only then."""
    digest = hashlib.sha256("\0".join(labels).encode())
    for line in sorted(f"{i['sha256']} {i['split']} {chr(0).join(i['labels'])}" for i in items):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
