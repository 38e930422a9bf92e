"""How quickly fine-tuning goes through images, what memory it takes, and whether kills change anything.

    python -m benchmarks.fine_tuning [rate] [memory] [kills]      prints tables, and one JSON line last

rate    images a second of a training step with all around it (streamed, varied, lower layers slower),
        against bare Keras `fit` of the same network, the same layers trained, pixels in memory
memory  the most memory of a trainer (VmHWM, MiB) with 50,000 images listed against one with 1,000
kills   ten trainings ended by kill -9 at a random moment and resumed, against one that was left alone
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jobs import runs
from learning import backbones, networks, options
from learning.tuning import epochs, learner
from learning.tuning.data import Data
from learning.tuning.schedules import Plan
from learning.tuning.streaming import Squares
from learning.work import Work

ROOT = Path(__file__).parents[1]
IMAGES, STEPS, ROUNDS = 96, 6, 3
LABELS = ["one", "two", "three", "four"]
KILLS = 10
SMALL = ("--recipe", "fine-tune", "--backbone", "small-cnn", "--epochs", "10", "--minutes", "30")


def main() -> int:
    """Do what was named, all of it unless something was; return 0."""
    parser = argparse.ArgumentParser(prog="benchmarks.fine_tuning")
    parser.add_argument("what", nargs="*", choices=[[], "rate", "memory", "kills"], default=[])
    what = parser.parse_args().what or ["rate", "memory", "kills"]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for name in what:
            found[name] = {"rate": measure_rate, "memory": measure_memory, "kills": count_kills}[name](
                Path(place)
            )
            print(name, found[name], flush=True)
    print(json.dumps(found))
    return 0


def write_images(folder: Path, count: int, size: tuple[int, int] = (320, 240)) -> list[dict[str, Any]]:
    """Write noisy photos of four colours into a folder each; return them as a manifest's lines."""
    items = []
    for place in range(count):
        label = LABELS[place % len(LABELS)]
        noise = np.random.default_rng(place).integers(0, 60, (size[1], size[0], 3))
        noise[..., :3] += 45 * (place % len(LABELS))
        path = folder / label / f"{place}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.astype(np.uint8)).save(path, quality=85)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        split = ("train", "train", "train", "validation", "test")[place // len(LABELS) % 5]
        items.append(
            {"sha256": sha256, "path": str(path), "labels": [label], "split": split, "name": path.name}
        )
    return items


def measure_rate(place: Path) -> dict[str, float]:
    """Take turns, ours and bare Keras, and compare the best of each."""
    networks.load_tensorflow_quietly()
    items = write_images(place / "rate", IMAGES)
    chosen = options.check("fine-tune", {})
    embedder = backbones.build_embedder(chosen["backbone"])
    size = embedder.outputs[0].shape[-1]
    network = networks.add_head(embedder, np.zeros((size, len(LABELS))), np.zeros(len(LABELS)))
    taught = learner.build(network, chosen, "single-label", True)
    data = _data(items, backbones.get(chosen["backbone"]).input_size, place)
    work = Work(place, chosen, LABELS, lambda: iter(items), print, lambda: False, print, print)
    batches = epochs.rehearse(work, data, Plan(1, STEPS, chosen["batch_size"], 1e-5))
    pixels = np.stack([data.squares.read(at) for at in range(STEPS * chosen["batch_size"])])
    bare = _compile(network)
    ours, theirs = [], []
    for _ in range(1 + ROUNDS):
        ours.append(_time(lambda: [taught.take_step(next(batches), (1, 1), 1e-6) for _ in range(STEPS)]))
        theirs.append(_time(lambda: _fit(bare, pixels, data, chosen["batch_size"])))
    count = STEPS * chosen["batch_size"]
    rates = {"fine_tune": count / min(ours[1:]), "bare_fit": count / min(theirs[1:])}
    return {name: round(rate, 1) for name, rate in rates.items()} | {
        "ratio": round(rates["fine_tune"] / rates["bare_fit"], 3)
    }


