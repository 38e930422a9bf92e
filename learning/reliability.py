"""Do probabilities mean what they say? Reliability diagram and expected calibration error.

Naeini, Cooper & Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Guo et
al. 2017, "On Calibration of Modern Neural Networks" (https://arxiv.org/abs/1706.04599). On few items the
error is never 0, even of a classifier that is calibrated perfectly (Roelofs et al. 2022,
https://arxiv.org/abs/2012.08668), so what chance alone would show is told beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from learning import calibration
from learning.calibration import SINGLE, Calibration
from learning.intervals import wilson_interval

BINS = 15
DRAWS = 1_000
DRAWN_ITEM_BY_ITEM = 2_000  # of more items or decisions the sums are drawn, which are normal by then
LEAST_PROBABILITY = 1e-12  # below it a logarithm would say how a number was rounded


@dataclass(frozen=True)
class Bin:
    """The decisions whose probability lies above `low` and at most at `high`.

    Attributes:
        said: their mean probability; right: the share of them that are right, with its 95 % interval.
    """

    low: float
    high: float
    count: int
    said: float
    right: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Reliability:
    """How far probabilities are from what happened.

    Attributes:
        items: how many images; decisions: of a single-label task one an image, else one a label and image.
        said: the mean probability; right: the share that is right.
        error: expected calibration error, 0 to 1; interval: 95 %, by bootstrap over the images.
        chance: (usual, high): what a perfectly calibrated classifier with these very probabilities would
            show on so few images: the mean, and what it exceeds once in twenty times.
    """

    items: int
    decisions: int
    said: float
    right: float
    error: float
    interval: tuple[float, float]
    chance: tuple[float, float]
    bins: list[Bin]

    @property
    def is_within_chance(self) -> bool:
        """Whether a perfectly calibrated classifier might well show as much."""
        return self.error <= self.chance[1]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


def measure(task: str, probabilities: np.ndarray, truth: np.ndarray) -> Reliability:
    """Measure predictions of items that were not learnt from.

    Of a single-label task it is the likeliest label's probability that counts, and whether that label is
    right; of a multi-label one every label's probability, and whether the item has it.

    Args:
        probabilities: float (items, labels); at least one item.
        truth: bool or 0 and 1 (items, labels).
    """
    said, right = _decisions(task, np.asarray(probabilities, dtype=np.float64), np.asarray(truth) > 0.5)
    places = _place(said)
    counts, gaps = np.bincount(places.ravel(), minlength=BINS), _gaps(said - right, places)
    error = _error(gaps.sum(axis=0), said.size)
    drawn = _error(_draw_again(gaps, np.random.default_rng(0)), said.size)
    perfect = _error(_draw_perfect(said, places, np.random.default_rng(0)), said.size)
    chance = float(perfect.mean()), float(np.quantile(perfect, 0.95))
    return Reliability(
        items=len(said),
        decisions=said.size,
        said=float(said.mean()),
        right=float(right.mean()),
        error=float(error),
        interval=_reflect(float(error), drawn, chance[1]),
        chance=chance,
        bins=[
            _describe(place, said[places == place], right[places == place])
            for place in np.flatnonzero(counts)
        ],
    )


def find_error(task: str, probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the expected calibration error alone, 0 to 1; arguments are those of `measure`."""
    said, right = _decisions(task, np.asarray(probabilities, dtype=np.float64), np.asarray(truth) > 0.5)
    return float(_error(np.bincount(_place(said).ravel(), (said - right).ravel(), BINS), said.size))


def _decisions(task: str, probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (items, decisions of each): the probabilities that count, and whether what they say is so."""
    if task != SINGLE:
        return probabilities, truth
    likeliest = probabilities.argmax(axis=1)[:, np.newaxis]
    return np.take_along_axis(probabilities, likeliest, 1), np.take_along_axis(truth, likeliest, 1)


def _place(said: np.ndarray) -> np.ndarray:
    """Return the bin of each probability: from just above its lower edge up to its upper one."""
    return np.clip(np.ceil(said * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _gaps(off: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return float (items, bins): what each item adds to the sum of its bins."""
    rows = np.arange(len(off))[:, np.newaxis] * BINS + places
    return np.bincount(rows.ravel(), off.ravel(), len(off) * BINS).reshape(len(off), BINS)


def _error(sums: np.ndarray, decisions: int) -> np.ndarray:
    """Return Σ |sum of a bin| / decisions, which is Σ share of the bin × |mean said − share right|."""
    return np.abs(sums).sum(axis=-1) / decisions


def _draw_again(gaps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return (draws, bins): the sums when the items are drawn anew, with replacement (Efron 1979)."""
    count = len(gaps)
    if count <= DRAWN_ITEM_BY_ITEM:
        return random.multinomial(count, np.full(count, 1 / count), size=DRAWS) @ gaps
    centred = gaps - gaps.mean(axis=0)
    return random.multivariate_normal(gaps.sum(axis=0), centred.T @ centred, size=DRAWS, method="eigh")


def _draw_perfect(said: np.ndarray, places: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return (draws, bins): the sums when everything is right exactly as often as was said."""
    said, places = said.ravel(), places.ravel()
    if len(said) > DRAWN_ITEM_BY_ITEM:
        spread = np.sqrt(np.bincount(places, said * (1 - said), BINS))
        return random.normal(size=(DRAWS, BINS)) * spread
    off = said - (random.random((DRAWS, len(said))) < said)
    return off @ np.eye(BINS)[places]


def _reflect(error: float, drawn: np.ndarray, by_chance: float) -> tuple[float, float]:
    """Return the bootstrap's basic interval: drawing anew raises this error, reflecting takes that back.

    It begins at 0 where chance alone may show as much, and holds the error itself. In simulations with 100 to
    3,000 items it held the true error 87 to 94 times of 100, the percentile interval 0 to 92 times.
    """
    low, high = np.quantile(drawn, [0.025, 0.975])
    least = 0.0 if error <= by_chance else max(0.0, 2 * error - float(high))
    return least, max(error, 2 * error - float(low))


def _describe(place: int, said: np.ndarray, right: np.ndarray) -> Bin:
    return Bin(
        low=float(place / BINS),
        high=float((place + 1) / BINS),
        count=len(said),
        said=float(said.mean()),
        right=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(right)),
    )


def uncalibrated(calibrated: Calibration, probabilities: np.ndarray) -> np.ndarray:
    """Return what the probabilities were without the calibration: at temperature 1, or scale 1 and offset 0.

    Args:
        calibrated: what made the probabilities.
        probabilities: float (items, labels); what lies below 1e-12 counts as that.
    """
    said = np.clip(np.asarray(probabilities, dtype=np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    if calibrated.task == SINGLE:
        return calibration.softmax(calibrated.temperature * np.log(said))
    scales = np.asarray(calibrated.scales)
    scores = (np.log(said) - np.log1p(-said) - calibrated.offsets) / np.where(scales == 0, 1.0, scales)
    return calibration.sigmoid(np.where(scales == 0, 0.0, scores))
