"""How well unknown images are told: many scores, on labels left out (near) and on other sets' images (far).

    python -m benchmarks.unknown ZIP ZIP … [--seeds 4] [--folder FOLDER]    prints tables, one JSON line last

near  a quarter of a set's labels, drawn by each seed, is left out of training. The area under the ROC curve
      (AUROC) is between test images of the kept labels and all images of those left out; means of the seeds.
far   trained with all labels; the foreign images are those of the other sets. Beside the AUROC the share of
      them over the score that 95 % of the test images stay under.

The last row is learning/rejection.py with its own threshold, which no test image chose. Embeddings and
backbone are kept in FOLDER, if one is given.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.sets import Items, read_arguments
from benchmarks.unknown_scores import OURS, Case, find_scores
from learning import heads, rejection, strangeness

ROUNDS = 200


def main() -> int:
    """Embed, measure, and print tables and one JSON line; return 0."""
    sets, count = read_arguments("unknown", "--seeds", 4)
    seeds = range(count)
    near = {name: average(left_out(items, seed) for seed in seeds) for name, items in sets.items()}
    show("near, AUROC", near)
    far, ours = {}, {}
    for name in sets if len(sets) > 1 else ():
        case = take_others(sets, name)
        far |= {name: judge(case)}
        ours |= {name: weigh(case)}
    for place, what in enumerate(("far, AUROC", "far, rejected")):
        show(what, {name: {row: pair[place] for row, pair in rows.items()} for name, rows in far.items()})
    show("learning/rejection.py", ours)
    print(json.dumps({"seeds": count, "near": near, "far": far, "ours": ours}))
    return 0


def left_out(items: Items, seed: int) -> Case:
    """Leave a quarter of the labels out."""
    count = items.truth.max() + 1
    out = np.random.default_rng(seed).choice(count, max(1, round(count / 4)), replace=False)
    is_out = np.isin(items.truth, out)
    return teach(items, ~is_out, items.embeddings[is_out])


def take_others(sets: dict[str, Items], name: str) -> Case:
    """Take the other sets' images as foreign."""
    others = [items.embeddings for other, items in sets.items() if other != name]
    return teach(sets[name], np.ones(len(sets[name].truth), bool), np.concatenate(others))


def teach(items: Items, is_kept: np.ndarray, foreign: np.ndarray) -> Case:
    """Solve a head without the test items, and ask of these and of the foreign ones."""
    taught, asked = is_kept & ~items.is_test, is_kept & items.is_test
    labels, truth = np.unique(items.truth[taught], return_inverse=True)
    targets, known = np.eye(len(labels))[truth], items.embeddings[taught]
    solution = heads.solve(known, targets)
    found = rejection.fit(known, solution.leave_one_out, targets, list(items.hashes[taught]))
    every = np.concatenate([items.embeddings[asked], foreign])
    return Case(known, truth, solution, every, int(asked.sum()), found)


def average(cases: Iterable[Case]) -> dict[str, float]:
    """Return the mean AUROC of every score."""
    found = []
    for case in cases:
        scores = find_scores(case)
        found.append({name: measure_area(values, case.known) for name, values in scores.items()})
    return {name: round(float(np.mean([areas[name] for areas in found])), 4) for name in found[0]}


def judge(case: Case) -> dict[str, tuple[float, float]]:
    """Return of every score its AUROC and the share of foreign images that it rejects."""
    found = {}
    for name, values in find_scores(case).items():
        limit = (
            case.rejection.threshold if name == OURS else np.quantile(values[: case.known], strangeness.KEEPS)
        )
        rejected = np.mean(values[case.known :] > limit)
        found[name] = round(measure_area(values, case.known), 4), round(float(rejected), 4)
    return found


def measure_area(values: np.ndarray, known: int) -> float:
    """Return how likely a foreign image (those after the first `known`) scores higher than a known."""
    inside, foreign = np.sort(values[:known]), values[known:]
    below = np.searchsorted(inside, foreign, "left") + np.searchsorted(inside, foreign, "right")
    return float(below.mean() / 2 / known)


def weigh(case: Case) -> dict[str, float]:
    """Return what the rejection keeps, holds and costs."""
    found, said = case.rejection, case.solution.head.probabilities(case.asked)
    targets = np.eye(case.truth.max() + 1)[case.truth]
    hashes = [f"{place:064x}" for place in range(len(targets))]
    begun = time.perf_counter()
    rejection.fit(case.taught, case.solution.leave_one_out, targets, hashes)
    fitted = time.perf_counter()
    for embedding, probabilities in zip(case.asked[:ROUNDS], said, strict=False):
        found.score(embedding, probabilities)
    scored = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        found.save(Path(place, rejection.FILE))
        size = Path(place, rejection.FILE).stat().st_size
    scores = found.scores(case.asked[: case.known], said[: case.known])
    measured = {
        "test images kept": float(np.mean(scores <= found.threshold)),
        "references": len(found.references),
        "megabytes": size / 1e6,
        "seconds to fit": fitted - begun,
        "milliseconds to score": (scored - fitted) * 1e3 / ROUNDS,
    }
    return {name: round(value, 4) for name, value in measured.items()}


def show(title: str, columns: dict[str, dict[str, float]]) -> None:
    """Print a table with a column for each set."""
    print(f"\n{title:44}" + "".join(f"{name:>12}" for name in columns))
    for row in next(iter(columns.values()), {}):
        print(f"{row:44}" + "".join(f"{column[row]:12.4f}" for column in columns.values()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
