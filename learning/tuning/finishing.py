"""After the last epoch: the best on validation of what was learnt and what was known, measured and packaged.

What learnt from an image flatters it, so a head that is solved anew on what a tuned network says chooses its
strength and its calibration on validation items alone, each left out in turn.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from learning import backbones, calibration, evaluation, exports, heads, inputs, networks
from learning.calibration import Calibration
from learning.exports import Measured
from learning.gathering import Gathered
from learning.tuning import starting
from learning.tuning.data import Data
from learning.tuning.epochs import AT_ONCE
from learning.tuning.keeping import State
from learning.tuning.streaming import stream
from learning.work import Work

# How far from what was known before training to what is known after it (WiSE-FT, Wortsman et al. 2022).
BLENDS = (1.0, 0.5)
MATRICES = ("tuned.npy", "embeddings.npy")  # what is laid out in files where the items are many
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A network that could be the result.

    Attributes:
        weights: of the network without its head; head: weights and bias that give logits.
        validation: float64 (validation items, labels), probabilities by something that never saw the item.
        loss: of them, in nats.
    """

    name: str
    weights: list[np.ndarray]
    head: tuple[np.ndarray, np.ndarray]
    calibration: Calibration
    validation: np.ndarray
    loss: float


def finish(work: Work, gathered: Gathered, data: Data, state: State) -> None:
    """Choose, measure, and write evaluation, package and result.

    Raises:
        NotProven: the network's file doesn't answer as the network does.
        Stopped: an end was asked for.
    """
    work.report("evaluating", 0, 1 + len(BLENDS))
    embedder, network = _rebuild(work, bool(state.first), data.full.size)
    choice = min(_list_choices(work, gathered, embedder, data, state), key=lambda choice: choice.loss)
    log.info("Best on validation: %s.", choice.name)
    work.report("evaluating", len(BLENDS), 1 + len(BLENDS))
    network.set_weights([*choice.weights, *(part.astype(np.float32) for part in choice.head)])
    tested = _embed(embedder, data, data.test) @ choice.head[0] + choice.head[1]
    metrics = _write_evaluation(work, gathered, data, choice, choice.calibration.probabilities(tested))
    shutil.rmtree(work.package, ignore_errors=True)  # of an earlier try
    for name in MATRICES:
        (work.folder / name).unlink(missing_ok=True)
    measured = Measured(gathered.items, gathered.refused, choice.calibration, metrics)
    exports.publish(work, network, measured, data.full.size, work.settings["backbone"])


def _rebuild(work: Work, knows: bool, side: int) -> tuple[Any, Any]:
    """Return what embeds, and the whole network, in full precision and at the side answers are given at."""
    networks.choose_precision("off")
    embedder = backbones.build_embedder(work.settings["backbone"], is_pretrained=False, side=side)
    size, labels = embedder.outputs[0].shape[-1], len(work.labels)
    if knows:
        return embedder, networks.add_head(embedder, np.zeros((size, labels)), np.zeros(labels))
    network = networks.add_new_head(embedder, labels)
    return networks.below_head(network), network


def _blend(state: State) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield a name and weights: those of the best epoch, and between them and what was known before."""
    yield "as learnt", state.best
    for share in BLENDS[1:] if state.first else ():
        pairs = zip(state.first, state.best, strict=True)
        yield f"{share:.0%} of the way", [first + share * (best - first) for first, best in pairs]


def _list_choices(
    work: Work, gathered: Gathered, embedder: Any, data: Data, state: State
) -> Iterator[Choice]:
    """Yield what it began with, if that knew something and labels count as they come, and what it learnt."""
    if state.first and not work.settings["class_weights"]:
        yield _choose_known(work, gathered, embedder, data, state)
    for done, (name, weights) in enumerate(_blend(state)):
        work.report("evaluating", done, 1 + len(BLENDS))
        yield _choose_tuned(work, embedder, data, name, weights)


def _choose_known(work: Work, gathered: Gathered, embedder: Any, data: Data, state: State) -> Choice:
    """Return the quick recipe's answer: nothing worse than this on validation comes out."""
    body, seen = state.first[:-2], _seen(data)
    if data.full.size == backbones.get(work.settings["backbone"]).input_size:
        embeddings = starting.recall_embeddings(work, gathered, seen)
    else:
        embedder.set_weights(body)
        embeddings = _embed(embedder, data, seen)
    return _solve(work, "as it began", data, body, embeddings)


