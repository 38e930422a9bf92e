"""Faults of versions: files that are damaged or disagree. A version with one is marked, and answers nobody.

Every version is looked at when its run has ended and then once a day, without TensorFlow: its files' hashes,
and what its head and its whole network in LiteRT say of the golden images. `server.py doctor` asks Keras too.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import or_, select

from jobs import training
from learning import golden, proof
from learning.litert import NetworkClassifier
from learning.package import NoAnswer, read_spec
from models import Version, db, now
from serving import classifier
from transactions import start_reading
from utils import ImageRefused

logger = logging.getLogger(__name__)

CHECKED_EVERY = timedelta(days=1)
CHECKED_AT_ONCE = 50  # versions in one sweep, those that nobody has looked at for longest first
LITERT, KERAS, SERVED = "litert", "keras", "served"
SAID_BY = {
    SERVED: "What answers here",
    LITERT: "Its model.tflite",
    KERAS: "Its model.keras",
}
Answers = dict[str, np.ndarray]  # golden image -> probabilities (labels,)


@dataclass(frozen=True)
class Findings:
    """What was found of one version.

    Attributes:
        fault: what is wrong, in a sentence with what to do; None where nothing is.
        failing: the formats whose file is off or damaged, of `litert` and `keras`.
        differences: route (`served`, `litert`, `keras`) -> the largest difference to a golden probability.
        has_originals: whether the package holds the awkward images.
    """

    fault: str | None = None
    failing: tuple[str, ...] = ()
    differences: dict[str, float] = field(default_factory=dict)
    has_originals: bool = False


def find(version: Version, ask_keras: Callable[[Path], Answers] | None = None) -> Findings:
    """Look at a version's files. Nothing is changed.

    Args:
        ask_keras: gives what a package's model.keras says of its golden images; not asked unless given.
    """
    try:
        engine = classifier.open_anew(version)
    except classifier.VersionUnusable as error:
        return Findings(str(error))
    if not version.proven:
        return Findings()  # its head answers, and there is no other file that could disagree
    folder = training.package_folder(version)
    try:
        if wrong := _find_other_files(folder, version):
            names = " and ".join(proof.FILES[name] for name in wrong)
            return Findings(as_fault(f"Its {names} is not the file that was proven"), wrong)
        return _compare(folder, version, engine, ask_keras)
    except (ImageRefused, OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s: %s", folder, error)
        return Findings(as_fault("Its golden images or its network's file are missing or damaged"))


def _find_other_files(folder: Path, version: Version) -> tuple[str, ...]:
    """The formats whose file is missing or of another hash than when it was proven."""
    hashes = read_spec(folder).get("files", {})
    wrong = []
    for name in version.proven:
        path = folder / proof.FILES[name]
        wanted = hashes.get(path.name)
        if not path.exists() or (wanted and hashlib.sha256(path.read_bytes()).hexdigest() != wanted):
            wrong.append(name)
    return tuple(wrong)


def _compare(
    folder: Path,
    version: Version,
    engine: classifier.Classifier,
    ask_keras: Callable[[Path], Answers] | None,
) -> Findings:
    images = golden.read_all(folder)
    said = {SERVED: {one.name: _answer(engine, one.pixels) for one in images}}
    if LITERT in version.proven:
        network = NetworkClassifier(folder)
        said[LITERT] = {one.name: network.probabilities(one.pixels) for one in images}
    if KERAS in version.proven and ask_keras:
        said[KERAS] = ask_keras(folder)
    found = {name: proof.compare_answers(images, answers) for name, answers in said.items()}
    wrong = [name for name, checked in found.items() if not checked.is_same]
    return Findings(
        as_fault(f"{SAID_BY[wrong[0]]} {found[wrong[0]].describe()}") if wrong else None,
        tuple(name for name in wrong if name in proof.FILES),
        {name: checked.largest for name, checked in found.items()},
        len(images) > len(golden.read(folder)[0]),
    )


def _answer(engine: classifier.Classifier, pixels: np.ndarray) -> np.ndarray:
    """What is served for these pixels, float64 (labels,); nothing where it is no number."""
    try:
        said = dict(engine.answer(pixels).pairs)
    except NoAnswer:
        return np.empty(0)
    return np.array([said[label] for label in engine.package.labels])


def as_fault(words: str) -> str:
    """Return a fault in a sentence, with what to do."""
    return f"{words}. {classifier.ADVICE}"


def mark(version_id: int, found: Findings, was_keras_asked: bool = False) -> None:
    """Write down what was found, so that a faulty version is not served and a mended one is. No commit.

    What only Keras has found stays until Keras was asked again.
    """
    version = db.session.get(Version, version_id)
    if version is None:
        return
    version.checked_at = now()
    is_left_to_keras = found.fault is None and not was_keras_asked and version.failing == [KERAS]
    if not is_left_to_keras:
        version.fault, version.failing = found.fault, list(found.failing)


def look_at(version_id: int) -> None:
    """Look at one version, mark it, and commit."""
    start_reading()  # it takes a second, and locks nobody out
    version = db.session.get(Version, version_id)
    found = find(version) if version else None
    db.session.rollback()
    if found is None:
        return
    if found.fault:
        logger.warning("Version %s (id) is not served: %s", version_id, found.fault)
    mark(version_id, found)
    db.session.commit()


def look_at_due() -> int:
    """Look at the versions that were not for a day; return how many. It commits after each."""
    is_due = or_(Version.checked_at.is_(None), Version.checked_at < now() - CHECKED_EVERY)
    query = select(Version.id).where(is_due).order_by(Version.checked_at.is_not(None), Version.checked_at)
    due = db.session.scalars(query.limit(CHECKED_AT_ONCE)).all()
    for version_id in due:
        look_at(version_id)
    return len(due)
