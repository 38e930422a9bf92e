"""Images varied at random while training: mirrored, turned, zoomed, shifted, their contrast changed, mixed.

Everything drawn comes from a seed that is handed in, so that a training taken up again after a kill draws the
same. Turning, zooming, shifting and mirroring are one transformation, so that pixels are blurred once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

GRID = 4  # rows and columns of a preview
GAP = 4  # pixels between its images


def build(chosen: Mapping[str, Any]) -> Any:
    """Return a Keras layer that varies a batch; call it as `layer(images, seed)`.

    Args:
        chosen: the options flip, rotate (degrees), zoom, translate and contrast (shares).

    Returns:
        A layer from float32 (batch, size, size, 3), 0 to 255, and int32 (2,) to the same shape and range.
    """
    import keras
    import tensorflow as tf

    class Variation(keras.layers.Layer):
        def call(self, images, seed):
            varied = images
            moves = _draw_moves(chosen, tf.shape(images), seed)
            if moves is not None:
                varied = _move(varied, moves)
            if chosen["contrast"]:
                varied = _change_contrast(varied, chosen["contrast"], _at(seed, 6))
            return varied

    return Variation(name="variation")


def _at(seed, place: int):
    """Return the seed of one of the things drawn for a batch; those of the next batch begin 16 further on."""
    import tensorflow as tf

    return seed * tf.constant((1, 16)) + tf.constant((0, place))


def _draw(count, low: float, high: float, seed, place: int):
    import tensorflow as tf

    return tf.random.stateless_uniform([count], _at(seed, place), low, high)


def _draw_moves(chosen: Mapping[str, Any], shape, seed):
    """Return a projective transform for every image, float32 (batch, 8), about its centre; None for none.

    They map places of the result to places of the image, as ImageProjectiveTransformV3 wants them.
    """
    import tensorflow as tf

    if chosen["flip"] == "none" and not any(chosen[name] for name in ("rotate", "zoom", "translate")):
        return None
    count, side = shape[0], tf.cast(shape[1], tf.float32)
    angle = _draw(count, -1, 1, seed, 1) * math.radians(chosen["rotate"])
    scale = tf.exp(_draw(count, -1, 1, seed, 2) * math.log1p(chosen["zoom"]))
    right, down = (_draw(count, -1, 1, seed, place) * chosen["translate"] * side for place in (3, 4))
    signs = [tf.sign(_draw(count, -1, 1, seed, place)) for place in (5, 7)]
    across = signs[0] if chosen["flip"] != "none" else tf.ones([count])
    along = signs[1] if chosen["flip"] == "both" else tf.ones([count])
    a, b = across * tf.cos(angle) / scale, -along * tf.sin(angle) / scale
    d, e = across * tf.sin(angle) / scale, along * tf.cos(angle) / scale
    middle = (side - 1) / 2
    c = middle + right - (a + b) * middle
    f = middle + down - (d + e) * middle
    none = tf.zeros([count])
    return tf.stack([a, b, c, d, e, f, none, none], axis=1)


def _move(images, moves):
    import tensorflow as tf

    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=moves,
        output_shape=tf.shape(images)[1:3],
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )


def _change_contrast(images, share: float, seed):
    import tensorflow as tf

    count = tf.shape(images)[0]
    factor = tf.exp(tf.random.stateless_uniform([count, 1, 1, 1], seed, -1, 1) * math.log1p(share))
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return tf.clip_by_value((images - mean) * factor + mean, 0, 255)


def mix(images, targets, alpha: float, seed):
    """Blend each image and its targets with another of the batch (mixup, Zhang et al. 2018).

    Args:
        images: float32 (batch, size, size, 3); targets: float32 (batch, labels).
        alpha: of the Beta(α, α) from which each pair's share is drawn; 0 leaves everything as it is.
        seed: int32 (2,).
    """
    import tensorflow as tf

    if not alpha:
        return images, targets
    drawn = tf.random.stateless_gamma([2, tf.shape(images)[0]], _at(seed, 8), alpha)
    share = drawn[0] / tf.maximum(drawn[0] + drawn[1], 1e-12)
    share = tf.maximum(share, 1 - share)  # the image itself always counts for more
    return _blend(images, share[:, None, None, None]), _blend(targets, share[:, None])


def _blend(values, share):
    import tensorflow as tf

    return share * values + (1 - share) * tf.reverse(values, axis=[0])


def preview(squares: np.ndarray, chosen: Mapping[str, Any], seed: int = 1) -> np.ndarray:
    """Return a picture of what training sees of some images (imports TensorFlow).

    Args:
        squares: uint8 (images, size, size, 3), from one image on; the first 4 are shown.
        chosen: options of fine-tune.

    Returns:
        uint8 (height, width, 3): a row an image, the image itself first and three variations behind it.
    """
    import tensorflow as tf

    layer, columns = build(chosen), [squares[:GRID]]
    for place in range(1, GRID):
        images = tf.cast(squares[:GRID], tf.float32)
        drawn = tf.constant([seed, 100 * place], tf.int32)
        varied, _ = mix(layer(images, drawn), tf.zeros([len(images), 1]), chosen["mixup"], drawn)
        columns.append(np.asarray(varied).round().clip(0, 255).astype(np.uint8))
    rows = [_beside([column[row] for column in columns], axis=1) for row in range(len(squares[:GRID]))]
    return _beside(rows, axis=0)


def _beside(pictures: list[np.ndarray], axis: int) -> np.ndarray:
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=axis)