def _choose_tuned(work: Work, embedder: Any, data: Data, name: str, weights: list[np.ndarray]) -> Choice:
    """Return the network with these weights and the head that suits it."""
    *body, kernel, bias = weights
    embedder.set_weights(body)
    if work.settings["class_weights"] or not starting.is_pretrained(work.settings):
        return _as_trained(name, data, body, (kernel, bias), _embed(embedder, data, data.validation))
    return _solve(work, name, data, body, _embed(embedder, data, _seen(data)))


def _seen(data: Data) -> np.ndarray:
    return np.concatenate([data.learning, data.validation])


def _solve(work: Work, name: str, data: Data, body: list[np.ndarray], embeddings: np.ndarray) -> Choice:
    """Solve a head for embeddings of what was learnt from and validated on, chosen by the latter."""
    targets = data.targets[_seen(data)].astype(np.float64)
    validated = np.arange(len(data.learning), len(targets))
    solution = heads.solve(embeddings, targets, work.settings["seed"], task=data.task, judged=validated)
    head, said = solution.head, solution.leave_one_out[validated]
    loss = _measure(data, said, targets[validated], head.calibration)["log_loss"]
    return Choice(name, body, (head.weights, head.bias), head.calibration, said, loss)


def _as_trained(
    name: str, data: Data, body: list[np.ndarray], head: tuple[np.ndarray, np.ndarray], embeddings: np.ndarray
) -> Choice:
    """Keep the head as training left it, calibrated on validation."""
    logits, targets = embeddings @ head[0] + head[1], data.targets[data.validation].astype(np.float64)
    calibrated = calibration.fit(logits, targets, data.task)
    said = calibrated.probabilities(logits)
    loss = _measure(data, said, targets, calibrated)["log_loss"]
    return Choice(name, body, head, calibrated, said, loss)


def _embed(embedder: Any, data: Data, places: np.ndarray) -> np.ndarray:
    """Return what the network says of items at full side, below its head: float32 (places, size)."""
    import tensorflow as tf

    def embed(pixels):
        return embedder([tf.cast(pixels, tf.float32)], training=False)[0]

    asked = tf.function(embed, reduce_retracing=True)
    matrix = inputs.make_matrix(len(places), embedder.outputs[0].shape[-1], data.full.folder / MATRICES[0])
    for start, pixels in enumerate(stream(data.full, places, AT_ONCE)):
        matrix[start * AT_ONCE : start * AT_ONCE + len(pixels)] = asked(pixels)
    return matrix


def _measure(data: Data, said: np.ndarray, targets: np.ndarray, calibrated: Calibration) -> dict[str, Any]:
    return evaluation.measure(data.task, said, targets, data.labels, calibrated.thresholds or None)


def _write_evaluation(
    work: Work, gathered: Gathered, data: Data, choice: Choice, tested: np.ndarray
) -> dict[str, Any]:
    """Write what was predicted of every item that was not learnt from, and return the metrics."""
    places = np.concatenate([data.validation, data.test])
    blocks = [
        _measure(data, said, data.targets[rows].astype(np.float64), choice.calibration) if len(rows) else None
        for said, rows in ((choice.validation, data.validation), (tested, data.test))
    ]
    metrics = evaluation.summarise(data.task, validation=blocks[0], test=blocks[1])
    by = ["validation"] * len(data.validation) + ["test"] * len(data.test)
    items = [gathered.items[place] for place in places]
    said = np.concatenate([choice.validation, tested])
    path = work.folder / "evaluation.json"
    evaluation.write(path, work.labels, items, by, said, evaluation.chief(metrics))
    return metrics
