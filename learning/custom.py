"""Recipe `custom`: a network that its person wrote, trained, measured and packaged like any other."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning import answers, calibration, evaluation, exports, inputs, networks, own_code
from learning import custom_fit as fitting
from learning.calibration import Calibration
from learning.embeddings import Refusal, as_refusal
from learning.exports import Measured
from learning.own_code import CodeRefused
from learning.tuning.streaming import Squares
from learning.uploads import wrapping
from learning.work import Work
from utils import ImageRefused

SCALING = "0-1"  # what own code is given: pixel values divided by 255
REPORT_EVERY = 64  # images
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """Indices of the items by what they are for; none is in two."""

    learnt: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def train(work: Work) -> None:
    """Build the network, fit it, measure it on what it never saw, package and prove it.

    Raises:
        CodeRefused: the code can't be used; the message names the line.
        NotEnough: there is too little to learn from, or nothing to measure on.
        NotProven: LiteRT answers otherwise than Keras.
        Stopped: an end was asked for.
    """
    items = list(work.read_items())
    inputs.check_enough(work.labels, items, work.settings["task"])
    work.report("checking")
    own_code.parse(work.settings["code"])
    networks.load_tensorflow_quietly()
    import keras

    keras.utils.set_random_seed(work.settings["seed"])
    if os.environ.get(own_code.SANDBOX_VARIABLE):
        log.info("Own code runs in the sandbox: %s.", os.environ[own_code.SANDBOX_VARIABLE])
        own_code.name_attempts(log.warning)
    work.report("checking", 0, 1)  # from here on silence is the code's own
    size = work.settings["image_size"]
    channels = 1 if work.settings["colour"] == "greyscale" else 3
    model = own_code.build(work.settings["code"], (size, size, channels), work.labels)
    log.info("The network has %s weights.", f"{model.count_params():,}")
    items, refused, squares = _read(work, items, size)
    _learn(work, model, items, squares)
    _package(work, model, items, refused, size)
    shutil.rmtree(work.folder / "checkpoint", ignore_errors=True)


def _read(work: Work, items: list[dict], size: int) -> tuple[list[dict], list[dict], Squares]:
    """Try every image; return those that can be read, a line for each other one, and the squares."""
    folder = work.folder / "checkpoint"
    folder.mkdir(exist_ok=True)
    squares, refusals = Squares(items, size, folder), []
    with ThreadPoolExecutor() as threads:
        for done, refusal in enumerate(threads.map(lambda at: _try(squares, at), range(len(items)))):
            refusals += [refusal] if refusal else []
            if done % REPORT_EVERY == 0:
                work.report("reading", done, len(items))
    kept, refused = inputs.set_refused_aside(items, refusals)
    learnt = [item for item in kept if item["split"] == "train"]
    inputs.check_enough(work.labels, learnt, work.settings["task"])
    return kept, refused, Squares(kept, size, folder) if refused else squares


def _try(squares: Squares, place: int) -> Refusal | None:
    try:
        squares.read(place)
    except (ImageRefused, OSError) as error:
        return as_refusal(squares.items[place]["sha256"], error)
    return None


def _parts(items: list[dict]) -> Parts:
    splits = np.array([item["split"] for item in items])
    parts = Parts(*(np.flatnonzero(splits == name) for name in ("train", "validation", "test")))
    if not len(parts.validation) and not len(parts.test):
        raise inputs.NotEnough("There is no image to measure on: no label has enough for a validation split.")
    return parts


def _learn(work: Work, model: Any, items: list[dict], squares: Squares) -> None:
    """Fit the model; it ends with its best weights."""
    parts = _parts(items)
    targets = inputs.make_targets(work.labels, items, work.settings["task"]).astype(np.float32)
    with own_code.telling_errors():
        ending = fitting.find_ending(model)
        fitting.compile_unless_done(model, ending, work.settings)
        fitting.fit(work, model, squares, targets, parts.learnt, parts.validation)


def _package(work: Work, model: Any, items: list[dict], refused: list[dict], size: int) -> None:
    network = _wrap(work, model, items, size)
    file = exports.write_network(work.package, _convert(network))
    fitted, metrics = _measure(work, file, items, size)
    exports.publish(work, network, Measured(items, refused, fitted, metrics), size)


def _wrap(work: Work, model: Any, items: list[dict], size: int) -> Any:
    """Return the network with our entrance (0 to 255, RGB) and logits for a way out."""
    chosen = {"size": size, "scaling": SCALING, "task": work.settings["task"]}
    ending = fitting.find_ending(model)
    if ending is None:
        ending = wrapping.ask_ending(model, inputs.read_squares(inputs.choose_golden(items), size), **chosen)
    return wrapping.wrap(model, **chosen, ending=ending, labels=len(work.labels))


def _convert(network: Any) -> bytes:
    """Return the LiteRT file.

    Raises:
        CodeRefused: a layer or function has no counterpart there.
    """
    try:
        return networks.convert_whole(network)
    except Exception as error:  # TensorFlow's converter raises anything, and says much
        log.exception("The network can't be converted.")
        message = f"the trained network can't be converted to LiteRT, which answers here: {_why(error)}"
        raise CodeRefused(f"Built-in layers and functions can be; {message}") from error


def _why(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "op" in line.lower() or "error" in line.lower()] or lines
    return (telling[0] if telling else type(error).__name__)[:300]


def _measure(work: Work, file: Path, items: list[dict], size: int) -> tuple[Calibration, dict[str, Any]]:
    """Ask the network file about validation and test items, write evaluation.json, return the figures."""
    parts = _parts(items)
    asked = [items[index] for index in (*parts.validation, *parts.test)]
    work.report("evaluating", 0, len(asked))
    logits, _ = answers.ask_all(file, asked, size, lambda done: work.report("evaluating", done, len(asked)))
    logits = answers.check(logits)
    task, held = work.settings["task"], len(parts.validation)
    targets = inputs.make_targets(work.labels, asked, task)
    fitted = calibration.fit(logits[:held], targets[:held], task)
    probabilities = fitted.probabilities(logits)
    blocks = {
        name: evaluation.measure(
            task, probabilities[some], targets[some], work.labels, fitted.thresholds or None
        )
        for name, some in (("validation", slice(0, held)), ("test", slice(held, None)))
        if len(targets[some])
    }
    by = ["validation"] * held + ["test"] * (len(asked) - held)
    chief = blocks.get("test") or blocks["validation"]
    evaluation.write(work.folder / "evaluation.json", work.labels, asked, by, probabilities, chief)
    return fitted, evaluation.summarise(task, **blocks)
