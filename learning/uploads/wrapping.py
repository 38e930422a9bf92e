"""Puts a network of strangers between our entrance and our way out: 0 to 255 RGB in, logits out."""

from __future__ import annotations

import numpy as np

from learning.efficientnet import KerasModel

# Of ImageNet, as keras.applications.imagenet_utils.preprocess_input takes them off.
TORCH_MEAN, TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red
GREY = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's convert("L")
SMALLEST = 1e-7  # a probability below this counts as this: what float32 keeps of the rest is noise
LINEAR = {"0-255": (1.0, 0.0), "0-1": (1 / 255, 0.0), "tf": (1 / 127.5, -1.0)}


def wrap(network: KerasModel, *, size: int, scaling: str, ending: str, labels: int, task: str) -> KerasModel:
    """Return the whole network, made of built-in layers and operations: an image in, logits out.

    Args:
        network: takes (batch, size, size, 1 or 3), answers (batch, outputs).
        size: of the square, in pixels.
        scaling: one of facts.SCALINGS: what the network was trained on.
        ending: softmax, sigmoid or logits: what the network's answers are.
        labels: how many there are; one output stands for the second of two.
        task: `single-label` or `multi-label`.

    Returns:
        A model from float32 (batch, size, size, 3), RGB of 0 to 255, to float32 (batch, labels).
    """
    import keras

    image = keras.Input((size, size, 3), name="image")
    pixels = _scale(image, scaling)
    if network.inputs[0].shape[-1] == 1:
        pixels = _mix(np.array(GREY)[:, np.newaxis], name="grey")(pixels)
    answer = network(pixels)
    return keras.Model([image], _as_logits(answer, ending, labels, task), name="uploaded")


def _scale(image, scaling: str):
    import keras

    if scaling in LINEAR:
        scale, offset = LINEAR[scaling]
        return keras.layers.Rescaling(scale, offset, name="scaling")(image)
    if scaling == "torch":
        scale = [1 / (255 * deviation) for deviation in TORCH_DEVIATION]
        offset = [-mean / deviation for mean, deviation in zip(TORCH_MEAN, TORCH_DEVIATION, strict=True)]
        return keras.layers.Rescaling(scale, offset, name="scaling")(image)
    return _mix(np.eye(3)[::-1], -np.array(CAFFE_MEAN), name="scaling")(image)


def _mix(weights: np.ndarray, bias: np.ndarray | None = None, *, name: str):
    """A 1 × 1 convolution with fixed weights, (channels in, channels out)."""
    import keras

    layer = keras.layers.Conv2D(
        weights.shape[1], 1, use_bias=bias is not None, name=name, trainable=False, dtype="float32"
    )
    layer.build((None, None, None, weights.shape[0]))
    values = [weights[np.newaxis, np.newaxis].astype(np.float32)]
    layer.set_weights(values if bias is None else [*values, bias.astype(np.float32)])
    return layer


def _as_logits(answer, ending: str, labels: int, task: str):
    """Undo the softmax or sigmoid: log p, or log p - log(1 - p) where each label stands by itself."""
    from keras import ops

    if ending == "logits":
        logits = answer
        return (
            ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
            if answer.shape[-1] < labels
            else logits
        )
    certain = ops.clip(ops.cast(answer, "float32"), SMALLEST, 1 - SMALLEST)
    if answer.shape[-1] < labels:
        return ops.concatenate([ops.log(1 - certain), ops.log(certain)], axis=-1)
    if task == "multi-label" or ending == "sigmoid":
        return ops.log(certain) - ops.log(1 - certain)
    return ops.log(certain)


def ask_ending(network: KerasModel, squares: np.ndarray, *, size: int, scaling: str, task: str) -> str:
    """Tell what a network's answers are, softmax, sigmoid or logits, by asking it about some images.

    Args:
        squares: uint8 (images, size, size, 3). The others are as `wrap` has them.
    """
    as_they_are = {"ending": "logits", "labels": 1}
    plain = wrap(network, size=size, scaling=scaling, task=task, **as_they_are)
    return guess_ending(np.asarray(plain([squares.astype(np.float32)], training=False)))


def guess_ending(answers: np.ndarray) -> str:
    """Tell what a network's answers, float (images, outputs), are where its file doesn't say."""
    if answers.min() < 0 or answers.max() > 1:
        return "logits"
    if answers.shape[1] > 1 and np.abs(answers.sum(axis=1) - 1).max() < 1e-3:
        return "softmax"
    return "sigmoid" if len(np.unique(answers)) > 1 else "logits"
