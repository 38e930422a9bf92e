"""Before the first epoch: the network and its first head, how fast it learns, what there is time for."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np

from learning import backbones, calibration, heads, inputs, networks
from learning.calibration import SINGLE
from learning.gathering import Gathered
from learning.tuning import epochs, schedules, sides
from learning.tuning.data import Data, split
from learning.tuning.keeping import Keeper
from learning.tuning.learner import Learner
from learning.work import STARTED, Work

TIMED_STEPS = 3
USUAL_RATES = {True: 3e-4, False: 1e-3}  # of what knows something already, and of what doesn't
EXPORT_SECONDS = 25.0  # on two cores, for the default backbone
MOST_FOR_EXPORT = 0.2  # of the time budget
MOST_FOR_FINDING, LEAST_TRIED = 0.25, 20  # of what is left of it; learning rates, to see a curve
# How often every image is looked at after training, at full side; Keras takes so much longer than LiteRT.
LOOKS, TIMES_LITERT = 2, 2.0
FACTORS = np.geomspace(1, 1 / 64, 60)
log = logging.getLogger(__name__)


def is_pretrained(settings: dict[str, Any]) -> bool:
    """Whether the run begins with a network that knows something."""
    return backbones.get(settings["backbone"]).is_pretrained and settings["weights"] != "none"


def full_side(settings: dict[str, Any]) -> int:
    """Return the side of the squares that answers are given at: the backbone's own, or a larger one.

    A network that knew nothing answers at the side it learnt from.
    """
    own, chosen = backbones.get(settings["backbone"]).input_size, settings.get("image_size", "auto")
    if chosen == "auto":
        return own
    return max(own, chosen) if is_pretrained(settings) else chosen


def choose_side(work: Work, gathered: Gathered, knows: bool) -> int:
    """Return the side of the squares to learn from: as chosen, or as large as leaves time for enough epochs.

    Args:
        knows: whether the network is pretrained, and LiteRT knows it.
    """
    own = backbones.get(work.settings["backbone"]).input_size
    chosen = work.settings.get("image_size", "auto")  # a run begun earlier may lack it
    if chosen != "auto":
        return chosen
    if not knows:
        return own
    prepared = backbones.prepare(work.settings["backbone"], work.settings["backbones"])
    looking = sides.time_looking(prepared)
    learning, _ = split(gathered.items, gathered.learnt)
    seconds = _seconds_to_learn(work, len(gathered.items), TIMES_LITERT * looking)
    side = sides.choose(own, len(learning), seconds, looking)
    log.info("Learning from squares of %d pixels, answering at %d.", side, own)
    return side


def seconds_left(minutes: float) -> float:
    """What is left of the budget for training, with time for the export set aside."""
    budget = 60 * minutes
    return budget - (time.monotonic() - STARTED) - min(EXPORT_SECONDS, MOST_FOR_EXPORT * budget)


def _seconds_to_learn(work: Work, count: int, look_seconds: float) -> float:
    """What is left to learn in where `count` images are looked at afterwards, each in `look_seconds`."""
    return seconds_left(work.settings["minutes"]) - LOOKS * count * look_seconds


def build(work: Work, gathered: Gathered, data: Data, knows: bool) -> Any:
    """Return the network with the head it begins with: the quick one's, or none's."""
    chosen = work.settings
    networks.choose_precision(chosen["mixed_precision"])
    embedder = backbones.build_embedder(chosen["backbone"], chosen["backbones"], knows, data.squares.size)
    if not knows:
        return networks.add_new_head(embedder, len(work.labels))
    work.report("solving")
    return networks.add_head(embedder, *_solve(work, gathered, data))


def _solve(work: Work, gathered: Gathered, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Return the quick head that learnt from the same items, so that it gives logits for the loss to come."""
    embeddings = recall_embeddings(work, gathered, data.learning)
    targets = data.targets[data.learning].astype(np.float64)
    head = heads.solve(embeddings, targets, work.settings["seed"], task=data.task).head
    weights, bias = head.weights / head.calibration.temperature, head.bias / head.calibration.temperature
    if data.task != SINGLE:
        scales, offsets = np.array(head.calibration.scales), np.array(head.calibration.offsets)
        weights, bias = head.weights * scales, head.bias * scales + offsets
    factor = soften(embeddings @ weights + bias, targets, work.settings["label_smoothing"], data.task)
    (work.folder / "embeddings.npy").unlink(missing_ok=True)
    return factor * weights, factor * bias


