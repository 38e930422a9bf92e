"""A version as files that need nothing else: read, answered from, and proven.

package.json and head.npz come first and answer with the backbone's embedding; model.tflite and model.keras,
the whole network, follow once they gave the golden probabilities. No TensorFlow is needed to read or answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from learning.heads import softmax
from utils import write_atomically

FORMAT = "pigeonhole-package"
FORMAT_VERSION = 1


class PackageDamaged(ValueError):
    """The folder is not a whole package of a format we know; the message says what is wrong."""


@dataclass(frozen=True)
class Package:
    """A package as read: what it sorts into, and the head that answers from the backbone's embedding."""

    folder: Path
    labels: list[str]
    task: str
    input_size: int
    temperature: float
    thresholds: list[float]
    backbone: str
    backbone_identifier: str
    metrics: dict[str, Any]
    weights: np.ndarray  # float64 (embedding size, labels)
    bias: np.ndarray  # float64 (labels,)
    spec: dict[str, Any]

    @property
    def proven(self) -> list[str]:
        """The formats that gave the golden probabilities in their own runtime: `litert`, `keras`."""
        return self.spec["proven"]

    def probabilities(self, embedding: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float64 (labels,), of an embedding, float32 (embedding size,)."""
        scores = embedding.astype(np.float64) @ self.weights + self.bias
        return softmax(scores / self.temperature)


def read_spec(folder: str | Path) -> dict[str, Any]:
    """Return package.json.

    Raises:
        PackageDamaged: it is missing, no JSON, or of a format that this Pigeonhole does not know.
    """
    path = Path(folder, "package.json")
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackageDamaged(f"{path} is missing or damaged.") from error
    if not isinstance(spec, dict) or spec.get("format") != FORMAT:
        raise PackageDamaged(f"{path} is not a Pigeonhole package.")
    if spec["format_version"] > FORMAT_VERSION:
        raise PackageDamaged(f"{path} was made by a newer Pigeonhole. Update this one.")
    return spec


def write_spec(folder: str | Path, spec: dict[str, Any]) -> None:
    """Write package.json, whole or not at all."""
    write_atomically(Path(folder, "package.json"), json.dumps(spec, ensure_ascii=False, indent=1) + "\n")


def load_package(folder: str | Path) -> Package:
    """Read a package whose head is solved.

    Raises:
        PackageDamaged: a file is missing, damaged, or does not fit the others.
    """
    folder = Path(folder)
    spec = read_spec(folder)
    weights, bias = _read_head(folder / "head.npz")
    shape = (spec["backbone"]["embedding_size"], len(spec["labels"]))
    if weights.shape != shape or bias.shape != shape[1:]:
        raise PackageDamaged(f"{folder / 'head.npz'} does not fit package.json.")
    return Package(
        folder=folder,
        labels=spec["labels"],
        task=spec["task"],
        input_size=spec["input_size"],
        temperature=spec["temperature"],
        thresholds=spec["thresholds"],
        backbone=spec["backbone"]["name"],
        backbone_identifier=spec["backbone"]["identifier"],
        metrics=spec["metrics"],
        weights=weights,
        bias=bias,
        spec=spec,
    )


def _read_head(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as head:
            return head["weights"].astype(np.float64), head["bias"].astype(np.float64)
    except Exception as error:  # a damaged zip raises BadZipFile, zlib.error, struct.error and others
        raise PackageDamaged(f"{path} is missing or damaged.") from error


class NetworkClassifier:
    """The whole network in one LiteRT interpreter; needs model.tflite and package.json and nothing else.

    Never share it between threads.
    """

    def __init__(self, folder: str | Path, threads: int = 1):
        self.spec = read_spec(folder)
        path = Path(folder, "model.tflite")
        if not path.exists():
            raise PackageDamaged(f"{path} is missing: the whole network was not exported, or was not proven.")
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise PackageDamaged(f"{path} is damaged.") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float64 (labels,), for `center_crop`'s uint8 (size, size, 3)."""
        self._interpreter.set_tensor(self._input, pixels[np.newaxis].astype(np.float32))
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._output)[0].astype(np.float64)
        return softmax(logits / self.spec["temperature"])
