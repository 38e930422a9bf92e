"""The recipes: from embeddings and labels to a head that goes live and an honest account of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning import evaluation, heads, inputs
from utils import write_atomically

RECIPES = ("quick",)


@dataclass(frozen=True)
class Outcome:
    """What a recipe gives: the head that goes live, metrics for everybody, and every item's prediction."""

    head: heads.Head
    metrics: dict[str, Any]  # accuracy, interval, leave_one_out, test
    probabilities: np.ndarray  # float64 (items, labels), each by a head that never saw the item


def put_test_last(labels: list[str], items: list[dict]) -> tuple[list[dict], int]:
    """Return the items, those to learn from first, and how many these are.

    Where the split leaves fewer than two labels to learn from, a handful of items in all, no item is held
    back: leave-one-out alone then says how good the result is.

    Raises:
        NotEnough: there are fewer than two labels even so.
    """
    learnt = [item for item in items if item["split"] != "test"]
    try:
        inputs.check_enough(labels, learnt)
    except inputs.NotEnough:
        inputs.check_enough(labels, items)
        return items, len(items)
    return learnt + [item for item in items if item["split"] == "test"], len(learnt)


def train_quick(
    labels: list[str],
    targets: np.ndarray,
    embeddings: np.ndarray,
    learnt: int,
    *,
    seed: int = 0,
    train_on_all: bool = True,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> Outcome:
    """Solve and measure the quick recipe's head.

    The figures come from a head that never saw the test items: leave-one-out for those it learnt from, plain
    prediction for the test items. What goes live is then solved again with every item.

    Args:
        labels: names in order.
        targets: float (items, labels), one-hot; embeddings: float32 (items, embedding size).
        learnt: how many of the items, from the first, may be learnt from; the others are the test split.
        on_phase: told `solving` and `evaluating` as each begins.
    """
    on_phase("solving")
    kernel = heads.find_kernel(embeddings)  # both solutions need it
    own = None if kernel is None else kernel[:learnt, :learnt]
    solution = heads.solve(embeddings[:learnt], targets[:learnt], seed, own)
    live = solution.head
    if train_on_all and learnt < len(targets):
        live = heads.solve_again(embeddings, targets, solution.head, kernel)
    on_phase("evaluating")
    test = solution.head.probabilities(embeddings[learnt:]) if learnt < len(targets) else targets[:0]
    truth = targets.argmax(axis=1)
    left_out = evaluation.evaluate(solution.leave_one_out, truth[:learnt], labels)
    metrics = {
        "accuracy": left_out["accuracy"],
        "interval": left_out["interval"],
        "leave_one_out": left_out,
        "test": evaluation.evaluate(test, truth[learnt:], labels) if len(test) else None,
    }
    return Outcome(live, metrics, np.concatenate([solution.leave_one_out, test]))


def write_evaluation(path: Path, items: list[dict], learnt: int, labels: list[str], outcome: Outcome) -> None:
    """Write evaluation.json: every item's out-of-sample probabilities, and the labels' figures.

    Items from `learnt` on were predicted by the head that never saw the test split, the others by
    leave-one-out.
    """
    lines = [
        {
            **{key: item.get(key) for key in ("sha256", "name", "split", "labels")},
            "by": "leave_one_out" if index < learnt else "test",
            "probabilities": row,
        }
        for index, (item, row) in enumerate(zip(items, outcome.probabilities.round(6).tolist(), strict=True))
    ]
    measured = outcome.metrics["leave_one_out"]
    content = {
        "names": labels,
        "labels": measured["labels"],
        "confusion": measured["confusion"],
        "items": lines,
    }
    write_atomically(path, json.dumps(content, ensure_ascii=False) + "\n")
