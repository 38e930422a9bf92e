"""From a network's or head's logits to probabilities that mean what they say, and to decisions.

Single-label: one temperature before the softmax (Guo et al. 2017, https://arxiv.org/abs/1706.04599).
Multi-label: a scale and an offset for each label before the sigmoid (Platt 1999, "Probabilistic Outputs for
Support Vector Machines"), and a threshold for each label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SINGLE, MULTI = "single-label", "multi-label"
LEAST_TEMPERATURE = 1e-6  # dividing by less leaves no number
# Inverse temperatures over the greatest say only how few items there are. The least are for networks of
# others, which may give logits of thousands.
SHARPNESS_RANGE = (1e-4, 20.0)
NEWTON_STEPS = 50
HALVINGS = 20
ENOUGH = 1e-6  # nats an item: a step that gains less is the last
LEAST_SCALE = 1e-3  # for scores of unit spread: a label nothing was learnt of keeps its order, barely
THRESHOLD_RANGE = (0.05, 0.95)


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities.

    Attributes:
        task: `single-label` uses `temperature`, `multi-label` `scales` and `offsets`, one number a label.
        thresholds: from which probability on each label is said, one number a label; none of them in a
            single-label task, where the likeliest label is then always said.
    """

    task: str
    temperature: float = 1.0
    scales: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return float64 (..., labels): each 0 to 1, and of a single-label task summing to 1.

        Args:
            logits: float (..., labels).
        """
        exact = np.asarray(logits, dtype=np.float64)
        if self.task == SINGLE:
            return softmax(exact / self.temperature)
        return sigmoid(exact * self.scales + self.offsets)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return bool (..., labels): what is said, as `decide` has it."""
        return decide(self.task, probabilities, self.thresholds)

    def to_spec(self) -> dict[str, Any]:
        """Return what package.json says of it."""
        if self.task == SINGLE:
            return {"temperature": self.temperature, "thresholds": list(self.thresholds)}
        return {
            "scales": list(self.scales),
            "offsets": list(self.offsets),
            "thresholds": list(self.thresholds),
        }


def from_spec(spec: dict[str, Any]) -> Calibration:
    """Return the calibration that package.json tells of.

    Raises:
        ValueError: a number is missing, none, or there is not one for each label.
    """
    if spec["task"] == SINGLE:
        temperature = _read([spec.get("temperature")], 1)[0]
        if temperature < LEAST_TEMPERATURE:
            raise ValueError("The calibration's temperature is none.")
        return Calibration(SINGLE, temperature=temperature, thresholds=_read_limits(spec))
    count = len(spec["labels"])
    return Calibration(
        MULTI, **{name: _read(spec.get(name), count) for name in ("scales", "offsets", "thresholds")}
    )


def _read_limits(spec: dict[str, Any]) -> tuple[float, ...]:
    limits = spec.get("thresholds") or []
    return _read(limits, len(spec["labels"])) if limits else ()


def _read(numbers: Any, count: int) -> tuple[float, ...]:
    try:
        read = tuple(float(number) for number in numbers)
    except TypeError:
        raise ValueError("The calibration is not a list of numbers.") from None
    if len(read) != count or not np.isfinite(read).all():
        raise ValueError("The calibration does not fit the labels.")
    return read


def fit(logits: np.ndarray, targets: np.ndarray, task: str) -> Calibration:
    """Return the calibration with the least log-loss on items that what gave the logits never learnt from.

    Where there is no item, probabilities are what the logits say by themselves.

    Args:
        logits: float (items, labels).
        targets: float (items, labels): 1 where the item has the label, else 0.
    """
    if not len(logits):
        return _leave_as_is(targets.shape[1], task)
    exact = np.asarray(logits, dtype=np.float64)
    if task == SINGLE:
        sharpness, _ = fit_sharpness(exact, smooth(targets), SHARPNESS_RANGE, start=1.0)
        return Calibration(SINGLE, temperature=1 / sharpness)
    scales, offsets, _ = fit_sigmoids(exact, targets)
    thresholds = choose_thresholds(sigmoid(exact * scales + offsets), targets)
    return Calibration(MULTI, 1.0, tuple(scales.tolist()), tuple(offsets.tolist()), tuple(thresholds))


