"""What a network saw where: the map whose mean over its positions is exactly what the last layer is given.

A linear layer on an average is the average of that layer on every position, so `map @ weights` is what each
position adds to each score: class activation maps (Zhou et al. 2016, https://arxiv.org/abs/1512.04150), here
of every stage that the embedding is made of, and exact. That goes on through more layers as long as they are
linear for the image at hand: dense layers, ReLUs as they let this image through, maxima where they lie in it.
It is gradient times input (Ancona et al. 2018, https://arxiv.org/abs/1711.06104), which adds up to the score
behind such layers, the biases shared out evenly. It tells what this score is made of, not what would be said
if a place looked otherwise: then other ReLUs might let through. Keras is imported inside functions only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from learning import tails
from learning.efficientnet import KerasModel
from learning.pooling import pool
from learning.tails import Tensor, find_origin, stack

MOST_POSITIONS = 16  # a side; finer maps are averaged
MOST_FEATURES = 8_192  # of what goes into a last layer that is not on an average
LINEAR_ENDS = ("linear", "softmax", "sigmoid")
PASSED_ON = ("linear", "relu")  # what the layers before the last one may do to a number
EPSILON = 1e-12  # as keras.layers.UnitNormalization has it


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
    """A map, and the numbers (batch, 1 or features), if any, that its average is multiplied by."""

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

        if self.factor is None:
            return self.map
        return self.map * ops.reshape(self.factor, (-1, 1, 1, self.factor.shape[-1]))


def add_map(network: KerasModel) -> Seen:
    """Return a network with its map beside its answer.

    Of a last layer on what can be told by position, since it comes from averages, maxima or a flattened map,
    that; else what goes into the last layer; and where that is more than 8,192 numbers or can't be told, the
    answer itself; the latter two as a map of one position.

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
        vector: (batch, features), averages or maxima of maps, which may be normalised, scaled, joined and
            given to dense layers and ReLUs.
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

    layer, inputs = find_origin(vector)
    if _pools_all(layer, inputs):
        is_mean = isinstance(layer, layers.GlobalAveragePooling2D | layers.AveragePooling2D)
        return [_Part(inputs[0] if is_mean else _keep_maxima(inputs[0]))]
    if isinstance(layer, layers.Concatenate) and layer.axis in (-1, 1):
        found = [_find_parts(one) for one in inputs]
        return [part for parts in found for part in parts] if all(found) else []
    is_shape = isinstance(layer, layers.Flatten | layers.Reshape)
    if isinstance(layer, layers.Dropout) or (is_shape and inputs[0].shape[1:3] == (1, 1)):
        return _find_parts(inputs[0])
    if isinstance(layer, layers.Rescaling) and np.ndim(layer.scale) == 0 and not np.any(layer.offset):
        return [part.times(ops.full((1, 1), layer.scale)) for part in _find_parts(inputs[0])]
    if isinstance(layer, layers.UnitNormalization):
        length = ops.sum(ops.square(inputs[0]), axis=-1, keepdims=True)
        factor = ops.rsqrt(ops.maximum(length, EPSILON**2))
        return [part.times(factor) for part in _find_parts(inputs[0])]
    return _find_through(layer, inputs[0], vector) if len(inputs) == 1 else []


def _pools_all(layer: Any, inputs: list[Tensor]) -> bool:
    """Whether a layer makes one position of a whole map."""
    from keras import layers

    if isinstance(layer, layers.AveragePooling2D | layers.MaxPooling2D):
        return tuple(layer.pool_size) == inputs[0].shape[1:3]
    return isinstance(layer, layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D)


def _find_through(layer: Any, given: Tensor, vector: Tensor) -> list[_Part]:
    """Carry the map behind `given` through a layer that is linear for this image and gives `vector`."""
    from keras import ops

    activation = _name_activation(layer)
    seen = spread(given) if activation in PASSED_ON else None
    if seen is None:
        return []
    return [_Part(_weigh(layer, seen), ops.cast(vector > 0, "float32") if activation == "relu" else None)]


