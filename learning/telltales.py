"""Labels that one plain number gives away: how bright the images are, how large, of what shape.

A classifier may learn such a number instead of what is meant, and fail where new images have another. Each
label is told from the others by a rule on that number alone, found on four fifths of the images and tried on
the last, in turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.intervals import wilson_interval

FOLDS = 5
BINS = 12  # a rule says of each of so many ranges whether it is the label's
SURE = 0.9  # what the lower end of the interval must exceed


@dataclass(frozen=True)
class Telltale:
    """That the images of a label are told from the others by one number alone.

    Attributes:
        label: its place. number: the name of what gives it away.
        accuracy, interval: balanced accuracy, 0 to 1, 0.5 by chance, with 95 % (Newcombe's square-and-add).
        own, others: the medians among the label's images and among all others.
    """

    label: int
    number: str
    accuracy: float
    interval: tuple[float, float]
    own: float
    others: float


def find(numbers: dict[str, np.ndarray], targets: np.ndarray, seed: int = 0) -> list[Telltale]:
    """Return the labels that a number gives away beyond doubt, the clearest first, each with its best number.

    Args:
        numbers: for each name float (items,), one number an image.
        targets: (items, labels), 1 where the item has the label.
    """
    found = []
    folds = np.random.default_rng(seed).permutation(len(targets)) % FOLDS
    for label in range(targets.shape[1]):
        is_own = targets[:, label] > 0.5
        if not FOLDS <= is_own.sum() <= len(targets) - FOLDS:
            continue
        tried = [_try(label, name, values, is_own, folds) for name, values in numbers.items()]
        best = max(tried, key=lambda telltale: telltale.interval[0])
        if best.interval[0] > SURE:
            found.append(best)
    return sorted(found, key=lambda telltale: -telltale.accuracy)


def _try(label: int, name: str, values: np.ndarray, is_own: np.ndarray, folds: np.ndarray) -> Telltale:
    said = np.zeros(len(values), dtype=bool)
    for fold in range(FOLDS):
        is_here = folds == fold
        said[is_here] = _follow_rule(values[~is_here], is_own[~is_here], values[is_here])
    accuracy, interval = _balance(said, is_own)
    return Telltale(
        label, name, accuracy, interval, float(np.median(values[is_own])), float(np.median(values[~is_own]))
    )


def _follow_rule(values: np.ndarray, is_own: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Say of each `asked` number whether a larger share of the label lies there than of the others."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    ranges = np.searchsorted(edges, values, side="right")
    own = np.bincount(ranges[is_own], minlength=len(edges) + 1) / max(is_own.sum(), 1)
    others = np.bincount(ranges[~is_own], minlength=len(edges) + 1) / max((~is_own).sum(), 1)
    return (own > others)[np.searchsorted(edges, asked, side="right")]


def _balance(said: np.ndarray, is_own: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the balanced accuracy and its 95 % interval (Newcombe 1998, from two of Wilson's)."""
    sides = [(int((said & is_own).sum()), int(is_own.sum()))]
    sides.append((int((~said & ~is_own).sum()), int((~is_own).sum())))
    shares = [right / count for right, count in sides]
    limits = [wilson_interval(*side) for side in sides]
    below = np.hypot(*(share - low for share, (low, _) in zip(shares, limits, strict=True))) / 2
    above = np.hypot(*(high - share for share, (_, high) in zip(shares, limits, strict=True))) / 2
    middle = sum(shares) / 2
    return middle, (max(0.0, float(middle - below)), min(1.0, float(middle + above)))
