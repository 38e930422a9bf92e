"""From which probability on a version says a label: read, weighed up on what it judged, changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flask import abort

from jobs import training
from learning import calibration, thresholds
from learning.calibration import MULTI, SINGLE
from learning.evaluation import BLOCK_NAMES
from learning.package import PackageDamaged, read_spec
from learning.thresholds import Table, Totals
from models import Version
from serving import evaluations
from serving.evaluations import Evaluation

CHOSEN_ON = (
    "leave_one_out",
    "validation",
    "test",
)  # the first that there is; test, if it is not that, checks
OVERTAKEN = (
    "Somebody else has saved other thresholds meanwhile. Nothing was saved: here are yours. Save again to "
    "put them in the place of theirs."
)
UNUSABLE = "The files of this version are missing or damaged. Train again, or restore a backup."


class Overtaken(RuntimeError):
    """Thresholds were changed since they were looked at; the message says so."""


@dataclass(frozen=True)
class Limits:
    """A version's thresholds as package.json has them.

    Attributes:
        present: one a label; of a single-label version 0 where the likeliest label is always said.
        is_chosen: whether somebody chose them.
        watch: what package.json says of how the unknown is told; None where nothing tells it.
    """

    task: str
    labels: list[str]
    present: list[float]
    is_chosen: bool
    watch: dict[str, Any] | None

    @property
    def is_single(self) -> bool:
        """Whether every image has exactly one label."""
        return self.task == SINGLE

    @property
    def has_one(self) -> bool:
        """Whether all labels have the same."""
        return len(set(self.present)) <= 1

    @property
    def mark(self) -> str:
        """What tells these thresholds from others, 8 digits."""
        return _mark(self.present)

    def by_label(self) -> dict[str, float] | None:
        """What the API tells: by label, None where the likeliest label is always said."""
        if self.is_single and not any(self.present):
            return None
        return dict(zip(self.labels, self.present, strict=True))


@dataclass(frozen=True)
class Ground:
    """What the thresholds are weighed up on, and what stays as a check.

    Attributes:
        by: leave_one_out, validation or test. check: None where nothing but `table` was judged.
    """

    by: str
    table: Table
    check: Table | None
    evaluation: Evaluation

    @property
    def title(self) -> str:
        """What judged it, for a person."""
        return BLOCK_NAMES[self.by]


def read(version: Version) -> Limits:
    """Return the version's thresholds; abort with 409 where its package cannot be read."""
    found = find(version)
    return found if found else abort(409, UNUSABLE)


def find(version: Version) -> Limits | None:
    """Return the version's thresholds and watch, or None where its package cannot be read."""
    try:
        spec = read_spec(training.package_folder(version))
        is_chosen, watch = thresholds.is_chosen(spec), spec.get("rejection")
        return Limits(spec["task"], spec["labels"], thresholds.present_of(spec), is_chosen, watch)
    except (PackageDamaged, ValueError, KeyError, TypeError):
        return None


def watch_for_unknown(version: Version, is_on: bool) -> None:
    """Let the version reject the unknown or not; abort with 409 where it can't, or its package is damaged."""
    read(version)
    try:
        thresholds.watch_for_unknown(training.package_folder(version), is_on)
    except (PackageDamaged, FileNotFoundError):
        abort(409, UNUSABLE)
    except ValueError as error:
        abort(409, str(error))


def ground_of(version: Version, limits: Limits) -> Ground | None:
    """Return what the thresholds may be weighed up on; None where no judgement can be read."""
    evaluation = evaluations.of(version)
    if evaluation is None or evaluation.has_several != (limits.task == MULTI):
        return None
    known = [by for by in CHOSEN_ON if (evaluation.by == by).any()]
    if not known:
        return None
    check = _count(limits, evaluation, "test") if known[0] != "test" and "test" in known else None
    return Ground(known[0], _count(limits, evaluation, known[0]), check, evaluation)


