"""How long until a trained, measured classifier, against its bound and against transfer learning in Keras.

    python -m benchmarks.training [ZIP ...]     prints a table, and one JSON line last

bound     decode every image and run the backbone over it once, on all cores: nothing can be quicker
first     `training.py` in a fresh instance (backbone prepared, no embeddings) until its table is printed
again     the same once more, with every embedding known
tutorial  the Keras guide's transfer learning: the same frozen backbone with a new top, fit for 10 epochs on
          the same split, https://keras.io/guides/transfer_learning/
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from datasets import manifest
from learning import backbones, embeddings, inputs
from utils import center_crop, open_image

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
SHARES = manifest.Shares(0.15, 0.15)
COLUMNS = ("images", "bound", "first", "again", "tutorial", "leave_one_out", "test", "tutorial_test")


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.training")
    parser.add_argument("archives", nargs="*", type=Path, default=sorted(DATA.glob("*.zip")))
    parser.add_argument("--tutorial", action="store_true", help="be the compared program, for one zip")
    options = parser.parse_args()
    if options.tutorial:
        print(json.dumps({"accuracy": fit_as_the_guide_does(options.archives[0])}))
        return 0
    if not options.archives:
        print("Name a zip of class folders.", file=sys.stderr)
        return 2
    figures = {archive.stem: measure(archive) for archive in options.archives}
    print_table(figures)
    print(json.dumps({"benchmark": "training", "cores": embeddings.count_cores(), "sets": figures}))
    return 0


def measure(archive: Path) -> dict[str, Any]:
    """Return seconds and accuracies for one zip of class folders."""
    prepared = backbones.prepare(backbones.DEFAULT, ROOT / "build" / "backbones")
    with tempfile.TemporaryDirectory() as instance:
        Path(instance, "backbones").symlink_to(prepared.path.parent)
        count, bound = time_bound(prepared, archive)
        first, _ = time_training(instance, archive)
        again, result = time_training(instance, archive)
    tutorial, tutorial_test = time_tutorial(archive)
    return {
        "images": count,
        "bound": bound,
        "first": first,
        "again": again,
        "tutorial": tutorial,
        "leave_one_out": result["leave_one_out"]["accuracy"],
        "interval": result["leave_one_out"]["interval"],
        "test": result["test"]["accuracy"],
        "tutorial_test": tutorial_test,
    }


def time_bound(prepared: backbones.PreparedBackbone, archive: Path) -> tuple[int, float]:
    """Return how many images there are, and the seconds of one pass with an interpreter on every core."""
    _, items = manifest.read_path(archive, SHARES)
    contents = [inputs.read_image(item) for item in items]
    cores = embeddings.count_cores()
    start = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda share: embed_share(prepared, share), (contents[n::cores] for n in range(cores))))
    return len(items), time.perf_counter() - start


def embed_share(prepared: backbones.PreparedBackbone, contents: list[bytes]) -> None:
    """Decode and embed one core's share."""
    embedder = embeddings.Embedder(prepared.path)
    for content in contents:
        embedder.embed(center_crop(open_image(content), prepared.input_size))


def time_training(instance: str, archive: Path) -> tuple[float, dict[str, Any]]:
    """Run the trainer; return the seconds from its start to its table's last line, and its JSON line."""
    command = [sys.executable, "-u", "training.py", "--dataset", str(archive), "--json"]
    environment = {**os.environ, "PIGEONHOLE_INSTANCE": instance}
    start = time.perf_counter()
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=quiet, text=True
    ) as process:
        lines = list(_timed(process.stdout))
    seconds = next(moment - start for moment, line in lines if line.startswith("Package:"))
    return seconds, json.loads(lines[-1][1])


def _timed(stream) -> Iterator[tuple[float, str]]:
    for line in stream:
        yield time.perf_counter(), line


def time_tutorial(archive: Path) -> tuple[float, float]:
    """Run the compared program; return its seconds and its accuracy on the test split."""
    command = [sys.executable, "-m", "benchmarks.training", "--tutorial", str(archive)]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, json.loads(done.stdout.splitlines()[-1])["accuracy"]


def fit_as_the_guide_does(archive: Path) -> float:
    """Fit a new top on the frozen backbone for 10 epochs; return the accuracy on the test split."""
    import keras

    labels, items = manifest.read_path(archive, SHARES)
    backbone = backbones.get(backbones.DEFAULT)
    pixels = np.stack([center_crop(open_image(inputs.read_image(i)), backbone.input_size) for i in items])
    truth = np.array([labels.index(item["labels"][0]) for item in items])
    is_test = np.array([item["split"] == "test" for item in items])
    network = backbone.build(backbone.name, backbone.input_size)
    frozen = keras.Model(network.inputs, network.outputs[-1])
    frozen.trainable = False
    image = keras.Input(pixels.shape[1:])
    x = keras.layers.GlobalAveragePooling2D()(frozen(image, training=False))
    answer = keras.layers.Dense(len(labels), "softmax")(keras.layers.Dropout(0.2)(x))
    model = keras.Model(image, answer)
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pixels[~is_test], truth[~is_test], epochs=10, verbose=0)
    return float(model.evaluate(pixels[is_test], truth[is_test], verbose=0)[1])


def print_table(figures: dict[str, dict[str, Any]]) -> None:
    """Print seconds, ratios and accuracies, one set a line."""
    print(f"{'set':8} " + " ".join(f"{name:>13}" for name in (*COLUMNS, "first/bound", "tutorial/first")))
    for name, row in figures.items():
        ratios = (row["first"] / row["bound"], row["tutorial"] / row["first"])
        values = [f"{row[column]:13,.3f}" for column in COLUMNS[1:]] + [f"{ratio:13.2f}" for ratio in ratios]
        print(f"{name:8} {row['images']:13,} " + " ".join(values))


if __name__ == "__main__":
    sys.exit(main())
