"""Which labels are probably wrong: confident learning on predictions of items that were not learnt from.

Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels" (JAIR 70): a
label is thought wrong where another one is predicted with at least the probability that is usual for that
other. Several labels an image: Thyagarajan et al. 2022, "Identifying Incorrect Annotations in Multi-Label
Classification Data", each label on its own.

All items are ranked by how far the probability of the given label falls short of what is usual for it. With
5 % of the labels of three sets flipped this found as many as the plain probability, more than the margin to
the likeliest other label, and no fewer than learning again without the first suspects (docs/benchmarks.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.calibration import SINGLE

FORGETTING = 0.8  # how much the worst label of an item counts before all others together, as in the paper


@dataclass(frozen=True)
class Suspects:
    """What is to be thought of every item's labels; all but `order` have the items' own order.

    Attributes:
        order: int (items,), every item, the likeliest error first.
        is_suspect: bool (items,), whether confident learning says that the labels are wrong.
        suggested: bool (items, labels), what a suspect should rather bear; of other items, their own labels.
        strength: float (items,), 0 to 1: how far the given label's probability falls short of what is usual
            for that label. Of several labels, their moving average with the worst last.
    """

    order: np.ndarray
    is_suspect: np.ndarray
    suggested: np.ndarray
    strength: np.ndarray


def rank(probabilities: np.ndarray, targets: np.ndarray, task: str = SINGLE) -> Suspects:
    """Rank items by how likely their labels are wrong.

    Args:
        probabilities: float (items, labels), calibrated, each by what had not learnt from the item.
        targets: (items, labels), true or 1 where the item bears the label; of a single-label task one a row.
        task: `single-label` or `multi-label`.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(targets) > 0.5
    find = _find_single if task == SINGLE else _find_several
    shortfall, suggested = find(probabilities, truth)
    return Suspects(
        order=np.argsort(-shortfall, kind="stable"),
        is_suspect=(suggested != truth).any(axis=1),
        suggested=suggested,
        strength=np.clip(shortfall, 0.0, 1.0),
    )


def usual(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return float (labels,): the mean probability of each label among the items that bear it.

    Of a label that no item bears it is infinite: nothing is sure enough to be called one.
    """
    counts = truth.sum(axis=0)
    sums = np.where(truth, probabilities, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def _find_single(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shortfall (items,), -1 to 1, and the suggested labels (items, labels)."""
    if not len(truth):
        return np.zeros(0), truth
    rows, own, limits = np.arange(len(truth)), truth.argmax(axis=1), usual(probabilities, truth)
    confident = np.where(probabilities >= limits, probabilities, -1.0)
    likeliest = confident.argmax(axis=1)
    chosen = np.where(confident[rows, likeliest] >= 0, likeliest, own)
    return limits[own] - probabilities[rows, own], np.arange(truth.shape[1]) == chosen[:, np.newaxis]


def _find_several(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, where having a label and lacking it are the two answers to each of several questions."""
    limits, lacking = usual(probabilities, truth), usual(1 - probabilities, ~truth)
    given = np.where(truth, probabilities, 1 - probabilities)
    own, opposite = np.where(truth, limits, lacking), np.where(truth, lacking, limits)
    is_wrong = (1 - given >= opposite) & ((given < own) | (given < 0.5))
    return _average(own - given), truth ^ is_wrong


def _average(short: np.ndarray) -> np.ndarray:
    """Return the exponential moving average of each row, sorted so that the worst is last and counts most."""
    ordered = np.sort(short, axis=1)
    averages = ordered[:, 0] if ordered.shape[1] else np.zeros(len(ordered))
    for column in ordered.T[1:]:
        averages = FORGETTING * column + (1 - FORGETTING) * averages
    return averages
