"""Epoch after epoch: what is learnt, how good it is on validation, the best of it kept, a kill survived."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from learning import calibration, evaluation, tables
from learning.tuning.data import Data
from learning.tuning.keeping import Keeper, State
from learning.tuning.learner import Learner
from learning.tuning.schedules import Plan, one_cycle
from learning.tuning.streaming import stream
from learning.work import Work

AT_ONCE = 32  # images asked about at a time
TELL_SECONDS = 1.0


def ask(learner: Learner, data: Data, places: np.ndarray) -> np.ndarray:
    """Return the network's logits, float32 (places, labels)."""
    answers = [np.asarray(learner.ask(pixels)) for pixels in stream(data.squares, places, AT_ONCE)]
    return np.concatenate(answers) if answers else np.zeros((0, len(data.labels)), np.float32)


def check(learner: Learner, data: Data) -> tuple[float, float]:
    """Return the loss on validation (nats, calibrated on it) and the score that `score_name` names."""
    logits, targets = ask(learner, data, data.validation), data.targets[data.validation]
    calibrated = calibration.fit(logits, targets, data.task)
    said = np.clip(calibrated.probabilities(logits), 1e-7, 1 - 1e-7)
    measured = evaluation.measure(data.task, said, targets, data.labels, calibrated.thresholds or None)
    return float(measured["log_loss"]), float(measured[score_name(data.task)])


def score_name(task: str) -> str:
    """`accuracy`, or `micro_f1` of several labels."""
    return "accuracy" if task == calibration.SINGLE else "micro_f1"


def begin(learner: Learner, knows: bool) -> State:
    """Return the state before the first step; what it starts from is kept where it `knows` something."""
    weights = learner.weights()
    return State(best=weights, first=weights if knows else [])


def run(work: Work, learner: Learner, data: Data, keeper: Keeper) -> None:
    """Train from where the state is to the plan's end, or until nothing got better for long; keep the best.

    Raises:
        Stopped: an end was asked for; a checkpoint was written.
    """
    plan, state = keeper.plan, keeper.state
    started, first = time.monotonic(), state.step
    if state.step == 0:
        work.show(tables.head_epochs(score_name(data.task)))
    while not has_ended(plan, state, work.settings["patience"]):
        begun = time.monotonic()
        _learn_epoch(work, learner, data, keeper)
        event = _close_epoch(learner, data, plan, state)
        left = (time.monotonic() - started) / max(1, state.step - first) * (plan.total - state.step)
        event |= {"seconds": round(time.monotonic() - begun, 1), "left_seconds": round(left)}
        work.show(tables.write_epoch(event, score_name(data.task)))
        is_last = has_ended(plan, state, work.settings["patience"])
        keeper.keep_now_and_then(is_due=is_last or work.is_ending())
        work.report("training", plan.steps, plan.steps, **event)


def has_ended(plan: Plan, state: State, patience: int) -> bool:
    """Whether all epochs are done, or nothing got better for `patience` of them.

    Those of the first half don't count: while the learning rate is high, validation gets worse before it gets
    better.
    """
    since_best = state.measured - max(state.best_epoch, plan.epochs // 2)
    return state.measured >= plan.epochs or since_best >= patience


def _learn_epoch(work: Work, learner: Learner, data: Data, keeper: Keeper) -> None:
    """Do the rest of the epoch in which the state is: nothing where a kill left it learnt, not measured."""
    plan, state = keeper.plan, keeper.state
    epoch, start = state.measured, state.step - state.measured * plan.steps
    told = time.monotonic()
    bar = tqdm(total=plan.steps, initial=start, desc=f"epoch {epoch + 1}", leave=False, disable=None)
    with bar:
        for step, batch in enumerate(_batches(work, data, plan, epoch, start), start):
            rate = one_cycle(state.step, plan.total, plan.rate)
            seed = (work.settings["seed"], state.step)
            state.sums += learner.take_step(batch, seed, rate)
            state.step += 1
            bar.update()
            keeper.keep_now_and_then(is_due=work.is_ending())
            if time.monotonic() - told > TELL_SECONDS or work.is_ending():
                told = time.monotonic()
                work.report("training", step + 1, plan.steps, epoch=epoch + 1, epochs=plan.epochs)


def _batches(work: Work, data: Data, plan: Plan, epoch: int, start: int) -> Iterator[tuple]:
    """Yield (pixels, targets, weights) of the epoch from step `start` on, in an order of the seed."""
    order = np.random.default_rng([work.settings["seed"], epoch]).permutation(data.learning)
    order = order[start * plan.batch : plan.steps * plan.batch]
    for place, pixels in enumerate(stream(data.squares, order, plan.batch)):
        chosen = order[place * plan.batch : (place + 1) * plan.batch]
        yield pixels, data.targets[chosen], data.weights[chosen]


def rehearse(work: Work, data: Data, plan: Plan) -> Iterator[tuple]:
    """Yield batches without end for steps that don't count; what they changed has to be taken back."""
    while True:
        yield from _batches(work, data, plan, 0, 0)


def _close_epoch(learner: Learner, data: Data, plan: Plan, state: State) -> dict[str, Any]:
    """Measure on validation, keep what is best, and return the epoch's event."""
    state.measured = epoch = state.measured + 1
    loss, score = check(learner, data)
    if loss < state.best_loss:
        state.best, state.best_loss, state.best_epoch = learner.weights(), loss, epoch
    summed, right, said, true = state.sums
    name = score_name(data.task)
    state.last_loss = float(summed / plan.steps)
    metrics = {
        "loss": round(state.last_loss, 8),
        name: round(float(2 * right / max(said + true, 1)), 4),
        "val_loss": round(loss, 6),
        f"val_{name}": round(score, 4),
        "learning_rate": one_cycle(state.step - 1, plan.total, plan.rate),
    }
    state.sums = np.zeros(4)
    return {"epoch": epoch, "epochs": plan.epochs, "metrics": metrics}
