"""From which probability on a label is said: what every threshold costs and brings, and the choice kept.

Saying fewer answers that are more often right: Geifman & El-Yaniv 2017, "Selective Classification for Deep
Neural Networks" (https://arxiv.org/abs/1705.08500). Thresholds are counted at 1,001 steps, so that a page can
look up what each does to 100,000 images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning import calibration, cards
from learning.calibration import SINGLE
from learning.intervals import wilson_interval
from learning.package import TRAINED_THRESHOLDS as TRAINED
from learning.package import PackageDamaged, hold, read_spec, update_spec
from utils import write_atomically

STEPS = 1_000
GRID = np.arange(STEPS + 1) / STEPS
DECIMALS = 3  # of a threshold that is chosen by hand
TARGETS = (0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Totals:
    """What thresholds make of all labels together.

    Of a single-label task `said` counts the images that are answered and `of` all images; of a multi-label
    one `said` counts the labels that are said and `of` those that the images have.

    Attributes:
        right: of what is said, how much is right.
    """

    said: int
    right: int
    of: int

    @property
    def wrong(self) -> int:
        """How much of what is said is wrong."""
        return self.said - self.right

    @property
    def share(self) -> float:
        """The share that is said, 0 to 1; of a multi-label task more than 1 where too much is said."""
        return self.said / max(self.of, 1)

    @property
    def precision(self) -> float | None:
        """How much of what is said is right; None where nothing is said."""
        return self.right / self.said if self.said else None

    @property
    def recall(self) -> float:
        """How much of what there is is said rightly."""
        return self.right / max(self.of, 1)

    @property
    def f1(self) -> float:
        """Both in one number; what is left open counts as missed."""
        return 2 * self.right / max(self.said + self.of, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `precision`."""
        return wilson_interval(self.right, self.said)


@dataclass(frozen=True)
class Table:
    """How often each label is said at every step, rightly and wrongly.

    Attributes:
        right, wrong: int (labels, STEPS + 1); column k is of the threshold k / STEPS.
        counts: int (labels,), how many items have each label.
        items: how many there are.
    """

    task: str
    right: np.ndarray
    wrong: np.ndarray
    counts: np.ndarray
    items: int

    def label(self, place: int, step: int) -> Totals:
        """What one label's threshold makes of it."""
        right, wrong = int(self.right[place, step]), int(self.wrong[place, step])
        return Totals(right + wrong, right, int(self.counts[place]))

    def total(self, steps: Sequence[int]) -> Totals:
        """What thresholds make of all labels, one step a label."""
        rows = np.arange(len(self.counts))
        right, wrong = int(self.right[rows, steps].sum()), int(self.wrong[rows, steps].sum())
        return Totals(right + wrong, right, self.items if self.task == SINGLE else int(self.counts.sum()))

    def curve(self) -> list[Totals]:
        """What each step makes of all labels, were it the threshold of every one of them."""
        return [self.total([step] * len(self.counts)) for step in range(STEPS + 1)]


def count(task: str, probabilities: np.ndarray, truth: np.ndarray, present: Sequence[float] = ()) -> Table:
    """Count what every threshold does to items that were not learnt from.

    Args:
        probabilities: float (items, labels), calibrated.
        truth: bool (items, labels).
        present: one a label, which may lie between two steps: the step above it counts as exactly this.
    """
    labels = truth.shape[1]
    exact = np.round(np.asarray(probabilities, dtype=np.float64), 7)  # 0.9 again, where float32 made it less
    steps = np.searchsorted(GRID, exact, side="right") - 1
    if len(present):
        lifted = np.maximum(steps, [to_step(limit) for limit in present])
        steps = np.where(exact >= np.round(present, 7), lifted, steps)
    rows = np.arange(len(truth))[:, np.newaxis]
    places = np.broadcast_to(np.arange(labels), truth.shape)
    if task == SINGLE:
        places = probabilities.argmax(axis=1)[:, np.newaxis]
        steps, truth_said = steps[rows, places], truth[rows, places]
    else:
        truth_said = truth
    flat = (places * (STEPS + 1) + steps).ravel()
    is_right = truth_said.ravel()
    return Table(
        task=task,
        right=_from_each_step_on(flat[is_right], labels),
        wrong=_from_each_step_on(flat[~is_right], labels),
        counts=truth.sum(axis=0),
        items=len(truth),
    )


