"""A package answers alike in every format, alone, and never offers a file that does not."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learning import backbones, calibration, cards, evaluation, exports, inputs, litert, package, proof
from learning.calibration import Calibration
from learning.embeddings import Embedder
from learning.heads import Head
from learning.work import Work
from tests.trained import make_photo
from utils import center_crop, open_image

ROOT = Path(__file__).parents[1]
LABELS = ["cat", "dog|cow", "é"]
MEASURED = {
    "accuracy": 0.9,
    "interval": [0.8, 0.95],
    "items": 30,
    "labels": [{"label": name, "precision": 1.0, "recall": 0.9, "f1": 0.95, "count": 10} for name in LABELS],
    "confusion": [[9, 1, 0], [0, 10, 0], [0, 0, 10]],
}
METRICS = {"accuracy": 0.9, "interval": [0.8, 0.95], "leave_one_out": MEASURED, "test": None}
ABOUT = {"recipe": "quick", "task": "single-label", "seed": 1, "run": "some-run", "dataset_hash": "00"}


@pytest.fixture(scope="module")
def prepared(prepared_backbones):
    return backbones.find("efficientnet-lite0", prepared_backbones)


@pytest.fixture(scope="module")
def made(prepared, tmp_path_factory):
    """A package of a random head, sharp enough to show differences, exported and proven."""
    random = np.random.default_rng(0)
    head = Head(
        random.normal(size=(2_624, 3)) / 10, random.normal(size=3) / 10, 1.0, Calibration("single-label", 0.1)
    )
    folder = tmp_path_factory.mktemp("made") / "package"
    exports.write_package(folder, exports.describe("pets", LABELS, prepared, head, METRICS, ABOUT), head)
    pixels = np.stack([center_crop(make_photo((200, 60, 20), seed), 224) for seed in range(16)])
    exports.export_networks(folder, pixels, Embedder(prepared.path).embed, lambda *_: None)
    return folder


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "package"))


def make_images():
    """Images on which routes disagree when they do not share one pixel path: (name, bytes)."""
    photo = make_photo((20, 120, 200), 5, (500, 375))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    layered = photo.convert("RGBA")
    layered.putalpha(Image.linear_gradient("L").resize(photo.size))
    for name, image, options in (
        ("exif.jpg", photo, {"exif": exif}),
        ("rgba.png", layered, {}),
        ("grey.png", photo.convert("L"), {}),
        ("cmyk.jpg", photo.convert("CMYK"), {}),
        ("palette.gif", photo.convert("P"), {}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, {"jpg": "JPEG", "png": "PNG", "gif": "GIF"}[name[-3:]], **options)
        yield name, buffer.getvalue()


IMAGES = dict(make_images())


@pytest.mark.trainer
@pytest.mark.parametrize(("name", "content"), IMAGES.items(), ids=IMAGES)
def test_every_route_gives_the_same_probabilities(made, prepared, tmp_path, name, content):
    import keras

    loaded = package.load_package(made)
    pixels = center_crop(open_image(content), loaded.input_size)
    wanted = loaded.probabilities(Embedder(prepared.path).embed(pixels))
    network = litert.NetworkClassifier(made).probabilities(pixels)
    model = keras.models.load_model(made / "model.keras")
    logits = np.asarray(model([pixels[np.newaxis].astype(np.float32)]))
    powers = np.exp(logits[0].astype(np.float64) / loaded.calibration.temperature)
    assert np.abs(network - wanted).max() < 1e-5
    assert np.abs(powers / powers.sum() - wanted).max() < 1e-5
    assert np.abs(_answer_of_the_card(made, tmp_path, name, content) - wanted).max() < 1e-5


def _answer_of_the_card(made, folder, name, content):
    """Run the model card's own code beside nothing but model.tflite and package.json."""
    for file in ("model.tflite", "package.json"):
        shutil.copy(made / file, folder)
    (folder / name).write_bytes(content)
    card = (made / "README.md").read_text()
    (folder / "use.py").write_text(card.split("```python\n")[1].split("```")[0])
    run = subprocess.run(
        [sys.executable, "use.py", name], cwd=folder, capture_output=True, text=True, check=True
    )
    return np.array([float(line.split()[0]) for line in run.stdout.splitlines() if line[:2] in ("0.", "1.")])