def _leave_as_is(count: int, task: str) -> Calibration:
    if task == SINGLE:
        return Calibration(SINGLE)
    return Calibration(MULTI, 1.0, (1.0,) * count, (0.0,) * count, (0.5,) * count)


def decide(task: str, probabilities: np.ndarray, thresholds: Any = ()) -> np.ndarray:
    """Return bool (..., labels): which labels are said.

    Of a single-label task the likeliest one, unless there are thresholds and it is below its own; of a
    multi-label one every label at or above its threshold (else 0.5).
    """
    if task == SINGLE:
        is_likeliest = np.arange(probabilities.shape[-1]) == probabilities.argmax(axis=-1)[..., np.newaxis]
        return is_likeliest & (probabilities >= np.asarray(thresholds)) if len(thresholds) else is_likeliest
    return probabilities >= (np.asarray(thresholds) if len(thresholds) else 0.5)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities along the last axis, safe against overflow."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, each by itself, safe against overflow."""
    return np.exp(-np.logaddexp(0, -logits))


def smooth(targets: np.ndarray) -> np.ndarray:
    """Move 1 / (n + 1) of each target to all labels alike, so that a few right answers never mean certainty.

    After Platt 1999, "Probabilistic Outputs for Support Vector Machines".
    """
    share = 1 / (len(targets) + 1)
    return targets * (1 - share) + share / targets.shape[1]


def fit_sharpness(
    scores: np.ndarray, targets: np.ndarray, limits: tuple[float, float], start: float
) -> tuple[float, float]:
    """Return the inverse temperature with the least mean log-loss, and that loss; convex, so Newton finds it.

    Args:
        scores: (items, labels). targets: (items, labels), rows summing to 1.
        limits: the least and the greatest that may come out; start: where the search begins.
    """
    sharpness, (low, high) = start, limits
    for _ in range(NEWTON_STEPS):
        probabilities = softmax(sharpness * scores)
        expected = (probabilities * scores).sum(axis=1)
        slope = (expected - (targets * scores).sum(axis=1)).sum()
        curvature = (probabilities * scores**2).sum() - (expected**2).sum()
        step = np.clip(slope / max(curvature, 1e-12), -sharpness, sharpness / 2)
        previous, sharpness = sharpness, float(np.clip(sharpness - step, low, high))
        if abs(previous - sharpness) < 1e-4 * sharpness:
            break
    logs = np.log(np.maximum(softmax(sharpness * scores), 1e-300))
    return sharpness, float(-(targets * logs).sum(axis=1).mean())


