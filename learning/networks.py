"""Puts networks together: maps become the embedding, a head makes logits of it, Keras becomes LiteRT."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from learning import maps
from learning.efficientnet import KerasModel
from utils import generate_random_name, open_atomically

# Earlier blocks count a little less than the last layer; measured, 0.5 to 1 were alike.
EARLIER_WEIGHT = 0.7
# Raised when what a prepared backbone gives changes for the same weights, so that it is made anew.
EMBEDDING_VERSION = 2


def add_embedding(network: KerasModel) -> KerasModel:
    """Return a model from an image to `[embedding, map]`; the embedding is made of built-in layers only.

    Every map is averaged over its positions and L2-normalised; the last layer's comes first, the earlier ones
    follow, times 0.7 (Head2Toe, Evci et al. 2022, https://arxiv.org/abs/2201.03529).

    Args:
        network: outputs maps (batch, height, width, channels), the last layer's last.

    Returns:
        A model with outputs float32 (batch, embedding size), and (batch, h, w, embedding size) with h × w the
        last map's, whose mean over positions is the embedding.
    """
    import keras

    *earlier, last = network.outputs
    blocks = [_average(last, "last")]
    for index, feature_map in enumerate(earlier):
        block = _average(feature_map, f"earlier{index}")
        blocks.append(keras.layers.Rescaling(EARLIER_WEIGHT, name=f"earlier{index}_weight")(block))
    embedding = keras.layers.Concatenate(name="embedding")(blocks) if earlier else blocks[0]
    return keras.Model(network.inputs, [embedding, maps.spread(embedding)], name=network.name)


def _average(feature_map, name: str):
    import keras

    average = keras.layers.GlobalAveragePooling2D(name=f"{name}_average")(feature_map)
    return keras.layers.UnitNormalization(name=f"{name}_norm")(average)


def add_head(embedder: KerasModel, weights: np.ndarray, bias: np.ndarray) -> KerasModel:
    """Return the whole network: an image in, logits out, float32 (batch, labels).

    Args:
        embedder: as `add_embedding` returns it.
        weights: (embedding size, labels); bias: (labels,).
    """
    import keras

    dense = keras.layers.Dense(weights.shape[1], name="logits")
    model = keras.Model(embedder.inputs, dense(embedder.outputs[0]), name=embedder.name)
    dense.set_weights([weights.astype(np.float32), bias.astype(np.float32)])
    return model


def add_new_head(embedder: KerasModel, labels: int) -> KerasModel:
    """Return the whole network with a head that knows nothing, on the last map's average as it is.

    The unit length of an embedding, good for what is known already, makes learning from nothing slow.
    """
    import keras

    last = embedder.get_layer("last_average").input
    average = keras.layers.GlobalAveragePooling2D(name="average")(last)
    dense = keras.layers.Dense(labels, kernel_initializer="zeros", name="logits")
    return keras.Model(embedder.inputs, dense(average), name=embedder.name)


def below_head(network: KerasModel) -> KerasModel:
    """Return the network as far as what its last layer, the head, is given; a list of that one output."""
    import keras

    return keras.Model(network.inputs, [network.layers[-1].input], name=network.name)


def convert(model: KerasModel) -> bytes:
    """Return the model, with all its outputs, as a LiteRT file, float32, for one image at a time."""
    import tensorflow as tf

    _, *shape = model.inputs[0].shape
    function = tf.function(lambda image: model([image], training=False))
    concrete = function.get_concrete_function(tf.TensorSpec([1, *shape], tf.float32, name="image"))
    # The converter folds only variables it can reach, and Keras 3 hides its own from it; unfolded ones cost
    # three times the time for every image.
    reachable = tf.Module()
    reachable.variables_of_model = [variable.value for variable in model.variables]
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], reachable).convert()


def convert_whole(network: KerasModel) -> bytes:
    """Return a whole network as a LiteRT file that gives logits and, beside them, its map.

    Args:
        network: an image in, logits out; see learning/maps.py for what its map is.
    """
    return convert(maps.add_map(network).network)


def save_keras(model: KerasModel, path: str | Path) -> None:
    """Save in the .keras format, whole or not at all (Keras itself writes in place)."""
    with open_atomically(path) as file:
        # Keras takes a name, and asks that it end in .keras, before it takes anything else.
        temporary = Path(path).with_name(f".{generate_random_name('keras')}")
        try:
            model.save(temporary)
            file.write(temporary.read_bytes())
        finally:
            temporary.unlink(missing_ok=True)


def load_tensorflow_quietly() -> None:
    """Import TensorFlow without its C++ chatter about the processor and a missing GPU.

    TF_CPP_MIN_LOG_LEVEL quiets it once it is loaded; what it writes while loading goes to standard error
    whatever one asks, so that is closed meanwhile. An import that fails still raises.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _standard_error_closed():
        import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    logging.getLogger("absl").setLevel("ERROR")


def repeat_exactly(seed: int) -> None:
    """Make TensorFlow give the same numbers every time on the same machine: seeds, fixed order."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def choose_precision(wish: str) -> None:
    """Let networks that are built from now on compute in bfloat16 and keep float32 weights, or not.

    Args:
        wish: `on`, `off`, or `auto`: on where there is a GPU that is made for it.
    """
    import keras
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    is_made_for_it = any(found.get("compute_capability", (0,))[0] >= 8 for found in details)
    is_on = wish == "on" or (wish == "auto" and is_made_for_it)
    keras.config.set_dtype_policy("mixed_bfloat16" if is_on else "float32")


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
