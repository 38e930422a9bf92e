"""How a network of one's own learns: its loss where it has none, the images varied, progress, checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from learning.calibration import SINGLE
from learning.streaming import Squares
from learning.work import Work
from utils import open_atomically, write_atomically

REPORT_SECONDS = 0.5
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as learning/wrapping.py has it
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
    import keras

    settings, folder = work.settings, work.folder / "checkpoint"
    wants_indices = "sparse" in str(getattr(model, "loss", "")).lower()
    steps = -(-len(learnt) // settings["batch_size"])
    progress = Progress(work, model, steps, has_validation=len(held) > 0)
    sets = [
        _as_tensors(work, squares, targets, some, is_learning, wants_indices)
        for some, is_learning in ((learnt, True), (held, False))
        if len(some)
    ]
    model.fit(
        sets[0],
        epochs=settings["epochs"],
        steps_per_epoch=steps,
        validation_data=sets[1] if len(sets) > 1 else None,
        class_weight=_class_weights(targets[learnt], settings),
        callbacks=[
            keras.callbacks.BackupAndRestore(folder / "backup", double_checkpoint=True),
            progress.as_callback(),
        ],
        shuffle=False,  # the streams see to it
        verbose=0,
    )
    progress.bring_back_best()


def _class_weights(targets: np.ndarray, settings: dict[str, Any]) -> dict[int, float] | None:
    """Weights so that every label counts alike; for a single-label task."""
    if not settings["class_weights"] or settings["task"] != SINGLE:
        return None
    counts = targets.sum(axis=0)
    return {index: float(len(targets) / (len(counts) * max(count, 1))) for index, count in enumerate(counts)}


def _as_tensors(
    work: Work, squares: Squares, targets: np.ndarray, some: np.ndarray, is_learning: bool, as_indices: bool
) -> Any:
    """A tf.data set of (values from 0 to 1, targets), streamed; while learning shuffled, varied, endless."""
    import tensorflow as tf

    settings = work.settings
    channels = 1 if settings["colour"] == "greyscale" else 3
    wanted = targets.argmax(axis=1).astype(np.int32)[:, np.newaxis] if as_indices else targets

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        random = np.random.default_rng(settings["seed"])
        while True:
            order = random.permutation(some) if is_learning else some
            for start in range(0, len(order), settings["batch_size"]):
                indices = order[start : start + settings["batch_size"]]
                yield (
                    _as_values(np.stack([squares.read(place) for place in indices]), channels),
                    wanted[indices],
                )
            if not is_learning:
                return

    shape = (None, squares.size, squares.size, channels)
    kinds = (tf.TensorSpec(shape, tf.float32), tf.TensorSpec((None, wanted.shape[1]), wanted.dtype))
    streamed = tf.data.Dataset.from_generator(batches, output_signature=kinds)
    if not is_learning:
        steps = -(-len(some) // settings["batch_size"])
        return streamed.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)
    if layers := _variations(settings):
        streamed = streamed.map(lambda image, target: (_vary(image, layers), target))
    return streamed.prefetch(2)


def _as_values(squares: np.ndarray, channels: int) -> np.ndarray:
    values = squares.astype(np.float32) / 255
    return values if channels == 3 else values @ GREY[:, np.newaxis]


def _variations(settings: dict[str, Any]) -> list[Any]:
    """Keras layers that vary an image as the options say."""
    import keras

    wanted = {"fill_mode": "nearest", "seed": settings["seed"]}
    flip = {"horizontal": "horizontal", "both": "horizontal_and_vertical"}.get(settings["flip"])
    zoom, shift = settings["zoom"], settings["translate"]
    layers = [keras.layers.RandomFlip(flip, seed=settings["seed"])] if flip else []
    layers += [keras.layers.RandomRotation(settings["rotate"] / 360, **wanted)] if settings["rotate"] else []
    layers += [keras.layers.RandomZoom((-zoom, zoom), **wanted)] if zoom else []
    layers += [keras.layers.RandomTranslation(shift, shift, **wanted)] if shift else []
    if settings["contrast"]:
        layers.append(
            keras.layers.RandomContrast(settings["contrast"], value_range=(0, 1), seed=settings["seed"])
        )
    return layers


def _vary(image: Any, layers: list[Any]) -> Any:
    for layer in layers:
        image = layer(image, training=True)
    return image


class Progress:
    """What is told of a fit, what is kept of it, and when it is enough; a callback of Keras calls it."""

    def __init__(self, work: Work, model: Any, steps: int, has_validation: bool):
        self.work, self.model, self.steps = work, model, steps
        self.settings, self.folder = work.settings, work.folder / "checkpoint"
        self.watched = "val_loss" if has_validation else "loss"
        self.state = _read_state(self.folder)
        self.next_report = 0.0
        self.began = time.monotonic()

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
            self._report(batch + 1, len(self.state["losses"]))

    def end_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        """Keep the weights where they are the best so far, tell the figures, end where it is enough.

        Raises:
            ValueError: the loss is not a finite number.
        """
        seconds, loss = time.monotonic() - self.began, float(logs[self.watched])
        if not np.isfinite(loss):
            raise ValueError(f"The loss of epoch {epoch + 1} is {loss}. Take a smaller learning rate.")
        if loss < min(self.state["losses"], default=np.inf):
            _keep_weights(self.folder, self.model)
        self.state["losses"].append(loss)
        self.state["seconds"] += seconds
        write_atomically(self.folder / "state.json", json.dumps(self.state))
        left = self._left_epochs(seconds)
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

    def _left_epochs(self, seconds: float) -> int:
        losses = self.state["losses"]
        patience = self.settings["patience"] - (len(losses) - 1 - int(np.argmin(losses)))
        in_time = int((60 * self.settings["minutes"] - self.state["seconds"]) / max(seconds, 1e-6))
        return max(0, min(self.settings["epochs"] - len(losses), patience, in_time))

    def bring_back_best(self) -> None:
        """Give the model the weights of its best epoch."""
        path = self.folder / "best.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as kept:
                self.model.set_weights([kept[f"w{index}"] for index in range(len(kept.files))])


def _read_state(folder: Any) -> dict[str, Any]:
    path = folder / "state.json"
    return json.loads(path.read_text()) if path.exists() else {"losses": [], "seconds": 0.0}


def _keep_weights(folder: Any, model: Any) -> None:
    folder.mkdir(exist_ok=True)
    with open_atomically(folder / "best.npz") as file:
        np.savez(file, **{f"w{index}": weight for index, weight in enumerate(model.get_weights())})
