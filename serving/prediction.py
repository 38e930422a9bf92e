"""A version and an image in, an answer out: the same for the page, the API and every script."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from sqlalchemy import insert

from datasets import storage
from learning.package import Decision, NoAnswer
from models import Prediction, Version, db
from serving import classifier
from utils import EXTENSION_OF_FORMAT, center_crop, generate_random_name, open_image, upright_size

_INSERT = insert(Prediction.__table__)  # half the time of adding an object, at every prediction


@dataclass(frozen=True)
class Answer:
    """What one version says of one image.

    `probabilities` are (label, calibrated probability) pairs, highest first. `labels` holds the likeliest
    label of a single-label version, and every label at or above its own threshold of a multi-label one,
    likeliest first; only the latter has `thresholds`, by label. An answer that is rejected has no labels and
    a `reason`: `unknown` or `uncertain`.
    """

    prediction: str
    dataset: str
    dataset_id: int
    version: int
    version_id: int
    labels: tuple[str, ...]
    probabilities: tuple[tuple[str, float], ...]
    filename: str
    width: int
    height: int
    decode_milliseconds: float
    network_milliseconds: float
    total_milliseconds: float
    thresholds: dict[str, float] | None = None
    rejected: bool = False
    reason: str | None = None

    def as_json(self) -> dict:
        """The answer as every page, script and file shows it (docs/api.md)."""
        return {
            "prediction": self.prediction,
            "dataset": self.dataset,
            "version": self.version,
            "label": self.labels[0] if self.labels else None,
            "labels": list(self.labels),
            "rejected": self.rejected,
            "reason": self.reason,
            "probabilities": [self._entry(label, p) for label, p in self.probabilities],
            "image": {"url": f"/images/{self.filename}", "width": self.width, "height": self.height},
            "milliseconds": {
                "decode": round(self.decode_milliseconds, 1),
                "network": round(self.network_milliseconds, 1),
                "total": round(self.total_milliseconds, 1),
            },
        }

    def _entry(self, label: str, probability: float) -> dict:
        entry = {"label": label, "probability": probability}
        return entry if self.thresholds is None else {**entry, "threshold": self.thresholds[label]}


def predict(version: Version, content: bytes) -> Answer:
    """Return what `version` says of an image file's bytes. Nothing is stored.

    Raises:
        ImageRefused: not an image that is taken, damaged, or too large.
        VersionUnusable: a file of the version is missing or damaged, or it gives no numbers for this image.
        Busy: too many predictions wait in this process.
    """
    engine = classifier.find(version)
    start = time.perf_counter()
    with engine.line.place():
        image = open_image(content)
        extension, (width, height) = EXTENSION_OF_FORMAT[image.format], upright_size(image)
        pixels = center_crop(image, engine.package.input_size)
        decoded = time.perf_counter()
        decision = _decide(engine, pixels)
    end = time.perf_counter()
    return Answer(
        prediction=f"pr_{generate_random_name()}",
        dataset=version.dataset.slug,
        dataset_id=version.dataset_id,
        version=version.number,
        version_id=version.id,
        labels=decision.labels,
        probabilities=decision.pairs,
        filename=generate_random_name(extension),
        width=width,
        height=height,
        decode_milliseconds=1000 * (decoded - start),
        network_milliseconds=1000 * (end - decoded),
        total_milliseconds=1000 * (end - start),
        thresholds=engine.package.thresholds if engine.package.has_several else None,
        rejected=decision.rejected,
        reason=decision.reason,
    )


def _decide(engine: classifier.Classifier, pixels: np.ndarray) -> Decision:
    try:
        return engine.answer(pixels)
    except NoAnswer as error:
        raise classifier.VersionUnusable(str(error)) from error


def keep(answer: Answer, content: bytes, sent_name: str, user_id: int | None) -> None:
    """Store the image under the answer's filename, then add the prediction's row. Does not commit."""
    storage.put(answer.filename, content)
    row = {
        "public_id": answer.prediction,
        "dataset_id": answer.dataset_id,
        "version_id": answer.version_id,
        "user_id": user_id,
        "filename": answer.filename,
        "sent_name": sent_name,
        "answer": answer.as_json(),
    }
    db.session.execute(_INSERT, row)
