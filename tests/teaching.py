"""What tests of runs and versions share: a taught dataset, and a run that ended without a trainer."""

from __future__ import annotations

import json

import numpy as np
from flask import current_app

from datasets import intake
from jobs import runs, training
from learning import evaluation
from learning.package import FORMAT, FORMAT_VERSION, write_spec
from models import Dataset, Item, Run, Version, db, now
from serving import findings
from serving.findings import Findings
from tests.photos import COLOURS, photo

# What a version says of an image, as a prediction keeps it.
ANSWER = {
    "prediction": "pr_1",
    "dataset": "flowers",
    "version": 1,
    "label": "blue",
    "labels": ["blue"],
    "rejected": False,
    "reason": None,
    "probabilities": [{"label": "blue", "probability": 0.9}, {"label": "red", "probability": 0.1}],
    "image": {"url": "/images/sent.jpg", "width": 32, "height": 32},
    "milliseconds": {"decode": 1.0, "network": 1.0, "total": 2.0},
}


def teach(dataset: Dataset, count: int = 6) -> None:
    """Give the dataset `count` photos of each colour."""
    for label, colour in COLOURS.items():
        for seed in range(count):
            intake.take(dataset, f"{label}/{seed}.jpg", photo(colour, seed), [label])
    db.session.commit()


def find_alike(dataset: Dataset, first: Item, second: Item) -> None:
    """Let somebody have looked through the dataset and found that these two look alike."""
    pair = {"first": first.id, "second": second.id, "cosine": 0.99, "bits": 1}
    told = dict.fromkeys(("curve",)) | {"gains": [], "pairs": [pair], "found_pairs": 1, "telltales": []}
    about = {"examined_at": "", "stamp": "", "task": "single-label", "items": 12, "learnt": 0}
    folder = current_app.config["PIGEONHOLE"].folder("findings")
    findings.write(folder, dataset.id, Findings(**about, is_sampled=False, **told))


def start(dataset: Dataset) -> Run:
    """A run that waits in the queue."""
    run = training.start_run(dataset, None)
    db.session.commit()
    return run


def finish(run: Run, proven: tuple[str, ...] = (), wrong_tests: int = 0) -> Version:
    """End the run as a trainer would that takes the first red photo for a blue one.

    So it does with `wrong_tests` of the test items, or takes them for red ones.
    """
    folder = training.folder_of(run)
    labels = runs.read_labels(folder)
    judged = [_judge(labels, item, place) for place, item in enumerate(_reds_first(folder))]
    for item in [one for one in judged if one["split"] == "test"][:wrong_tests]:
        item["probabilities"] = item["probabilities"][::-1]
    runs.write_result(folder, _result(labels, judged, list(proven)))
    (folder / "evaluation.json").write_text(json.dumps({"items": judged}))
    _pack(folder / "package", labels, list(proven), _measure(labels, judged))
    run.job.state, run.job.started_at, run.job.finished_at = "finished", now(), now()
    version = training.settle_run(run)
    db.session.commit()
    return version


def _reds_first(folder) -> list[dict]:
    return sorted(runs.read_items(folder), key=lambda item: item["labels"] != ["red"])


def _judge(labels: list[str], item: dict, place: int) -> dict:
    said = "blue" if place == 0 else item["labels"][0]
    probabilities = [0.9 if label == said else 0.1 for label in labels]
    split = "train" if place == 0 else item["split"]
    return {**item, "split": split, "probabilities": probabilities}


def _result(labels: list[str], judged: list[dict], proven: list[str]) -> dict:
    left_out, test = (
        [one for one in judged if (one["split"] == "test") is is_test] for is_test in (False, True)
    )
    parts = {"leave_one_out": _measure(labels, left_out), "test": _measure(labels, test) if test else None}
    chief = parts["leave_one_out"]
    facts = {"accuracy": chief["accuracy"], "interval": chief["interval"], "items": len(judged)}
    return {"state": "finished", "labels": labels, "proven": proven, **facts, **parts}


def _measure(labels: list[str], judged: list[dict]) -> dict:
    probabilities = np.array([one["probabilities"] for one in judged])
    truth = np.array([labels.index(one["labels"][0]) for one in judged])
    return evaluation.evaluate(probabilities, truth, labels)


def _pack(folder, labels: list[str], proven: list[str], measured: dict) -> None:
    folder.mkdir()
    facts = {"format": FORMAT, "format_version": FORMAT_VERSION, "proven": proven, "labels": labels}
    facts |= {"task": "single-label", "temperature": 0.5, "thresholds": [], "input_size": 32}
    about = {"name": "Flowers", "recipe": "quick", "backbone": None, "made": "today"}
    write_spec(folder, facts | about | {"metrics": {"leave_one_out": measured}})
    (folder / "model.tflite").write_bytes(b"a network")
    (folder / "golden").mkdir()
    (folder / "golden" / "0.png").write_bytes(b"an image")