def _data(items: list[dict[str, Any]], side: int, place: Path) -> Data:
    targets = np.eye(len(LABELS), dtype=np.float32)[[LABELS.index(item["labels"][0]) for item in items]]
    every, none = np.arange(len(items)), np.arange(0)
    squares = Squares(items, side, place)
    weights = np.ones(len(items), np.float32)
    return Data(squares, squares, "single-label", LABELS, targets, weights, every, none, none)


def _compile(network: Any) -> Any:
    import keras

    bare = keras.Model(network.inputs, network.outputs)
    bare.compile(keras.optimizers.AdamW(1e-6), keras.losses.CategoricalCrossentropy(from_logits=True))
    return bare


def _fit(bare: Any, pixels: np.ndarray, data: Data, batch: int) -> None:
    targets = data.targets[: len(pixels)]
    bare.fit(pixels.astype(np.float32), targets, batch_size=batch, epochs=1, verbose=0)


def _time(do: Any) -> float:
    before = time.monotonic()
    do()
    return time.monotonic() - before


def measure_memory(place: Path) -> dict[str, float]:
    """List the same few photos many times over; what is listed is what counts, not what is decoded."""
    photos = write_images(place / "memory", 200, (120, 90))
    most = {count: _peak(place, photos, count) for count in (1_000, 50_000)}
    return {f"{count}": mib for count, mib in most.items()} | {"ratio": round(most[50_000] / most[1_000], 3)}


def _peak(place: Path, photos: list[dict[str, Any]], count: int) -> int:
    """Return the most memory of a run of one short epoch, in MiB."""
    chosen = options.check("fine-tune", {"backbone": "small-cnn", "epochs": 1, "minutes": 0.5})
    folders = {name: str(place / name) for name in ("backbones", "embeddings")}
    frame = {"recipe": "fine-tune", "task": "single-label", "dataset": "listed", "train_on_all": False}
    items = (photos[at % len(photos)] for at in range(count))
    run = runs.create(place / "runs", frame | folders | chosen, LABELS, items)
    log = (place / "log.txt").open("w")
    process = subprocess.Popen(
        [sys.executable, "training.py", "--run", str(run)], cwd=ROOT, stdout=log, stderr=log
    )
    most = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        most = max([most, *(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)])
        time.sleep(0.2)
    return most // 1024


def count_kills(place: Path) -> dict[str, Any]:
    """Kill, resume and compare; return how many ended with the same loss."""
    write_images(place / "kills", 120, (120, 90))
    wanted = _ends(_start(place, "alone"), place, "alone")
    same = 0
    for number in range(KILLS):
        name = f"killed{number}"
        process = _start(place, name)
        _wait_for_training(place, name, process)
        time.sleep(random.uniform(0, 6))
        process.kill()
        process.wait()
        run = next((place / name / "runs").glob("[!.]*"))
        same += _ends(_start(place, name, "--run", str(run), "--resume"), place, name) == wanted
    return {"kills": KILLS, "same": same, "epochs": wanted[0], "loss": wanted[1]}


def _start(place: Path, name: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "training.py", *(arguments or ("--dataset", str(place / "kills"), *SMALL))]
    environment = {**os.environ, "PIGEONHOLE_INSTANCE": str(place / name)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)


def _wait_for_training(place: Path, name: str, process: subprocess.Popen) -> None:
    while process.poll() is None:
        for progress in place.glob(f"{name}/runs/*/progress.jsonl"):
            if '"training"' in progress.read_text():
                return
        time.sleep(0.05)


def _ends(process: subprocess.Popen, place: Path, name: str) -> tuple[int, float]:
    """Return the last epoch and its loss, to six digits."""
    process.wait()
    run = next((place / name / "runs").glob("[!.]*"))
    ended = [event for event in runs.read_progress(run)[0] if "metrics" in event][-1]
    return ended["epoch"], round(ended["metrics"]["loss"], 6)


if __name__ == "__main__":
    sys.exit(main())
