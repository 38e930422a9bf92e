"""Recipe `fine-tune`: the network itself learns, beginning with the quick recipe's head.

Linear probing first and then fine-tuning (LP-FT, Kumar et al. 2022, https://arxiv.org/abs/2202.10054): with a
good head from the first step on, what the network knows already is not torn up.
"""

from __future__ import annotations

import logging
import shutil
import time
from typing import Any

import numpy as np

from learning import backbones, calibration, evaluation, exports, gathering, heads, inputs, networks, tables
from learning.calibration import SINGLE
from learning.gathering import Gathered
from learning.package import load_package
from learning.tuning import epochs, keeping, learner, schedules
from learning.tuning.epochs import Data
from learning.tuning.keeping import Keeper
from learning.tuning.learner import Learner
from learning.tuning.streaming import Squares
from learning.work import STARTED, Work

TIMED_STEPS = 3
USUAL_RATES = {True: 5e-5, False: 1e-3}  # of what knows something already, and of what doesn't
EXPORT_SECONDS = 25.0  # on two cores, for the default backbone
MOST_FOR_EXPORT = 0.2  # of the time budget
HELD_OUT = 5  # one in so many, where the dataset has no validation split
log = logging.getLogger(__name__)


def train(work: Work) -> None:
    """Begin with the quick head, train, keep what was best on validation, measure it, write the package.

    A run that was cut off goes on from its newest checkpoint, and ends with the same.

    Raises:
        NotEnough: there is too little to learn from.
        NotProven: the network's file doesn't answer as the network does.
        Stopped: an end was asked for.
    """
    begun = _begin_quietly(work)
    gathered = gathering.gather(work) if begun else gathering.look_through(work)
    data = _lay_out(work, gathered)
    network = _build(work, gathered, data, begun)
    taught = learner.build(network, work.settings, data.task, begun)
    folder = work.folder / "checkpoint"
    keeper = keeping.take_up(folder, taught) or _plan(work, taught, data, begun)
    log.info("%s", _describe_plan(keeper))
    epochs.run(work, taught, data, keeper)
    _finish(work, gathered, data, taught, keeper)
    shutil.rmtree(folder, ignore_errors=True)


def export(work: Work) -> list[str]:
    """Nothing is left to do after the first result; return the proven formats."""
    return load_package(work.package).proven


def is_pretrained(settings: dict[str, Any]) -> bool:
    """Whether the run begins with a network that knows something."""
    return backbones.get(settings["backbone"]).is_pretrained and settings["weights"] != "none"


def _begin_quietly(work: Work) -> bool:
    """Load TensorFlow, make it repeat itself exactly, and say whether the run begins with what is known."""
    networks.load_tensorflow_quietly()
    networks.repeat_exactly(work.settings["seed"])
    return is_pretrained(work.settings)


def _lay_out(work: Work, gathered: Gathered) -> Data:
    """Return what is learnt from, measured on and tested with."""
    items, task = gathered.items, work.settings["task"]
    targets = inputs.make_targets(work.labels, items, task)
    learning, validation = split(items, gathered.learnt)
    weights = np.ones(len(items))
    if work.settings["class_weights"]:
        weights = weigh(targets, learning)
    size = backbones.get(work.settings["backbone"]).input_size
    return Data(
        squares=Squares(items, size, work.folder),
        task=task,
        labels=work.labels,
        targets=targets.astype(np.float32),
        weights=weights.astype(np.float32),
        learning=learning,
        validation=validation,
        test=np.arange(gathered.learnt, len(items)),
    )


