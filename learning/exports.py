"""Writes a version's package: the head at once, then the whole network as LiteRT and Keras files."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from learning import backbones, cards, explaining, golden, inputs, maps, networks, proof, tables, taught
from learning.backbones import PreparedBackbone
from learning.calibration import Calibration
from learning.heads import Head
from learning.package import (
    FORMAT,
    FORMAT_VERSION,
    HEAD,
    LOCK_FILE,
    NETWORK,
    NETWORK_FILE,
    REJECTION_FILE,
    load_package,
    write_spec,
)
from learning.pixels import describe_pixels
from learning.rejection import Rejection
from learning.work import Work
from utils import open_atomically, write_atomically

STEPS = 4
NETWORK_STEPS = 5
LIBRARIES = ("numpy", "pillow", "ai-edge-litert", "tensorflow", "keras")


class NotProven(RuntimeError):
    """The network's file doesn't answer as the network did; the message says so."""


@dataclass(frozen=True)
class Measured:
    """What was found of a whole network, for its package and its run.

    Attributes:
        items: the manifest's lines that were used and can be read.
        refused: name, code and message of what could not be used.
        calibration: of its logits.
        metrics: what `evaluation.summarise` gives.
    """

    items: list[dict[str, Any]]
    refused: list[dict[str, str]]
    calibration: Calibration
    metrics: dict[str, Any]


def describe(
    name: str, labels: list[str], prepared: PreparedBackbone, head: Head, metrics: dict, about: dict
) -> dict[str, Any]:
    """Return package.json's content of a package that answers with a head.

    Args:
        name: the dataset's name, for people.
        labels: in the order of the probabilities.
        metrics: what `evaluation.summarise` gives.
        about: recipe, task, seed, run and dataset_hash.
    """
    return {
        **_describe(name, labels, prepared.input_size, metrics),
        "answers_with": HEAD,
        "backbone": {
            "name": prepared.name,
            "identifier": prepared.identifier,
            "embedding_size": prepared.embedding_size,
        },
        "strength": head.strength,
        **head.calibration.to_spec(),
        **about,
    }


def _describe(name: str, labels: list[str], size: int, metrics: dict) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": name,
        "labels": labels,
        "input_size": size,
        "pixel_path": describe_pixels(size),
        "rejection": None,
        "metrics": metrics,
        "libraries": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "proven": [],
    }


def write_package(
    folder: str | Path, spec: dict[str, Any], head: Head, known: Rejection | None = None
) -> None:
    """Write head, what tells the unknown, model card and, last, package.json: from then on it answers."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in proof.FILES.values():
        (folder / stale).unlink(missing_ok=True)
    with open_atomically(folder / "head.npz") as file:
        np.savez(file, weights=head.weights.astype(np.float32), bias=head.bias.astype(np.float32))
    spec = spec | {"rejection": _keep(folder, known)}
    write_atomically(folder / "README.md", cards.write(spec))
    write_spec(folder, spec)


def _keep(folder: Path, known: Rejection | None) -> dict[str, Any] | None:
    """Write what tells the unknown, if anything does; return what package.json says of it."""
    (folder / REJECTION_FILE).unlink(missing_ok=True)
    if known is None:
        return None
    known.save(folder / REJECTION_FILE)
    return {"is_on": True, **known.to_spec()}


def export_networks(
    folder: str | Path,
    pixels: np.ndarray,
    embed: Callable[[np.ndarray], np.ndarray],
    on_step: Callable[[int, int], None],
    prepared: str | Path | None = None,
) -> list[str]:
    """Add the whole network in both formats and the golden images, and prove the files (imports TensorFlow).

    Args:
        folder: a package with its head.
        pixels: uint8 (images, size, size, 3), the golden images.
        embed: the backbone, from uint8 (size, size, 3) to float32 (embedding size,).
        on_step: called with (done, total) before each of the steps and after the last; it may raise to stop.
        prepared: the folder of the prepared backbones, beside which weights from elsewhere lie.

    Returns:
        The proven formats, of `litert` and `keras`.
    """
    folder = Path(folder)
    package = load_package(folder)
    golden.write(
        folder, pixels, lambda squares: np.stack([package.probabilities(embed(square)) for square in squares])
    )
    on_step(0, STEPS)
    embedder = backbones.build_embedder(package.backbone, prepared)
    network = networks.add_head(embedder, package.weights, package.bias)
    on_step(1, STEPS)
    write_atomically(folder / "model.tflite", networks.convert_whole(network))
    on_step(2, STEPS)
    networks.save_keras(network, folder / "model.keras")
    on_step(3, STEPS)
    proven = proof.prove(folder)
    write_atomically(folder / "README.md", cards.write(load_package(folder).spec))
    on_step(4, STEPS)
    return proven


