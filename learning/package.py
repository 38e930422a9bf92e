"""A version as files that need nothing else: read, answered from, and proven.

A package answers with a head or with a network. With a head, package.json and head.npz come first and answer
from the backbone's embedding; model.tflite and model.keras, the whole network, follow once they gave the
golden probabilities. With a network, model.tflite itself answers and was proven before. No TensorFlow is
needed to read or answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning import calibration, rejection
from learning.calibration import MULTI, SINGLE, Calibration
from learning.pixels import find_difference
from learning.rejection import Rejection, RejectionDamaged
from utils import lock_file, write_atomically

FORMAT = "pigeonhole-package"
FORMAT_VERSION = 1
HEAD, NETWORK = "head", "network"
NETWORK_FILE = "model.tflite"
HEAD_FILE = "head.npz"
REJECTION_FILE = rejection.FILE
LOCK_FILE = ".lock"
TRAINED_THRESHOLDS = "trained_thresholds"  # in package.json: the training's, once others were chosen
UNKNOWN, UNCERTAIN = "unknown", "uncertain"  # why no label is said


class PackageDamaged(ValueError):
    """The folder is not a whole package of a format we know; the message says what is wrong."""


class OtherPixels(PackageDamaged):
    """The package names another pixel path than ours, so it would answer otherwise; the message says it."""


class NoAnswer(ValueError):
    """What a network gives for an image is no number; the message says what to do."""


@dataclass(frozen=True)
class Decision:
    """What is made of an image's probabilities.

    Attributes:
        labels: those that are said, likeliest first; none where the answer is rejected.
        pairs: every (label, probability), highest first.
        reason: why nothing is said: `unknown` (like nothing that was taught) or `uncertain` (the likeliest
            label is below its threshold); None where the answer is not rejected.
    """

    labels: tuple[str, ...]
    pairs: tuple[tuple[str, float], ...]
    reason: str | None = None

    @property
    def rejected(self) -> bool:
        """Whether no answer is given; that none of several labels fits is an answer."""
        return self.reason is not None


def decide(
    labels: list[str], calibrated: Calibration, probabilities: np.ndarray, is_unknown: bool = False
) -> Decision:
    """Decide what is said of an image.

    Args:
        probabilities: float64 (labels,).
        is_unknown: whether the image is like nothing that was taught; this wins over everything else.
    """
    order = np.argsort(-probabilities, kind="stable")
    is_said = calibrated.decide(probabilities)
    pairs = tuple((labels[index], float(probabilities[index])) for index in order)
    if is_unknown:
        return Decision((), pairs, UNKNOWN)
    if calibrated.task == SINGLE and not is_said.any():
        return Decision((), pairs, UNCERTAIN)
    return Decision(tuple(labels[index] for index in order if is_said[index]), pairs)


def require_numbers(probabilities: np.ndarray) -> np.ndarray:
    """Return the probabilities of an image; before anything is made of them they must be numbers.

    Raises:
        NoAnswer: one of them is none.
    """
    if not np.isfinite(probabilities).all():
        raise NoAnswer("The network gives no numbers for this image. Train again, with other settings.")
    return probabilities


@dataclass(frozen=True)
class Said:
    """What an interpreter says of one image.

    Attributes:
        logits: float (labels,), not calibrated.
        embedding: float32 (embedding size,), what the last layer was given; None of a network that was
            packaged before it told that.
    """

    logits: np.ndarray
    embedding: np.ndarray | None


@dataclass(frozen=True)
class Package:
    """A package as read: what it sorts into, and a head on the backbone's embedding or a network to answer.

    Attributes:
        rejection: what tells the unknown; None of packages of before there was one, and where too few images
            were there to learn it from.
        backbone, backbone_identifier: of a head; a network may have none.
        weights: float64 (embedding size, labels), bias: float64 (labels,); of a head only.
    """

    folder: Path
    labels: list[str]
    task: str
    input_size: int
    calibration: Calibration
    metrics: dict[str, Any]
    spec: dict[str, Any]
    rejection: Rejection | None = None
    backbone: str | None = None
    backbone_identifier: str | None = None
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None

    @property
    def proven(self) -> list[str]:
        """The formats that gave the golden probabilities in their own runtime: `litert`, `keras`."""
        return self.spec["proven"]

    @property
    def answers_with(self) -> str:
        """`head` or `network`."""
        return answers_with(self.spec)

    @property
    def has_several(self) -> bool:
        """Whether an image may have several labels, or none."""
        return self.task == MULTI

    @property
    def thresholds(self) -> dict[str, float] | None:
        """From which probability on each label is said; None where the likeliest one always is."""
        limits = self.calibration.thresholds
        return dict(zip(self.labels, limits, strict=True)) if limits else None

    @property
    def threshold_mark(self) -> str:
        """What tells thresholds that somebody chose from all others, 8 digits; empty for the training's."""
        if TRAINED_THRESHOLDS not in self.spec:
            return ""
        return hashlib.sha256(json.dumps(self.calibration.thresholds).encode()).hexdigest()[:8]

    @property
    def network_sha256(self) -> str:
        """What the bytes of model.tflite must hash to, in a package that answers with it."""
        return self.spec["files"][NETWORK_FILE]

    def probabilities(self, embedding: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float64 (labels,), of an embedding, float32 (embedding size,)."""
        return self.calibration.probabilities(self.say(embedding).logits)

    def say(self, embedding: np.ndarray) -> Said:
        """Return what the head says of an embedding, float32 (embedding size,)."""
        return Said(embedding.astype(np.float64) @ self.weights + self.bias, embedding)

    def answer(self, said: Said) -> Decision:
        """Decide what is said of an image, from what was said of it.

        Raises:
            NoAnswer: there is no number among it.
        """
        probabilities = require_numbers(self.calibration.probabilities(said.logits))
        is_unknown = self._is_unknown(said.embedding, probabilities)
        return decide(self.labels, self.calibration, probabilities, is_unknown)

    def _is_unknown(self, embedding: np.ndarray | None, probabilities: np.ndarray) -> bool:
        if self.rejection is None or embedding is None or not self.spec["rejection"]["is_on"]:
            return False
        if embedding.shape != self.rejection.mean.shape:
            raise NoAnswer(f"The version's {REJECTION_FILE} is not of its network. Train again.")
        return self.rejection.is_unknown(embedding, probabilities)


def answers_with(spec: dict[str, Any]) -> str:
    """Return `head` or `network`; packages of before there were two say nothing and have a head."""
    return spec.get("answers_with", HEAD)


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
    if not isinstance(spec.get("format_version"), int):
        raise PackageDamaged(f"{path} is damaged: it names no version of its format.")
    if spec["format_version"] > FORMAT_VERSION:
        raise PackageDamaged(f"{path} was made by a newer Pigeonhole. Update this one.")
    return spec


def read_calibration(folder: str | Path) -> Calibration:
    """Return the calibration that package.json tells of, with the thresholds in force.

    Raises:
        PackageDamaged: package.json is missing or damaged.
    """
    spec = read_spec(folder)
    try:
        return calibration.from_spec(spec)
    except (KeyError, TypeError, ValueError) as error:
        raise PackageDamaged(f"{Path(folder, 'package.json')} is damaged.") from error


def require_our_pixels(spec: dict[str, Any]) -> None:
    """See that package.json names our pixel path: filter, range and all else that it says of it.

    Raises:
        OtherPixels: it names another; PackageDamaged: it is damaged.
    """
    try:
        difference = find_difference(spec)
    except (KeyError, TypeError, AttributeError) as error:
        raise PackageDamaged("package.json says nothing sensible of its pixel path.") from error
    if difference:
        raise OtherPixels(f"{difference} Use the Pigeonhole that made it, or train again.")


def write_spec(folder: str | Path, spec: dict[str, Any]) -> None:
    """Write package.json, whole or not at all."""
    write_atomically(Path(folder, "package.json"), json.dumps(spec, ensure_ascii=False, indent=1) + "\n")


@contextmanager
def hold(folder: str | Path) -> Iterator[None]:
    """Keep every other writer of a package that is there already waiting while the block runs."""
    with lock_file(Path(folder, LOCK_FILE)):
        yield


def update_spec(folder: str | Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Change package.json as it is now, while no other process can; return what it says then.

    Whatever changes it once it is there goes this way: the trainer's export and an owner's thresholds may
    come at the same moment.

    Args:
        change: gives the new content for the present one.

    Raises:
        PackageDamaged: package.json is missing, damaged, or of a newer format.
    """
    with hold(folder):
        spec = change(read_spec(folder))
        write_spec(folder, spec)
    return spec


def load_package(folder: str | Path) -> Package:
    """Read a package that answers.

    Raises:
        PackageDamaged: a file is missing, damaged, or does not fit the others.
    """
    return load_with(Path(folder), _read_what_answers)


def load_with(folder: Path, read: Callable[[Path, dict[str, Any]], dict[str, Any]]) -> Package:
    """Read a package; `read` gives what it answers with. Errors are those of `load_package`."""
    spec = read_spec(folder)
    require_our_pixels(spec)
    try:
        return Package(
            folder=folder,
            labels=spec["labels"],
            task=spec["task"],
            input_size=spec["input_size"],
            calibration=calibration.from_spec(spec),
            metrics=spec["metrics"],
            spec=spec,
            rejection=_read_rejection(folder, spec),
            **read(folder, spec),
        )
    except PackageDamaged:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise PackageDamaged(f"{folder / 'package.json'} is damaged.") from error


def _read_rejection(folder: Path, spec: dict[str, Any]) -> Rejection | None:
    if not spec.get("rejection"):
        return None
    try:
        found = rejection.load(folder / REJECTION_FILE)
    except RejectionDamaged as error:
        raise PackageDamaged(str(error)) from error
    if found.bears.shape[1] != len(spec["labels"]) or found.task != spec["task"]:
        raise PackageDamaged(f"{folder / REJECTION_FILE} does not fit package.json.")
    return found


def _read_what_answers(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    return (_read_network if answers_with(spec) == NETWORK else _read_whole_head)(folder, spec)


def _read_network(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    if not (folder / NETWORK_FILE).exists():
        raise PackageDamaged(f"{folder / NETWORK_FILE} is missing: this version answers with it.")
    if NETWORK_FILE not in spec.get("files", ()):
        raise PackageDamaged(f"{folder / NETWORK_FILE} was not proven.")
    backbone = spec.get("backbone")
    return {"backbone": backbone["name"] if backbone else None}


def _read_whole_head(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    weights, bias = read_head(folder / HEAD_FILE)
    backbone = spec["backbone"]
    shape = (backbone["embedding_size"], len(spec["labels"]))
    if weights.shape != shape or bias.shape != shape[1:]:
        raise PackageDamaged(f"{folder / HEAD_FILE} does not fit package.json.")
    return {
        "backbone": backbone["name"],
        "backbone_identifier": backbone["identifier"],
        "weights": weights,
        "bias": bias,
    }


def read_head(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a head's weights, float64 (embedding size, labels), and bias, float64 (labels,).

    Raises:
        PackageDamaged: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as head:
            return head["weights"].astype(np.float64), head["bias"].astype(np.float64)
    except Exception as error:  # a damaged zip raises BadZipFile, zlib.error, struct.error and others
        raise PackageDamaged(f"{path} is missing or damaged.") from error
