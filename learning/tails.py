"""What comes after a network's last map, laid open: no model inside a model, and no map flattened away.

A linear layer on a flattened map has weights of its own for every position, so it is the average of what each
position adds. Written down like that it costs the same, has the same weights, and says what came from where.
Keras is imported inside functions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from learning.efficientnet import KerasModel

Tensor = Any  # a symbolic tensor of Keras


def lay_open(network: KerasModel) -> KerasModel:
    """Return a network that answers alike, its layers shared, in which every layer is one of its own graph.

    A dense layer on a flattened map becomes an average over positions. With the last one the map itself is
    averaged too, which tells images apart better than their scores do, and a layer passes the scores on.
    """
    import keras

    last = _find_last(network)

    def call(layer: Any, *given: Any, **options: Any) -> Any:
        is_model = given and isinstance(layer, keras.Model) and has_graph(layer)
        if is_model and not options.get("training"):  # one that draws at random when it answers stays shut
            return run(layer, given)
        flat = _find_flattened(given[0]) if given and _is_plain_dense(layer) else None
        if flat is None:
            return layer(*given, **options)
        return (_end_by_position if layer is last else _weigh_by_position)(layer, flat)

    def run(model: KerasModel, given: Sequence[Tensor]) -> list[Tensor]:
        return keras.Model(model.inputs, model.outputs)._run_through_graph(given, call_fn=call)

    given = [keras.Input(batch_shape=one.shape, dtype=one.dtype) for one in network.inputs]
    return keras.Model(given, run(network, given), name=network.name)


def has_graph(model: KerasModel) -> bool:
    """Whether a model can be looked into; a subclass of keras.Model can't."""
    return bool(getattr(model, "inputs", None))


def find_origin(tensor: Tensor) -> tuple[Any, list[Tensor]]:
    """Return the layer that made a tensor, and the tensors it made it of."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, node.input_tensors


def stack(dense: Any) -> np.ndarray:
    """Return a dense layer's weights and, below them, its bias: float32 (features + 1, outputs)."""
    kernel = np.asarray(dense.kernel, np.float32)
    bias = np.asarray(dense.bias, np.float32) if dense.use_bias else np.zeros(kernel.shape[1], np.float32)
    return np.vstack([kernel, bias])


def _find_last(network: KerasModel) -> Any:
    """Return the dense layer that the answer comes from, in whatever model it lies; or None."""
    import keras

    layer, inputs = find_origin(network.outputs[0])
    while isinstance(layer, keras.layers.Activation | keras.layers.Softmax):
        layer, inputs = find_origin(inputs[0])
    is_inside = isinstance(layer, keras.Model) and has_graph(layer)
    return _find_last(layer) if is_inside else layer


def _is_plain_dense(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.Dense) and layer.compute_dtype == "float32"


def _find_flattened(vector: Tensor) -> Tensor | None:
    """Return the map (batch, h, w, channels) that was flattened to a vector, or None."""
    from keras import layers

    layer, inputs = find_origin(vector)
    if isinstance(layer, layers.Dropout):
        return _find_flattened(inputs[0])
    if not isinstance(layer, layers.Flatten | layers.Reshape) or len(vector.shape) != 2:
        return None
    _, *shape = inputs[0].shape
    return inputs[0] if len(shape) == 3 and None not in shape and shape[:2] != [1, 1] else None


def _weigh_by_position(dense: Any, feature_map: Tensor) -> Tensor:
    """Return what the layer gives for the flattened map, as an average over its positions."""
    from keras import layers

    average = layers.GlobalAveragePooling2D()(_weigh(dense, feature_map))
    return layers.Activation(dense.activation)(average)


def _end_by_position(dense: Any, feature_map: Tensor) -> Tensor:
    """Return the same of the last layer: a dense layer that passes the first numbers of an average on."""
    from keras import layers

    both = layers.Concatenate()([_weigh(dense, feature_map), feature_map])
    average = layers.GlobalAveragePooling2D()(both)
    end = layers.Dense(dense.units, activation=dense.activation, use_bias=False)
    answer = end(average)
    end.set_weights([np.eye(average.shape[-1], dense.units, dtype=np.float32)])
    return answer


def _weigh(dense: Any, feature_map: Tensor) -> Tensor:
    """Return (batch, h, w, outputs) whose mean over its positions the layer gives before its activation."""
    from keras import ops

    _, height, width, channels = feature_map.shape
    places, stacked = height * width, stack(dense)  # copied once: it may be hundreds of megabytes
    weights = places * stacked[:-1].reshape(1, places, channels, dense.units)
    rows = ops.reshape(feature_map, (-1, places, 1, channels))
    added = ops.matmul(rows, weights) + stacked[-1]
    return ops.reshape(added, (-1, height, width, dense.units))
