"""What a network saw where: the map whose mean over its positions is exactly what the last layer is given.

A linear layer on an average is the average of that layer on every position, so `map @ weights` is what each
position adds to each score: class activation maps (Zhou et al. 2016, https://arxiv.org/abs/1512.04150), here
of every stage that the embedding is made of, and exact. Keras is imported inside functions only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from learning.efficientnet import KerasModel

MOST_POSITIONS = 16  # a side; finer maps are averaged
MOST_FEATURES = 8_192  # of what goes into a last layer that is not on an average
LINEAR_ENDS = ("linear", "softmax", "sigmoid")
EPSILON = 1e-12  # as keras.layers.UnitNormalization has it

Tensor = Any  # a symbolic tensor of Keras


@dataclass(frozen=True)
class Seen:
    """A network with its map, and the linear layer on it.

    Attributes:
        network: from an image to `[answer, map]`, float32 (batch, outputs) and (batch, h, w, features).
        last_layer: float32 (features + 1, outputs), the bias last: `mean(map) @ last_layer[:-1] +
            last_layer[-1]` is the answer before any softmax or sigmoid. None where there is no such layer.
    """

    network: KerasModel
    last_layer: np.ndarray | None


@dataclass(frozen=True)
class _Part:
    """A map, and the number (batch, 1), if any, that its average is multiplied by."""

    map: Tensor
    factor: Tensor | None = None

    def times(self, factor: Tensor) -> _Part:
        return _Part(self.map, factor if self.factor is None else self.factor * factor)

    def pooled(self, side: int) -> Tensor:
        """Return the map averaged to `side` positions each way, times its factor."""
        return _Part(pool(self.map, side), self.factor).whole()

    def whole(self) -> Tensor:
        """Return the map as fine as it is, times its factor."""
        from keras import ops

        return self.map if self.factor is None else self.map * ops.reshape(self.factor, (-1, 1, 1, 1))


def add_map(network: KerasModel) -> Seen:
    """Return a network with its map beside its answer.

    Of a last layer on the average of a map, that map; else what goes into the last layer; and where that is
    more than 8,192 numbers or can't be told, the answer itself; the latter two as a map of one position.

    Args:
        network: gives one number a label; a network of somebody else may be inside, between an entrance and a
            way out, as learning/uploads/wrapping.py puts them.
    """
    import keras

    inside = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    if network.layers[-1] in inside or _find_dense(network.outputs[0]) is None:
        return _see_inside(network, inside[0]) if len(inside) == 1 else _see(network)
    return _see(network)


def spread(vector: Tensor) -> Tensor | None:
    """Return the map (batch, h, w, features) whose mean over its positions is `vector`, or None.

    Args:
        vector: (batch, features), averages of maps that may be normalised, scaled and joined.
    """
    from keras import ops

    parts = _find_parts(vector)
    sizes = [size for part in parts for size in part.map.shape[1:3]]
    if None in sizes:  # of a network for images of any size
        return parts[0].whole() if len(parts) == 1 else None
    pooled = [part.pooled(min(MOST_POSITIONS, *sizes)) for part in parts]
    return ops.concatenate(pooled, axis=-1) if pooled[1:] else next(iter(pooled), None)


def _find_parts(vector: Tensor) -> list[_Part]:
    """Walk back from a vector to the maps it averages; nothing where anything else is in between."""
    from keras import layers, ops

    layer, inputs = _origin(vector)
    if isinstance(layer, layers.GlobalAveragePooling2D) and not layer.keepdims:
        return [_Part(inputs[0])]
    if isinstance(layer, layers.Concatenate) and layer.axis in (-1, 1):
        found = [_find_parts(one) for one in inputs]
        return [part for parts in found for part in parts] if all(found) else []
    if isinstance(layer, layers.Dropout):
        return _find_parts(inputs[0])
    if isinstance(layer, layers.Rescaling) and np.ndim(layer.scale) == 0 and not np.any(layer.offset):
        return [part.times(ops.full((1, 1), layer.scale)) for part in _find_parts(inputs[0])]
    if isinstance(layer, layers.UnitNormalization):
        length = ops.sum(ops.square(inputs[0]), axis=-1, keepdims=True)
        factor = ops.rsqrt(ops.maximum(length, EPSILON**2))
        return [part.times(factor) for part in _find_parts(inputs[0])]
    return []


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


def _see(model: KerasModel) -> Seen:
    """Return a network with a graph of its own, seen as far as what its last layer is given."""
    import keras
    from keras import layers, ops

    answer = model.outputs[0]
    dense = _find_dense(answer)
    layer, inputs = dense or _origin(answer)
    given = inputs[0] if len(inputs) == 1 else answer
    seen = spread(given) if dense else None
    if seen is None:
        is_small = None not in given.shape[1:] and math.prod(given.shape[1:]) <= MOST_FEATURES
        flat = layers.Flatten()(given if is_small else answer)
        seen = ops.reshape(flat, (-1, 1, 1, flat.shape[-1]))
        dense = dense if is_small else None
    network = keras.Model(model.inputs, [answer, seen], name=model.name)
    return Seen(network, _stack(layer) if dense else None)


def _find_dense(answer: Tensor) -> tuple[Any, list[Tensor]] | None:
    """Return the layer that is linear on a vector, and what it is given, behind a softmax or a sigmoid."""
    from keras import layers

    layer, inputs = _origin(answer)
    is_end = isinstance(layer, layers.Softmax) or (
        isinstance(layer, layers.Activation) and layer.activation.__name__ in LINEAR_ENDS
    )
    layer, inputs = _origin(inputs[0]) if is_end else (layer, inputs)
    is_linear = isinstance(layer, layers.Dense) and layer.activation.__name__ in LINEAR_ENDS
    return (layer, inputs) if is_linear and len(inputs[0].shape) == 2 else None


def _stack(dense: Any) -> np.ndarray:
    """Return the layer's weights and, below them, its bias."""
    kernel = np.asarray(dense.kernel, np.float32)
    bias = np.asarray(dense.bias, np.float32) if dense.use_bias else np.zeros(kernel.shape[1], np.float32)
    return np.vstack([kernel, bias])


