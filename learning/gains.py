"""Which label more images would help most: what the score loses when some of a label's images are taken away.

Nothing is solved anew for it. With the hat matrix H of ridge regression, a head without the items S gives all
items the scores H y - H_S r, where r = (1 - H_SS)⁻¹ (y - H y)_S, and their leverages grow by the diagonal of
H_S (1 - H_SS)⁻¹ H_S' (the block form of the leave-one-out identity in learning/heads.py). A power law with
the whole curve's exponent carries each label on to 20 images more than it has.

A label that lost half its images is also said less often, which costs more than having learnt less of it. So
its odds are put back to what they were (Saerens et al. 2002, "Adjusting the Outputs of a Classifier to New a
Priori Probabilities"): without that, gains came out twice as large as what more images of all labels bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from learning import heads
from learning.calibration import SINGLE, Calibration
from learning.curves import Tell, rate
from learning.intervals import Z_95

MORE = 20  # images of one label whose gain is told
PARTS = (0.4, 0.6, 0.8)  # of a label's images that are left; and all
REPEATS = 8  # random orders of a label's images
LEAST = 8  # a label with fewer images has no curve of its own
MOST_LABELS = 50  # with a curve of their own: those with the most mistakes


@dataclass(frozen=True)
class Gain:
    """What MORE images of a label would add to the score of all.

    Attributes:
        label: its place. count: items that bear it.
        gain, interval: of the score, in parts of 1, with 95 %; below 0 where more seem to harm.
        stands_out: whether it is above the mean of the other labels beyond doubt (95 %, by Bonferroni).
    """

    label: int
    count: int
    gain: float
    interval: tuple[float, float]
    stands_out: bool


@dataclass(frozen=True)
class _Hat:
    """The ridge head of all items: H (items, items), the scores H y, and how they become decisions."""

    matrix: np.ndarray
    targets: np.ndarray
    scores: np.ndarray
    calibration: Calibration
    task: str

    def rate_without(self, removed: np.ndarray, label: int) -> np.ndarray:
        """Rate every item (`curves.rate`) by heads that saw neither it nor `removed`, places of `label`."""
        columns = self.matrix[:, removed]
        inverse = np.linalg.inv(np.eye(len(removed)) - columns[removed])
        residual = inverse @ (self.targets - self.scores)[removed]
        scores = self.scores - columns @ residual
        leverage = np.diagonal(self.matrix) + np.einsum("ij,ij->i", columns @ inverse, columns)
        left_out = self.targets - (self.targets - scores) / np.maximum(1 - leverage, 1e-9)[:, np.newaxis]
        left_out[removed] = scores[removed]
        probabilities = self.calibration.probabilities(left_out)
        count = self.targets[:, label].sum()
        self._raise_odds(probabilities, label, count / (count - len(removed)))
        return rate(self.task, self.calibration.decide(probabilities), self.targets)

    def _raise_odds(self, probabilities: np.ndarray, label: int, factor: float) -> None:
        """Multiply a label's odds by `factor`, in place."""
        own = probabilities[:, label]
        total = 1 + (factor - 1) * own
        if self.task == SINGLE:
            probabilities /= total[:, np.newaxis]
            probabilities[:, label] *= factor
        else:
            probabilities[:, label] = factor * own / total


def measure(
    embeddings: np.ndarray,
    targets: np.ndarray,
    exponent: float,
    task: str = SINGLE,
    seed: int = 0,
    tell: Tell = lambda done, total: None,
) -> list[Gain]:
    """Return what MORE images of each label would bring, the largest gain first.

    Labels with fewer than LEAST images are left out, and beyond MOST_LABELS those with the fewest mistakes.

    Args:
        embeddings: float32 (items, embedding size), at most `curves.MOST_ITEMS` of them.
        targets: float (items, labels), 1 where the item has the label, else 0.
        exponent: of the whole learning curve, `curves.Curve.exponent`.
        tell: called with (done, total) after each label; may raise to end it.
    """
    if (targets.sum(axis=0) < LEAST).all():
        return []
    solution = heads.solve(embeddings, targets, seed, task=task)
    calibration = solution.head.calibration
    matrix = _find_hat(embeddings, solution.head.strength)
    hat = _Hat(matrix, targets, matrix @ targets, calibration, task)
    said = calibration.decide(solution.leave_one_out)
    labels = _choose(said, targets)
    whole, rng, found = rate(task, said, targets), np.random.default_rng(seed), []
    for done, label in enumerate(labels):
        found.append(_gain_by_item(hat, whole, label, exponent, rng))
        tell(done + 1, len(labels))
    return _tell_apart(labels, targets.sum(axis=0).astype(int), found)


