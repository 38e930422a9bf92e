"""What a fine-tuning learns from, is measured on and tested with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from learning import inputs
from learning.gathering import Gathered
from learning.tuning.streaming import Squares
from learning.work import Work

HELD_OUT = 5  # one in so many, where the dataset has no validation split


@dataclass(frozen=True)
class Data:
    """The items of a run as arrays, and their pixels.

    Attributes:
        squares: every item's pixels, of the side they are learnt from.
        full: the same of the side that answers are given at.
        targets: float32 (items, labels); weights: float32 (items,), how much each counts.
        learning, validation, test: places of items.
    """

    squares: Squares
    full: Squares
    task: str
    labels: list[str]
    targets: np.ndarray
    weights: np.ndarray
    learning: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def lay_out(work: Work, gathered: Gathered, side: int, full_side: int) -> Data:
    """Return the run's data, its images squares of `side` pixels to learn from and `full_side` to answer."""
    items, task = gathered.items, work.settings["task"]
    targets = inputs.make_targets(work.labels, items, task)
    learning, validation = split(items, gathered.learnt)
    weights = weigh(targets, learning) if work.settings["class_weights"] else np.ones(len(items))
    squares = Squares(items, side, work.folder)
    return Data(
        squares=squares,
        full=squares if side == full_side else Squares(items, full_side, work.folder),
        task=task,
        labels=work.labels,
        targets=targets.astype(np.float32),
        weights=weights.astype(np.float32),
        learning=learning,
        validation=validation,
        test=np.arange(gathered.learnt, len(items)),
    )


def split(items: list[dict[str, Any]], learnt: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places to learn from and to validate on, of the first `learnt` items.

    Where no item is in the validation split, one in five of each label (or set of labels) is held out, always
    the same ones; one at least, where a label has two.
    """
    held = {place for place in range(learnt) if items[place]["split"] == "validation"}
    if not held or len(held) == learnt:
        held = _hold_out(items[:learnt])
    learning = [place for place in range(learnt) if place not in held]
    return np.array(learning), np.array(sorted(held))


def _hold_out(items: list[dict[str, Any]]) -> set[int]:
    of_label: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        of_label.setdefault("\0".join(item["labels"]), []).append(place)
    held: set[int] = set()
    for places in of_label.values():
        ordered = sorted(places, key=lambda place: items[place]["sha256"])
        held.update(ordered[: max(1, len(places) // HELD_OUT)] if len(places) > 1 else [])
    if not held:
        raise inputs.NotEnough("No label has two images. Give at least two images to every label.")
    return held


def weigh(targets: np.ndarray, learning: np.ndarray) -> np.ndarray:
    """Return for every item how much it counts, so that every label counts alike; 1 on average.

    Args:
        targets: float (items, labels); learning: the places that are learnt from.
    """
    counts = targets[learning].sum(axis=0)
    of_label = counts.sum() / np.maximum(counts, 1)
    has = targets.sum(axis=1)
    weights = np.where(has > 0, targets @ of_label / np.maximum(has, 1), of_label.mean())
    return weights / weights[learning].mean()
