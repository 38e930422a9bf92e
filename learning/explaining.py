"""Why a network said what it said: what each position of the image added to a label, or took from it.

Exact, where the last layer is linear on the mean of a map (learning/maps.py): Zhou et al. 2016, "Learning
Deep Features for Discriminative Localization", https://arxiv.org/abs/1512.04150. No TensorFlow is needed.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from learning import golden
from learning.calibration import Calibration
from learning.package import NETWORK_FILE, Network
from utils import open_atomically

LAST_LAYER_FILE = "explain.npy"  # float32 (features + 1, labels), the bias last
TOLERANCE = 1e-3  # of a probability; a network's own softmax may have been cut off at 1e-7


def keep_last_layer(folder: Path, last_layer: np.ndarray | None, calibration: Calibration) -> bool:
    """Keep the last layer's weights in a package, if they tell exactly how its network answers.

    Args:
        folder: of a package whose model.tflite is proven and whose golden images are there.
        last_layer: float32 (features + 1, labels), the bias last, or None where there is no such layer.

    Returns:
        Whether they are kept.
    """
    path = folder / LAST_LAYER_FILE
    path.unlink(missing_ok=True)
    if last_layer is None or not tells_answers(folder, last_layer, calibration):
        return False
    write_last_layer(folder, last_layer)
    return True


def write_last_layer(folder: Path, last_layer: np.ndarray) -> None:
    """Write explain.npy, whole or not at all."""
    with open_atomically(folder / LAST_LAYER_FILE) as file:
        np.save(file, last_layer.astype(np.float32), allow_pickle=False)


def read_last_layer(folder: Path) -> np.ndarray | None:
    """Return what `keep_last_layer` kept, float32 (features + 1, labels), or None."""
    path = folder / LAST_LAYER_FILE
    return np.load(path, allow_pickle=False) if path.exists() else None


def parse_last_layer(content: bytes, outputs: int) -> np.ndarray:
    """Return float32 (features + 1, outputs) from the bytes of an explain.npy that a stranger may have made.

    Raises:
        ValueError: it is anything else.
    """
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
    except (OSError, EOFError, MemoryError, SyntaxError) as error:
        raise ValueError("it holds no numbers.") from error
    is_fitting = isinstance(found, np.ndarray) and found.ndim == 2 and found.shape[1] == outputs
    if not is_fitting or found.dtype != np.float32 or not np.isfinite(found).all():
        raise ValueError("it doesn't fit the labels.")
    return found


def tells_answers(folder: Path, last_layer: np.ndarray, calibration: Calibration) -> bool:
    """Whether the last layer on the mean of the map gives the golden probabilities, to 1e-3."""
    pixels, wanted = golden.read(folder)
    network = Network(folder / NETWORK_FILE)
    seen = [network.logits_with_map(square)[1] for square in pixels]
    if seen[0] is None or len(last_layer) != seen[0].shape[-1] + 1:
        return False
    means = np.stack([each.mean(axis=(0, 1)) for each in seen]).astype(np.float64)
    given = calibration.probabilities(means @ last_layer[:-1] + last_layer[-1])
    return given.shape == wanted.shape and bool(np.abs(given - wanted).max() <= TOLERANCE)
