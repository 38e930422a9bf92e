"""Why a network said what it said: what each position of the image added to a label, or took from it.

Exact, where the last layer is linear on the mean of a map (learning/maps.py, which tells what that means
behind further layers): Zhou et al. 2016, "Learning Deep Features for Discriminative Localization",
https://arxiv.org/abs/1512.04150. Of any other network, what
hiding a part of the image takes from the label: Zeiler & Fergus 2014, "Visualizing and Understanding
Convolutional Networks", https://arxiv.org/abs/1311.2901 (many random masks, RISE, Petsiuk et al. 2018,
https://arxiv.org/abs/1806.07421, would take some thousand calls). No TensorFlow is needed.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from learning import golden
from learning.calibration import SINGLE, Calibration
from learning.litert import Network
from learning.package import HEAD, HEAD_FILE, NETWORK_FILE, Package, read_head
from utils import open_atomically

LAST_LAYER_FILE = "explain.npy"  # float32 (features + 1, labels), the bias last
EXACT, OCCLUSION = "exact", "occlusion"
OCCLUSION_SECONDS = 1.5  # of the 2 that an explanation may take
FEWEST, MOST = 2, 9  # parts of the image, each way, that are hidden in turn
log = logging.getLogger(__name__)
TOLERANCE = 1e-3  # of a probability; a network's own softmax may have been cut off at 1e-7


def find_last_layer(package: Package) -> np.ndarray | None:
    """Return float (features + 1, labels), the bias last, that gives logits of the map's mean; or None."""
    if package.answers_with != HEAD:
        return read_last_layer(package.folder, len(package.labels))
    if package.weights is not None:
        return np.vstack([package.weights, package.bias])
    path = package.folder / HEAD_FILE  # its whole network answers alone
    return np.vstack(read_head(path)) if path.exists() else None


def can_be_exact(seen: np.ndarray | None, last_layer: np.ndarray | None) -> bool:
    """Whether map and last layer belong together, and the map tells one place from another."""
    if seen is None or last_layer is None:
        return False
    return seen.shape[-1] == len(last_layer) - 1 and seen.shape[0] * seen.shape[1] > 1


def score_positions(seen: np.ndarray, last_layer: np.ndarray) -> np.ndarray:
    """Return what each position says by itself, float64 (h, w, labels): their mean is the image's logits.

    The bias, which belongs to no position, is shared out evenly.

    Args:
        seen: float32 (h, w, features), the map. last_layer: (features + 1, labels), the bias last.
    """
    return seen.astype(np.float64) @ last_layer[:-1] + last_layer[-1]


def stand_out(logits: np.ndarray, calibration: Calibration, label: int) -> np.ndarray:
    """Return how far a label stands out, float64 (...), of logits (..., labels).

    Of a single-label task, its log-probability above the mean of the other labels' log-probabilities; of a
    multi-label task the log-odds of the label. Both are linear in the logits, so what the positions give has
    the mean that the image gives.
    """
    exact = np.asarray(logits, np.float64)
    if calibration.task != SINGLE:
        return exact[..., label] * calibration.scales[label] + calibration.offsets[label]
    others = np.delete(exact, label, axis=-1)
    rest = others.mean(axis=-1) if others.shape[-1] else 0.0
    return (exact[..., label] - rest) / calibration.temperature


def occlude(
    score: Callable[[np.ndarray], float], pixels: np.ndarray, seconds: float = OCCLUSION_SECONDS
) -> np.ndarray:
    """Return by how much the score falls when a part of the image is hidden, float64 (parts, parts).

    A square that reaches half a part over its own takes the image's mean colour. The first call tells how
    many parts there is time for: 2 to 9 each way.

    Args:
        score: of uint8 (size, size, 3). pixels: the image. seconds: for all calls together.
    """
    began = time.monotonic()
    whole = score(pixels)
    a_call = max(time.monotonic() - began, 1e-6)
    parts = int(np.clip(np.sqrt(max(0.0, seconds - a_call) / a_call), FEWEST, MOST))
    grey = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    drops = [whole - score(_hide(pixels, place, parts, grey)) for place in np.ndindex(parts, parts)]
    drops = np.array(drops, np.float64).reshape(parts, parts)
    return np.where(np.isfinite(drops), drops, 0.0)  # of what is left a network may say no number


def _hide(pixels: np.ndarray, place: tuple[int, ...], parts: int, colour: np.ndarray) -> np.ndarray:
    side = len(pixels) / parts
    rows, columns = (slice(max(0, round((at - 0.5) * side)), round((at + 1.5) * side)) for at in place)
    hidden = pixels.copy()
    hidden[rows, columns] = colour
    return hidden


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


def read_last_layer(folder: Path, outputs: int) -> np.ndarray | None:
    """Return what `keep_last_layer` kept, float32 (features + 1, outputs); None where it can't be read."""
    path = folder / LAST_LAYER_FILE
    try:
        return parse_last_layer(path.read_bytes(), outputs)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s: %s", path, error)  # there is another way to explain
        return None


def parse_last_layer(content: bytes, outputs: int) -> np.ndarray:
    """Return float32 (features + 1, outputs) from the bytes of an explain.npy that a stranger may have made.

    Raises:
        ValueError: it is anything else.
    """
    try:
        found = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
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
