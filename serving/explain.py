"""Why a version said what it said of one image: a weight for every part of it, for one label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning import explaining
from learning.litert import NetworkClassifier
from learning.package import NoAnswer, require_numbers
from models import Version
from serving import classifier
from serving.classifier import Classifier, VersionUnusable
from utils import center_crop, open_image, upright_size

Engine = Classifier | NetworkClassifier  # both have a package and `look`


class LabelUnknown(ValueError):
    """The version knows no such label; the message says so."""


@dataclass(frozen=True)
class Explanation:
    """What each part of an image did for a label.

    Attributes:
        label: which one. method: `exact` or `occlusion`.
        weights: float64 (rows, columns); above 0 spoke for the label, below 0 against it. Exact ones have
            `score` as their mean; those of occlusion are by how much the score falls when the part is hidden.
        score: how far the label stands out, as `explaining.stand_out` has it.
        box: left, top, right, bottom of the square that was looked at, in pixels of the upright image.
        embedding: float32 (features,), by which similar images are found; None where the file gives none.
    """

    label: str
    method: str
    weights: np.ndarray
    score: float
    box: tuple[int, int, int, int]
    embedding: np.ndarray | None

    @property
    def scale(self) -> float:
        """The largest weight, whatever its sign; 0 where nothing mattered."""
        return float(np.abs(self.weights).max())

    @property
    def heatmap(self) -> np.ndarray:
        """The weights from -1 to 1, float64 (rows, columns)."""
        return self.weights / (self.scale or 1.0)

    def as_json(self) -> dict:
        """The explanation as pages and scripts show it (docs/api.md)."""
        return {
            "label": self.label,
            "method": self.method,
            "box": list(self.box),
            "heatmap": self.heatmap.round(6).tolist(),
            "scale": self.scale,
            "score": self.score,
        }


def explain(version: Version, content: bytes, label: str | None = None) -> Explanation:
    """Return why `version` says what it says of an image file's bytes, for `label` or the likeliest one.

    Exact where the network allows it, which costs one answer; else by hiding parts, about 1.5 s at most, the
    interpreter given to others in between.

    Raises:
        ImageRefused, VersionUnusable, Busy: as serving/prediction.py's `predict`.
        LabelUnknown: the version has no such label.
    """
    engine = classifier.find(version)
    with engine.line.place():
        return explain_with(engine, content, label)


def explain_with(engine: Engine, content: bytes, label: str | None = None) -> Explanation:
    """Return why `engine`, of a version or of a package alone, says what it says; otherwise as `explain`."""
    image = open_image(content)
    box = _find_box(*upright_size(image))
    pixels = center_crop(image, engine.package.input_size)
    said, seen = engine.look(pixels)
    place = _choose(engine, said.logits, label)
    score = explaining.stand_out(said.logits, engine.package.calibration, place)
    method, weights = _weigh(engine, pixels, seen, place)
    return Explanation(engine.package.labels[place], method, weights, float(score), box, said.embedding)


def _weigh(engine: Engine, pixels: np.ndarray, seen: np.ndarray | None, place: int) -> tuple[str, np.ndarray]:
    last_layer = explaining.find_last_layer(engine.package)
    calibrated = engine.package.calibration
    if explaining.can_be_exact(seen, last_layer):
        positions = explaining.score_positions(seen, last_layer)
        return explaining.EXACT, explaining.stand_out(positions, calibrated, place)

    def ask(square: np.ndarray) -> float:
        return float(explaining.stand_out(engine.look(square)[0].logits, calibrated, place))

    return explaining.OCCLUSION, explaining.occlude(ask, pixels)


def _choose(engine: Engine, logits: np.ndarray, label: str | None) -> int:
    labels = engine.package.labels
    try:
        probabilities = require_numbers(engine.package.calibration.probabilities(logits))
    except NoAnswer as error:
        raise VersionUnusable(str(error)) from error
    if label is None:
        return int(probabilities.argmax())
    if label not in labels:
        raise LabelUnknown(f"This version knows no label {label[:100]!r}.")
    return labels.index(label)


def _find_box(width: int, height: int) -> tuple[int, int, int, int]:
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
