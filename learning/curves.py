"""What more images would bring, told from how the quick recipe does with fewer of those that are there.

Heads are solved on nested random parts of the embeddings; every item is judged by a head that never saw it. A
power law (Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically"; Figueroa et al. 2012,
"Predicting sample size required for classification performance") says how the errors go on falling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from learning import heads
from learning.calibration import SINGLE
from learning.intervals import Z_95

MOST_ITEMS = 4_000  # more are sampled: memory and time grow with the square and the cube
PARTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # and all
REPEATS = 4  # random orders, each of nested parts
LEAST_ITEMS = 40  # fewer say nothing of a curve
EXPONENTS = np.linspace(0.1, 1.5, 29)  # of the power law; Hestness et al. saw 0.07 to 0.5, small sets more
DRAWS = 400  # of the bootstrap over items
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Curve:
    """How good a head is by how many items it learnt from.

    Attributes:
        sizes: int (points,), items learnt from, rising; the last is all of them.
        scores: float (points,), accuracy or micro F1, 0 to 1, out of sample.
        intervals: float (points, 2), 95 %, over items and repeats.
        asymptote, factor, exponent: of errors = asymptote + factor * size ** -exponent.
        doubled: score, lowest and highest (95 %) to be expected of twice as many items.
    """

    sizes: np.ndarray
    scores: np.ndarray
    intervals: np.ndarray
    asymptote: float
    factor: float
    exponent: float
    doubled: tuple[float, float, float]

    def expect(self, sizes: np.ndarray) -> np.ndarray:
        """Return the score that the power law gives for so many items."""
        return 1 - self.asymptote - self.factor * np.asarray(sizes, dtype=np.float64) ** -self.exponent


def measure(
    embeddings: np.ndarray,
    targets: np.ndarray,
    task: str = SINGLE,
    seed: int = 0,
    tell: Tell = lambda d, t: None,
) -> Curve:
    """Measure the learning curve of all items.

    Args:
        embeddings: float32 (items, embedding size), LEAST_ITEMS to MOST_ITEMS of them.
        targets: float (items, labels), 1 where the item has the label, else 0.
        task: `single-label` or `multi-label`.
        tell: called with (done, total) all the while; may raise to end it.
    """
    rng = np.random.default_rng(seed)
    sizes = sorted({max(LEAST_ITEMS // 2, int(part * len(targets))) for part in PARTS})
    orders = [mix(targets, rng) for _ in range(REPEATS)]
    values = []
    for place, size in enumerate(sizes):
        values.append([_judge(embeddings, targets, order[:size], task) for order in orders])
        tell(place + 1, len(sizes) + 1)
    values.append([_judge(embeddings, targets, np.arange(len(targets)), task)])
    tell(len(sizes) + 1, len(sizes) + 1)
    return fit(np.array([*sizes, len(targets)]), values, rng)


def rate(task: str, said: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return float (items,) whose mean is the score, and whose spread gives its standard error.

    Of one label an image: right or not. Of several: micro F1 made linear about itself (the delta method).
    """
    truth = targets > 0.5
    if task == SINGLE:
        return (said & truth).any(axis=1).astype(np.float64)
    hits = 2.0 * (said & truth).sum(axis=1)
    all_ = hits + (said != truth).sum(axis=1)
    score = hits.sum() / max(all_.sum(), 1)
    return score + (hits - score * all_) / max(all_.mean(), 1e-12)


def mix(targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of the items in whose every beginning each label (or set of labels) has its share."""
    kinds = np.unique(targets, axis=0, return_inverse=True)[1].ravel()
    places = np.empty(len(kinds))
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        places[rows] = (rng.permutation(len(rows)) + rng.random()) / len(rows)
    return np.argsort(places, kind="stable")


def _judge(embeddings: np.ndarray, targets: np.ndarray, learnt: np.ndarray, task: str) -> np.ndarray:
    """Rate every item: those learnt from by leave-one-out, the others by the head."""
    known = np.flatnonzero(targets[learnt].any(axis=0))  # a small part may lack a label, or even all
    if not len(known):
        return rate(task, np.zeros(targets.shape, dtype=bool), targets)
    solution = heads.solve(embeddings[learnt], targets[np.ix_(learnt, known)], task=task)
    probabilities = solution.head.probabilities(embeddings)
    probabilities[learnt] = solution.leave_one_out
    said = np.zeros(targets.shape, dtype=bool)
    said[:, known] = solution.head.calibration.decide(probabilities)
    return rate(task, said, targets)


def fit(sizes: np.ndarray, values: list[list[np.ndarray]], rng: np.random.Generator) -> Curve:
    """Fit the power law to what was measured at each size.

    Args:
        sizes: int (points,), rising.
        values: for each size, what `rate` gave of every repeat, (items,) each.
    """
    means = np.array([np.mean(repeats, axis=0) for repeats in values])  # (points, items)
    scores, count = means.mean(axis=1), means.shape[1]
    spread = np.array([np.std([r.mean() for r in repeats]) / np.sqrt(len(repeats)) for repeats in values])
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS) @ means.T / count
    drawn = drawn + rng.normal(size=drawn.shape) * spread
    errors = np.maximum(1 - np.vstack([scores, drawn]), 0.0)
    asymptotes, factors, exponents = _fit_power_law(sizes.astype(np.float64), errors)
    now, later = ((2.0 * sizes[-1] if more else float(sizes[-1])) ** -exponents for more in (False, True))
    doubled = np.clip(np.concatenate([scores[-1:], drawn[:, -1]]) + factors * (now - later), 0.0, 1.0)
    reach = Z_95 * np.sqrt(means.var(axis=1) / count + spread**2)
    low, high = np.quantile(doubled[1:], [0.025, 0.975])
    return Curve(
        sizes,
        scores,
        np.clip(np.stack([scores - reach, scores + reach], axis=1), 0.0, 1.0),
        *(float(column[0]) for column in (asymptotes, factors, exponents)),
        (float(doubled[0]), float(min(low, doubled[0])), float(max(high, doubled[0]))),
    )


def _fit_power_law(sizes: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return asymptotes, factors and exponents, (rows,) each, with the least squared relative residual.

    Neither asymptote nor factor is negative: no law gets fewer than no errors, or worse with more images.

    Args:
        sizes: float (points,). errors: float (rows, points), 0 to 1.
    """
    weights = 1 / np.maximum(errors, 1 / sizes[-1]) ** 2
    best = np.full(len(errors), np.inf)
    found = np.zeros((3, len(errors)))
    for exponent in EXPONENTS:
        powers = sizes**-exponent
        asymptote, factor = _fit_line(powers, errors, weights)
        residual = (weights * (errors - asymptote[:, np.newaxis] - np.outer(factor, powers)) ** 2).sum(axis=1)
        is_better = residual < best
        best[is_better] = residual[is_better]
        found[:, is_better] = np.stack([asymptote, factor, np.full(len(errors), exponent)])[:, is_better]
    return found[0], found[1], found[2]


def _fit_line(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return offset and slope of weighted least squares for each row of `y`, both at least 0."""
    total = weights.sum(axis=1)
    middle, height = weights @ x / total, (weights * y).sum(axis=1) / total
    apart = x - middle[:, np.newaxis]
    slope = (weights * apart * y).sum(axis=1) / np.maximum((weights * apart**2).sum(axis=1), 1e-300)
    steepest = (weights * y * x).sum(axis=1) / (weights @ x**2)  # of the line through 0
    slope = np.clip(slope, 0.0, None)
    is_below = height - slope * middle < 0
    slope = np.where(is_below, steepest, slope)
    return np.where(is_below, 0.0, height - slope * middle), slope
