"""Why an answer is what it is: exact where it can be, and what hiding a part takes where not."""

from __future__ import annotations

import numpy as np
import pytest

from learning import explaining
from learning.calibration import MULTI, SINGLE, Calibration
from learning.embeddings import Embedder
from learning.litert import NetworkClassifier
from learning.package import load_package
from serving import explain, heatmaps, similar
from serving.explain import Explanation, LabelUnknown
from tests.trained import COLOURS, as_bytes, make_photo
from utils import center_crop, open_image

RED = as_bytes(make_photo(COLOURS["red"], seed=7))


def see(trained):
    """Return a package with a head, and embedding and map of a red photo."""
    package = load_package(trained.package)
    embedder = Embedder(trained.backbones / f"{package.backbone_identifier}.tflite")
    return package, *embedder.embed_with_map(center_crop(open_image(RED), package.input_size))


@pytest.mark.trainer
def test_what_the_positions_say_adds_up_to_the_logits(trained):
    package, embedding, seen = see(trained)
    positions = explaining.score_positions(seen, explaining.find_last_layer(package))
    logits = embedding.astype(np.float64) @ package.weights + package.bias
    assert positions.shape == (7, 7, 3)
    assert np.abs(positions.mean(axis=(0, 1)) - logits).max() < 1e-5


@pytest.mark.trainer
def test_the_mean_of_the_weights_is_how_far_the_probabilities_are_apart(trained):
    package, embedding, seen = see(trained)
    positions = explaining.score_positions(seen, explaining.find_last_layer(package))
    weights = explaining.stand_out(positions, package.calibration, 2)
    blue, green, red = np.log(package.probabilities(embedding))
    assert abs(weights.mean() - (red - (blue + green) / 2)) < 1e-4


@pytest.mark.trainer
def test_the_whole_network_s_file_gives_the_same_map(trained):
    package, _, seen = see(trained)
    network = NetworkClassifier(trained.package)._network
    _, whole = network.logits_with_map(center_crop(open_image(RED), package.input_size))
    assert np.abs(whole - seen).max() < 1e-4


@pytest.mark.trainer
def test_the_disc_spoke_for_its_colour(app, dataset, trained):
    found = explain.explain(trained.install(app, dataset), RED)
    box, weights = found.box, found.weights
    assert (found.label, found.method, box) == ("red", "exact", (40, 0, 280, 240))
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    image = np.asarray(make_photo(COLOURS["red"], seed=7)).astype(int)
    y, x = int((row + 0.5) * 240 / 7), 40 + int((column + 0.5) * 240 / 7)
    assert image[y, x, 0] - image[y, x, 1] > 100


@pytest.mark.trainer
def test_an_unknown_label_is_refused(app, dataset, trained):
    with pytest.raises(LabelUnknown, match="no label"):
        explain.explain(trained.install(app, dataset), RED, "mauve")


@pytest.mark.trainer
def test_a_network_without_a_last_layer_to_look_at_is_asked_with_parts_hidden(
    app, dataset, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(explaining, "OCCLUSION_SECONDS", 0.2)
    version = trained.as_network(tmp_path / "network").install(app, dataset)
    found = explain.explain(version, RED)
    assert found.method == "occlusion"
    assert found.label == "red"
    assert found.embedding.shape == (2_624,)


def test_hiding_what_matters_costs_most():
    pixels = np.zeros((90, 90, 3), np.uint8)
    pixels[60:, :30] = 255
    weights = explaining.occlude(lambda square: float(square[65:85, 5:25].mean()), pixels, seconds=1.0)
    assert np.unravel_index(weights.argmax(), weights.shape) == (len(weights) - 2, 1)
    assert weights[0, -1] == 0


def test_a_slow_network_is_asked_about_few_parts(monkeypatch):
    clock = iter([0.0, 0.1])
    monkeypatch.setattr(explaining.time, "monotonic", lambda: next(clock))
    assert explaining.occlude(lambda square: 0.0, np.zeros((32, 32, 3), np.uint8), seconds=1.5).shape == (
        3,
        3,
    )


def test_a_part_without_which_a_network_says_no_number_counts_as_nothing():
    def ask(square: np.ndarray) -> float:
        return 1.0 if square[0, 0].any() else np.nan

    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:2, :2] = 255
    weights = explaining.occlude(ask, pixels, seconds=0.5)
    assert (weights == 0).all()


@pytest.mark.parametrize("damage", ["empty", "half", "a zip", "of other labels", "no header"])
def test_a_damaged_last_layer_is_as_good_as_none(tmp_path, damage):
    explaining.write_last_layer(tmp_path, np.ones((5, 3)))
    assert explaining.read_last_layer(tmp_path, 3).shape == (5, 3)
    path = tmp_path / explaining.LAST_LAYER_FILE
    whole = path.read_bytes()
    parts = {"empty": b"", "half": whole[:-30], "a zip": b"PK\x03\x04" + whole, "no header": whole[:9] + b"{"}
    path.write_bytes(parts.get(damage, whole))
    assert explaining.read_last_layer(tmp_path, 2 if damage == "of other labels" else 3) is None


def test_each_of_several_labels_stands_out_by_itself():
    calibrated = Calibration(MULTI, scales=(2.0, 1.0), offsets=(-1.0, 0.5))
    assert explaining.stand_out(np.array([3.0, 4.0]), calibrated, 0) == 5.0


def test_a_label_stands_out_above_the_mean_of_the_others():
    assert explaining.stand_out(np.array([4.0, 1.0, 3.0]), Calibration(SINGLE, temperature=2.0), 0) == 1.0


@pytest.mark.parametrize("shape", [(7, 7), (2, 2), (1, 5), (16, 16)])
def test_where_it_was_is_told_in_words(shape):
    weights = np.full(shape, -1.0)
    weights[: max(1, shape[0] // 2), : max(1, shape[1] // 2)] = 3.0
    for_it, against_it = heatmaps.describe(Explanation("red", "exact", weights, 0.0, (0, 0, 9, 9), None))
    assert for_it.startswith("the upper left") or shape == (1, 5)
    assert against_it


def test_an_even_image_has_no_place_that_spoke_for_it():
    nothing = Explanation("red", "exact", np.zeros((7, 7)), 0.0, (0, 0, 9, 9), None)
    assert heatmaps.describe(nothing) == ("", "")
    assert heatmaps.paint(nothing, 9, 9).getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("embedding", [None, np.array([1.0, np.inf], np.float32)])
def test_without_an_embedding_nothing_is_similar(app, embedding):
    assert similar.find(None, embedding) == []