def _find_hat(embeddings: np.ndarray, strength: float) -> np.ndarray:
    """Return H = 1/n + K (K + λ)⁻¹ with K the centred kernel, float64 (items, items)."""
    centred = embeddings - embeddings.mean(axis=0, dtype=np.float64)
    kernel = centred @ centred.T
    kernel[np.diag_indices_from(kernel)] += strength
    matrix = -strength * np.linalg.inv(kernel) + 1 / len(kernel)
    matrix[np.diag_indices_from(matrix)] += 1
    return matrix


def _choose(said: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The labels to look at: with images enough, and with the most mistakes where these are many."""
    mistakes = (said != (targets > 0.5)).sum(axis=0)
    enough = np.flatnonzero(targets.sum(axis=0) >= LEAST)
    return np.sort(enough[np.argsort(-mistakes[enough], kind="stable")][:MOST_LABELS])


def _gain_by_item(
    hat: _Hat, whole: np.ndarray, label: int, exponent: float, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return float (items,) whose mean is the gain, and the variance that the choice of images adds.

    The gain is a weighted sum of the scores with ever more of the label's images, so that it is one item by
    item too.

    Args:
        whole: ratings (items,) with every image. label: whose images there are fewer of.
    """
    rows = np.flatnonzero(hat.targets[:, label])
    sizes = np.array([*(round(part * len(rows)) for part in PARTS), len(rows)], dtype=np.float64)
    weights = _weigh(sizes, exponent)
    gains = np.zeros((REPEATS, len(whole)))
    for repeat in range(REPEATS):
        order = rng.permutation(rows)
        gains[repeat] = weights[-1] * whole
        for size, weight in zip(sizes[:-1].astype(int), weights[:-1], strict=True):
            gains[repeat] += weight * hat.rate_without(order[size:], label)
    return gains.mean(axis=0), float(gains.mean(axis=1).var(ddof=1) / REPEATS)


def _weigh(sizes: np.ndarray, exponent: float) -> np.ndarray:
    """Return how each score counts in the gain of MORE images: least squares onto size ** -exponent."""
    powers = sizes**-exponent
    apart = powers - powers.mean()
    step = sizes[-1] ** -exponent - (sizes[-1] + MORE) ** -exponent
    return -apart / (apart**2).sum() * step


def _tell_apart(labels: np.ndarray, counts: np.ndarray, found: list[tuple[np.ndarray, float]]) -> list[Gain]:
    """Make records of the gains, the largest first, and mark those above the others' mean beyond doubt."""
    by_item = np.array([gains for gains, _ in found]).reshape(len(found), -1)
    sure = NormalDist().inv_cdf(1 - 0.05 / max(2, len(found)))
    records = []
    for place, (label, (gains, variance)) in enumerate(zip(labels.tolist(), found, strict=True)):
        reach = Z_95 * _error(gains, variance)
        beyond = gains - np.delete(by_item, place, axis=0).mean(axis=0) if len(found) > 1 else gains * 0
        stands_out = len(found) > 1 and beyond.mean() > sure * _error(beyond, variance)
        middle = float(gains.mean())
        interval = (middle - reach, middle + reach)
        records.append(Gain(label, int(counts[label]), middle, interval, bool(stands_out)))
    return sorted(records, key=lambda record: -record.gain)


def _error(by_item: np.ndarray, variance: float) -> float:
    """The standard error of a mean over items, with the `variance` that the choice of images adds."""
    return float(np.sqrt(by_item.var() / len(by_item) + variance))
