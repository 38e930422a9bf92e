"""How far a training is, and the checkpoints of it: all that is needed to go on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from learning.tuning import checkpoints
from learning.tuning.learner import Learner
from learning.tuning.schedules import Plan

# A checkpoint is written no oftener than this, and no oftener than costs a twentieth of the time.
LEAST_SECONDS, TIMES_WRITING = 1.0, 20.0
LISTS = ("best", "first")
NUMBERS = ("step", "measured", "best_loss", "best_epoch", "last_loss")


@dataclass
class State:
    """How far a training is.

    Attributes:
        step: steps done; sums: what they gave in this epoch (loss, labels said rightly, said, true).
        measured: epochs done and measured; the last step of one may be done before that.
        first: the weights it began with, none where they knew nothing.
        best, best_loss, best_epoch: the weights after the epoch that was best on validation.
        last_loss: of the latest epoch, on what it learnt from.
    """

    step: int = 0
    measured: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(4))
    first: list[np.ndarray] = field(default_factory=list)
    best: list[np.ndarray] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int = 0
    last_loss: float | None = None


class Keeper:
    """Writes checkpoints of one training, now and then, and reads the newest."""

    def __init__(self, folder: Path, learner: Learner, plan: Plan, state: State):
        self.folder, self.learner, self.plan, self.state = folder, learner, plan, state
        self._written, self._took = time.monotonic(), 0.0

    def keep_now_and_then(self, is_due: bool = False) -> None:
        """Write a checkpoint if the last is long ago, or `is_due`."""
        if not is_due and time.monotonic() - self._written < max(LEAST_SECONDS, TIMES_WRITING * self._took):
            return
        begun = time.monotonic()
        groups = {name: getattr(self.state, name) for name in LISTS}
        groups |= {"weights": self.learner.weights(), "memory": self.learner.memory()}
        groups["sums"] = [self.state.sums]
        numbers = {name: getattr(self.state, name) for name in NUMBERS}
        checkpoints.save(self.folder, self.state.step, groups, numbers | {"plan": self.plan.to_json()})
        self._written = time.monotonic()
        self._took = self._written - begun


def take_up(folder: Path, learner: Learner) -> Keeper | None:
    """Bring the learner to where the newest checkpoint is; None where there is none."""
    kept = checkpoints.load(folder)
    if kept is None:
        return None
    groups, numbers = kept
    plan = Plan(**numbers.pop("plan"))
    learner.set_weights(groups["weights"])
    learner.set_memory(groups["memory"])
    state = State(**numbers, sums=groups["sums"][0], **{name: groups[name] for name in LISTS})
    return Keeper(folder, learner, plan, state)
