"""What a version said of items it had not learnt from: who was confused with whom, and where it erred most.

The trainer writes evaluation.json beside its result; it is read once and kept small in memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

FILES_KEPT = 8


@dataclass(frozen=True)
class Judged:
    """One item as it was judged, with the probabilities (0 to 1) of its own and of the predicted label."""

    sha256: str
    name: str
    split: str
    label: str
    predicted: str
    own_probability: float
    probability: float


@dataclass(frozen=True)
class Evaluation:
    """All judged items as columns of the same length; `true` and `predicted` are indices into `labels`."""

    labels: list[str]
    hashes: list[str]
    names: list[str]
    splits: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    own_probabilities: np.ndarray
    probabilities: np.ndarray

    def most_wrong(self) -> np.ndarray:
        """Items judged wrong, the surest mistakes first: where the label itself is wrong, it shows here."""
        wrong = np.flatnonzero(self.true != self.predicted)
        return wrong[np.argsort(-self.probabilities[wrong], kind="stable")]

    def cell(self, true: int, predicted: int) -> np.ndarray:
        """Items of one cell of the leave-one-out confusion matrix, the surest predictions first."""
        is_here = (self.true == true) & (self.predicted == predicted) & (self.splits != "test")
        found = np.flatnonzero(is_here)
        return found[np.argsort(-self.probabilities[found], kind="stable")]

    def judged(self, rows: np.ndarray) -> list[Judged]:
        """Return these rows, one record each."""
        return [self._row(int(row)) for row in rows]

    def _row(self, row: int) -> Judged:
        return Judged(
            sha256=self.hashes[row],
            name=self.names[row],
            split=str(self.splits[row]),
            label=self.labels[self.true[row]],
            predicted=self.labels[self.predicted[row]],
            own_probability=float(self.own_probabilities[row]),
            probability=float(self.probabilities[row]),
        )


def read(path: Path, labels: list[str]) -> Evaluation | None:
    """Read an evaluation.json of a single-label run; None where there is none (or a damaged one).

    Args:
        path: where it lies.
        labels: the version's labels, in the order of the probabilities.
    """
    try:
        return _read(path, tuple(labels), path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=FILES_KEPT)
def _read(path: Path, labels: tuple[str, ...], changed: int) -> Evaluation:
    """`changed`, the file's time, is part of the key: a file written anew is read anew."""
    items = json.loads(path.read_text(encoding="utf-8"))["items"]
    places = {label: place for place, label in enumerate(labels)}
    probabilities = np.array([item["probabilities"] for item in items], dtype=np.float32)
    probabilities = probabilities.reshape(len(items), len(labels))
    true = np.array([places[item["labels"][0]] for item in items], dtype=np.int64)
    predicted = probabilities.argmax(axis=1)
    rows = np.arange(len(items))
    return Evaluation(
        labels=list(labels),
        hashes=[item["sha256"] for item in items],
        names=[item["name"] for item in items],
        splits=np.array([item["split"] for item in items]),
        true=true,
        predicted=predicted,
        own_probabilities=probabilities[rows, true],
        probabilities=probabilities[rows, predicted],
    )
