"""How a network of one's own learns: its loss where it has none, the images varied, progress, checkpoints."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from learning.calibration import SINGLE
from learning.tuning import augmentation, checkpoints
from learning.tuning.streaming import Squares, run_ahead
from learning.work import Work

REPORT_SECONDS = 0.5
MOST_STEPS = 2**26  # so that seeds stay within int32
SEEDS_A_STEP = 16  # as learning/tuning/augmentation.py takes them
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as learning/uploads/wrapping.py has it
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


def find_ending(model: Any) -> str | None:
    """Return softmax, sigmoid or logits: what the model's answers are; None where it can't be told."""
    layers = getattr(model, "layers", None)
    if not layers:
        return None
    last = layers[-1]
    if type(last).__name__ == "Softmax":
        return "softmax"
    activation = getattr(getattr(last, "activation", None), "__name__", "linear")
    return activation if activation in ("softmax", "sigmoid") else "logits"


def compile_unless_done(model: Any, ending: str | None, settings: dict[str, Any]) -> None:
    """Give the model optimizer, loss and accuracy, unless own code did (and no other loss was chosen)."""
    import keras

    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and settings["loss"] == "auto":
        return
    rate = 0.001 if settings["learning_rate"] == "auto" else settings["learning_rate"]
    optimizer = optimizer or keras.optimizers.AdamW(rate, weight_decay=settings["weight_decay"])
    is_single = settings["task"] == SINGLE
    metric = keras.metrics.CategoricalAccuracy if is_single else keras.metrics.BinaryAccuracy
    options = {} if is_single else {"threshold": 0.0 if ending in (None, "logits") else 0.5}
    model.compile(optimizer, _loss(ending, settings), metrics=[metric(name="accuracy", **options)])


def _loss(ending: str | None, settings: dict[str, Any]) -> Any:
    import keras

    if settings["loss"] == "mean-squared-error":
        return keras.losses.MeanSquaredError()
    is_categorical = settings["task"] == SINGLE and ending != "sigmoid"
    kinds = {
        ("focal", True): keras.losses.CategoricalFocalCrossentropy,
        ("focal", False): keras.losses.BinaryFocalCrossentropy,
        ("cross-entropy", True): keras.losses.CategoricalCrossentropy,
        ("cross-entropy", False): keras.losses.BinaryCrossentropy,
    }
    name = "cross-entropy" if settings["loss"] == "auto" else settings["loss"]
    return kinds[name, is_categorical](
        from_logits=ending in (None, "logits"), label_smoothing=settings["label_smoothing"]
    )


def fit(
    work: Work, model: Any, squares: Squares, targets: np.ndarray, learnt: np.ndarray, held: np.ndarray
) -> None:
    """Fit until the epochs, the minutes or the patience are used up; leave the best weights in the model.

    A run that was killed goes on from the last whole epoch.
    """
    settings = work.settings
    wants_indices = "sparse" in str(getattr(model, "loss", "")).lower()
    steps = -(-len(learnt) // settings["batch_size"])
    progress = Progress(work, model, steps, has_validation=len(held) > 0)
    progress.take_up()
    if not progress.left_epochs(0.0):
        return progress.bring_back_best()
    learning = _stream_varied(settings, squares, targets, learnt, wants_indices, progress.done)
    checking = _stream_plain(settings, squares, targets, held, wants_indices) if len(held) else None
    model.fit(
        learning,
        initial_epoch=progress.done,
        epochs=settings["epochs"],
        steps_per_epoch=steps,
        validation_data=checking,
        class_weight=_class_weights(targets[learnt], settings),
        callbacks=[progress.as_callback()],
        shuffle=False,  # the streams see to it
        verbose=0,
    )
    return progress.bring_back_best()


def _class_weights(targets: np.ndarray, settings: dict[str, Any]) -> dict[int, float] | None:
    """Weights so that every label counts alike; for a single-label task."""
    if not settings["class_weights"] or settings["task"] != SINGLE:
        return None
    counts = targets.sum(axis=0)
    return {index: float(len(targets) / (len(counts) * max(count, 1))) for index, count in enumerate(counts)}


def _stream_varied(
    settings: dict, squares: Squares, targets: np.ndarray, some: np.ndarray, as_indices: bool, first: int
) -> Any:
    """An endless tf.data set of (values from 0 to 1, targets), shuffled and varied anew every epoch.

    What is drawn depends on the seed, the epoch and the step alone, so that a fit taken up at epoch `first`
    sees what it would have seen.
    """
    import tensorflow as tf

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for epoch in itertools.count(first):
            order = np.random.default_rng((settings["seed"], epoch)).permutation(some)
            for step, places in enumerate(_split(order, settings)):
                drawn = np.array(
                    [settings["seed"], (epoch * len(some) + step) % MOST_STEPS * SEEDS_A_STEP], np.int32
                )
                yield *_read(settings, squares, targets, places, as_indices), drawn

    kinds = (*_kinds(settings, squares, targets, as_indices), tf.TensorSpec((2,), tf.int32))
    vary = augmentation.build(settings)
    streamed = tf.data.Dataset.from_generator(batches, output_signature=kinds)
    return run_ahead(streamed.map(lambda image, target, drawn: (vary(255 * image, drawn) / 255, target)))


def _stream_plain(
    settings: dict, squares: Squares, targets: np.ndarray, some: np.ndarray, as_indices: bool
) -> Any:
    """A tf.data set of (values from 0 to 1, targets) in order, once."""
    import tensorflow as tf

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for places in _split(some, settings):
            yield _read(settings, squares, targets, places, as_indices)

    kinds = _kinds(settings, squares, targets, as_indices)
    streamed = tf.data.Dataset.from_generator(batches, output_signature=kinds)
    steps = -(-len(some) // settings["batch_size"])
    return run_ahead(streamed.apply(tf.data.experimental.assert_cardinality(steps)))


def _split(places: np.ndarray, settings: dict[str, Any]) -> Iterator[np.ndarray]:
    size = settings["batch_size"]
    return (places[start : start + size] for start in range(0, len(places), size))


def _read(
    settings: dict, squares: Squares, targets: np.ndarray, places: np.ndarray, as_indices: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch: values from 0 to 1, and targets, or where the loss wants them, indices."""
    values = np.stack([squares.read(place) for place in places]).astype(np.float32) / 255
    if _channels(settings) == 1:
        values = values @ GREY[:, np.newaxis]
    wanted = targets[places]
    return values, wanted.argmax(axis=1).astype(np.int32)[:, np.newaxis] if as_indices else wanted


