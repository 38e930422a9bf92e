"""What an explanation costs beside a prediction alone, and whether what it shows is what mattered.

    python -m benchmarks.explaining --images trash.zip [--slow] [--json]

Times are processor seconds of one thread, prediction and explained prediction in turns. Faithfulness is by
deletion (as of RISE, Petsiuk et al. 2018): the most important fifth of the image is blanked, or a random one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import config
import server
from benchmarks.served import make_jpeg
from learning import explaining, networks
from learning.embeddings import Embedder
from learning.litert import Network
from learning.package import Package, load_package
from models import Dataset, Member, User, Version, db
from serving import explain, prediction
from tests.trained import Trained, train
from utils import center_crop, open_image

ROUNDS = 60
BLANKED = 0.2  # of the positions
SLOWEST = "VGG19"  # of the networks of Keras, 19.6 thousand million multiplications


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="a zip of class folders, to train on and to blank")
    parser.add_argument("--package", type=Path, help="a package trained on them already, with --backbones")
    parser.add_argument("--backbones", type=Path)
    parser.add_argument("--slow", action="store_true", help="also time occlusion of the slowest network")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        trained = Trained(options.package, options.backbones) if options.package else train(place / "trained")
        found = _time_all(place, trained)
        if options.images:
            found |= _blank(trained, options.images)
        if options.slow:
            found |= _time_occlusion(place, trained)
    print(
        json.dumps(found) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items())
    )


def _time_all(place: Path, trained: Trained) -> dict[str, float]:
    """Return the ratio of an explained prediction to one alone, for a head and for a whole network."""
    app = server.create_app(config.load(place / "instance"))
    server.database.prepare(app)
    package = load_package(trained.package)
    network = trained.as_network(place / "network")
    explaining.write_last_layer(network.package, np.vstack([package.weights, package.bias]))
    with app.app_context():
        user = User(name="bench", password_hash="none")
        dataset = Dataset(slug="bench", name="Bench", members=[Member(user=user, role="owner")])
        db.session.add_all([user, dataset])
        versions = {"head": trained.install(app, dataset), "network": network.install(app, dataset)}
        found = {f"{name}_ratio": _compare(version) for name, version in versions.items()}
        db.session.remove()
        db.engine.dispose()
    return found


def _compare(version: Version) -> float:
    photo = make_jpeg()
    assert explain.explain(version, photo).method == explaining.EXACT
    ratios = []
    for _ in range(ROUNDS):
        alone = _seconds(lambda: prediction.predict(version, photo))
        both = alone + _seconds(lambda: explain.explain(version, photo))
        ratios.append(both / alone)
    return round(statistics.median(ratios), 2)


def _seconds(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def _blank(trained: Trained, images: Path) -> dict[str, float]:
    """Return by how much the said label's probability falls on average, for each way of blanking."""
    package = load_package(trained.package)
    embedder = Embedder(trained.backbones / f"{package.backbone_identifier}.tflite")
    last_layer, rng = explaining.find_last_layer(package), np.random.default_rng(0)
    falls: dict[str, list[float]] = {
        "most_important_fifth": [],
        "random_fifth": [],
        "least_important_fifth": [],
    }
    for pixels in _read(images, package.input_size):
        embedding, seen = embedder.embed_with_map(pixels)
        said = package.probabilities(embedding)
        label = int(said.argmax())
        positions = explaining.score_positions(seen, last_layer)
        weights = explaining.stand_out(positions, package.calibration, label).ravel()
        few = round(BLANKED * weights.size)
        order = np.argsort(-weights)
        chosen = (order[:few], rng.permutation(weights.size)[:few], order[-few:])
        for name, places in zip(falls, chosen, strict=True):
            blanked = _blank_out(pixels, places, seen.shape[0])
            falls[name].append(said[label] - _ask(package, embedder, blanked)[label])
    return {name: round(float(np.mean(each)), 3) for name, each in falls.items()} | {
        "images": len(falls["random_fifth"])
    }


def _ask(package: Package, embedder: Embedder, pixels: np.ndarray) -> np.ndarray:
    return package.probabilities(embedder.embed(pixels))


def _blank_out(pixels: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    blanked, cell = pixels.copy(), len(pixels) / side
    for row, column in (divmod(int(place), side) for place in places):
        rows = slice(round(row * cell), round((row + 1) * cell))
        blanked[rows, round(column * cell) : round((column + 1) * cell)] = pixels.mean(axis=(0, 1))
    return blanked


def _read(images: Path, size: int) -> Iterator[np.ndarray]:
    """Yield every fifth image's square."""
    with zipfile.ZipFile(images) as archive:
        names = [name for name in sorted(archive.namelist()) if name.lower().endswith((".jpg", ".png"))]
        for name in names[::5]:
            yield center_crop(open_image(archive.read(name)), size)


def _time_occlusion(place: Path, trained: Trained) -> dict[str, float]:
    """Return what occlusion takes of the slowest network, its weights as drawn, on the clock and in all.

    Also how many embeddings that would be, which tells a quiet machine from a busy one.
    """
    networks.load_tensorflow_quietly()
    import keras

    below = keras.applications.VGG19(
        include_top=False, weights=None, input_shape=(224, 224, 3), pooling="max"
    )
    logits = keras.layers.Dense(3)(below.outputs[0])
    path = place / "slow.tflite"
    path.write_bytes(networks.convert(keras.Model(below.inputs, logits)))
    network, pixels = Network(path), center_crop(open_image(make_jpeg()), 224)
    embedder = Embedder(next(trained.backbones.glob(f"{load_package(trained.package).backbone_identifier}*")))
    an_embedding = statistics.median(_seconds(lambda: embedder.embed(pixels)) for _ in range(ROUNDS))
    start, used = time.perf_counter(), time.thread_time()
    weights = explaining.occlude(lambda square: float(network.logits(square)[0]), pixels)
    used = time.thread_time() - used
    return {
        "occlusion_parts": len(weights),
        "occlusion_seconds": round(time.perf_counter() - start, 2),
        "occlusion_processor_seconds": round(used, 2),
        "occlusion_in_embeddings": round(used / an_embedding),
    }


if __name__ == "__main__":
    main()