def _see_inside(network: KerasModel, inside: KerasModel) -> Seen:
    """Return `network` with the map of the network inside it, and what lies around that as it was."""
    import keras

    if not getattr(inside, "inputs", None):  # a subclass of keras.Model has no graph to look into
        return _see_nothing(network)
    seen = add_map(inside)
    given, answer = _find_call(network.outputs[0], inside)
    said, where = seen.network(keras.Model(network.inputs, given)(network.inputs))
    if answer is not network.outputs[0]:
        said = keras.Model(answer, network.outputs[0])(said)
    last_layer = _widen(seen.last_layer, network.outputs[0].shape[-1])
    return Seen(keras.Model(network.inputs, [said, where], name=network.name), last_layer)


def _find_call(tensor: Tensor, inside: KerasModel) -> tuple[Tensor, Tensor]:
    """Walk back to where the network inside was called; return what it was given and what it answered."""
    layer, inputs = _origin(tensor)
    return (inputs[0], tensor) if layer is inside else _find_call(inputs[0], inside)


def _see_nothing(network: KerasModel) -> Seen:
    import keras
    from keras import ops

    answer = network.outputs[0]
    alone = ops.reshape(answer, (-1, 1, 1, answer.shape[-1]))
    return Seen(keras.Model(network.inputs, [answer, alone], name=network.name), None)


def _widen(last_layer: np.ndarray | None, outputs: int) -> np.ndarray | None:
    """Put a first label of zeros before the second, where one number stood for both."""
    if last_layer is None or last_layer.shape[1] == outputs:
        return last_layer
    return np.hstack([np.zeros_like(last_layer), last_layer])


def _origin(tensor: Tensor) -> tuple[Any, list[Tensor]]:
    """Return the layer that made a tensor, and the tensors it made it of."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, node.input_tensors