def _kinds(settings: dict, squares: Squares, targets: np.ndarray, as_indices: bool) -> tuple[Any, Any]:
    import tensorflow as tf

    shape = (None, squares.size, squares.size, _channels(settings))
    wanted = ((None, 1), tf.int32) if as_indices else ((None, targets.shape[1]), tf.float32)
    return tf.TensorSpec(shape, tf.float32), tf.TensorSpec(*wanted)


def _channels(settings: dict[str, Any]) -> int:
    return 1 if settings["colour"] == "greyscale" else 3


class Progress:
    """What is told of a fit, what is kept of it, and when it is enough; a callback of Keras calls it."""

    def __init__(self, work: Work, model: Any, steps: int, has_validation: bool):
        self.work, self.model, self.steps = work, model, steps
        self.settings, self.folder = work.settings, work.folder / "checkpoint"
        self.watched = "val_loss" if has_validation else "loss"
        self.state: dict[str, Any] = {"losses": [], "seconds": 0.0}
        self.best: list[np.ndarray] = []
        self.next_report = 0.0
        self.began = time.monotonic()

    @property
    def done(self) -> int:
        """How many epochs are done."""
        return len(self.state["losses"])

    def take_up(self) -> None:
        """Bring the model to where a run that was cut off has left it."""
        self.model.optimizer.build(self.model.trainable_variables)
        kept = checkpoints.load(self.folder / "fit")
        if kept is None:
            return
        groups, self.state = kept
        self.best = groups["best"]
        for name, variables in self._variables().items():
            for variable, value in zip(variables, groups[name], strict=True):
                variable.assign(value)

    def _variables(self) -> dict[str, list[Any]]:
        """All that changes while learning, the states of random layers too."""
        return {"model": self.model.variables, "optimizer": self.model.optimizer.variables}

    def as_callback(self) -> Any:
        """What `fit` is given."""
        import keras

        return keras.callbacks.LambdaCallback(
            on_epoch_begin=self.begin_epoch, on_train_batch_end=self.end_step, on_epoch_end=self.end_epoch
        )

    def begin_epoch(self, epoch: int, logs: Any = None) -> None:
        """Tell that an epoch begins, its number counted from 0."""
        self.began = time.monotonic()
        self._report(0, epoch)

    def end_step(self, batch: int, logs: Any = None) -> None:
        """Tell how far the epoch is, every now and then."""
        if time.monotonic() >= self.next_report:
            self.next_report = time.monotonic() + REPORT_SECONDS
            self._report(batch + 1, self.done)

    def end_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        """Keep the weights where they are the best so far, tell the figures, end where it is enough.

        Raises:
            ValueError: the loss is not a finite number.
        """
        seconds, loss = time.monotonic() - self.began, float(logs[self.watched])
        if not np.isfinite(loss):
            raise ValueError(f"The loss of epoch {epoch + 1} is {loss}. Take a smaller learning rate.")
        if loss < min(self.state["losses"], default=np.inf):
            self.best = self.model.get_weights()
        self.state["losses"].append(loss)
        self.state["seconds"] += seconds
        kept = {name: [np.asarray(each) for each in group] for name, group in self._variables().items()}
        checkpoints.save(self.folder / "fit", self.done, kept | {"best": self.best}, self.state)
        left = self.left_epochs(seconds)
        figures = {name: round(float(logs[name]), 6) for name in FIGURES if name in logs}
        figures["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        self._report(
            self.steps,
            epoch,
            metrics=figures,
            seconds=round(seconds, 3),
            left_seconds=round(left * seconds, 1),
        )
        self.model.stop_training = left <= 0

    def _report(self, done: int, epoch: int, **more: Any) -> None:
        epochs = {"epoch": epoch + 1, "epochs": self.settings["epochs"]}
        self.work.report("training", done, self.steps, **epochs, **more)

    def left_epochs(self, seconds: float) -> int:
        """How many epochs are still to come at most, if each takes `seconds`."""
        losses = self.state["losses"]
        since_best = len(losses) - 1 - int(np.argmin(losses)) if losses else 0
        patience = self.settings["patience"] - since_best
        in_time = int((60 * self.settings["minutes"] - self.state["seconds"]) / max(seconds, 1e-6))
        return max(0, min(self.settings["epochs"] - len(losses), patience, in_time))

    def bring_back_best(self) -> None:
        """Give the model the weights of its best epoch."""
        self.model.set_weights(self.best)
