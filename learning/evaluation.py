"""How good a classifier is, and how sure one can be of that, from predictions of items it never saw.

In numpy rather than scikit-learn, whose import alone takes 0.6 s of the 3 s in which a training with known
embeddings answers; tests compare the two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learning import multilabel, reliability
from learning.calibration import SINGLE
from learning.intervals import wilson_interval
from utils import write_atomically

LEAST_KEPT = 1e-15  # of a probability
# What is measured by, and what is measured beside the score of several labels, in words for a person.
BLOCK_NAMES = {"leave_one_out": "Leave-one-out", "validation": "Validation", "test": "Untouched test"}
SHARE_NAMES = {
    "macro_f1": "Macro F1",
    "mean_average_precision": "Mean average precision",
    "binary_accuracy": "Binary accuracy",
    "exact_accuracy": "Exact accuracy",
}


def measure(
    task: str,
    probabilities: np.ndarray,
    targets: np.ndarray,
    labels: list[str],
    thresholds: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Measure predictions of items that were not learnt from: the one door for every recipe.

    Args:
        task: `single-label` or `multi-label`.
        probabilities: float (items, labels), calibrated; at least one item.
        targets: float (items, labels): 1 where the item has the label, else 0.
        labels: their names.
        thresholds: one a label, of a multi-label version; 0.5 where there are none.

    Returns:
        What `evaluate` gives, or `multilabel.evaluate`.
    """
    if task == SINGLE:
        return evaluate(probabilities, targets.argmax(axis=1), labels)
    return multilabel.evaluate(probabilities, targets, labels, thresholds)


def summarise(
    task: str, *, leave_one_out: dict | None = None, validation: dict | None = None, test: dict | None = None
) -> dict[str, Any]:
    """Return a version's metrics of the blocks that `measure` gave.

    The score is by leave-one-out, which sees the most items, else by the test split, else by the validation
    split, which a recipe that stops early has chosen on.

    Returns:
        task, score (name, value 0 to 1, interval of 95 %, by), the three blocks, and for a single-label task
        accuracy and interval.
    """
    blocks = {"leave_one_out": leave_one_out, "validation": validation, "test": test}
    by = next(name for name in ("leave_one_out", "test", "validation") if blocks[name])
    name = "accuracy" if task == SINGLE else "micro_f1"
    value, interval = blocks[by][name], blocks[by]["interval"]
    told = {"accuracy": value, "interval": interval} if task == SINGLE else {}
    score = {"name": name, "value": value, "interval": interval, "by": by}
    return {"task": task, "score": score, **told, **blocks}


def chief(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the block of a version's metrics that its score is of (of an old version, leave-one-out)."""
    return metrics[metrics.get("score", {}).get("by", "leave_one_out")]


def evaluate(probabilities: np.ndarray, truth: np.ndarray, labels: list[str]) -> dict[str, Any]:
    """Measure single-label predictions.

    Args:
        probabilities: float (items, labels), rows summing to 1.
        truth: int (items,), indices of the right labels.
        labels: their names.

    Returns:
        items, correct, accuracy, interval (95 %), log_loss (nats an item), calibration_error (0 to 1), labels
        (for each: label, precision, recall, f1, count; 0 where nothing was there to divide by) and confusion:
        a list of rows, one a true label, of how often each label was predicted.
    """
    confusion = confuse(probabilities.argmax(axis=1), truth, len(labels))
    count, correct = len(truth), int(np.trace(confusion))
    own = probabilities[np.arange(count), truth]
    return {
        "items": count,
        "correct": correct,
        "accuracy": correct / count,
        "interval": list(wilson_interval(correct, count)),
        "log_loss": float(-np.log(np.maximum(own, 1e-15)).mean()),
        "calibration_error": reliability.find_error(SINGLE, probabilities, np.eye(len(labels))[truth]),
        "labels": measure_labels(confusion, labels),
        "confusion": confusion.tolist(),
    }


def confuse(predicted: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    """Return the confusion matrix, int (count, count): rows are true labels, columns predicted ones."""
    return np.bincount(truth * count + predicted, minlength=count * count).reshape(count, count)


def measure_labels(confusion: np.ndarray, labels: list[str]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 (0 to 1) and the number of items of every label."""
    right, counts, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(counts, 1)
    f1 = 2 * right / np.maximum(counts + predicted, 1)
    rows = zip(labels, precision.tolist(), recall.tolist(), f1.tolist(), counts.tolist(), strict=True)
    return [dict(zip(("label", "precision", "recall", "f1", "count"), row, strict=True)) for row in rows]


def round_figures(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities to six significant digits, whose logarithms are kept; 0 below 1e-15."""
    places = 5 - np.floor(np.log10(np.clip(probabilities, LEAST_KEPT, 1)))
    tens = 10.0**places
    return np.where(probabilities < LEAST_KEPT, 0.0, np.round(probabilities * tens) / tens)


def write(
    path: Path, labels: list[str], items: list[dict], by: list[str], probabilities: np.ndarray, measured: dict
) -> None:
    """Write evaluation.json: what was predicted of each item out of sample, and the labels' figures.

    Args:
        path: of evaluation.json.
        labels: their names.
        items: manifest lines, only those that were predicted by something that never saw them.
        by: what predicted each: leave_one_out, validation or test.
        probabilities: float (items, labels).
        measured: the block of figures that the page shows label by label.
    """
    lines = [
        {
            **{key: item.get(key) for key in ("sha256", "name", "split", "labels")},
            "by": kind,
            "probabilities": row,
        }
        for item, kind, row in zip(items, by, round_figures(probabilities).tolist(), strict=True)
    ]
    content = {
        "names": labels,
        "labels": measured["labels"],
        "confusion": measured.get("confusion"),  # of a single-label task
        "items": lines,
    }
    write_atomically(path, json.dumps(content, ensure_ascii=False) + "\n")
