"""How many flipped labels lead the list of suspects.

    python -m benchmarks.suspects ZIP … [--seeds 10] [--folder FOLDER]    prints a table, one JSON line last

Of each set 5 % of the labels are flipped to another one at random, quick learns from what is then right and
wrong, and every image is ranked by predictions of heads that never saw it: leave-one-out, and for the test
items the head without them, as evaluation.json has them. Told is which share of the flipped stands among the
first tenth of the list. A set's own errors stand there too, and count as misses.

ours         learning/suspects.py: how far the label's probability falls short of what is usual for the label
probability  the given label's probability alone (self-confidence)
margin       that beside the likeliest other label's (normalised margin)
errors       those that confident learning calls wrong first, each part by the label's probability

Embeddings and backbone are kept in FOLDER, if one is given.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from benchmarks.sets import Items, read_arguments
from learning import heads, suspects

FLIPPED, LOOKED_AT = 0.05, 0.1


def main() -> int:
    """Flip, learn, rank, and print the table; return 0."""
    sets, seeds = read_arguments("suspects", "--seeds", 10)
    told = {}
    print(f"{'set':10} {'ranking':12} {'seed 0':>7} {'mean':>7} {'lowest':>7}")
    for name, items in sets.items():
        rounds = [measure(items, seed) for seed in range(seeds)]
        told[name] = {ranking: [one[ranking] for one in rounds] for ranking in rounds[0]}
        for ranking, shares in told[name].items():
            print(f"{name:10} {ranking:12} {shares[0]:7.3f} {np.mean(shares):7.3f} {min(shares):7.3f}")
    print(json.dumps({"benchmark": "suspects", "flipped": FLIPPED, "sets": told}))
    return 0


def measure(items: Items, seed: int) -> dict[str, float]:
    """Flip with this seed; return the share found by each ranking."""
    given, flipped = flip(items.truth, seed)
    targets = np.eye(items.truth.max() + 1)[given]
    probabilities = judge(items, targets)
    orders = rank(probabilities, targets)
    first = round(LOOKED_AT * len(given))
    return {name: float(np.isin(flipped, order[:first]).mean()) for name, order in orders.items()}


def flip(truth: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels with FLIPPED of them replaced by another, and the places of these."""
    rng, count = np.random.default_rng(seed), truth.max() + 1
    flipped = rng.choice(len(truth), round(FLIPPED * len(truth)), replace=False)
    given = truth.copy()
    given[flipped] = (truth[flipped] + rng.integers(1, count, len(flipped))) % count
    return given, flipped


def judge(items: Items, targets: np.ndarray) -> np.ndarray:
    """Return what heads that never saw an item say of it, float (items, labels)."""
    is_taught = ~items.is_test
    solution = heads.solve(items.embeddings[is_taught], targets[is_taught])
    probabilities = np.empty(targets.shape)
    probabilities[is_taught] = solution.leave_one_out
    probabilities[items.is_test] = solution.head.probabilities(items.embeddings[items.is_test])
    return probabilities


def rank(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Return each ranking's order of the items."""
    ours = suspects.rank(probabilities, targets)
    own = (probabilities * targets).sum(axis=1)
    other = (probabilities * (1 - targets)).max(axis=1)
    scores = {"probability": -own, "margin": other - own, "errors": ours.is_suspect - own}
    return {"ours": ours.order} | {name: np.argsort(-score, kind="stable") for name, score in scores.items()}


if __name__ == "__main__":
    sys.exit(main())
