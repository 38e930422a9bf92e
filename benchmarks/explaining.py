"""What an explanation costs beside a prediction alone, and whether what it shows is what mattered.

    python -m benchmarks.explaining --images trash.zip [--slow] [--json]

Times are processor seconds of one thread, prediction and explained prediction in turns. `--slow` adds large
networks, their weights as drawn: the slowest that is offered, one that ends in a flattened map, and the
slowest with an end that only occlusion explains. Faithfulness is by deletion (as of RISE, Petsiuk et al.
2018): the most important fifth of the image is blanked, or a random one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import config
import server
from benchmarks.served import make_jpeg
from jobs import database
from learning import applications, explaining, maps, networks
from learning.embeddings import Embedder
from learning.litert import Network
from learning.package import NETWORK_FILE, Package, load_package, update_spec
from models import Dataset, Member, User, Version, db
from serving import explain, prediction
from tests.trained import Trained, train
from utils import center_crop, open_image

ROUNDS = 60
SLOW_ROUNDS = 15
BLANKED = 0.2  # of the positions
SLOWEST = "VGG19"  # of the networks of Keras, 19.6 thousand million multiplications


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="a zip of class folders, to train on and to blank")
    parser.add_argument("--package", type=Path, help="a package trained on them already, with --backbones")
    parser.add_argument("--backbones", type=Path)
    parser.add_argument("--slow", action="store_true", help="also time large networks")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        trained = Trained(options.package, options.backbones) if options.package else train(place / "trained")
        slow = _build_slow(place, trained) if options.slow else {}
        found = _time_all(place, trained, slow)
        if options.images:
            found |= _blank(trained, options.images)
        if options.slow:
            found |= _time_map(place) | _time_occlusion(place, trained)
    print(
        json.dumps(found) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items())
    )


def _time_all(place: Path, trained: Trained, slow: dict[str, Trained]) -> dict[str, float]:
    """Return the ratio of an explained prediction to one alone: a head, a whole network, and slow ones.

    Of the latter also the seconds on the clock that the explanation takes.
    """
    app = server.create_app(config.load(place / "instance"))
    database.prepare(app)
    package = load_package(trained.package)
    network = trained.as_network(place / "network")
    explaining.write_last_layer(network.package, np.vstack([package.weights, package.bias]))
    with app.app_context():
        user = User(name="bench", password_hash="none")
        dataset = Dataset(slug="bench", name="Bench", members=[Member(user=user, role="owner")])
        db.session.add_all([user, dataset])
        versions = {"head": trained.install(app, dataset), "network": network.install(app, dataset)}
        found = {f"{name}_ratio": _compare(version, ROUNDS) for name, version in versions.items()}
        for name, package in slow.items():
            version = package.install(app, dataset)
            found[f"{name}_ratio"] = _compare(version, SLOW_ROUNDS)
            found[f"{name}_seconds"] = _time_explanation(version)
        db.session.remove()
        db.engine.dispose()
    return found


def _build_slow(place: Path, trained: Trained) -> dict[str, Trained]:
    """Package two large networks: the slowest that is offered, and VGG16 with the end of many tutorials."""
    networks.load_tensorflow_quietly()
    import keras

    layers = keras.layers
    tails = {
        "slowest": (SLOWEST, [layers.GlobalAveragePooling2D(), layers.Dense(3)]),
        "flatten": ("VGG16", [layers.Flatten(), layers.Dense(256, "relu"), layers.Dense(3)]),
    }
    return {name: _pack(place / name, trained, _build(*parts)) for name, parts in tails.items()}


def _build(name: str, tail: list[Any]) -> Any:
    import keras

    below = applications.build(name, 224, None, is_pretrained=False)
    last = below.outputs[0]
    for layer in tail:
        last = layer(last)
    return keras.Model(below.inputs, last)


def _pack(folder: Path, trained: Trained, network: Any) -> Trained:
    """Package a network in the place of the one that was trained."""
    packed, seen = trained.as_network(folder), maps.add_map(network)
    content = networks.convert(seen.network)
    (folder / NETWORK_FILE).write_bytes(content)
    (folder.parent / f"{folder.name}_alone.tflite").write_bytes(networks.convert(network))
    explaining.write_last_layer(folder, seen.last_layer)
    files = {NETWORK_FILE: hashlib.sha256(content).hexdigest()}
    update_spec(folder, lambda spec: spec | {"files": files, "rejection": None})
    return packed


def _time_map(place: Path) -> dict[str, float]:
    """Return the time that a flattening network takes with its map, beside the same network without."""
    pixels = center_crop(open_image(make_jpeg()), 224)
    both = [Network(path) for path in (place / "flatten" / NETWORK_FILE, place / "flatten_alone.tflite")]
    ratios = []
    for _ in range(SLOW_ROUNDS):
        with_map, alone = (_seconds(partial(network.logits, pixels)) for network in both)
        ratios.append(with_map / alone)
    return {"flatten_with_map_ratio": round(statistics.median(ratios), 2)}


def _time_explanation(version: Version) -> float:
    took = []
    for _ in range(SLOW_ROUNDS):
        start = time.perf_counter()
        explain.explain(version, make_jpeg())
        took.append(time.perf_counter() - start)
    return round(statistics.median(took), 2)


def _compare(version: Version, rounds: int) -> float:
    photo = make_jpeg()
    assert explain.explain(version, photo).method == explaining.EXACT
    ratios = []
    for _ in range(rounds):
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
    """Return what occlusion takes of the slowest network, on the clock and in all.

    Also how many embeddings that would be, which tells a quiet machine from a busy one.
    """
    networks.load_tensorflow_quietly()
    import keras

    layers = keras.layers
    tail = [layers.GlobalAveragePooling2D(), layers.Dense(64, "gelu"), layers.Dense(3)]
    path = place / "slow.tflite"
    path.write_bytes(networks.convert(_build(SLOWEST, tail)))
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
