"""Golden images: what every file of a package must answer, and whether it does in its own runtime."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from learning import calibration
from learning.calibration import Calibration
from learning.package import Network, read_spec, update_spec
from utils import open_atomically, write_atomically

TOLERANCE = 1e-4
log = logging.getLogger(__name__)
FILES = {"litert": "model.tflite", "keras": "model.keras"}


def write_golden(folder: str | Path, pixels: np.ndarray, probabilities: np.ndarray) -> None:
    """Keep the golden images as PNG, which is exact and carries no metadata, and what they must give.

    Args:
        pixels: uint8 (images, size, size, 3), the network's input squares.
        probabilities: float64 (images, labels).
    """
    golden = Path(folder, "golden")
    golden.mkdir(exist_ok=True)
    entries = []
    for index, (square, row) in enumerate(zip(pixels, probabilities, strict=True)):
        entries.append({"file": f"{index:02}.png", "probabilities": row.tolist()})
        with open_atomically(golden / f"{index:02}.png") as file:
            Image.fromarray(square).save(file, "PNG")
    write_atomically(golden / "golden.json", json.dumps({"images": entries}, indent=1) + "\n")


def read_golden(folder: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the golden images, uint8 (images, size, size, 3), and the probabilities they must give."""
    golden = Path(folder, "golden")
    entries = json.loads((golden / "golden.json").read_text(encoding="utf-8"))["images"]
    pixels = [np.asarray(Image.open(golden / entry["file"], formats=["PNG"])) for entry in entries]
    return np.stack(pixels), np.array([entry["probabilities"] for entry in entries])


def prove(folder: str | Path) -> list[str]:
    """Run every network file on the golden images and note in package.json which gave their probabilities.

    Returns:
        The proven formats, of `litert` and `keras`.
    """
    found = compare(Path(folder), read_spec(folder))
    update_spec(folder, lambda spec: spec | found)
    return found["proven"]


def compare(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Run every network file on the golden images; running model.keras imports TensorFlow.

    A file that is off by more than 1e-4 anywhere, or cannot be run, is removed.

    Args:
        folder: of the package. spec: what package.json says, or will say.

    Returns:
        For package.json: proven (the formats, of `litert` and `keras`, that gave the golden probabilities),
        golden_differences (the largest difference of each), files (SHA-256 of every proven file).
    """
    pixels, wanted = read_golden(folder)
    calibrated = calibration.from_spec(spec)
    differences: dict[str, float | None] = {}
    for name, answer in (("litert", _answer_by_litert), ("keras", _answer_by_keras)):
        path = folder / FILES[name]
        if not path.exists():
            continue
        difference = _difference(answer, path, pixels, wanted, calibrated)
        differences[name] = difference if np.isfinite(difference) else None
        if not difference <= TOLERANCE:  # so written, not-a-number fails too
            path.unlink()
    proven = [name for name, value in differences.items() if value is not None and value <= TOLERANCE]
    hashes = {FILES[name]: _hash(folder / FILES[name]) for name in proven}
    return {"proven": proven, "golden_differences": differences, "files": hashes}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _difference(
    answer: Callable, path: Path, pixels: np.ndarray, wanted: np.ndarray, calibrated: Calibration
) -> float:
    """Return the largest difference to a golden probability; infinite where the file cannot be run at all."""
    try:
        logits = answer(path, pixels)
    except Exception:  # a runtime may raise anything for a bad file, and bad files are what this looks for
        log.exception("%s cannot be run.", path.name)
        return np.inf
    if logits.shape != wanted.shape:
        return np.inf
    return float(np.abs(calibrated.probabilities(logits) - wanted).max())


def _answer_by_litert(path: Path, pixels: np.ndarray) -> np.ndarray:
    network = Network(path)
    return np.stack([network.logits(square).copy() for square in pixels])


def _answer_by_keras(path: Path, pixels: np.ndarray) -> np.ndarray:
    import keras

    model = keras.models.load_model(path, compile=False, safe_mode=True)
    return np.asarray(model([pixels.astype(np.float32)], training=False))
