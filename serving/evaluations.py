"""What a version said of items it had not learnt from: who was confused with whom, and where it erred most.

The trainer writes evaluation.json beside its result; it is read once and kept small in memory. Which labels a
multi-label version says of an item is decided by the thresholds that are in force, as answers are.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from flask import current_app

from learning import suspects
from learning.package import PackageDamaged, read_calibration
from learning.suspects import Suspects
from models import TASKS, Version

FILES_KEPT = 8
MULTI_LABEL = TASKS[1]
DECISIONS = ("found", "missed", "wrongly")  # of one label: rightly said, not said, said of what lacks it


@dataclass(frozen=True)
class Judged:
    """One item as it was judged: its own labels and those that were predicted, with their probabilities."""

    sha256: str
    name: str
    split: str
    taught: list[tuple[str, float]]
    predicted: list[tuple[str, float]]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All judged items as rows of the same order; equal only to itself, so that what it says can be cached.

    Attributes:
        by: what judged each: leave_one_out, validation or test.
        truth, said: bool (items, labels); a single-label version says exactly one label.
        probabilities: float32 (items, labels).
        has_several: whether an item may have several labels, or none.
        thresholds: of such a version, from which probability on each label is said now.
    """

    labels: list[str]
    hashes: list[str]
    names: list[str]
    splits: list[str]
    by: np.ndarray
    truth: np.ndarray
    said: np.ndarray
    probabilities: np.ndarray
    has_several: bool
    thresholds: tuple[float, ...] | None = None

    @cached_property
    def places(self) -> dict[str, int]:
        """The row of every item, by its hash."""
        return {sha256: row for row, sha256 in enumerate(self.hashes)}

    @cached_property
    def taught(self) -> list[frozenset[str]]:
        """The labels of every item, as they were then; equal ones are one object, to take less memory."""
        named = [self.labels[place] for place in np.nonzero(self.truth)[1].tolist()]
        ends = [0, *self.truth.sum(axis=1).cumsum().tolist()]
        borne = [tuple(named[start:end]) for start, end in itertools.pairwise(ends)]
        sets = {labels: frozenset(labels) for labels in set(borne)}
        return [sets[labels] for labels in borne]

    @cached_property
    def suspects(self) -> Suspects:
        """Whose labels are probably wrong."""
        return suspects.rank(self.probabilities, self.truth, TASKS[self.has_several])

    def most_wrong(self) -> np.ndarray:
        """Items judged wrong, the surest mistakes first: where the label itself is wrong, it shows here.

        How sure: of one label the predicted one's probability, of several the sum over the wrong decisions.
        """
        is_wrong = self.said != self.truth
        unsaid = 1 - self.probabilities if self.has_several else 0
        off = np.where(self.said, self.probabilities, unsaid)
        return _sort(np.flatnonzero(is_wrong.any(axis=1)), (off * is_wrong).sum(axis=1))

    def cell(self, true: int, predicted: int, by: str) -> np.ndarray:
        """Items of one cell of the confusion matrix of a single-label version, the surest first."""
        is_here = self.truth[:, true] & self.said[:, predicted] & (self.by == by)
        return _sort(np.flatnonzero(is_here), self.probabilities[:, predicted])

    def decided(self, label: int, decision: str, by: str) -> np.ndarray:
        """Items whose `label` was `found`, `missed` or said `wrongly`, the likeliest of them first."""
        truth, said = self.truth[:, label], self.said[:, label]
        chosen = {"found": truth & said, "missed": truth & ~said, "wrongly": ~truth & said}[decision]
        return _sort(np.flatnonzero(chosen & (self.by == by)), self.probabilities[:, label])

    def count_decisions(self, by: str) -> np.ndarray:
        """Return int (labels, 3): how often each label was found, missed and wrongly said."""
        truth, said = self.truth[self.by == by], self.said[self.by == by]
        parts = (truth & said, truth & ~said, ~truth & said)
        return np.stack([part.sum(axis=0) for part in parts], axis=1)

    def judged(self, rows: np.ndarray) -> list[Judged]:
        """Return these rows, one record each."""
        return [self._row(int(row)) for row in rows]

    def _row(self, row: int) -> Judged:
        return Judged(
            sha256=self.hashes[row],
            name=self.names[row],
            split=self.splits[row],
            taught=self._name(row, self.truth),
            predicted=self._name(row, self.said),
        )

    def _name(self, row: int, which: np.ndarray) -> list[tuple[str, float]]:
        """The labels that `which` marks in this row with their probabilities, the likeliest first."""
        places = sorted(np.flatnonzero(which[row]), key=lambda place: -self.probabilities[row, place])
        return [(self.labels[place], float(self.probabilities[row, place])) for place in places]


