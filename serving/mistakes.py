"""Which judged items are worth a look, in which order, and which labels they should rather bear."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from serving.evaluations import Evaluation

QUEUES = ("suspects", "wrong", "unsure", "cell")
UNSURE = 0.2  # how near to each other, or to its threshold, probabilities are that leave it unsure
QUEUES_KEPT = 64
GUESSES = 3  # of the likeliest labels that are shown of an item
MOST_GUESSES = 9  # as many as there are keys for them


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix, by the places of labels: what was taken for what, or what became of one label."""

    true: int | None = None
    predicted: int | None = None
    label: int | None = None
    decision: str | None = None  # one of evaluations.DECISIONS


@dataclass(frozen=True)
class Guess:
    """One label with its probability for an item, whether it was taught, and whether it was said."""

    label: str
    probability: float
    is_taught: bool
    is_said: bool


@lru_cache(QUEUES_KEPT)
def rows_of(evaluation: Evaluation, queue: str, cell: Cell | None, by: str) -> np.ndarray:
    """Return the rows of a queue, int, those first that are most worth a look. They are kept: don't write.

    Args:
        queue: one of QUEUES.
        cell: which one, where the queue is `cell`.
        by: whose judgements a cell counts: leave_one_out, validation or test.
    """
    if queue == "wrong":
        return evaluation.most_wrong()
    if queue == "unsure":
        return unsure(evaluation)
    if queue == "suspects":
        order = evaluation.suspects.order
        return order[evaluation.suspects.is_suspect[order]]
    if cell.label is not None:
        return evaluation.decided(cell.label, cell.decision, by)
    return evaluation.cell(cell.true, cell.predicted, by)


def unsure(evaluation: Evaluation) -> np.ndarray:
    """Return the rows in which the version hardly knows, the least sure first.

    Of one label: the two likeliest are less than UNSURE apart. Of several: a probability lies that near to
    its threshold, as a share of the way from there to 0 or 1, so that low thresholds make nothing unsure.
    """
    if not len(evaluation.hashes) or len(evaluation.labels) < 2:
        return np.array([], dtype=np.int64)
    margins = _nearness(evaluation) if evaluation.has_several else _margins(evaluation.probabilities)
    rows = np.flatnonzero(margins < UNSURE)
    return rows[np.argsort(margins[rows], kind="stable")]


def _margins(probabilities: np.ndarray) -> np.ndarray:
    second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return first - second


def _nearness(evaluation: Evaluation) -> np.ndarray:
    """Return (items,): how far the nearest probability is from its threshold, 0 to 1.

    Nothing is near a threshold of 0, from which on a label is always said.
    """
    thresholds = np.asarray(evaluation.thresholds, dtype=np.float32)
    limits = np.clip(thresholds, 1e-6, 1 - 1e-6)
    distance = evaluation.probabilities - limits
    shares = np.where(distance >= 0, distance / (1 - limits), -distance / limits)
    return np.where(thresholds > 0, shares, 1.0).min(axis=1)


def suggest(
    evaluation: Evaluation, row: int, queue: str = "wrong", cell: Cell | None = None
) -> list[str] | None:
    """Return the labels that the item should rather bear; None where nothing speaks against its own.

    A suspect's are those of confident learning; in a cell of one label, the item's own but for that label;
    otherwise what the version said.
    """
    wanted = _suggested(evaluation, row, queue, cell or Cell())
    if (wanted == evaluation.truth[row]).all():
        return None
    return [evaluation.labels[place] for place in np.flatnonzero(wanted)]


def _suggested(evaluation: Evaluation, row: int, queue: str, cell: Cell) -> np.ndarray:
    if queue == "suspects":
        return evaluation.suspects.suggested[row]
    if not evaluation.has_several:
        return np.arange(len(evaluation.labels)) == evaluation.probabilities[row].argmax()
    if cell.label is None or cell.decision == "found":
        return evaluation.said[row]
    wanted = evaluation.truth[row].copy()
    wanted[cell.label] = cell.decision == "wrongly"
    return wanted


def guesses(evaluation: Evaluation, row: int) -> list[Guess]:
    """Return the likeliest labels of an item with those it bears, likeliest first; MOST_GUESSES at most.

    Where these are more, the least likely that it does not bear make way for those it does.
    """
    order = np.argsort(-evaluation.probabilities[row], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    is_shown = (rank < GUESSES) | evaluation.truth[row] | (evaluation.said[row] & evaluation.has_several)
    shown = order[is_shown[order]]
    kept = np.argsort(~evaluation.truth[row, shown], kind="stable")[:MOST_GUESSES]
    return [
        Guess(
            label=evaluation.labels[place],
            probability=float(evaluation.probabilities[row, place]),
            is_taught=bool(evaluation.truth[row, place]),
            is_said=bool(evaluation.said[row, place]),
        )
        for place in shown[np.sort(kept)]
    ]
