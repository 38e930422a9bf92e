"""How large the squares are that a network learns from: smaller ones leave time for more epochs.

Answers are given at the backbone's own side, with a head solved there: learning from smaller images and
fitting only the classifier at full size loses little (FixRes, Touvron et al. 2019,
https://arxiv.org/abs/1906.06423).
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from learning.backbones import PreparedBackbone
from learning.embeddings import Embedder, count_cores
from utils import write_atomically

STEP = 32  # pixels between the sides to choose from: networks halve their maps five times
LEAST = 0.6  # of the backbone's own side
EPOCHS_WANTED = 12  # with fewer, what the first epochs tear up is not mended
# Learning from an image takes about this many times what LiteRT takes to look at it, on the same cores.
TIMES_LOOKING = 4.5


def choose(own: int, count: int, seconds: float, looking_seconds: float) -> int:
    """Return the largest side with which enough epochs fit into the time, else the smallest.

    Args:
        own: the backbone's own side, in pixels, and the largest; count: images to learn from.
        seconds: there are for training; looking_seconds: LiteRT's for an image of the backbone's side.
    """
    for side in list_sides(own):
        epoch_seconds = count * TIMES_LOOKING * looking_seconds * (side / own) ** 2
        if epoch_seconds * EPOCHS_WANTED <= seconds:
            return side
    return list_sides(own)[-1]


def list_sides(own: int) -> list[int]:
    """Return the sides to choose from, the largest first."""
    least = -int(-LEAST * own // STEP) * STEP
    return [own, *range((own - 1) // STEP * STEP, least - 1, -STEP)]


def time_looking(prepared: PreparedBackbone, tries: int = 4) -> float:
    """Return the seconds LiteRT takes on all cores to look at an image; the quickest of some tries."""
    embedder = Embedder(prepared.path, threads=count_cores())
    pixels = np.zeros((prepared.input_size, prepared.input_size, 3), np.uint8)
    taken = []
    for _ in range(tries):
        before = time.monotonic()
        embedder.embed(pixels)
        taken.append(time.monotonic() - before)
    return min(taken)


def keep(folder: Path, side: int) -> None:
    """Write down the side, so that a training taken up again has the same."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "side.json", json.dumps(side))


def recall(folder: Path) -> int | None:
    """Return the side that `keep` wrote, or None."""
    try:
        return int(json.loads((folder / "side.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
