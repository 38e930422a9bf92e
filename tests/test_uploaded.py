"""Recipe uploaded: a network from elsewhere, wrapped, measured and packaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learning import explaining
from learning.litert import NetworkClassifier
from learning.uploads import wrapping
from learning.uploads.facts import SCALINGS
from tests import model_corpus
from tests.trained import COLOURS, make_images
from utils import center_crop, open_image

ROOT = Path(__file__).parents[1]


def train(folder: Path, name: str, *words: str) -> subprocess.CompletedProcess:
    """Upload the corpus's model of that name on the command line, on coloured discs."""
    images = folder / "colours"
    if not images.exists():
        make_images(images)
    (folder / name).write_bytes(model_corpus.good()[name])
    command = [sys.executable, "training.py", "--dataset", str(images), "--recipe", "uploaded", *words]
    environment = {**os.environ, "PIGEONHOLE_INSTANCE": str(folder / "instance")}
    return subprocess.run(
        [*command, "--model", str(folder / name)], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder in which the .keras of the corpus was trained, its package in `package`."""
    folder = tmp_path_factory.mktemp("uploaded")
    words = ("--scaling", "0-1", "--model-labels", "Red,green,blue", "--out", str(folder / "package"))
    ended = train(folder, "colours.keras", *words, "--json")
    assert ended.returncode == 0, ended.stderr
    (folder / "told.json").write_text(ended.stdout.splitlines()[-1])
    return folder


def test_it_is_measured_on_the_test_split_alone(made):
    told = json.loads((made / "told.json").read_text())
    assert told["score"]["by"] == "test"
    assert told["score"]["value"] == 1
    assert (told["leave_one_out"], told["validation"]) == (None, None)
    run = next((made / "instance" / "runs").iterdir())
    evaluated = json.loads((run / "evaluation.json").read_text())
    assert {(item["by"], item["split"]) for item in evaluated["items"]} == {("test", "test")}
    assert len(evaluated["items"]) == told["items"]


def test_its_labels_keep_the_model_s_order_and_the_dataset_s_spelling(made):
    assert json.loads((made / "package" / "package.json").read_text())["labels"] == ["red", "green", "blue"]


def test_the_package_answers_by_itself_and_is_proven(made):
    spec = json.loads((made / "package" / "package.json").read_text())
    assert (spec["answers_with"], spec["proven"]) == ("network", ["litert", "keras"])
    classifier = NetworkClassifier(made / "package")
    for label in COLOURS:
        pixels = center_crop(open_image(made / "colours" / label / "0.jpg"), spec["input_size"])
        assert spec["labels"][classifier.probabilities(pixels).argmax()] == label


def test_a_teachable_machine_zip_needs_no_questions_and_is_explained_exactly(made):
    ended = train(made, "converted_keras.zip", "--json")
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["score"]["value"] == 1
    classifier = NetworkClassifier(told["package"])
    _, seen = classifier.look(np.zeros((32, 32, 3), np.uint8))
    assert explaining.can_be_exact(seen, explaining.find_last_layer(classifier.package))


def test_a_scaling_that_the_file_does_not_tell_is_asked_for(made):
    ended = train(made, "colours.keras")
    assert ended.returncode == 1
    assert "how pixels were scaled" in ended.stderr


def test_a_refused_model_leaves_no_run_behind(made):
    before = set((made / "instance" / "runs").iterdir())
    (made / "evil.keras").write_bytes(model_corpus.hostile(made)["57 Lambda in .keras"])
    model = shutil.copy(made / "evil.keras", made / "colours.h5")
    words = ["--dataset", str(made / "colours"), "--recipe", "uploaded", "--model", str(model)]
    environment = {**os.environ, "PIGEONHOLE_INSTANCE": str(made / "instance")}
    command = [sys.executable, "training.py", *words]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "colours.h5: it holds “Lambda”" in ended.stderr
    assert set((made / "instance" / "runs").iterdir()) == before


def test_a_model_with_sigmoids_says_several_labels_an_image(made):
    folder = made / "several"
    folder.mkdir()
    chance, rows = np.random.default_rng(1), ["name,red,green,blue"]
    for index in range(30):
        has = chance.integers(0, 2, 3)
        pixels = chance.integers(0, 60, (32, 32, 3)) + 150 * has
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}.png")
        rows.append(f"{index}.png,{has[0]},{has[1]},{has[2]}")
    (folder / "data.csv").write_text("\n".join(rows))
    (folder / "model.keras").write_bytes(model_corpus.as_keras(model_corpus.network(ending="sigmoid")))
    words = ["--dataset", str(folder / "data.csv"), "--task", "multi-label", "--recipe", "uploaded"]
    words += ["--model", str(folder / "model.keras"), "--scaling", "0-1", "--model-labels", "red,green,blue"]
    environment = {**os.environ, "PIGEONHOLE_INSTANCE": str(made / "instance")}
    command = [sys.executable, "training.py", *words, "--json"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    told = json.loads(ended.stdout.splitlines()[-1])
    assert (told["score"]["name"], told["score"]["by"], told["proven"]) == (
        "micro_f1",
        "test",
        ["litert", "keras"],
    )
    assert told["score"]["value"] > 0.9


# Run in a process of its own, so that no other test sees TensorFlow.
WRAPPED = """
import json, sys
import numpy as np, keras
from keras.applications.imagenet_utils import preprocess_input
from learning.uploads.wrapping import ask_ending, wrap

def through(channels, outputs, **more):
    image = keras.Input((8, 8, channels))
    means = keras.layers.GlobalAveragePooling2D()(image)
    network = keras.Model(image, means if outputs is None else outputs(means))
    return wrap(network, size=8, **{"ending": "logits", "labels": 3, "task": "single-label", **more})

pixels = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 3)).astype("float32")
told = {}
wanted = {"0-255": pixels, "0-1": pixels / 255, "tf": pixels / 127.5 - 1}
wanted |= {mode: preprocess_input(pixels.copy(), mode=mode) for mode in ("torch", "caffe")}
for scaling, right in wanted.items():
    given = np.asarray(through(3, None, scaling=scaling)([pixels]))
    told[scaling] = float(np.abs(given - right.mean(axis=(1, 2))).max())
