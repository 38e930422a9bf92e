"""The loop of epochs: cut off at any step and taken up again, it gives what an undisturbed training does."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from learning import options
from learning.tuning import epochs, keeping, learner, streaming
from learning.tuning.data import Data
from learning.tuning.schedules import Plan
from learning.work import Stopped, Work
from tests.trained import COLOURS, make_images

pytestmark = pytest.mark.trainer
PLAN = Plan(epochs=3, steps=3, batch=4, rate=1e-2)
SIDE = 16


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Fifteen coloured discs, three of them to validate on."""
    folder = tmp_path_factory.mktemp("discs")
    paths = sorted(make_images(folder / "photos", 5).rglob("*.jpg"))
    items = [{"sha256": sha256(path.read_bytes()).hexdigest(), "path": str(path)} for path in paths]
    squares = streaming.Squares(items, SIDE, folder)
    places = np.arange(15)
    return Data(
        squares=squares,
        full=squares,
        task="single-label",
        labels=sorted(COLOURS),
        targets=np.eye(3, dtype=np.float32)[[sorted(COLOURS).index(path.parent.name) for path in paths]],
        weights=np.ones(15, np.float32),
        learning=places[places % 5 != 0],
        validation=places[places % 5 == 0],
        test=places[:0],
    )


def build() -> learner.Learner:
    """A tiny network, the same every time, that can learn."""
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    values = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    network = keras.Model([image], keras.layers.Dense(3)(values))
    return learner.build(network, options.check("fine-tune", {}), "single-label", is_pretrained=False)


def run(data, keeper, folder, end_at=None) -> dict:
    """Train on; return the figures of every epoch told. A wish to end comes with the step `end_at`."""
    told = {}

    def is_ending() -> bool:
        return keeper.state.step == end_at

    def report(phase, done, total, epoch, epochs, metrics=None, **_) -> None:
        if is_ending():
            raise Stopped("enough")
        if metrics:
            told[epoch] = metrics

    settings = options.check("fine-tune", {}) | {"seed": 1}
    work = Work(folder, settings, data.labels, lambda: iter(()), report, is_ending, print, print)
    epochs.run(work, keeper.learner, data, keeper)
    return told


def begin(folder) -> keeping.Keeper:
    taught = build()
    return keeping.Keeper(folder, taught, PLAN, epochs.begin(taught, knows=False))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Figures and best epoch of a training that was never disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    keeper = begin(folder)
    told = run(data, keeper, folder)
    assert list(told) == [1, 2, 3]
    return told, keeper.state


@pytest.mark.parametrize(
    "step", [2, 3, 9], ids=["in the middle", "at its last step", "at the very last step"]
)
def test_an_epoch_that_is_cut_off_before_it_was_measured_counts_once(data, whole, tmp_path, step):
    with pytest.raises(Stopped):
        run(data, begin(tmp_path), tmp_path, end_at=step)
    keeper = keeping.take_up(tmp_path, build())
    assert keeper.state.step == step
    told = run(data, keeper, tmp_path)
    wanted, state = whole
    assert list(told) == list(range(1 + (step - 1) // PLAN.steps, 4))
    assert all(told[epoch] == pytest.approx(wanted[epoch], abs=1e-6) for epoch in told)
    assert keeper.state.best_epoch == state.best_epoch
    assert keeper.state.best_loss == pytest.approx(state.best_loss, abs=1e-6)
