"""Recipe `uploaded`: a network trained elsewhere, wrapped so that it answers here, and measured honestly."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from learning import answers, calibration, evaluation, exports, inputs, networks
from learning.exports import Measured
from learning.uploads import facts, probe, wrapping
from learning.uploads.facts import Facts
from learning.work import Work
from utils import write_atomically

FACTS = "facts.json"  # beside the model in the run folder
log = logging.getLogger(__name__)


def keep_facts(folder: Path, found: Facts) -> None:
    """Write what the gate found beside the clean copy in `folder`."""
    write_atomically(folder / FACTS, json.dumps(found.as_json(), ensure_ascii=False) + "\n")


def read_facts(folder: Path) -> Facts:
    """Return what `keep_facts` wrote.

    Raises:
        FileNotFoundError: there is no model.
    """
    return facts.from_json(json.loads((folder / FACTS).read_text(encoding="utf-8")))


def train(work: Work) -> None:
    """Wrap the model, measure it on the test split, calibrate it on validation, package and prove it.

    Where there is no test split, all items are measured. None of them was learnt from here; what the model
    learnt from before it came, nobody can tell.

    Raises:
        ModelRefused: Keras can't load the model, or it doesn't fit the labels.
        NotEnough: there is no image to measure it on.
        NotProven: LiteRT answers otherwise than Keras.
        Stopped: an end was asked for.
    """
    items, strangers = _set_strangers_aside(work)
    if not items:
        raise inputs.NotEnough("No image has a label that the model knows, so it can't be measured.")
    work.report("loading")
    networks.load_tensorflow_quietly()
    found = read_facts(work.folder)
    size = found.size or work.settings["input_size"]
    network = _wrap(work, found, items, size)
    file = exports.write_network(work.package, networks.convert_whole(network))
    measured = _measure(work, file, items, strangers, size)
    exports.publish(work, network, measured, size, f"{found.sent_name} (uploaded)")


def _set_strangers_aside(work: Work) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Return the items whose labels the model knows, and a line for each label that it doesn't."""
    items, unknown = [], Counter()
    for item in work.read_items():
        missing = [label for label in item["labels"] if label not in work.labels]
        unknown.update(missing)
        items += [] if missing else [item]
    told = [
        {"name": label, "code": "label_unknown", "message": f"{count:,} images left out: the model lacks it."}
        for label, count in sorted(unknown.items())
    ]
    for entry in told:
        log.warning("%s: %s", entry["name"], entry["message"])
    return items, told


def _wrap(work: Work, found: Facts, items: list[dict[str, Any]], size: int) -> Any:
    model = probe.load(work.folder / found.file)
    facts.check_outputs(work.labels, int(model.outputs[0].shape[-1]))
    chosen = {"size": size, "scaling": work.settings["scaling"], "task": work.settings["task"]}
    ending = found.ending
    if ending == "logits":
        squares = inputs.read_squares(inputs.choose_golden(items), size)
        ending = wrapping.ask_ending(model, squares, **chosen)
    return wrapping.wrap(model, **chosen, ending=ending, labels=len(work.labels))


def _measure(
    work: Work, file: Path, items: list[dict[str, Any]], strangers: list[dict[str, str]], size: int
) -> Measured:
    """Ask the network's file about validation and test items, and write evaluation.json."""
    splits = Counter(item["split"] for item in items)
    asked = [item for item in items if item["split"] != "train" or not splits["test"]]
    work.report("evaluating", 0, len(asked))
    logits, refusals = answers.ask_all(
        file,
        asked,
        size,
        lambda done: work.report("evaluating", done, len(asked)),
    )
    kept, refused = inputs.set_refused_aside(asked, refusals)
    is_test = np.array([item["split"] == "test" or not splits["test"] for item in kept], bool)
    if not is_test.any():
        raise inputs.NotEnough("No image of the test split can be read, so the model can't be measured.")
    task, labels = work.settings["task"], work.labels
    targets = inputs.make_targets(labels, kept, task)
    is_held = np.array([item["split"] == "validation" for item in kept], bool)
    logits = answers.check(logits)
    fitted = calibration.fit(logits[is_held], targets[is_held], task)
    probabilities = fitted.probabilities(logits[is_test])
    measured = [item for item, counts in zip(kept, is_test, strict=True) if counts]
    test = evaluation.measure(task, probabilities, targets[is_test], labels, fitted.thresholds or None)
    path, by = work.folder / "evaluation.json", ["test"] * len(measured)
    evaluation.write(path, labels, measured, by, probabilities, test)
    return Measured(measured, strangers + refused, fitted, evaluation.summarise(task, test=test))
