"""Maps averaged to fewer positions, in Keras (imported inside functions only) and in numbers."""

from __future__ import annotations

import numpy as np

from learning.tails import Tensor


def pool(feature_map: Tensor, side: int) -> Tensor:
    """Return (batch, side, side, channels) with the same mean over its positions as the map's."""
    from keras import layers, ops

    _, height, width, channels = feature_map.shape
    if (height, width) == (side, side):
        return feature_map
    if height % side == 0 and width % side == 0:
        return layers.AveragePooling2D((height // side, width // side))(feature_map)
    rows = ops.reshape(feature_map, (-1, height, width * channels))
    rows = ops.matmul(share_out(height, side)[np.newaxis], rows)
    columns = ops.matmul(share_out(width, side)[np.newaxis], ops.reshape(rows, (-1, width, channels)))
    return ops.reshape(columns, (-1, side, side, channels))


def share_out(many: int, few: int) -> np.ndarray:
    """Return float32 (few, many) that averages `many` positions to `few` of the same mean, by overlap."""
    edges = np.arange(few + 1)[:, np.newaxis] * many / few
    starts = np.arange(many)
    overlap = np.minimum(edges[1:], starts + 1) - np.maximum(edges[:-1], starts)
    return (np.maximum(overlap, 0) * few / many).astype(np.float32)
