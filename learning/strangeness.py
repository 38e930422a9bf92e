"""What learning/rejection.py is made of: three signs that an image is foreign, and one number out of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from learning.calibration import SINGLE

KEEPS = 0.95  # of held-out images, by the threshold
MOST_AXES = 64
CHUNK = 256
STEEPNESS = 1.8  # π / √3, of the logistic distribution with spread 1
# What the main axes leave over tells of wholly other images only: what is less than far out does not count.
SHIFTS = np.array([0.0, 0.0, 2.0])
# Seen on three data sets: of doubt in nats, of the other two beside their mean.
USUAL_SPREADS, USUAL_ITEMS = np.array([3.0, 0.35, 0.35]), 5
# Under so many images, which may all be of one make, the three sets' own spreads are added, and more of them.
FEW, SPREADS_OF_FEW = 100, np.array([3.0, 0.1, 0.25])
LEAST_SPREADS = np.array([1e-2, 1e-3, 1e-3])
LEAST_PROBABILITY = 1e-6
LEAST_THRESHOLD = 12.0  # where there are too few images to tell


class NotMeasurable(ValueError):
    """What is usual can't be told of these images; the message says why."""


def find_doubts(probabilities: np.ndarray, task: str) -> np.ndarray:
    """Return how much the head hesitates, float64 (items,).

    That is the logarithm of how likely the second label is beside the first; where an image has any number of
    labels, the mean entropy of the answers, in nats.

    Args:
        probabilities: float64 (items, labels), two labels or more of a single-label task.
    """
    bounded = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    if task == SINGLE:
        second, first = np.log(np.sort(bounded, axis=1)[:, -2:]).T
        return second - first
    return -(bounded * np.log(bounded) + (1 - bounded) * np.log1p(-bounded)).mean(axis=1)


def leave_over(embeddings: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return the squared length of what the axes cannot make up of each embedding, float64 (items,).

    The residual of ViM (Wang et al. 2022, https://arxiv.org/abs/2203.10807).
    """
    left = np.empty(len(embeddings))
    for rows in chunks(len(embeddings)):
        centred = embeddings[rows] - mean
        left[rows] = (centred**2).sum(axis=1) - ((centred @ axes.T) ** 2).sum(axis=1)
    return np.maximum(left, 0)


def find_axes(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean, the main axes (axes, size), and how much each item bent these to itself, 0 to 0.9.

    The last is its leverage: had the axes never seen the item, they would leave over 1 / (1 - leverage)² as
    much of it, nearly, as long as there are four items or more an axis (seen on three data sets).
    """
    mean = embeddings.mean(axis=0, dtype=np.float64)
    centred = embeddings - mean
    values, vectors = np.linalg.eigh(centred @ centred.T)
    places = np.argsort(-values)[: min(MOST_AXES, len(embeddings) // 4)]
    places = places[values[places] > max(values.max() * 1e-9, 1e-9)]
    vectors = vectors[:, places]
    axes = (vectors / np.sqrt(values[places])).T @ centred
    leverage = 1 / len(embeddings) + (vectors**2).sum(axis=1)
    return mean.astype(np.float32), axes.astype(np.float32), np.minimum(leverage, 0.9)


def standardise(signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of each sign; few items may be alike by chance, so usual ones are added."""
    centres, more = signs.mean(axis=0), max(0, FEW - len(signs)) / 4
    usual = np.maximum(USUAL_SPREADS * [1.0, *centres[1:]], LEAST_SPREADS)
    squared = ((signs - centres) ** 2).sum(axis=0) + USUAL_ITEMS * usual**2 + more * SPREADS_OF_FEW**2
    return centres, np.sqrt(squared / (len(signs) + USUAL_ITEMS + more))


def add_up(standardised: np.ndarray) -> np.ndarray:
    """Return the score, float64 (items,), of the signs, float64 (items, 3), in spreads from their mean."""
    return np.logaddexp(0, STEEPNESS * (standardised - SHIFTS)).sum(axis=1)


def find_threshold(scores: np.ndarray) -> float:
    """Return the score that 95 % of images like these stay under (split conformal, Vovk et al. 2005).

    Under 19 images can't tell: then it is twice the highest of them. Under 100 it is 12 at least, so that
    only what is wholly other is rejected.
    """
    place = int(np.ceil((len(scores) + 1) * KEEPS))
    found = np.sort(scores)[place - 1] if place <= len(scores) else 2 * scores.max(initial=0)
    return float(found if len(scores) >= FEW else max(found, LEAST_THRESHOLD))


def find_width(embeddings: np.ndarray) -> int:
    """Return how many numbers the last layer has, which comes first and has length 1; else all there are."""
    squared = np.cumsum(embeddings[:100].astype(np.float64) ** 2, axis=1)
    is_one = np.abs(squared - 1).max(axis=0) < 1e-4
    return int(is_one.argmax()) + 1 if is_one.any() else embeddings.shape[1]


def normalise(embeddings: np.ndarray) -> np.ndarray:
    """Return them with length 1, float32; what has no length stays 0."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return (embeddings / np.maximum(lengths, 1e-12)).astype(np.float32)


def round_off(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 rows, 127 steps to the largest number, and one over the length of each, float32.

    A cosine similarity of 1,280 numbers moves by 0.0003 on average, of a row with itself by no more.
    """
    steps = 127 / np.maximum(np.abs(numbers).max(axis=1, keepdims=True), 1e-12)
    rows = np.rint(numbers * steps).astype(np.int8)
    return rows, 1 / np.maximum(np.linalg.norm(rows.astype(np.float32), axis=1), 1)


def draw(rng: np.random.Generator, places: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of the places, in order."""
    return np.sort(rng.choice(places, most, replace=False)) if len(places) > most else places


def draw_evenly(rng: np.random.Generator, targets: np.ndarray, most: int) -> np.ndarray:
    """Return the places, in order, of at most so many items, as many of each label (an item's rarest)."""
    order = rng.permutation(len(targets))
    rarest = np.where(targets > 0, targets.sum(axis=0), np.inf).argmin(axis=1)[order]
    turns = np.empty(len(order), dtype=int)
    for label in np.unique(rarest):
        of_label = rarest == label
        turns[of_label] = np.arange(of_label.sum())
    return np.sort(order[np.argsort(turns, kind="stable")[:most]])


def chunks(count: int) -> Iterator[slice]:
    """Yield slices that cover so many rows."""
    return (slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))


def check_finite(numbers: np.ndarray) -> np.ndarray:
    """Return the numbers.

    Raises:
        NotMeasurable: one of them is none, or without limit.
    """
    if not np.isfinite(numbers).all():
        raise NotMeasurable("What the network says of these images is no number.")
    return numbers


def look_up(judged: np.ndarray, spanning: np.ndarray, leverage: np.ndarray) -> np.ndarray:
    """Return the leverage of each judged item, 0 of those that the axes never saw."""
    at = np.minimum(np.searchsorted(spanning, judged), len(spanning) - 1)
    return np.where(spanning[at] == judged, leverage[at], 0.0)


def shorten(hashes: np.ndarray) -> np.ndarray:
    """Return the first eight bytes of each as one number."""
    return np.ascontiguousarray(hashes[:, :8]).view(np.uint64)[:, 0]
