"""A version's figures in plain words: how often it is right, how sure that is, whether the test agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from learning.calibration import MULTI
from learning.evaluation import BLOCK_NAMES, SHARE_NAMES, measure
from models import Version
from serving import evaluations
from serving.evaluations import Evaluation
from web.readiness import FEW
from web.sureness import with_intervals

KEPT = 8

# What it means that this measured; {} is a number of images in words
BLOCKS = {
    "leave_one_out": "Each of {} was judged by a classifier that had learnt from all the others.",
    "validation": "{} that were not learnt from, but by which the best moment was chosen.",
    "test": "{} that were put aside and never used to choose anything.",
}
SHARES = {
    "macro_f1": "F1 of every label, averaged: rare labels count as much as common ones.",
    "mean_average_precision": "How well images are ranked, at any threshold.",
    "binary_accuracy": "Of all decisions, label by label, how many are right.",
    "exact_accuracy": "Of all images, how many are right in every label.",
}


@dataclass(frozen=True)
class Figure:
    """One measured share with its 95 % interval from low to high, 0 to 1, of `items` images.

    Attributes:
        by: leave_one_out, validation or test.
        is_f1: whether it is a micro F1; otherwise it is an accuracy.
        shares: of a multi-label version, the other figures: (name, value or None, what it means).
    """

    by: str
    value: float
    low: float
    high: float
    items: int
    is_f1: bool = False
    shares: Sequence[tuple[str, float | None, str]] = ()

    @property
    def title(self) -> str:
        """What measured it, for a person."""
        return BLOCK_NAMES[self.by]

    def explain(self, images: str) -> str:
        """What measured it, in a sentence; `images` is their number in words."""
        return BLOCKS[self.by].format(images)

    def words(self) -> str:
        """The interval as a sentence, outward to whole per cents."""
        return f"between {_down(self.low)} and {_up(self.high)} % for new images like these"


@dataclass(frozen=True)
class Figures:
    """What measured the version beside the untouched test split, and every label."""

    chosen: Figure | None  # leave-one-out, or validation for recipes that have no leave-one-out
    test: Figure | None
    by: str  # whose figures the labels are, and by which the version is judged
    labels: list[dict[str, Any]]
    few: list[str]  # labels with too few items for their figures to say much
    trained_score: float | None = None  # where the figures are by other thresholds: by those of the training

    @property
    def all(self) -> list[Figure]:
        """The figures there are."""
        return [one for one in (self.chosen, self.test) if one]

    @property
    def is_small(self) -> bool:
        """Whether the figures come from so few items that the interval says more than the number."""
        return bool(self.few)

    @property
    def is_confirmed(self) -> bool | None:
        """Whether the two intervals overlap where it counts: the test lies inside the other's."""
        if self.chosen is None or self.test is None:
            return None
        return self.chosen.low <= self.test.value <= self.chosen.high

    @property
    def is_compatible(self) -> bool:
        """Whether the other figure lies inside the test's own, wider interval."""
        return self.test.low <= self.chosen.value <= self.test.high


def of(version: Version, evaluation: Evaluation | None = None) -> Figures:
    """Read them from the version's metrics, or count them anew where somebody chose other thresholds.

    Args:
        evaluation: what the version said of the items that it was judged by, where that can be read.
    """
    is_anew = evaluation is not None and has_other_thresholds(version, evaluation)
    metrics = version.metrics | (_count(evaluation) if is_anew else {})
    by = evaluations.judged_by(version)
    labels = with_intervals(metrics.get(by) or {})
    other = "leave_one_out" if metrics.get("leave_one_out") else "validation"
    return Figures(
        chosen=_figure(other, metrics.get(other)),
        test=_figure("test", metrics.get("test")),
        by=by,
        labels=labels,
        few=[row["label"] for row in labels if row["count"] < FEW],
        trained_score=(score_of(version) or {}).get("value") if is_anew else None,
    )


def has_other_thresholds(version: Version, evaluation: Evaluation) -> bool:
    """Whether a multi-label version says labels from other thresholds on than those of its training."""
    return evaluation.has_several and list(evaluation.thresholds) != evaluations.trained_thresholds(version)


@lru_cache(KEPT)
def _count(evaluation: Evaluation) -> dict[str, Any]:
    """Return the blocks of a multi-label version's metrics by the thresholds in force; None without items."""
    blocks = {}
    for by in BLOCK_NAMES:
        rows = evaluation.by == by
        said, truth = evaluation.probabilities[rows].astype(np.float64), evaluation.truth[rows]
        measured = (MULTI, said, truth, evaluation.labels, evaluation.thresholds)
        blocks[by] = measure(*measured) if len(said) else None
    return blocks


def score_of(version: Version) -> dict[str, Any] | None:
    """Return the version's score (name, value, interval, by), None where it has none."""
    metrics = version.metrics
    if metrics.get("score"):
        return metrics["score"]
    if "accuracy" not in metrics:
        return None
    return {"name": "accuracy", "value": metrics["accuracy"], "interval": metrics.get("interval")}


def _figure(by: str, block: dict[str, Any] | None) -> Figure | None:
    name = "micro_f1" if block and "micro_f1" in block else "accuracy"
    if not block or name not in block:
        return None
    low, high = block["interval"]
    shares = [(SHARE_NAMES[key], block[key], words) for key, words in SHARES.items() if key in block]
    return Figure(by, block[name], low, high, block["items"], name == "micro_f1", shares)


def _down(share: float) -> int:
    return int(100 * share)


def _up(share: float) -> int:
    return min(100, -int(-100 * share // 1))
