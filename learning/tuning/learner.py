"""A network that learns step by step: lower layers slower, images varied, weights decaying; one graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from learning.calibration import SINGLE
from learning.tuning import augmentation

GROUPS = 5  # parts of the network, each of which learns half as fast as the one above it
SLOWER = 0.5
FROZEN = 2  # of the groups, the lowest: edges and textures are known, and leaving them saves half the time
HEAD = 30.0  # times as fast: on embeddings of unit length its weights are large
LONGEST_GRADIENT = 1.0
NOT_DECAYING = ("bias", "gamma", "beta")


@dataclass(frozen=True)
class Learner:
    """A network with what it takes to train it.

    Attributes:
        network: images, float32 (batch, size, size, 3), 0 to 255, to logits.
        optimizers: one a group of layers, with the share of the learning rate it goes at.
        learn: (pixels uint8, targets, weights, seed int32 (2,)) -> float32 (4,): loss, and how many
            labels were said rightly, said, and true.
        ask: pixels uint8 -> logits.
    """

    network: Any
    optimizers: list[tuple[float, Any]]
    learn: Any
    ask: Any

    def take_step(self, batch: tuple, seed: tuple[int, int], rate: float) -> np.ndarray:
        """Learn from (pixels, targets, weights) at a learning rate; return `learn`'s four numbers."""
        import tensorflow as tf

        for share, optimizer in self.optimizers:
            optimizer.learning_rate.assign(rate * share)
        return np.asarray(self.learn(*batch, tf.constant(seed, tf.int32)))

    def weights(self) -> list[np.ndarray]:
        """Return the network's weights, trained and not."""
        return [np.asarray(variable) for variable in self.network.variables]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Take back what `weights` gave."""
        for variable, value in zip(self.network.variables, weights, strict=True):
            variable.assign(value)

    def memory(self) -> list[np.ndarray]:
        """Return what the optimizers remember."""
        return [np.asarray(one) for _, optimizer in self.optimizers for one in optimizer.variables]

    def set_memory(self, memory: list[np.ndarray]) -> None:
        """Take back what `memory` gave."""
        variables = [one for _, optimizer in self.optimizers for one in optimizer.variables]
        for variable, value in zip(variables, memory, strict=True):
            variable.assign(value)


def build(network: Any, chosen: Mapping[str, Any], task: str, is_pretrained: bool) -> Learner:
    """Return a learner of the network.

    Args:
        chosen: options of fine-tune.
        is_pretrained: layers then learn the slower the lower they lie, and batch normalisation keeps what it
            learnt from many more images than there are here.
    """
    import tensorflow as tf

    groups = _group(network) if is_pretrained else [(1.0, network.trainable_variables)]
    optimizers = [(share, _make_optimizer(variables, chosen)) for share, variables in groups]
    variables = [variable for _, group in groups for variable in group]
    vary, is_batch_normalised = augmentation.build(chosen), not is_pretrained

    def learn(pixels, targets, weights, seed):
        images = vary(tf.cast(pixels, tf.float32), seed)
        wanted = _smooth(targets, chosen["label_smoothing"], task)
        images, wanted = augmentation.mix(images, wanted, chosen["mixup"], seed)
        with tf.GradientTape() as tape:
            logits = tf.cast(network([images], training=is_batch_normalised), tf.float32)
            loss = tf.reduce_mean(weights * _losses(logits, wanted, task))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        gradients, _ = tf.clip_by_global_norm(gradients, LONGEST_GRADIENT)
        _apply(optimizers, groups, gradients)
        return tf.stack([loss, *_count(logits, targets, task)])

    def ask(pixels):
        return tf.cast(network([tf.cast(pixels, tf.float32)], training=False), tf.float32)

    return Learner(network, optimizers, tf.function(learn), tf.function(ask, reduce_retracing=True))


def _group(network: Any) -> list[tuple[float, list]]:
    """Return the trainable weights in groups from the head down, each with its share of the learning rate."""
    *body, head = [layer for layer in network.layers if layer.trainable_variables]
    size = max(1, -(-len(body) // GROUPS))
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    frozen = min(FROZEN, len(parts) - 1)
    for layer in (layer for part in parts[:frozen] for layer in part):
        layer.trainable = False
    learning = [
        (SLOWER**place, [variable for layer in part for variable in layer.trainable_variables])
        for place, part in enumerate(reversed(parts[frozen:]))
    ]
    return [(HEAD, list(head.trainable_variables)), *learning]


def _make_optimizer(variables: list, chosen: Mapping[str, Any]) -> Any:
    import keras

    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=chosen["weight_decay"])
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYING)
    optimizer.build(variables)
    return optimizer


def _apply(optimizers: list, groups: list, gradients: list) -> None:
    start = 0
    for (_, optimizer), (_, variables) in zip(optimizers, groups, strict=True):
        optimizer.apply(gradients[start : start + len(variables)], variables)
        start += len(variables)


def _smooth(targets, doubt: float, task: str):
    """Label smoothing (Szegedy et al. 2016): towards all labels alike; of several, towards half."""
    import tensorflow as tf

    even = 1 / tf.cast(tf.shape(targets)[1], tf.float32) if task == SINGLE else 0.5
    return targets * (1 - doubt) + doubt * even


def _losses(logits, targets, task: str):
    """Return each item's cross-entropy, in nats; of several labels, their mean."""
    import tensorflow as tf

    if task == SINGLE:
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), axis=1)


def _count(logits, targets, task: str) -> list:
    """Return how many labels were said rightly, said, and true."""
    import tensorflow as tf

    if task == SINGLE:
        said = tf.one_hot(tf.argmax(logits, axis=1), tf.shape(logits)[1])
    else:
        said = tf.cast(logits > 0, tf.float32)
    return [tf.reduce_sum(said * targets), tf.reduce_sum(said), tf.reduce_sum(targets)]
