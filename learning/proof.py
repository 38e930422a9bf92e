"""Whether every file of a package gives the golden probabilities in its own runtime."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning import calibration, golden
from learning.calibration import Calibration
from learning.golden import Crop, Golden
from learning.litert import Network, NetworkClassifier
from learning.package import read_spec, update_spec
from utils import center_crop

TOLERANCE = 1e-4
log = logging.getLogger(__name__)
FILES = {"litert": "model.tflite", "keras": "model.keras"}


@dataclass(frozen=True)
class Checked:
    """How far answers are from the golden ones.

    Attributes:
        differences: golden image -> the largest difference of a probability; infinite where there is none.
        other_pixels: the originals that became other pixels than they must.
    """

    differences: dict[str, float]
    other_pixels: tuple[str, ...] = ()

    @property
    def largest(self) -> float:
        """The largest difference of a probability in any image."""
        return max(self.differences.values(), default=np.inf)

    @property
    def is_same(self) -> bool:
        """Whether all pixels are as they must be, and every probability within 1e-4."""
        return not self.other_pixels and self.largest <= TOLERANCE

    def describe(self) -> str:
        """Say what is off, for a sentence."""
        if self.other_pixels:
            return f"makes other pixels than it must of {', '.join(self.other_pixels)}"
        return f"is off its golden probabilities by {self.largest:.1e}"


def check(folder: str | Path, crop: Crop = center_crop) -> Checked:
    """Ask the whole network in LiteRT about the golden images, squares and originals.

    Args:
        crop: how an original becomes the network's square.

    Raises:
        PackageDamaged: the network or package.json is missing or damaged.
        OSError, ValueError, KeyError: the golden images are.
    """
    classifier = NetworkClassifier(folder)
    images = golden.read_all(folder, crop)
    return compare_answers(images, {one.name: classifier.probabilities(one.pixels) for one in images})


def compare_answers(images: list[Golden], said: dict[str, np.ndarray]) -> Checked:
    """Compare what was said of golden images, name -> probabilities (labels,), with what they must give."""
    differences = {one.name: _distance(said.get(one.name), one.probabilities) for one in images}
    return Checked(differences, tuple(one.name for one in images if one.is_other))


def _distance(said: np.ndarray | None, wanted: np.ndarray) -> float:
    """Return the largest difference; infinite where nothing, no number or another count of them was said."""
    if said is None or said.shape != wanted.shape or not np.isfinite(said).all():
        return np.inf
    return float(np.abs(said - wanted).max())


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
    images = golden.read_all(folder)
    pixels = np.stack([one.pixels for one in images])
    wanted = np.stack([one.probabilities for one in images])
    calibrated = calibration.from_spec(spec)
    differences: dict[str, float | None] = {}
    for name, answer in (("litert", _answer_by_litert), ("keras", answer_by_keras)):
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


def answer_by_keras(path: Path, pixels: np.ndarray) -> np.ndarray:
    """Return what a Keras file says of uint8 (images, size, size, 3): logits, float32 (images, labels)."""
    import keras

    model = keras.models.load_model(path, compile=False, safe_mode=True)
    return np.asarray(model([pixels.astype(np.float32)], training=False))
