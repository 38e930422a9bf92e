"""Recipe `fine-tune`: the network itself learns, beginning with the quick recipe's head.

Linear probing first and then fine-tuning (LP-FT, Kumar et al. 2022, https://arxiv.org/abs/2202.10054): with a
good head from the first step on, what the network knows already is not torn up. At the end the head is solved
once more, on what the network says by then.
"""

from __future__ import annotations

import logging
import shutil

from learning import gathering, networks
from learning.tuning import data, epochs, finishing, keeping, learner, sides, starting
from learning.tuning.keeping import Keeper
from learning.work import Work

log = logging.getLogger(__name__)


def train(work: Work) -> None:
    """Begin with the quick head, train, keep what was best on validation, measure it, write the package.

    A run that was cut off goes on from its newest checkpoint, and ends with the same.

    Raises:
        NotEnough: there is too little to learn from.
        NotProven: the network's file doesn't answer as the network does.
        Stopped: an end was asked for.
    """
    networks.load_tensorflow_quietly()
    networks.repeat_exactly(work.settings["seed"])
    knows = starting.is_pretrained(work.settings)
    gathered = gathering.gather(work) if knows else gathering.look_through(work)
    folder = work.folder / "checkpoint"
    side = sides.recall(folder) or starting.choose_side(work, gathered, knows)
    sides.keep(folder, side)
    laid_out = data.lay_out(work, gathered, side, starting.full_side(work.settings))
    network = starting.build(work, gathered, laid_out, knows)
    taught = learner.build(network, work.settings, laid_out.task, knows)
    keeper = keeping.take_up(folder, taught) or starting.plan(work, taught, laid_out, knows)
    log.info("%s", _describe(keeper))
    epochs.run(work, taught, laid_out, keeper)
    finishing.finish(work, gathered, laid_out, keeper.state)
    shutil.rmtree(folder, ignore_errors=True)


def _describe(keeper: Keeper) -> str:
    plan, done = keeper.plan, keeper.state.step
    words = f"{plan.epochs} epochs of {plan.steps} steps, {plan.batch} images each"
    return f"{words}; learning rate {plan.rate:.2g}" + (f"; goes on after step {done}" if done else "")
