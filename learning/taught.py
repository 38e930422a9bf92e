"""What a whole network says of the images it was taught, so that it knows the unknown from them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from learning import answers, inputs, rejection
from learning.calibration import Calibration
from learning.litert import Network
from learning.rejection import Rejection
from learning.strangeness import NotMeasurable
from learning.work import Work

MOST_TAUGHT = 3_000  # images to be near to
MOST_HELD_BACK = 2_000  # images to choose the threshold by
log = logging.getLogger(__name__)


def learn(
    work: Work, file: Path, size: int, calibrated: Calibration, on_progress: Callable[[int], None]
) -> Rejection | None:
    """Ask a finished network about the run's images, and learn from that what is like none of them.

    A network knows what it learnt from better than anything new, so images that were held back choose the
    threshold.

    Args:
        file: its LiteRT file. size: of the square, in pixels.
        on_progress: told now and then how many images are done; it may raise to stop.

    Returns:
        None where no image was held back, or the network gives numbers without limit.
    """
    chosen = _choose(work)
    asked, unread = answers.ask_all(file, chosen, size, on_progress, _say)
    gone = {refusal.sha256 for refusal in unread}
    chosen = [item for item in chosen if item["sha256"] not in gone]
    judged = np.flatnonzero([item["split"] != "train" for item in chosen])
    if not len(chosen):
        return None
    logits, embeddings = np.split(asked, [len(work.labels)], axis=1)
    probabilities, task = calibrated.probabilities(logits.astype(np.float64)), work.settings["task"]
    targets = inputs.make_targets(work.labels, chosen, task)
    hashes = [item["sha256"] for item in chosen]
    known = {"task": task, "seed": work.settings.get("seed", 0), "judged": judged}
    try:
        return rejection.fit(embeddings, probabilities, targets, hashes, **known)
    except NotMeasurable as error:
        log.warning("The unknown can't be told: %s", error)
        return None


def _choose(work: Work) -> list[dict[str, Any]]:
    """Return images held back and images taught, of every label alike where there are many."""
    known = set(work.labels)
    parts: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for item in work.read_items():
        if set(item["labels"]) <= known:
            parts[item["split"] == "train"].append(item)
    return _draw(parts[False], MOST_HELD_BACK) + _draw(parts[True], MOST_TAUGHT)


def _draw(items: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    return [items[place] for place in inputs.spread([", ".join(item["labels"]) for item in items], most)]


def _say(network: Network, pixels: np.ndarray) -> np.ndarray:
    """Return logits and embedding, one behind the other."""
    said = network.say(pixels)
    return np.concatenate([said.logits, said.embedding])