def _count(limits: Limits, evaluation: Evaluation, by: str) -> Table:
    rows = evaluation.by == by
    return thresholds.count(
        limits.task, evaluation.probabilities[rows], evaluation.truth[rows], limits.present
    )


def suggest(kind: str, ground: Ground) -> list[float] | None:
    """Return suggested thresholds, one a label; None where there are none such.

    Args:
        kind: `f1` for the greatest F1 of each label, or `right-95` and the like for a share that is right.
    """
    table, labels = ground.table, len(ground.table.counts)
    if kind == "f1" and table.task == SINGLE:
        return thresholds.suggest_best_f1(table)
    if kind == "f1":
        rows = ground.evaluation.by == ground.by
        return calibration.choose_thresholds(
            ground.evaluation.probabilities[rows].astype(np.float64), ground.evaluation.truth[rows]
        )
    one = next((share for share in thresholds.TARGETS if kind == f"right-{share:.0%}".rstrip("%")), None)
    found = thresholds.suggest_right(table, one) if one else None
    return [found] * labels if found is not None else None


def as_table(table: Table) -> dict[str, Any]:
    """Return for the page's script how many lie at which step: [step, how many, …] for each label."""
    return {
        "of": table.items if table.task == SINGLE else int(table.counts.sum()),
        "counts": table.counts.tolist(),
        "right": [_sparse(row) for row in table.right],
        "wrong": [_sparse(row) for row in table.wrong],
    }


def _sparse(row: np.ndarray) -> list[int]:
    here = row - np.append(row[1:], 0)
    steps = np.flatnonzero(here)
    return np.stack([steps, here[steps]], axis=1).ravel().tolist()


def totals(table: Table, limits: list[float]) -> Totals:
    """Return what these thresholds make of all labels."""
    return table.total([thresholds.to_step(limit) for limit in limits])


def change(version: Version, wanted: float | Mapping[str, float] | None, seen: str | None = None) -> Limits:
    """Keep thresholds in the version's package, which every route obeys from the next prediction on.

    Args:
        wanted: one for all labels, some by label (the others stay), or None for those of the training.
        seen: the mark of those in whose place they are to come; None for whichever there are.

    Raises:
        KeyError: a label that the version has not; its name is the argument.
        Overtaken: others than those seen are there.
    """
    labels, folder = read(version).labels, training.package_folder(version)

    def choose(present: list[float]) -> list[float]:
        if seen is not None and seen != _mark(present):
            raise Overtaken(OVERTAKEN)
        return _fill(labels, present, wanted)

    try:
        if wanted is None:
            thresholds.reset(folder)
        else:
            thresholds.change(folder, choose)
    except (PackageDamaged, ValueError, FileNotFoundError):
        abort(409, UNUSABLE)
    return read(version)


def _mark(limits: list[float]) -> str:
    return hashlib.sha256(json.dumps(limits).encode()).hexdigest()[:8]


def _fill(labels: list[str], present: list[float], wanted: float | Mapping[str, float]) -> list[float]:
    if not isinstance(wanted, Mapping):
        return [round(float(wanted), thresholds.DECIMALS)] * len(labels)
    unknown = [label for label in wanted if label not in labels]
    if unknown:
        raise KeyError(unknown[0])
    pairs = zip(labels, present, strict=True)
    return [_exact(wanted.get(label, limit), limit) for label, limit in pairs]


def _exact(limit: float, present: float) -> float:
    """A threshold that is chosen has three decimals; one that was not touched stays as exact as it is."""
    is_untouched = show(limit) == show(present)
    return present if is_untouched else round(float(limit), thresholds.DECIMALS)


def show(limit: float) -> str:
    """A threshold as the page's fields have it: four digits of those that the training chose."""
    return f"{limit:.4g}"


def by_label(table: Table, limits: list[float]) -> list[Totals]:
    """Return what these thresholds make of each label."""
    return [table.label(place, thresholds.to_step(limit)) for place, limit in enumerate(limits)]
