"""Whether a version's probabilities mean what they say, before and after calibration: for page and API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from jobs import training
from learning import reliability
from learning.calibration import MULTI, SINGLE, Calibration
from learning.evaluation import BLOCK_NAMES
from learning.package import PackageDamaged, read_calibration
from learning.reliability import Bin, Reliability
from models import Version
from serving import evaluations
from serving.evaluations import Evaluation

KEPT = 8
SPOKEN = 0.8  # the probability that is explained by an example, if there are enough images near it
ENOUGH = 5


@dataclass(frozen=True)
class Block:
    """What one kind of judging found.

    Attributes:
        by: leave_one_out, validation or test.
        before: without the calibration; None where package.json cannot be read.
    """

    by: str
    before: Reliability | None
    after: Reliability

    @property
    def title(self) -> str:
        """What measured it, for a person."""
        return BLOCK_NAMES[self.by]

    @property
    def example(self) -> Bin | None:
        """The bin to explain what a probability means: of those with enough images, the one nearest 80 %."""
        enough = [part for part in self.after.bins if part.count >= ENOUGH]
        return min(enough, key=lambda part: abs(part.said - SPOKEN), default=None)

    def as_json(self) -> dict[str, Any]:
        """The block as plain values."""
        return {"before": self.before and self.before.as_json(), "after": self.after.as_json()}


def of(version: Version) -> list[Block]:
    """Return what is known of the version's probabilities, empty where its evaluation cannot be read."""
    evaluation = evaluations.of(version)
    if evaluation is None or not len(evaluation.hashes):
        return []
    return list(_of(evaluation, calibration_of(version)))


def as_json(version: Version) -> dict[str, Any] | None:
    """Return what the API tells of it; None where the version's evaluation cannot be read."""
    blocks, calibrated = of(version), calibration_of(version)
    if not blocks:
        return None
    numbers = calibrated.to_spec() if calibrated else {}
    numbers.pop("thresholds", None)
    return {"bins": reliability.BINS, **numbers, "blocks": {block.by: block.as_json() for block in blocks}}


def calibration_of(version: Version) -> Calibration | None:
    """Return the version's calibration without its thresholds; None where package.json cannot be read."""
    try:
        return replace(read_calibration(training.package_folder(version)), thresholds=())
    except PackageDamaged:
        return None


@lru_cache(KEPT)
def _of(evaluation: Evaluation, calibrated: Calibration | None) -> tuple[Block, ...]:
    task = MULTI if evaluation.has_several else SINGLE
    return tuple(
        _measure(task, evaluation, calibrated, evaluation.by == by, by)
        for by in BLOCK_NAMES
        if (evaluation.by == by).any()
    )


def _measure(
    task: str, evaluation: Evaluation, calibrated: Calibration | None, rows: np.ndarray, by: str
) -> Block:
    probabilities, truth = evaluation.probabilities[rows], evaluation.truth[rows]
    before = None
    if calibrated is not None and calibrated.task == task:
        unfitted = reliability.uncalibrated(calibrated, probabilities)
        before = reliability.measure(task, unfitted, truth)
    return Block(by, before, reliability.measure(task, probabilities, truth))