def publish(work: Work, network: Any, measured: Measured, size: int, backbone: str | None = None) -> None:
    """Write a whole network's package, then the run's result and its table: from here on the version answers.

    Arguments and errors are those of `write_network_package`.
    """
    spec = write_network_package(work, network, measured, size, backbone)
    work.settle(spec, len(measured.items), measured.refused, is_exported=True)
    work.show(tables.write(work.settings["dataset"], measured.metrics, str(work.package)))


def write_network(folder: Path, content: bytes) -> Path:
    """Put a LiteRT file into a package in the making, to be measured and then proven; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / NETWORK_FILE, content)
    return folder / NETWORK_FILE


def write_network_package(
    work: Work, network: Any, measured: Measured, size: int, backbone: str | None = None
) -> dict[str, Any]:
    """Write a package that answers with a whole network, and prove it (imports TensorFlow).

    What Keras says of the golden images before the export is what both files must give. A model.tflite that
    lies in the package already, because it was measured, is proven as it is; else the network is converted.
    package.json is written last, so that a package cut off in the middle is none.

    Args:
        network: a Keras model from float32 (batch, size, size, 3), RGB of 0 to 255, to logits.
        size: of the square, in pixels.
        backbone: what it began from, for people; None where it began from nothing we know.

    Returns:
        package.json's content, for `work.settle`.

    Raises:
        NotProven: LiteRT cannot run the network, or answers otherwise than Keras does.
        Stopped: an end was asked for.
    """
    folder = work.package
    folder.mkdir(parents=True, exist_ok=True)
    work.report("exporting", 0, NETWORK_STEPS)
    squares = inputs.read_squares(inputs.choose_golden(measured.items), size)
    golden.write(folder, squares, lambda some: measured.calibration.probabilities(_ask(network, some)))
    work.report("exporting", 1, NETWORK_STEPS)
    if not (folder / NETWORK_FILE).exists():
        write_network(folder, networks.convert_whole(network))
    work.report("exporting", 2, NETWORK_STEPS)
    networks.save_keras(network, folder / "model.keras")
    work.report("exporting", 3, NETWORK_STEPS)
    spec = _prove(folder, _describe_network(work, measured, size, backbone))
    tell = partial(_tell_fourth, work)
    spec["rejection"] = _keep(
        folder, taught.learn(work, folder / NETWORK_FILE, size, measured.calibration, tell)
    )
    write_atomically(folder / "README.md", cards.write(spec))
    write_spec(folder, spec)
    explaining.keep_last_layer(folder, maps.add_map(network).last_layer, measured.calibration)
    work.report("exporting", NETWORK_STEPS, NETWORK_STEPS)
    return spec


def _tell_fourth(work: Work, done: int) -> None:
    """Say that the fourth step goes on, in which every image is looked at once more; it may raise to stop."""
    work.report("exporting", 4, NETWORK_STEPS)


def _describe_network(work: Work, measured: Measured, size: int, backbone: str | None) -> dict[str, Any]:
    return {
        **_describe(work.settings["dataset"], work.labels, size, measured.metrics),
        "answers_with": NETWORK,
        "backbone": {"name": backbone} if backbone else None,
        **measured.calibration.to_spec(),
        **work.describe(measured.items),
    }


def _prove(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Prove both files; return what package.json is to say."""
    spec |= proof.compare(folder, spec)
    if "litert" not in spec["proven"]:
        raise NotProven("The network answers otherwise in LiteRT than in Keras, so it can't be used here.")
    return spec


def _ask(network: Any, squares: np.ndarray) -> np.ndarray:
    """Return what Keras says of each square by itself, float32 (images, labels)."""
    batches = squares[:, np.newaxis].astype(np.float32)
    return np.concatenate([np.asarray(network([batch], training=False)) for batch in batches])


def is_place(out: Path) -> bool:
    """Whether a package may be placed at `out`: it is new, empty, or an earlier package to be replaced."""
    return not out.exists() or (out.is_dir() and ((out / "package.json").exists() or not any(out.iterdir())))


def place(made: Path, out: Path) -> Path:
    """Copy the package `made` to `out`, in place of an earlier one, and return `out`."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{out.name}.making")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(made, beside, ignore=shutil.ignore_patterns(LOCK_FILE))
    if out.exists():
        shutil.rmtree(out)
    beside.rename(out)
    return out