def recall_embeddings(work: Work, gathered: Gathered, places: np.ndarray) -> np.ndarray:
    """Return what the backbone said of some items before it learnt, float32 (places, embedding size)."""
    hashes = [gathered.items[place]["sha256"] for place in places]
    return inputs.stack(work.open_store(), hashes, work.folder)


def soften(logits: np.ndarray, targets: np.ndarray, doubt: float, task: str) -> float:
    """Return the factor, 1 at most, by which logits fit smoothed targets best.

    Of what it learnt from, a head is far surer than label smoothing wants. Left so, the first steps would
    teach the whole network no more than to be less sure.

    Args:
        logits, targets: float (items, labels); doubt: of the label smoothing, 0 to 0.5.
    """
    if not doubt:
        return 1.0
    wanted = targets * (1 - doubt) + doubt * (1 / targets.shape[1] if task == SINGLE else 0.5)
    return float(min(FACTORS, key=lambda factor: _loss(factor * logits, wanted, task)))


def _loss(logits: np.ndarray, wanted: np.ndarray, task: str) -> float:
    if task == SINGLE:
        return float(-(wanted * np.log(np.maximum(calibration.softmax(logits), 1e-300))).sum(axis=1).mean())
    return float((np.logaddexp(0, logits) - wanted * logits).mean())


def plan(work: Work, taught: Learner, data: Data, knows: bool) -> Keeper:
    """Measure how fast it learns; fix the number of steps and the learning rate."""
    chosen, count = work.settings, len(data.learning)
    batch = min(chosen["batch_size"], count)
    state, memory, weights = epochs.begin(taught, knows), taught.memory(), taught.weights()
    one = schedules.Plan(1, max(1, count // batch), batch, 1e-3)
    step_seconds, check_seconds = _time_steps(work, taught, data, one), _time_check(taught, data)
    rate = chosen["learning_rate"]
    if rate == "auto":
        rate = _find_rate(work, taught, data, one, step_seconds)
    if rate == "usual":
        rate = USUAL_RATES[knows]
    taught.set_weights(weights)
    taught.set_memory(memory)
    work.report("training", 0, 1)
    look_seconds = check_seconds / max(1, len(data.validation)) * (data.full.size / data.squares.size) ** 2
    fixed = schedules.plan(
        count,
        batch,
        chosen["epochs"],
        rate,
        seconds=_seconds_to_learn(work, len(data.squares), look_seconds),
        step_seconds=step_seconds,
        check_seconds=check_seconds,
    )
    return Keeper(work.folder / "checkpoint", taught, fixed, state)


def _find_rate(
    work: Work, taught: Learner, data: Data, one: schedules.Plan, step_seconds: float
) -> float | str:
    """Try learning rates, telling of each; return the one suggested, or `usual` where there is no time."""
    seconds = MOST_FOR_FINDING * seconds_left(work.settings["minutes"])
    steps = min(schedules.FINDER_STEPS, int(seconds / step_seconds))
    if steps < LEAST_TRIED:
        log.info("There is no time to look for the learning rate: it is the usual one.")
        return "usual"
    batches = epochs.rehearse(work, data, one)
    tried = schedules.find_rate(
        lambda rate: float(taught.take_step(next(batches), (work.settings["seed"], 0), rate)[0]), steps
    )
    for place, (rate, loss, suggested) in enumerate(tried, 1):
        work.report("finding", place, steps, rate=rate, loss=loss, suggested=suggested)
    log.info("The learning rate is to be %.2g.", suggested)
    return suggested


def _time_steps(work: Work, taught: Learner, data: Data, one: schedules.Plan) -> float:
    """Return the seconds a step takes, the first not counted, which builds the graph."""
    batches = epochs.rehearse(work, data, one)
    taken = []
    for _ in range(1 + TIMED_STEPS):
        before = time.monotonic()
        taught.take_step(next(batches), (work.settings["seed"], 0), 0.0)
        taken.append(time.monotonic() - before)
    return float(np.median(taken[1:]))


def _time_check(taught: Learner, data: Data) -> float:
    """Return the seconds measuring on validation takes, without building its graph."""
    epochs.ask(taught, data, data.validation[: epochs.AT_ONCE])
    before = time.monotonic()
    epochs.check(taught, data)
    return time.monotonic() - before