grey = np.asarray(through(1, None, scaling="0-255", labels=1)([pixels]))
told["grey"] = float(np.abs(grey - (pixels @ [0.299, 0.587, 0.114]).mean()).max())
softmax = through(3, keras.layers.Softmax(), scaling="0-1", ending="softmax")
told["softmax"] = np.asarray(keras.ops.softmax(softmax([pixels])))[0].tolist()
told["means"] = np.asarray(keras.ops.softmax((pixels / 255).mean(axis=(1, 2))))[0].tolist()
one = through(3, keras.layers.Dense(1, "sigmoid", kernel_initializer="ones"), scaling="0-1",
              ending="sigmoid", labels=2)
told["one"] = np.asarray(keras.ops.softmax(one([pixels])))[0].tolist()
told["sigmoid"] = float(1 / (1 + np.exp(-(pixels / 255).mean(axis=(1, 2)).sum())))
many = through(3, keras.layers.Activation("sigmoid"), scaling="0-1", ending="sigmoid", task="multi-label")
told["logits"] = float(np.abs(np.asarray(many([pixels])) - (pixels / 255).mean(axis=(1, 2))).max())
image = keras.Input((8, 8, 3))
means = keras.layers.GlobalAveragePooling2D()(image)
asked = {"squares": pixels.astype("uint8"), "size": 8, "scaling": "0-1", "task": "single-label"}
endings = (keras.layers.Softmax(), keras.layers.Activation("sigmoid"), keras.layers.Rescaling(9))
told["asked"] = [ask_ending(keras.Model(image, ending(means)), **asked) for ending in endings]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def wrapped():
    """What networks of which the right answer is known say through the wrapping."""
    ended = subprocess.run([sys.executable, "-c", WRAPPED], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("scaling", [*SCALINGS, "grey"])
def test_every_scaling_gives_what_keras_preprocessing_gives(wrapped, scaling):
    assert wrapped[scaling] < 2e-4


def test_probabilities_become_logits_that_give_them_back(wrapped):
    assert np.allclose(wrapped["softmax"], wrapped["means"], atol=1e-6)
    assert np.allclose(wrapped["one"], [1 - wrapped["sigmoid"], wrapped["sigmoid"]], atol=1e-6)
    assert wrapped["logits"] < 1e-5


def test_a_network_is_asked_what_its_answers_are(wrapped):
    assert wrapped["asked"] == ["softmax", "sigmoid", "logits"]


@pytest.mark.parametrize(
    ("answers", "ending"),
    [
        ([[0.2, 0.8]], "softmax"),
        ([[0.9, 0.8]], "sigmoid"),
        ([[-1.0, 3.0]], "logits"),
        ([[0.0, 2.0]], "logits"),
    ],
)
def test_what_the_answers_are_is_told_from_them(answers, ending):
    assert wrapping.guess_ending(np.array(answers)) == ending