def _name_activation(layer: Any) -> str | None:
    """Return what a layer does to each number once it has weighed them, or None where that isn't known."""
    from keras import layers

    if isinstance(layer, layers.ReLU):
        is_plain = layer.max_value is None and not layer.negative_slope and not layer.threshold
        return "relu" if is_plain else None
    if isinstance(layer, layers.Dense | layers.Activation):
        return getattr(layer.activation, "__name__", None)
    return "linear" if isinstance(layer, layers.BatchNormalization) else None


def _weigh(layer: Any, seen: Tensor) -> Tensor:
    """Return what a layer makes of every position before its activation."""
    from keras import layers, ops

    if isinstance(layer, layers.Dense):
        stacked = stack(layer)
        return ops.matmul(seen, stacked[:-1]) + stacked[-1]
    if not isinstance(layer, layers.BatchNormalization):
        return seen
    scale = 1 / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    scale = scale * np.asarray(layer.gamma) if layer.scale else scale
    offset = np.asarray(layer.beta) if layer.center else 0
    return seen * scale + (offset - scale * np.asarray(layer.moving_mean))


def _keep_maxima(feature_map: Tensor) -> Tensor:
    """Return the map with nothing but its maxima, times what makes them their mean; equal ones share."""
    from keras import ops

    highest = ops.max(feature_map, axis=(1, 2), keepdims=True)
    is_highest = ops.cast(feature_map >= highest, "float32")
    return feature_map * is_highest / ops.mean(is_highest, axis=(1, 2), keepdims=True)


def _see(model: KerasModel) -> Seen:
    """Return a network with a graph of its own, seen as far as it can be."""
    return _see_map(model) or _see_map(tails.lay_open(model)) or _see_last(model)


def _see_map(model: KerasModel) -> Seen | None:
    """Return a network with the map behind its last layer, or None where there is no such map."""
    import keras

    answer = model.outputs[0]
    layer, inputs = _find_dense(answer) or (None, [])
    seen = spread(inputs[0]) if layer else None
    if seen is None:
        return None
    return Seen(keras.Model(model.inputs, [answer, seen], name=model.name), stack(layer))


def _see_last(model: KerasModel) -> Seen:
    """Return a network with what its last layer is given, or its answer, as a map of one position."""
    import keras
    from keras import layers, ops

    answer = model.outputs[0]
    dense = _find_dense(answer)
    layer, inputs = dense or find_origin(answer)
    given = inputs[0] if len(inputs) == 1 else answer
    is_small = None not in given.shape[1:] and math.prod(given.shape[1:]) <= MOST_FEATURES
    flat = layers.Flatten()(given if is_small else answer)
    alone = ops.reshape(flat, (-1, 1, 1, flat.shape[-1]))
    network = keras.Model(model.inputs, [answer, alone], name=model.name)
    return Seen(network, stack(layer) if dense and is_small else None)


def _find_dense(answer: Tensor) -> tuple[Any, list[Tensor]] | None:
    """Return the layer that is linear on a vector, and what it is given, behind a softmax or a sigmoid."""
    from keras import layers

    layer, inputs = find_origin(answer)
    is_end = isinstance(layer, layers.Softmax) or (
        isinstance(layer, layers.Activation) and _name_activation(layer) in LINEAR_ENDS
    )
    layer, inputs = find_origin(inputs[0]) if is_end else (layer, inputs)
    is_linear = isinstance(layer, layers.Dense) and _name_activation(layer) in LINEAR_ENDS
    return (layer, inputs) if is_linear and len(inputs[0].shape) == 2 else None


def _see_inside(network: KerasModel, inside: KerasModel) -> Seen:
    """Return `network` with the map of the network inside it, and what lies around that as it was."""
    import keras

    if not tails.has_graph(inside):
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
    layer, inputs = find_origin(tensor)
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
