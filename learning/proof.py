"""Golden images: what every file of a package must answer, and whether it does in its own runtime."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from learning.heads import softmax
from learning.package import read_spec, write_spec
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

    A file that is off by more than 1e-4 anywhere, or cannot be run, is removed. Running model.keras imports
    TensorFlow.

    Returns:
        The proven formats, of `litert` and `keras`.
    """
    folder = Path(folder)
    pixels, wanted = read_golden(folder)
    spec = read_spec(folder)
    differences: dict[str, float | None] = {}
    for name, answer in (("litert", _answer_by_litert), ("keras", _answer_by_keras)):
        path = folder / FILES[name]
        if not path.exists():
            continue
        difference = _difference(answer, path, pixels, wanted, spec["temperature"])
        differences[name] = difference if np.isfinite(difference) else None
        if not difference <= TOLERANCE:  # so written, not-a-number fails too
            path.unlink()
    proven = [name for name, value in differences.items() if value is not None and value <= TOLERANCE]
    write_spec(folder, spec | {"proven": proven, "golden_differences": differences})
    return proven


def _difference(
    answer: Callable, path: Path, pixels: np.ndarray, wanted: np.ndarray, temperature: float
) -> float:
    """Return the largest difference to a golden probability; infinite where the file cannot be run at all."""
    try:
        logits = answer(path, pixels)
    except Exception:  # a runtime may raise anything for a bad file, and bad files are what this looks for
        log.exception("%s cannot be run.", path.name)
        return np.inf
    if logits.shape != wanted.shape:
        return np.inf
    return float(np.abs(softmax(logits.astype(np.float64) / temperature) - wanted).max())


def _answer_by_litert(path: Path, pixels: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    entrance = interpreter.get_input_details()[0]["index"]
    way_out = interpreter.get_output_details()[0]["index"]
    logits = []
    for square in pixels:
        interpreter.set_tensor(entrance, square[np.newaxis].astype(np.float32))
        interpreter.invoke()
        logits.append(interpreter.get_tensor(way_out)[0].copy())
    return np.stack(logits)


def _answer_by_keras(path: Path, pixels: np.ndarray) -> np.ndarray:
    import keras

    model = keras.models.load_model(path, compile=False, safe_mode=True)
    return np.asarray(model([pixels.astype(np.float32)], training=False))