@pytest.mark.trainer
def test_a_package_answers_without_tensorflow_and_without_pigeonhole_s_backbone(made):
    code = (
        "import sys, numpy as np; from learning.litert import NetworkClassifier;"
        f"p = NetworkClassifier({str(made)!r}).probabilities(np.zeros((224, 224, 3), np.uint8));"
        "assert abs(p.sum() - 1) < 1e-9; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.trainer
def test_both_files_are_proven_within_the_tolerance(made):
    spec = package.read_spec(made)
    assert spec["proven"] == ["litert", "keras"]
    assert all(difference < 1e-5 for difference in spec["golden_differences"].values())
    assert "litert, keras" in (made / "README.md").read_text()


@pytest.mark.trainer
def test_a_file_that_answers_otherwise_is_removed(copy):
    golden = json.loads((copy / "golden" / "golden.json").read_text())
    golden["images"][3]["probabilities"][0] += 2e-4
    (copy / "golden" / "golden.json").write_text(json.dumps(golden))
    assert proof.prove(copy) == []
    assert not (copy / "model.tflite").exists()
    assert not (copy / "model.keras").exists()
    assert package.load_package(copy).proven == []


@pytest.mark.trainer
def test_a_damaged_file_is_removed_and_the_other_stays(copy):
    (copy / "model.keras").write_bytes((copy / "model.keras").read_bytes()[:10_000])
    assert proof.prove(copy) == ["litert"]
    assert not (copy / "model.keras").exists()
    assert litert.NetworkClassifier(copy)


@pytest.mark.trainer
@pytest.mark.parametrize("name", ["package.json", "head.npz"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"PK\x03\x04 cut short"])
def test_a_damaged_package_is_refused(copy, name, content):
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(package.PackageDamaged, match=name):
        package.load_package(copy)


@pytest.mark.trainer
def test_a_package_goes_to_a_folder_and_replaces_an_earlier_one(made, tmp_path):
    out = tmp_path / "some" / "out"
    assert exports.is_place(out)
    for _ in range(2):
        assert exports.place(made, out) == out
    assert package.load_package(out).labels == LABELS
    assert exports.is_place(out)
    (out / "package.json").unlink()
    assert not exports.is_place(out)


def test_the_card_names_what_fails_and_escapes_names():
    card = cards.write(
        {
            **{"name": "<b>pets</b>", "labels": LABELS, "metrics": METRICS, "proven": [], **ABOUT},
            **{"backbone": {"name": "efficientnet-lite0"}, "made": "2026-01-01T00:00:00Z"},
        }
    )
    assert "90.0% right (95 % interval 80.0% to 95.0%) of 30 images" in card
    assert "cat taken for dog\\|cow (1 ×)" in card
    assert "<b>" not in card


@pytest.fixture
def work(tmp_path):
    """A run of twelve photos with two labels, several to a photo."""
    photos = [(tmp_path / f"{seed}.jpg", seed) for seed in range(12)]
    items = []
    for path, seed in photos:
        make_photo((200, 60, 20), seed).save(path)
        labels = ["red"] * (seed % 2) + ["odd"] * (seed % 3 == 0)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        items.append({"sha256": digest, "path": str(path), "labels": labels, "split": "train"})
    settings = {"recipe": "custom", "task": "multi-label", "seed": 1, "dataset": "discs"}
    return Work(
        folder=tmp_path,
        settings=settings,
        labels=["odd", "red"],
        read_items=lambda: iter(items),
        report=lambda *_, **__: None,
        is_ending=lambda: False,
        write_result=lambda result: None,
        show=lambda text: None,
    )


@pytest.mark.trainer
def test_a_whole_network_is_packaged_proven_and_answers_as_keras_did(work, tmp_path):
    import keras

    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3, strides=4, activation="relu")]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    network = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    items = list(work.read_items())
    squares = inputs.read_squares(items, 32)
    targets = inputs.make_targets(work.labels, items, "multi-label")
    fitted = calibration.fit(np.asarray(network(squares.astype(np.float32))), targets, "multi-label")
    wanted = fitted.probabilities(np.asarray(network(squares.astype(np.float32))))
    block = evaluation.measure("multi-label", wanted, targets, work.labels, fitted.thresholds)
    metrics = evaluation.summarise("multi-label", validation=block)
    spec = exports.write_network_package(work, network, exports.Measured(items, [], fitted, metrics), 32)
    assert spec["proven"] == ["litert", "keras"]
    loaded = package.load_package(work.package)
    assert loaded.answers_with == "network" and loaded.backbone is None
    digest = hashlib.sha256((work.package / "model.tflite").read_bytes()).hexdigest()
    assert loaded.network_sha256 == digest
    classifier = litert.NetworkClassifier(work.package)
    found = np.stack([classifier.probabilities(square) for square in squares])
    assert np.abs(found - wanted).max() < 1e-5
    alone = tmp_path / "alone"
    alone.mkdir()
    said = _answer_of_the_card(work.package, alone, "a.jpg", (tmp_path / "1.jpg").read_bytes())
    assert np.abs(said - wanted[1]).max() < 1e-5


@pytest.mark.trainer
def test_a_network_file_that_answers_otherwise_makes_no_package(work):
    import keras

    network = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    )
    work.package.mkdir()
    (work.package / "model.tflite").write_bytes(b"another network")
    plain = calibration.Calibration("multi-label", 1.0, (1.0, 1.0), (0.0, 0.0), (0.5, 0.5))
    with pytest.raises(exports.NotProven):
        exports.write_network_package(
            work, network, exports.Measured(list(work.read_items()), [], plain, {}), 32
        )
    with pytest.raises(package.PackageDamaged):
        package.load_package(work.package)