def _sort(rows: np.ndarray, sureness: np.ndarray) -> np.ndarray:
    return rows[np.argsort(-sureness[rows], kind="stable")]


def of(version: Version) -> Evaluation | None:
    """Read what a version said of the items that it was judged by; None where that can't be read."""
    folder = _folder(version)
    return read(folder / "evaluation.json", version.labels, thresholds_of(version))


def thresholds_of(version: Version) -> list[float] | None:
    """Return from which probability on a multi-label version says each label now; None of any other.

    Where its package can't be read these are the thresholds of its training.
    """
    trained = trained_thresholds(version)
    try:
        calibrated = read_calibration(_folder(version) / "package")
    except PackageDamaged:
        return trained
    return list(calibrated.thresholds) if calibrated.task == MULTI_LABEL else trained


def trained_thresholds(version: Version) -> list[float] | None:
    """Return the thresholds that the figures in its metrics are of; None of a single-label version."""
    metrics = version.metrics
    rows = (metrics.get(judged_by(version)) or {}).get("labels")
    if isinstance(rows, list) and rows and all("threshold" in row for row in rows):
        return [row["threshold"] for row in rows]
    return [0.5] * len(version.labels) if metrics.get("task") == MULTI_LABEL else None


def judged_by(version: Version) -> str:
    """Return what the version's score and its labels' figures are by: leave_one_out, validation or test."""
    return (version.metrics.get("score") or {}).get("by", "leave_one_out")


def _folder(version: Version) -> Path:
    return current_app.config["PIGEONHOLE"].folder("runs") / version.run.folder


def read(path: Path, labels: list[str], thresholds: list[float] | None = None) -> Evaluation | None:
    """Read an evaluation.json; None where there is none (or a damaged one).

    Args:
        path: where it lies.
        labels: the version's labels, in the order of the probabilities.
        thresholds: of a multi-label version, one a label; None where the likeliest label is said.
    """
    try:
        limits = tuple(thresholds) if thresholds is not None else None
        return _decide(path, tuple(labels), limits, path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=FILES_KEPT)
def _decide(
    path: Path, labels: tuple[str, ...], thresholds: tuple[float, ...] | None, changed: int
) -> Evaluation:
    """`changed`, the file's time, is part of the key: a file written anew is read anew."""
    judged = _read(path, labels, changed)
    if thresholds is None:
        return judged
    said = judged.probabilities >= np.array(thresholds, dtype=np.float32)
    return replace(judged, said=said, has_several=True, thresholds=thresholds)


@lru_cache(maxsize=FILES_KEPT)
def _read(path: Path, labels: tuple[str, ...], changed: int) -> Evaluation:
    """Read the file as if each item had one label, the likeliest: thresholds change more often than it."""
    items = json.loads(path.read_text(encoding="utf-8"))["items"]
    probabilities = np.array([item["probabilities"] for item in items], dtype=np.float32)
    probabilities = probabilities.reshape(len(items), len(labels))
    return Evaluation(
        labels=list(labels),
        hashes=[item["sha256"] for item in items],
        names=[item["name"] for item in items],
        splits=[item["split"] for item in items],
        by=np.array([_by(item) for item in items]),
        truth=_mark(labels, items),
        said=np.arange(len(labels)) == probabilities.argmax(axis=1)[:, np.newaxis],
        probabilities=probabilities,
        has_several=False,
    )


def _by(item: dict[str, Any]) -> str:
    """What judged the item; files of before there were several recipes say it by the split."""
    return item.get("by") or ("test" if item["split"] == "test" else "leave_one_out")


def _mark(labels: tuple[str, ...], items: list[dict[str, Any]]) -> np.ndarray:
    places = {label: place for place, label in enumerate(labels)}
    truth = np.zeros((len(items), len(labels)), dtype=bool)
    for row, item in enumerate(items):
        truth[row, [places[label] for label in item["labels"]]] = True
    return truth
