"""What a network saw where is exactly what its last layer was given, whatever recipe made it."""

import numpy as np
import pytest

from learning import maps, networks, pooling, tails
from learning.litert import Network
from learning.uploads import wrapping

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def keras():
    networks.load_tensorflow_quietly()
    import keras

    keras.utils.set_random_seed(0)
    return keras


def build(keras, *head):
    """Return a small network that somebody else might send."""
    layers = keras.layers
    first = layers.Conv2D(8, 3, 2, padding="same", activation="relu")
    second = layers.Conv2D(16, 3, activation="relu")
    return keras.Sequential([keras.Input((32, 32, 3)), first, second, *head])


def see(network, folder, ending, labels=3):
    """Return the logits, the map and the last layer of a network as it is packaged."""
    whole = wrapping.wrap(network, size=32, scaling="0-1", ending=ending, labels=labels, task="single-label")
    seen = maps.add_map(whole)
    (folder / "model.tflite").write_bytes(networks.convert(seen.network))
    return *Network(folder / "model.tflite").logits_with_map(PIXELS), seen.last_layer


@pytest.mark.trainer
@pytest.mark.parametrize(
    ("activation", "outputs", "ending", "labels"),
    [("softmax", 3, "softmax", 3), (None, 3, "logits", 3), ("sigmoid", 1, "sigmoid", 2)],
)
def test_a_head_on_an_average_says_what_every_position_adds(
    keras, tmp_path, activation, outputs, ending, labels
):
    pooled, dropped = keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.2)
    network = build(keras, pooled, dropped, keras.layers.Dense(outputs, activation=activation))
    logits, where, last_layer = see(network, tmp_path, ending, labels)
    added = where.reshape(-1, where.shape[-1]) @ last_layer[:-1]
    told = added.mean(axis=0) + last_layer[-1]
    assert where.shape == (14, 14, 16)
    assert np.abs((told - told.mean()) - (logits - logits.mean())).max() < 1e-5


def make_tail(keras, name):
    """Return the end of a network, as people write it."""
    layers = keras.layers
    if name == "teachable machine":
        nested = (
            [layers.GlobalAveragePooling2D()],
            [layers.Dense(20, "relu"), layers.Dense(3, use_bias=False)],
        )
        return [keras.Sequential(part) for part in nested]
    return {
        "flattened": [layers.Flatten(), layers.Dropout(0.2), layers.Dense(20, "relu"), layers.Dense(3)],
        "reshaped": [layers.Reshape((-1,)), layers.Dense(20), layers.ReLU(), layers.Dense(3)],
        "deep": [
            *(layers.Flatten(), layers.Dense(20, "relu"), layers.BatchNormalization()),
            *(layers.Dense(10, "relu"), layers.Dense(3)),
        ],
        "pooled": [layers.AveragePooling2D(14), layers.Flatten(), layers.Dense(20, "relu"), layers.Dense(3)],
        "kept flat": [layers.GlobalMaxPooling2D(keepdims=True), layers.Reshape((16,)), layers.Dense(3)],
        "flattened at last": [layers.Flatten(), layers.Dense(3)],
        "maxima": [layers.GlobalMaxPooling2D(), layers.Dense(20), layers.Activation("relu"), layers.Dense(3)],
    }[name]


@pytest.mark.trainer
@pytest.mark.parametrize(
    "name",
    [
        "flattened",
        "reshaped",
        "deep",
        "flattened at last",
        "maxima",
        "pooled",
        "kept flat",
        "teachable machine",
    ],
)
def test_every_position_adds_its_gradient_times_itself(keras, tmp_path, name):
    tf = pytest.importorskip("tensorflow")
    network = build(keras, *make_tail(keras, name))
    for weights in network.trainable_weights:  # biases too
        weights.assign_add(0.1 * keras.random.normal(weights.shape, seed=len(weights.shape)))
    logits, where, last_layer = see(network, tmp_path, "logits")
    added = where @ last_layer[:-1] + last_layer[-1]
    assert np.abs(added.mean(axis=(0, 1)) - logits).max() < 1e-5
    before = keras.Model(network.inputs, network.layers[1].output)(PIXELS[np.newaxis] / np.float32(255))
    with tf.GradientTape() as tape:
        tape.watch(before)
        said = before
        for layer in network.layers[2:]:
            said = layer(said)
        first = said[0, 0]
    assert np.abs(said[0] - logits).max() < 1e-5
    expected = 14 * 14 * np.sum(before * tape.gradient(first, before), axis=-1)[0]
    apart = added[..., 0] - expected
    assert np.abs(apart - apart.mean()).max() < 1e-3


@pytest.mark.trainer
def test_images_are_told_apart_by_more_than_the_scores_of_a_flattened_map(keras, tmp_path):
    _, where, last_layer = see(build(keras, *make_tail(keras, "flattened at last")), tmp_path, "logits")
    assert where.shape == (14, 14, 3 + 16)
    assert last_layer.shape == (3 + 16 + 1, 3)


@pytest.mark.trainer
def test_a_model_that_goes_on_as_in_training_answers_as_it_did(keras):
    layers, image = keras.layers, keras.Input((32, 32, 3))
    inner = keras.Sequential([keras.Input((32, 32, 3)), layers.BatchNormalization(), layers.Conv2D(4, 3)])
    answer = layers.Dense(3)(layers.Flatten()(inner(image, training=True)))
    network = keras.Model(image, answer)
    said = [one([PIXELS[np.newaxis].astype(np.float32)]) for one in (network, tails.lay_open(network))]
    assert np.abs(said[0] - said[1]).max() < 1e-3


@pytest.mark.trainer
def test_of_any_other_network_the_map_is_what_its_last_layer_is_given(keras, tmp_path):
    layers = keras.layers
    network = build(keras, layers.Flatten(), layers.Dense(20, "tanh"), layers.Dense(3))
    logits, where, last_layer = see(network, tmp_path, "logits")
    assert where.shape == (1, 1, 20)
    assert np.abs(where[0, 0] @ last_layer[:-1] + last_layer[-1] - logits).max() < 1e-5


@pytest.mark.trainer
def test_a_network_that_gives_its_last_layer_too_much_shows_its_logits(keras, tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "MOST_FEATURES", 100)
    layers = keras.layers
    network = build(keras, layers.Flatten(), layers.Activation("tanh"), layers.Dense(3))
    logits, where, last_layer = see(network, tmp_path, "logits")
    assert np.array_equal(where[0, 0], logits)
    assert last_layer is None


@pytest.mark.parametrize(("many", "few"), [(56, 7), (130, 9), (17, 9), (5, 5)])
def test_averaging_to_fewer_positions_keeps_the_mean(many, few):
    values = np.random.default_rng(0).normal(size=many)
    shares = pooling.share_out(many, few)
    assert np.allclose(shares.sum(axis=1), 1)
    assert abs((shares @ values).mean() - values.mean()) < 1e-6