def _from_each_step_on(flat: np.ndarray, labels: int) -> np.ndarray:
    """Return int (labels, STEPS + 1): how many lie at each step or above it."""
    counts = np.bincount(flat, minlength=labels * (STEPS + 1)).reshape(labels, STEPS + 1)
    return counts[:, ::-1].cumsum(axis=1)[:, ::-1]


def to_step(threshold: float) -> int:
    """Return the first step that is no lower than the threshold."""
    return int(np.clip(np.ceil(round(threshold * STEPS, 6)), 0, STEPS))


def suggest_best_f1(table: Table) -> list[float]:
    """Return for each label of a single-label task the threshold with the greatest F1.

    What is left open counts as missed. Of thresholds that are as good the middle one, or 0 if that is one.
    """
    said = table.right + table.wrong
    f1 = 2 * table.right / np.maximum(said + table.counts[:, np.newaxis], 1)
    return [_middle_of_best(row) for row in f1]


def _middle_of_best(row: np.ndarray) -> float:
    best = np.flatnonzero(row >= row.max() - 1e-12)
    first = best[0]
    if not first:
        return 0.0
    together = best[: int(np.argmax(np.append(np.diff(best), 2) > 1)) + 1]
    return float(GRID[(first + together[-1]) // 2])


def suggest_right(table: Table, share: float) -> float | None:
    """Return the lowest threshold for all labels at which `share` of what is said is right, if any is."""
    right, said = table.right.sum(axis=0), (table.right + table.wrong).sum(axis=0)
    reached = np.flatnonzero((said > 0) & (right >= share * said - 1e-9))
    return float(GRID[reached[0]]) if len(reached) else None


def change(folder: str | Path, choose: Callable[[list[float]], Sequence[float]]) -> None:
    """Let a package say labels from the thresholds on that `choose` gives for the present ones, one a label.

    All 0 of a single-label package: always. Nobody else can change them in between.

    Raises:
        PackageDamaged: package.json is missing or damaged.
        ValueError: they do not fit the labels.
    """
    _update(folder, lambda spec: _with(spec, list(choose(present_of(spec)))))


def present_of(spec: dict[str, Any]) -> list[float]:
    """Return from which probability on each label is said; 0 where the likeliest one always is.

    Raises:
        ValueError: package.json's calibration is damaged.
    """
    return list(calibration.from_spec(spec).thresholds or (0.0,) * len(spec["labels"]))


def reset(folder: str | Path) -> None:
    """Let a package have the thresholds of its training again.

    Raises:
        PackageDamaged: package.json is missing or damaged.
    """
    _update(folder, _without)


def watch_for_unknown(folder: str | Path, is_on: bool) -> None:
    """Let a package reject what is like nothing it was taught, or give that a label too.

    Raises:
        PackageDamaged: package.json is missing or damaged.
        ValueError: the package has nothing that tells the unknown.
    """
    _update(folder, lambda spec: _watching(spec, is_on))


def _watching(spec: dict[str, Any], is_on: bool) -> dict[str, Any]:
    if not spec.get("rejection"):
        raise ValueError("This version can't tell what it was not taught. Train again.")
    return spec | {"rejection": spec["rejection"] | {"is_on": is_on}}


def _with(spec: dict[str, Any], limits: list[float]) -> dict[str, Any]:
    trained = trained_of(spec)
    is_open = spec["task"] == SINGLE and not any(limits)
    chosen = [] if is_open else limits
    if chosen == trained:
        return _without(spec)
    calibration.from_spec(spec | {"thresholds": chosen})  # raises where they do not fit
    return spec | {"thresholds": chosen, TRAINED: trained}


def _without(spec: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in spec.items() if name != TRAINED}
    return kept | {"thresholds": trained_of(spec)}


def trained_of(spec: dict[str, Any]) -> list[float]:
    """Return the thresholds that the training chose; none of a single-label package."""
    return spec.get(TRAINED, spec.get("thresholds")) or []


def is_chosen(spec: dict[str, Any]) -> bool:
    """Whether somebody chose other thresholds than the training did."""
    return TRAINED in spec


def _update(folder: str | Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change package.json and the card that tells of it; neither where the card can't be written."""

    def change_soundly(spec: dict[str, Any]) -> dict[str, Any]:
        changed = change(spec)
        _write_card(changed)
        return changed

    update_spec(folder, change_soundly)
    with hold(folder):
        write_atomically(Path(folder, "README.md"), _write_card(read_spec(folder)))


def _write_card(spec: dict[str, Any]) -> str:
    try:
        return cards.write(spec)
    except (AttributeError, KeyError, TypeError) as error:
        raise PackageDamaged("package.json is damaged: it lacks what its card tells.") from error
