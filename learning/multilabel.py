"""How good a classifier of several labels an image is: F1, average precision, exact and binary accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from learning import reliability
from learning.calibration import MULTI

DRAWS = 2_000


def evaluate(
    probabilities: np.ndarray,
    targets: np.ndarray,
    labels: list[str],
    thresholds: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Measure multi-label predictions.

    Args:
        probabilities: float (items, labels), each 0 to 1; at least one item.
        targets: float (items, labels), 0 or 1.
        labels: their names.
        thresholds: one a label; 0.5 where there are none.

    Returns:
        items; micro_f1 (of all decisions together) with its interval (bootstrap over items, 95 %); macro_f1
        and mean_average_precision (means over the labels that some item has; None where none has one);
        binary_accuracy (share of decisions that are right) and exact_accuracy (share of items whose every
        decision is); log_loss (nats a decision); calibration_error (0 to 1, of all decisions); labels: for
        each label, precision, recall, f1, average_precision (None where no item has it), count and threshold.
        A share is 0 where nothing was there to divide by.
    """
    truth = np.asarray(targets) > 0.5
    limits = np.full(len(labels), 0.5) if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    said = probabilities >= limits
    rows = _measure_labels(probabilities, said, truth, labels, limits)
    is_used = truth.any(axis=0)
    hits, misses = (said & truth).sum(axis=1), (said != truth).sum(axis=1)
    return {
        "items": len(truth),
        "micro_f1": float(_f1(hits.sum(), misses.sum())),
        "interval": bootstrap_f1(hits, misses),
        "macro_f1": _mean(rows, "f1", is_used),
        "mean_average_precision": _mean(rows, "average_precision", is_used),
        "binary_accuracy": float((said == truth).mean()),
        "exact_accuracy": float((misses == 0).mean()),
        "log_loss": _log_loss(probabilities, truth),
        "calibration_error": reliability.find_error(MULTI, probabilities, truth),
        "labels": rows,
    }


def _measure_labels(
    probabilities: np.ndarray, said: np.ndarray, truth: np.ndarray, labels: list[str], limits: np.ndarray
) -> list[dict[str, Any]]:
    right, count, times = (said & truth).sum(axis=0), truth.sum(axis=0), said.sum(axis=0)
    columns = {
        "label": labels,
        "precision": (right / np.maximum(times, 1)).tolist(),
        "recall": (right / np.maximum(count, 1)).tolist(),
        "f1": _f1(right, (said != truth).sum(axis=0)).tolist(),
        "average_precision": [
            average_precision(*pair) for pair in zip(probabilities.T, truth.T, strict=True)
        ],
        "count": count.tolist(),
        "threshold": limits.tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _f1(hits: np.ndarray, misses: np.ndarray) -> np.ndarray:
    """Return 2 TP / (2 TP + FP + FN); `misses` are both kinds of wrong decisions."""
    return 2 * hits / np.maximum(2 * hits + misses, 1)


def _mean(rows: list[dict[str, Any]], name: str, is_used: np.ndarray) -> float | None:
    figures = [row[name] for row, counts in zip(rows, is_used, strict=True) if counts]
    return float(np.mean(figures)) if figures else None


def _log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    own = np.where(truth, probabilities, 1 - probabilities)
    return float(-np.log(np.maximum(own, 1e-15)).mean())


def average_precision(probabilities: np.ndarray, truth: np.ndarray) -> float | None:
    """Return the precision at every found item, averaged; equal probabilities count as one step.

    Σ (Rₙ - Rₙ₋₁) Pₙ, not interpolated, as scikit-learn's `average_precision_score`.

    Args:
        probabilities: float (items,). truth: bool (items,).

    Returns:
        0 to 1, or None where no item has the label.
    """
    if not truth.any():
        return None
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    last_of_equals = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    found = np.cumsum(truth[order])[last_of_equals]
    gained = np.diff(found, prepend=0) / found[-1]
    return float((gained * found / (last_of_equals + 1)).sum())


def bootstrap_f1(hits: np.ndarray, misses: np.ndarray, seed: int = 0) -> list[float]:
    """Return the 95 % interval of micro F1 when the items are drawn anew, with replacement (Efron 1979).

    Items with the same numbers of hits and misses are alike to it, so that how often each kind is drawn is
    drawn instead: exact, and as quick for a million items as for a hundred.

    Args:
        hits: int (items,), labels rightly said of each. misses: int (items,), wrong decisions of each.
        seed: the same gives the same interval.
    """
    kinds, counts = np.unique(np.stack([hits, misses], axis=1), axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(hits), counts / len(hits), size=DRAWS)
    values = _f1(draws @ kinds[:, 0], draws @ kinds[:, 1])
    return np.quantile(values, [0.025, 0.975]).tolist()
