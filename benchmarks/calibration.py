"""How far the quick recipe's probabilities are from what happens: expected calibration error of 15 bins.

    python -m benchmarks.calibration ZIP ZIP … [--splits 12] [--folder FOLDER]    a table, one JSON line last

test     the test split that an import chooses, judged by a head that never saw it.
splits   so many other splits, 15 % of each label for test, each with a head of its own: the mean error of one
         of them alone, and the error of all their predictions together, which has items enough to mean much.

Beside each error stands what a perfectly calibrated classifier with the same probabilities shows on so few
items by chance. Nothing is chosen on a test item. Embeddings and backbone are kept in FOLDER, if one is
given.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmarks.sets import Items, read_arguments
from learning import heads, reliability
from learning.calibration import SINGLE
from learning.reliability import Reliability

SHARE = 0.15  # of each label, for test


def main() -> int:
    """Embed, measure, and print a table and one JSON line; return 0."""
    sets, splits = read_arguments("calibration", "--splits", 12)
    found = {}
    for name, items in sets.items():
        found[name] = measure(items, splits)
        show(name, found[name])
    print(json.dumps({"splits": splits, "sets": found}))
    return 0


def measure(items: Items, splits: int) -> dict[str, Any]:
    """Return the errors of the import's test split, of leave-one-out, and of `splits` other splits."""
    left_out, test = _judge(items, items.is_test)
    others = [_judge(items, _draw(items.truth, seed))[1] for seed in range(splits)]
    each = [reliability.measure(SINGLE, *one) for one in others]
    pooled = [np.concatenate(parts) for parts in zip(*others, strict=True)]
    return {
        "leave_one_out": _figures(reliability.measure(SINGLE, *left_out)),
        "test": _figures(reliability.measure(SINGLE, *test)),
        "one_of_many": _mean([_figures(one) for one in each]),
        "pooled": _figures(reliability.measure(SINGLE, *pooled)),
    }


def _judge(items: Items, is_test: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (probabilities, truth) of the taught items by leave-one-out, and of the test items."""
    targets = np.eye(items.truth.max() + 1)[items.truth]
    solution = heads.solve(items.embeddings[~is_test], targets[~is_test])
    test = solution.head.probabilities(items.embeddings[is_test])
    return [(solution.leave_one_out, targets[~is_test]), (test, targets[is_test])]


def _draw(truth: np.ndarray, seed: int) -> np.ndarray:
    """Return which items are for test: SHARE of each label."""
    random, is_test = np.random.default_rng(seed), np.zeros(len(truth), bool)
    for label in range(truth.max() + 1):
        own = random.permutation(np.flatnonzero(truth == label))
        is_test[own[: round(SHARE * len(own))]] = True
    return is_test


def _figures(found: Reliability) -> dict[str, float]:
    low, high = found.interval
    return {
        **{"items": found.items, "error": found.error, "low": low, "high": high},
        **{"by_chance": found.chance[0], "rarely_over": found.chance[1]},
        **{"said": found.said, "right": found.right},
    }


def _mean(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}


def show(name: str, found: dict[str, dict[str, float]]) -> None:
    """Print a set's rows."""
    for what, one in found.items():
        interval = f"{one['low']:.3f} to {one['high']:.3f}"
        chance = f"{one['by_chance']:.3f} (rarely over {one['rarely_over']:.3f})"
        print(
            f"{name:10} {what:14} {one['items']:6.0f} items  {one['error']:.3f}  {interval}  chance {chance}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
