"""Writes a version's package: the head at once, then the whole network as LiteRT and Keras files."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from learning import backbones, cards, networks, proof
from learning.backbones import PreparedBackbone
from learning.heads import Head
from learning.package import FORMAT, FORMAT_VERSION, load_package, write_spec
from utils import PIXEL_PATH_VERSION, open_atomically, write_atomically

STEPS = 4
LIBRARIES = ("numpy", "pillow", "ai-edge-litert", "tensorflow", "keras")
PIXEL_PATH = (
    "Apply the EXIF orientation; lay transparency over white; convert to RGB; scale the shorter side to "
    "input_size with Pillow's bicubic filter (a square stays square); crop the longer side around its "
    "centre. A JPEG may first be decoded at the smallest of libjpeg's scales that leaves it at least twice "
    "input_size. The network takes the values 0 to 255 as float32 and scales them itself."
)


def describe(
    name: str, labels: list[str], prepared: PreparedBackbone, head: Head, metrics: dict, about: dict
) -> dict[str, Any]:
    """Return package.json's content.

    Args:
        name: the dataset's name, for people.
        labels: in the order of the probabilities.
        metrics: accuracy, interval, leave_one_out, test.
        about: recipe, task, seed, run and dataset_hash.
    """
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": name,
        "labels": labels,
        "input_size": prepared.input_size,
        "pixel_path": describe_pixels(prepared.input_size),
        "backbone": {
            "name": prepared.name,
            "identifier": prepared.identifier,
            "embedding_size": prepared.embedding_size,
        },
        "strength": head.strength,
        "temperature": head.temperature,
        "thresholds": [],
        "rejection": None,
        "metrics": metrics,
        "libraries": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "proven": [],
        **about,
    }


def describe_pixels(size: int) -> dict[str, Any]:
    return {
        "version": PIXEL_PATH_VERSION,
        "words": PIXEL_PATH,
        "shape": [1, size, size, 3],
        "dtype": "float32",
        "range": [0, 255],
        "channels": "RGB",
        "filter": "bicubic",
        "crop": "center",
        "background": [255, 255, 255],
        "jpeg_draft_at_least": 2,
    }


def write_package(folder: str | Path, spec: dict[str, Any], head: Head) -> None:
    """Write head, model card and, last, package.json: from then on the package answers."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in proof.FILES.values():
        (folder / stale).unlink(missing_ok=True)
    with open_atomically(folder / "head.npz") as file:
        np.savez(file, weights=head.weights.astype(np.float32), bias=head.bias.astype(np.float32))
    write_atomically(folder / "README.md", cards.write(spec))
    write_spec(folder, spec)


def export_networks(
    folder: str | Path, pixels: np.ndarray, embeddings: np.ndarray, on_step: Callable[[int, int], None]
) -> list[str]:
    """Add the whole network in both formats and the golden images, and prove the files (imports TensorFlow).

    Args:
        folder: a package with its head.
        pixels: uint8 (images, size, size, 3), the golden images.
        embeddings: float32 (images, embedding size), what the backbone says of them.
        on_step: called with (done, total) before each of the steps and after the last; it may raise to stop.

    Returns:
        The proven formats, of `litert` and `keras`.
    """
    folder = Path(folder)
    package = load_package(folder)
    proof.write_golden(folder, pixels, np.stack([package.probabilities(row) for row in embeddings]))
    on_step(0, STEPS)
    embedder = backbones.build_embedder(package.backbone)
    network = networks.add_head(embedder, package.weights, package.bias)
    on_step(1, STEPS)
    write_atomically(folder / "model.tflite", networks.convert(network))
    on_step(2, STEPS)
    networks.save_keras(network, folder / "model.keras")
    on_step(3, STEPS)
    proven = proof.prove(folder)
    write_atomically(folder / "README.md", cards.write(load_package(folder).spec))
    on_step(4, STEPS)
    return proven


def is_place(out: Path) -> bool:
    """Whether a package may be placed at `out`: it is new, empty, or an earlier package to be replaced."""
    return not out.exists() or (out.is_dir() and ((out / "package.json").exists() or not any(out.iterdir())))


def place(made: Path, out: Path) -> Path:
    """Copy the package `made` to `out`, in place of an earlier one, and return `out`."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{out.name}.making")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(made, beside)
    if out.exists():
        shutil.rmtree(out)
    beside.rename(out)
    return out
