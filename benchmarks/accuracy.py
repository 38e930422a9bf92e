"""What fine-tuning brings over quick: accuracy on test items, on the same splits.

python -m benchmarks.accuracy PATH [--minutes 5] [--splits 3]      prints a table, and one JSON line last

Of every label's images, in one order drawn with seed 1, each split holds back another 15 % for test and the
15 % before it for validation, so that no image is tested twice. Each run is a trainer of its own with its
recipe's defaults, and is given what the minutes say from its first line to its last.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from datasets import manifest
from jobs import runs
from learning import options

ROOT = Path(__file__).parents[1]
HELD = 0.15  # of each label for test, and as much for validation
RECIPES = {
    "quick": ("quick", {}),
    "quick, larger": ("quick", {"backbone": "efficientnet-lite2"}),
    "fine-tune": ("fine-tune", {}),
}


def main() -> int:
    """Train every recipe on every split; return 0."""
    parser = argparse.ArgumentParser(prog="benchmarks.accuracy")
    parser.add_argument("path", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--splits", type=int, default=3)
    chosen = parser.parse_args()
    labels, items = manifest.read_path(chosen.path, manifest.Shares(HELD, HELD))
    found: dict[str, list[float]] = {name: [] for name in RECIPES}
    with tempfile.TemporaryDirectory() as place:
        for split in range(chosen.splits):
            lines = divide(items, split)
            for name, (recipe, given) in RECIPES.items():
                timed = {"minutes": chosen.minutes} if recipe == "fine-tune" else {}
                before = time.monotonic()
                accuracy = train(Path(place), recipe, options.check(recipe, given | timed), labels, lines)
                found[name].append(accuracy)
                took = time.monotonic() - before
                print(f"split {split + 1}  {name:14} {accuracy:.3f}  {took:4.0f} s", flush=True)
    means = {name: round(float(np.mean(values)), 4) for name, values in found.items()}
    for name, mean in means.items():
        print(f"mean     {name:14} {mean:.3f}")
    print(
        json.dumps(
            {"path": chosen.path.name, "minutes": chosen.minutes, "test_accuracy": found, "mean": means}
        )
    )
    return 0


def divide(items: list[dict[str, Any]], split: int) -> list[dict[str, Any]]:
    """Return the items with a split each: the `split`-th block of every label's images is for test."""
    rng = np.random.default_rng(1)
    of_label: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        of_label.setdefault("\0".join(item["labels"]), []).append(place)
    splits = ["train"] * len(items)
    for label in sorted(of_label):
        count = round(HELD * len(of_label[label]))
        order = np.roll(rng.permutation(of_label[label]), -count * split)
        for place in order[:count]:
            splits[place] = "test"
        for place in order[len(order) - count :]:
            splits[place] = "validation"
    return [item | {"split": name} for item, name in zip(items, splits, strict=True)]


def train(
    place: Path, recipe: str, chosen: dict[str, Any], labels: list[str], items: list[dict[str, Any]]
) -> float:
    """Run the trainer and return its accuracy on test."""
    folders = {name: str(place / name) for name in ("backbones", "embeddings")}
    frame = {"recipe": recipe, "task": "single-label", "dataset": "benchmark", "train_on_all": False}
    run = runs.create(place / "runs", frame | folders | chosen, labels, items)
    command = [sys.executable, "training.py", "--run", str(run)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    print(*(line for line in ended.stderr.splitlines() if "epochs of" in line or "est on" in line), sep="\n")
    return runs.read_result(run)["test"]["accuracy"]


if __name__ == "__main__":
    sys.exit(main())