def fit_sigmoids(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a scale and an offset for each label, and the mean log-loss (nats a decision) they leave.

    Newton's method with halved steps, for all labels at once, as in Lin, Lin & Weng 2007, "A Note on Platt's
    Probabilistic Outputs for Support Vector Machines"; targets are smoothed as Platt does, so that a label
    that every item has, or none, gives finite numbers. A scale is never negative: where a label's scores say
    the opposite of the truth, as those of a hardly ever seen label may, its share is all that is kept.

    Args:
        scores: float (items, labels).
        targets: float (items, labels), 0 or 1.
    """
    mean, spread = scores.mean(axis=0), scores.std(axis=0)
    is_flat = spread < 1e-9
    spread = np.where(is_flat, 1.0, spread)
    unit, wanted = (scores - mean) / spread, _smooth_each(targets)
    line = _descend(unit, wanted)
    flat = np.stack([np.full(len(mean), LEAST_SCALE), _level(wanted)])
    line = np.where(line[0] < LEAST_SCALE, flat, line)
    scales = np.where(is_flat, 0.0, line[0] / spread)
    return scales, line[1] - scales * mean, float(_losses(line, unit, wanted).sum() / scores.size)


def _descend(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return (2, labels), scale and offset of each label with the least log-loss; scores of unit spread."""
    line = np.stack([np.zeros(scores.shape[1]), _level(wanted)])
    losses = _losses(line, scores, wanted)
    for _ in range(NEWTON_STEPS):
        line, better = _walk(line, _newton_step(line, scores, wanted), losses, scores, wanted)
        gained, losses = (losses - better).max(), better
        if gained < ENOUGH * len(scores):
            break
    return line


def _level(wanted: np.ndarray) -> np.ndarray:
    """Return the offsets that give each label its share, whatever the score."""
    share = wanted.mean(axis=0)
    return np.log(share / (1 - share))


def _smooth_each(targets: np.ndarray) -> np.ndarray:
    """Return Platt's targets: (n₊ + 1) / (n₊ + 2) for a label's own items, 1 / (n₋ + 2) for the others."""
    own = targets.sum(axis=0)
    return np.where(targets > 0.5, (own + 1) / (own + 2), 1 / (len(targets) - own + 2))


def _losses(line: np.ndarray, scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return each label's log-loss, summed over the items."""
    logits = line[0] * scores + line[1]
    return (np.logaddexp(0, logits) - wanted * logits).sum(axis=0)


def _newton_step(line: np.ndarray, scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return (2, labels): how far scale and offset of each label should move."""
    said = sigmoid(line[0] * scores + line[1])
    off, weight = said - wanted, said * (1 - said)
    slope, level = (off * scores).sum(axis=0), off.sum(axis=0)
    aa = (weight * scores**2).sum(axis=0) + 1e-9
    ab = (weight * scores).sum(axis=0)
    bb = weight.sum(axis=0) + 1e-9
    determinant = aa * bb - ab**2
    return np.stack([ab * level - bb * slope, ab * slope - aa * level]) / determinant


def _walk(
    line: np.ndarray, step: np.ndarray, loss: np.ndarray, scores: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lines after a step, halved for each label until its loss is no greater, and the losses."""
    for _ in range(HALVINGS):
        tried = line + step
        losses = _losses(tried, scores, wanted)
        is_worse = ~(losses <= loss)
        if not is_worse.any():
            return tried, losses
        step = np.where(is_worse, step / 2, step)
    return np.where(is_worse, line, tried), np.where(is_worse, loss, losses)


def choose_thresholds(probabilities: np.ndarray, targets: np.ndarray) -> list[float]:
    """Return for each label the threshold, 0.05 to 0.95, with the greatest F1; 0.5 where no item has it.

    It lies halfway between two neighbouring probabilities; of several as good, the one nearest to 0.5. Where
    nothing is better than always saying the label, nothing was learnt of it, and 0.5 stays.
    """
    pairs = zip(probabilities.T, targets.T, strict=True)
    return [_choose_threshold(said, truth > 0.5) for said, truth in pairs]


def _choose_threshold(said: np.ndarray, truth: np.ndarray) -> float:
    if not truth.any():
        return 0.5
    order = np.argsort(-said, kind="stable")
    said, found = said[order], np.cumsum(truth[order])
    f1 = 2 * found / (np.arange(1, len(said) + 1) + found[-1])
    between = np.append((said[:-1] + said[1:]) / 2, said[-1] / 2)
    can_part = np.append(said[:-1] > said[1:], True)
    allowed = can_part & (between >= THRESHOLD_RANGE[0]) & (between <= THRESHOLD_RANGE[1])
    if not allowed.any():
        return 0.5
    f1 = np.where(allowed, f1, -1.0)
    if f1.max() <= 2 * found[-1] / (len(said) + found[-1]) + 1e-12:
        return 0.5
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(between[best[np.abs(between[best] - 0.5).argmin()]])