def split(items: list[dict[str, Any]], learnt: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places to learn from and to validate on, of the first `learnt` items.

    Where no item is in the validation split, one in five of each label (or set of labels) is held out, always
    the same ones; one at least, where a label has two.
    """
    held = {place for place in range(learnt) if items[place]["split"] == "validation"}
    if not held or len(held) == learnt:
        held = _hold_out(items[:learnt])
    learning = [place for place in range(learnt) if place not in held]
    return np.array(learning), np.array(sorted(held))


def _hold_out(items: list[dict[str, Any]]) -> set[int]:
    of_label: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        of_label.setdefault("\0".join(item["labels"]), []).append(place)
    held: set[int] = set()
    for places in of_label.values():
        ordered = sorted(places, key=lambda place: items[place]["sha256"])
        held.update(ordered[: max(1, len(places) // HELD_OUT)] if len(places) > 1 else [])
    if not held:
        raise inputs.NotEnough("No label has two images. Give at least two images to every label.")
    return held


def weigh(targets: np.ndarray, learning: np.ndarray) -> np.ndarray:
    """Return for every item how much it counts, so that every label counts alike; 1 on average.

    Args:
        targets: float (items, labels); learning: the places that are learnt from.
    """
    counts = targets[learning].sum(axis=0)
    of_label = counts.sum() / np.maximum(counts, 1)
    has = targets.sum(axis=1)
    weights = np.where(has > 0, targets @ of_label / np.maximum(has, 1), of_label.mean())
    return weights / weights[learning].mean()


def _build(work: Work, gathered: Gathered, data: Data, begun: bool) -> Any:
    """Return the network with the head it begins with: the quick one's, or none's."""
    chosen = work.settings
    networks.choose_precision(chosen["mixed_precision"])
    embedder = backbones.build_embedder(chosen["backbone"], chosen["backbones"], begun)
    if not begun:
        return networks.add_new_head(embedder, len(work.labels))
    work.report("solving")
    return networks.add_head(embedder, *_solve(work, gathered, data))


def _solve(work: Work, gathered: Gathered, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Return the quick head that learnt from the same items, calibrated, so that it gives logits."""
    hashes = [gathered.items[place]["sha256"] for place in data.learning]
    embeddings = inputs.stack(work.open_store(), hashes, work.folder)
    targets = data.targets[data.learning].astype(np.float64)
    head = heads.solve(embeddings, targets, work.settings["seed"], task=data.task).head
    (work.folder / "embeddings.npy").unlink(missing_ok=True)
    if data.task == SINGLE:
        return head.weights / head.calibration.temperature, head.bias / head.calibration.temperature
    scales, offsets = np.array(head.calibration.scales), np.array(head.calibration.offsets)
    return head.weights * scales, head.bias * scales + offsets


def _plan(work: Work, taught: Learner, data: Data, begun: bool) -> Keeper:
    """Measure what it begins with and how fast it learns; fix the number of steps and the learning rate."""
    work.report("training", 0, 1)
    chosen, count = work.settings, len(data.learning)
    batch = min(chosen["batch_size"], count)
    before = time.monotonic()
    state = epochs.begin(taught, data)
    check_seconds = time.monotonic() - before
    if not begun:
        state.first, state.least_score, state.best_loss = [], 0.0, float("inf")
    memory, weights = taught.memory(), taught.weights()
    one = schedules.Plan(1, max(1, count // batch), batch, 1e-3)
    rate = chosen["learning_rate"]
    if rate == "usual":
        rate = USUAL_RATES[begun]
    if rate == "auto":
        rate = _find_rate(work, taught, data, one)
        taught.set_weights(weights)
    step_seconds = _time_steps(work, taught, data, one)
    taught.set_weights(weights)
    taught.set_memory(memory)
    plan = schedules.plan(
        count,
        batch,
        chosen["epochs"],
        rate,
        seconds=_seconds_left(chosen["minutes"]),
        step_seconds=step_seconds,
        check_seconds=check_seconds,
    )
    return Keeper(work.folder / "checkpoint", taught, plan, state)


def _seconds_left(minutes: float) -> float:
    """What is left of the budget for training, with time for the export set aside."""
    budget = 60 * minutes
    return budget - (time.monotonic() - STARTED) - min(EXPORT_SECONDS, MOST_FOR_EXPORT * budget)


def _find_rate(work: Work, taught: Learner, data: Data, plan: schedules.Plan) -> float:
    """Try learning rates, telling of each, and return the one suggested."""
    batches = epochs.rehearse(work, data, plan)
    tried = schedules.find_rate(
        lambda rate: float(taught.take_step(next(batches), (work.settings["seed"], 0), rate)[0])
    )
    for place, (rate, loss, suggested) in enumerate(tried, 1):
        work.report("finding", place, schedules.FINDER_STEPS, rate=rate, loss=loss, suggested=suggested)
    log.info("The learning rate is to be %.2g.", suggested)
    return suggested


def _time_steps(work: Work, taught: Learner, data: Data, plan: schedules.Plan) -> float:
    """Return the seconds a step takes, the first not counted, which builds the graph."""
    batches = epochs.rehearse(work, data, plan)
    taken = []
    for _ in range(1 + TIMED_STEPS):
        before = time.monotonic()
        taught.take_step(next(batches), (work.settings["seed"], 0), 0.0)
        taken.append(time.monotonic() - before)
    return float(np.median(taken[1:]))


def _describe_plan(keeper: Keeper) -> str:
    plan, done = keeper.plan, keeper.state.step
    words = f"{plan.epochs} epochs of {plan.steps} steps, {plan.batch} images each"
    return f"{words}; learning rate {plan.rate:.2g}" + (f"; goes on after step {done}" if done else "")


def _finish(work: Work, gathered: Gathered, data: Data, taught: Learner, keeper: Keeper) -> None:
    """Measure the best, and write evaluation, package and result."""
    work.report("evaluating")
    taught = _rebuild(work, data, keeper)
    places = np.concatenate([data.validation, data.test])
    logits, count = epochs.ask(taught, data, places), len(data.validation)
    targets = data.targets[places].astype(np.float64)
    calibrated = calibration.fit(logits[:count], targets[:count], data.task)
    probabilities = calibrated.probabilities(logits)
    metrics = _measure(data, probabilities, targets, count, calibrated.thresholds or None)
    items = [gathered.items[place] for place in places]
    by = ["validation"] * count + ["test"] * len(data.test)
    path = work.folder / "evaluation.json"
    evaluation.write(path, work.labels, items, by, probabilities, evaluation.chief(metrics))
    shutil.rmtree(work.package, ignore_errors=True)  # of an earlier try
    spec = exports.write_network_package(
        work,
        taught.network,
        input_size=data.squares.size,
        calibration=calibrated,
        metrics=metrics,
        items=gathered.items,
        backbone=work.settings["backbone"],
    )
    work.settle(spec, len(gathered.items), gathered.refused, is_exported=True)
    work.show(tables.write(work.settings["dataset"], metrics, str(work.package)))


def _rebuild(work: Work, data: Data, keeper: Keeper) -> Learner:
    """Return the network in full precision, whatever it was trained in, with the best weights."""
    networks.choose_precision("off")
    embedder = backbones.build_embedder(work.settings["backbone"], is_pretrained=False)
    size, labels = embedder.outputs[0].shape[-1], len(work.labels)
    network = (
        networks.add_head(embedder, np.zeros((size, labels)), np.zeros(labels))
        if is_pretrained(work.settings)
        else networks.add_new_head(embedder, labels)
    )
    taught = learner.build(network, work.settings, data.task, True)
    taught.set_weights(keeper.state.best)
    return taught


def _measure(
    data: Data, probabilities: np.ndarray, targets: np.ndarray, count: int, thresholds: Any
) -> dict[str, Any]:
    """Return the metrics of validation, the first `count` items, and of test, the others."""
    blocks = [
        evaluation.measure(data.task, probabilities[rows], targets[rows], data.labels, thresholds)
        if len(targets[rows])
        else None
        for rows in (slice(count), slice(count, None))
    ]
    return evaluation.summarise(data.task, validation=blocks[0], test=blocks[1])
